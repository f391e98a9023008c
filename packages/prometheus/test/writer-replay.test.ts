import { SluiceError } from '@sluice/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SeriesLike } from '../src/options-sink.ts'
import { until } from './harness.ts'
import type { Received } from './receiver.ts'
import { holds, linesOf, record, records, T, WriterStand } from './writer-stand.ts'

let stand: WriterStand

beforeEach(async () => {
  stand = await WriterStand.start()
})

afterEach(async () => {
  await stand[Symbol.asyncDispose]()
})

/** A receiver without an out-of-order window: takes nothing older than what it has, and of a request all or nothing. */
class Tsdb {
  readonly newest = new Map<string, number>()
  readonly stored: string[] = []
  /** Applies the request, and cuts its connection. */
  cuts = new Set<number>()
  #count = 0

  take(request: Received): { status: number } | 'cut' {
    const number = this.#count++
    const samples = linesOf(request).map((line) => {
      const [series = '', value = '', time = ''] = line.split(' ')
      return { line, series, value, time: Number(time.slice(1)) }
    })
    const newest = new Map(this.newest)
    for (const { line, series, time } of samples) {
      const last = newest.get(series) ?? Number.NEGATIVE_INFINITY
      // The newest sample again is taken, and changes nothing.
      if (time < last || (time === last && !this.stored.includes(line))) return { status: 400 }
      newest.set(series, time)
    }
    for (const { line } of samples) if (!this.stored.includes(line)) this.stored.push(line)
    for (const [series, time] of newest) this.newest.set(series, time)
    return this.cuts.has(number) ? 'cut' : { status: 204 }
  }
}

function use(tsdb: Tsdb): void {
  stand.receiver.decide = (request) => tsdb.take(request)
}

function longSeries(count: number, host = 'a'): SeriesLike {
  const samples = Array.from({ length: count }, (_, index) => ({ value: index, timestamp: T + index }))
  return { metricName: 'up', labels: { host }, samples }
}

const PROBE = 'sluice_remote_write_probe'

/** All is decided at the third try, whatever its time. */
const THREE_TRIES = { retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 2, maxRetryCount: 2 } }

function isProbe(request: Received): boolean {
  return linesOf(request).some((line) => line.startsWith(PROBE))
}

const FAIL = { errorHandlingBehaviorConfiguration: { onPrometheusNonRetriableError: 'FAIL' } } as const

describe('after a restart', () => {
  test.each([0, 1, 7, 18, 19])(
    'of a series whose first %i samples the receiver has, the rest is written',
    async (has) => {
      const tsdb = new Tsdb()
      if (has > 0) tsdb.newest.set('up{host=a}', T + has - 1)
      use(tsdb)
      stand.harness.settlement.suspects.add(0)
      await stand.write([longSeries(20)], { orderedLanes: 1, ...FAIL })
      const rest = Array.from({ length: 20 - has }, (_, index) => `up{host=a} ${has + index} @${T + has + index}`)
      expect(tsdb.stored).toStrictEqual(rest)
      expect(stand.harness.metric('numSamplesOut')).toBe(20 - has)
      expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(has)
      expect(stand.harness.metric('numSamplesDropped')).toBe(has)
      expect(stand.harness.metric('numSamplesNonRetriableDropped')).toBe(0)
      expect(stand.writer.status()).toMatchObject({ dropped: has === 0 ? 0 : 1, duplicate: 0, deadLettered: 0 })
      expect(stand.harness.settlement.refusals).toStrictEqual([])
    },
  )

  test('a batch that is refused whole costs no series that the receiver does not have', async () => {
    const tsdb = new Tsdb()
    for (const host of 'abcdef') tsdb.newest.set(`up{host=${host}}`, T + 100)
    use(tsdb)
    for (let token = 0; token < 8; token++) stand.harness.settlement.suspects.add(token)
    await stand.write(records('abcdefgh'), { orderedLanes: 1, maxIsolationRequests: 1 })
    expect(tsdb.stored).toHaveLength(2)
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 6 })
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(6)
    // All of 8 refused would be 15.
    expect(stand.receiver.received.length).toBeLessThanOrEqual(15)
  })

  test('what lies behind the hint is no suspect', async () => {
    const tsdb = new Tsdb()
    for (const host of 'ab') tsdb.newest.set(`up{host=${host}}`, T + 100)
    use(tsdb)
    stand.harness.settlement.suspects.add(0)
    stand.harness.settlement.delivers = true
    await stand.write(records('a', 'b', 'c'), { orderedLanes: 1, ...FAIL })
    expect(stand.writer.status()).toMatchObject({ written: 1, dropped: 1, deadLettered: 1 })
    expect(stand.harness.settlement.refusals).toMatchObject([{ token: 1 }])
  })

  test('an outage in the midst of it loses and repeats nothing', async () => {
    const tsdb = new Tsdb()
    tsdb.newest.set('up{host=a}', T + 6)
    let count = 0
    stand.receiver.decide = (request) => (++count % 3 === 0 ? { status: 503 } : tsdb.take(request))
    stand.harness.settlement.suspects.add(0)
    await stand.write([longSeries(20), record('b', 1)], {
      orderedLanes: 1,
      retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 2, maxRetryCount: 100 },
    })
    expect(tsdb.stored).toHaveLength(13 + 1)
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(7)
    expect(stand.harness.metric('numSamplesOut')).toBe(14)
  })
})

describe('after a request without an answer', () => {
  test('what had been applied is refused when it is repeated, and what had not is written', async () => {
    const tsdb = new Tsdb()
    tsdb.cuts.add(0)
    use(tsdb)
    await stand.write([longSeries(5), record('b', 1)], { orderedLanes: 1 })
    expect(tsdb.stored).toHaveLength(6)
    expect(stand.writer.status()).toMatchObject({ inHand: 0, duplicate: 0 })
    // The newest of them is taken again.
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(4)
    expect(stand.harness.metric('numSamplesNonRetriableDropped')).toBe(0)
  })

  test('what was cut is no dead letter, since an outage is charged to nobody', async () => {
    const tsdb = new Tsdb()
    tsdb.cuts.add(0)
    use(tsdb)
    stand.harness.settlement.delivers = true
    await stand.write([longSeries(5), record('b', 1)], { orderedLanes: 1 })
    expect(tsdb.stored).toHaveLength(6)
    expect(stand.writer.status()).toMatchObject({ inHand: 0, deadLettered: 0 })
    expect(stand.harness.settlement.refusals).toStrictEqual([])
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(4)
  })

  test('who wants to hear of refusals hears of it', async () => {
    const tsdb = new Tsdb()
    tsdb.cuts.add(0)
    use(tsdb)
    stand.harness.settlement.delivers = true
    await stand.write([longSeries(5)], { orderedLanes: 1, ...FAIL })
    expect(stand.writer.status()).toMatchObject({ deadLettered: 1, dropped: 0 })
    expect(stand.harness.settlement.refusals[0]?.reason.message).toContain('4 of 5 samples')
  })
})

describe('status 500', () => {
  const well = { status: 204 }

  test('to one series is isolated after three times, and the others are written', async () => {
    stand.refusing('c', { status: 500, text: 'label name "a" is not unique' })
    await stand.write(records('abcdef'), { orderedLanes: 1 })
    expect(stand.writer.status()).toMatchObject({ written: 5, dropped: 1 })
    expect(stand.harness.metric('numSamplesNonRetriableDropped')).toBe(1)
    const [logged] = stand.harness.lines('were dropped')
    expect(logged?.message).toContain('isolateAfterServerErrors')
    expect(stand.receiver.received.some((request) => isProbe(request))).toBe(true)
  })

  test.each(Array.from('abcdefgh'))('is isolated with just the repeats that it needs, %s', async (bad) => {
    stand.refusing(bad, { status: 500 })
    await stand.write(records('abcdefgh'), { orderedLanes: 1, ...THREE_TRIES })
    expect(stand.harness.failures).toStrictEqual([])
    expect(stand.writer.status()).toMatchObject({ written: 7, dropped: 1 })
  })

  test('is not isolated where there are fewer repeats', async () => {
    stand.refusing('a', { status: 500 })
    await stand.write(records('ab'), { orderedLanes: 1, retryConfiguration: { maxRetryCount: 1, maxRetryDelayMS: 30 } })
    expect(stand.harness.failures).toMatchObject([{ code: 'SLUICE_SINK_FAILED', restartable: true }])
    expect(stand.writer.status()).toMatchObject({ dropped: 0, inHand: 2 })
  })

  test('to the only series there is is asked about with stale markers of a series of its own', async () => {
    stand.refusing('a', { status: 500 })
    await stand.write(records('a'), { orderedLanes: 1, ...THREE_TRIES })
    const sent = stand.requests.map(([line]) => line?.replace(/\{.*/, ''))
    const bad = 'up'
    expect(sent).toStrictEqual([bad, bad, PROBE, bad, PROBE, bad, PROBE])
    const probes = stand.receiver.received.filter((request) => isProbe(request))
    expect(probes.flatMap(linesOf).every((line) => line.includes(' NaN @'))).toBe(true)
    expect(stand.writer.status()).toMatchObject({ dropped: 1, inHand: 0 })
  })

  test('of an outage that ends while the record is asked about is charged to nobody', async () => {
    for (let outage = 1; outage <= 8; outage++) {
      let left = outage
      stand.receiver.decide = () => ({ status: left-- > 0 ? 500 : 204 })
      await stand.write([record('a', outage)], { orderedLanes: 1 })
    }
    expect(stand.writer.status()).toMatchObject({ written: 8, dropped: 0, inHand: 0 })
  })

  test('to one of 400 costs no other series its repeats', async () => {
    stand.receiver.decide = (request) =>
      linesOf(request).some((line) => line.includes('h399')) ? { status: 500 } : well
    const hosts = Array.from({ length: 400 }, (_, index) => `h${index}`)
    await stand.write(records(...hosts), { orderedLanes: 1, ...THREE_TRIES })
    expect(stand.harness.failures).toStrictEqual([])
    expect(stand.writer.status()).toMatchObject({ written: 399, dropped: 1 })
    // Three times, halves down to one, that once more, and a probe for each that was halved or asked for again.
    expect(stand.requests.length).toBeLessThan(3 + 2 * 9 + 1 + 12)
  })

  test('to two records in a row that nothing was written before ends, also where 2.0 is tried first', async () => {
    stand.receiver.decide = (request) => {
      if (request.headers['content-type']?.includes('v2')) return { status: 400 }
      return isProbe(request) || holds(request, 'c') ? well : { status: 500 }
    }
    await stand.write(records('a', 'b', 'c'), { orderedLanes: 1, maxBatchSizeInSamples: 1, protocol: 'auto' })
    expect(stand.writer.status()).toMatchObject({ written: 1, dropped: 2, inHand: 0 })
  })

  test('of a part of a receiver that ends in time is charged to nobody, although all else is written', async () => {
    let left = 8
    stand.receiver.decide = (request) => (holds(request, 'b') && left-- > 0 ? { status: 500 } : well)
    const retryConfiguration = { initialRetryDelayMS: 1, maxRetryDelayMS: 60_000, maxRetryCount: 100 }
    await stand.write(records('abcdefgh'), { orderedLanes: 1, retryConfiguration })
    expect(stand.writer.status()).toMatchObject({ written: 8, dropped: 0 })
  })

  test('to many at once costs none that is not at fault, when the requests for finding out are used up', async () => {
    stand.receiver.decide = (request) =>
      linesOf(request).some((line) => /host=h\d*[02468]\b/.test(line)) ? { status: 500 } : well
    const hosts = Array.from({ length: 64 }, (_, index) => `h${index}`)
    const retryConfiguration = { initialRetryDelayMS: 1, maxRetryDelayMS: 1, maxRetryCount: 100 }
    await stand.write(records(...hosts), { orderedLanes: 1, retryConfiguration, maxIsolationRequests: 6 })
    expect(stand.writer.status()).toMatchObject({ written: 32, dropped: 32, inHand: 0 })
  })

  test('to one part of what may be a repeat says nothing of the next one', async () => {
    const answered = new Set<string>()
    const once = (part: string, first: number, then: number): { status: number } => {
      const status = answered.has(part) ? then : first
      answered.add(part)
      return { status }
    }
    stand.harness.settlement.suspects.add(0)
    stand.receiver.decide = (request) => {
      const sent = linesOf(request)
      if (isProbe(request)) return well
      if (sent.length > 1) return once('whole', 500, 400)
      // Each is answered with 500 once: the first is refused after that, the second is taken.
      if (sent[0]?.endsWith(`@${T}`) === true) return once('first', 500, 400)
      return sent[0]?.endsWith(`@${T + 1}`) === true ? once('second', 500, 204) : well
    }
    const retryConfiguration = { maxRetryCount: 0 }
    await stand.write([longSeries(4)], { orderedLanes: 1, isolateAfterServerErrors: 1, retryConfiguration })
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(1)
    expect(stand.writer.status()).toMatchObject({ inHand: 0 })
  })

  test('is not asked about before the time that a probe was told', async () => {
    stand.receiver.decide = (request) =>
      isProbe(request) ? { status: 429, headers: { 'retry-after': '60' } } : { status: 500 }
    const written = stand.write(records('a'), { orderedLanes: 1, retryConfiguration: { initialRetryDelayMS: 1 } })
    await until('the probe', () => stand.requests.length === 3 && stand.writer.status().slowed !== undefined)
    expect(stand.writer.status().slowed?.[0]?.pausedMs).toBeGreaterThan(30_000)
    stand.harness.failures.push(new SluiceError('SLUICE_INTERNAL', 'enough'))
    await written
  })

  test.each([1, 3])('to %i samples that only 2.0 can say is never asked about in 1.0', async (count) => {
    const samples = Array.from({ length: count }, (_, index) => ({ value: index, timestamp: T + index }))
    // A receiver of 1.x, which is found out when it takes the probe.
    stand.receiver.decide = (request) =>
      request.headers['content-type']?.includes('v2') && !isProbe(request) ? { status: 500 } : well
    stand.harness.settlement.suspects.add(0)
    await stand.write([{ metricName: 'up', labels: { 'host.name': 'a' }, samples }], { protocol: 'auto' })
    for (const request of stand.receiver.received) {
      const isV2 = request.headers['content-type']?.includes('v2') === true
      expect(isV2 || linesOf(request).every((line) => !line.includes('host.name'))).toBe(true)
    }
    expect(stand.writer.status()).toMatchObject({ dropped: 1, inHand: 0 })
  })

  test('to a part of what may be a repeat costs that part alone', async () => {
    const tooOld = /@17000000000(?:00|01)$/
    const tsdb = new Tsdb()
    tsdb.cuts.add(0)
    stand.receiver.decide = (request) => {
      const answer =
        linesOf(request).some((line) => tooOld.test(line)) && tsdb.cuts.size === 0
          ? { status: 500 }
          : tsdb.take(request)
      if (answer === 'cut') {
        tsdb.stored.length = 0
        tsdb.newest.clear()
        tsdb.cuts.clear()
      }
      return answer
    }
    await stand.write([longSeries(5)], { orderedLanes: 1 })
    expect(tsdb.stored.filter((line) => line.startsWith('up'))).toHaveLength(3)
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(2)
  })

  test('of a receiver that is down is charged to nobody', async () => {
    stand.receiver.decide = () => ({ status: 500 })
    await stand.write(records('a', 'b'), { orderedLanes: 1 })
    expect(stand.harness.failures).toMatchObject([{ code: 'SLUICE_SINK_FAILED', restartable: true }])
    expect(stand.writer.status()).toMatchObject({ inHand: 2, dropped: 0 })
    expect(stand.requests.filter((sent) => sent.length === 2)).toHaveLength(6)
  })

  test('of a receiver that takes only empty requests, such as one with a full disk, is charged to nobody', async () => {
    stand.receiver.decide = (request) => (linesOf(request).length === 0 ? well : { status: 500 })
    await stand.write(records('abcdefgh'), { orderedLanes: 1 })
    expect(stand.harness.failures).toHaveLength(1)
    expect(stand.writer.status()).toMatchObject({ dropped: 0, inHand: 8 })
  })

  test.each([502, 503, 504, 429])('is another matter than %i', async (status) => {
    stand.receiver.decide = (request) => (linesOf(request).length === 0 ? well : { status })
    await stand.write(records('a'), { orderedLanes: 1 })
    expect(stand.harness.failures).toHaveLength(1)
    expect(stand.writer.status()).toMatchObject({ dropped: 0, inHand: 1 })
    expect(stand.requests.every((sent) => sent.length === 1)).toBe(true)
  })
})

describe('a receiver of 2.0 that writes what it can of a refused request', () => {
  const newest = new Map<string, string>()
  const stored = new Set<string>()

  beforeEach(() => {
    newest.clear()
    stored.clear()
    stand.receiver.decide = (request) => {
      const sent = linesOf(request)
      const taken = sent.filter((line) => take(line))
      const headers = {
        'X-Prometheus-Remote-Write-Samples-Written': String(taken.length),
        'X-Prometheus-Remote-Write-Exemplars-Written': '0',
      }
      return { status: taken.length < sent.length ? 400 : 204, headers }
    }
  })

  /** Without an out-of-order window; the newest sample again is taken. */
  function take(line: string): boolean {
    const [series = '', , time = ''] = line.split(' ')
    const before = newest.get(series)
    if (series.includes('bad') || (before !== undefined && line !== before && time <= (before.split(' ')[2] ?? ''))) {
      return false
    }
    newest.set(series, line)
    stored.add(line)
    return true
  }

  test('what it wrote and refuses when it is repeated is not taken for refused', async () => {
    await stand.write([longSeries(4), record('bad', 1), record('b', 1), record('b', 2)], {
      protocol: '2.0',
      orderedLanes: 1,
    })
    expect(stored.size).toBe(6)
    expect(stand.writer.status()).toMatchObject({ inHand: 0, deadLettered: 0 })
    expect(stand.harness.metric('numSamplesNonRetriableDropped')).toBe(1)
    // Three of the long series and the first of b, which are not the newest of theirs.
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(4)
  })
})
