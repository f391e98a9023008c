import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SeriesLike } from '../src/options-sink.ts'
import type { Command, Received } from './receiver.ts'
import { holds, linesOf, record, records, T, WriterStand } from './writer-stand.ts'

let stand: WriterStand

beforeEach(async () => {
  stand = await WriterStand.start()
})

afterEach(async () => {
  await stand[Symbol.asyncDispose]()
})

function isV2({ headers }: Received): boolean {
  return headers['content-type'] === 'application/x-protobuf;proto=io.prometheus.write.v2.Request'
}

/** The versions of the requests, in order. */
function versions(): string {
  return stand.receiver.received.map(({ headers }) => String(headers['x-prometheus-remote-write-version'])).join(' ')
}

function tenant(value: unknown): string {
  return JSON.stringify(value).includes('"a"') ? 'new' : 'old'
}

/** Says that it wrote all. */
function confirmed(request: Received): Command {
  const samples = linesOf(request).length
  return { status: 204, headers: { 'X-Prometheus-Remote-Write-Samples-Written': String(samples) } }
}

/** Answers requests of 2.0 so, and writes those of 1.0. */
function v1Receiver(toV2: Command): void {
  stand.receiver.decide = (request) => (isV2(request) ? toV2 : { status: 204 })
}

describe('protocol 2.0', () => {
  test('sends 2.0, and takes its counts for its metrics', async () => {
    stand.receiver.decide = (request) => ({
      ...(confirmed(request) as object),
      status: 200,
      headers: {
        'X-Prometheus-Remote-Write-Samples-Written': '3',
        'X-Prometheus-Remote-Write-Histograms-Written': '4',
        'X-Prometheus-Remote-Write-Exemplars-Written': '5',
      },
    })
    await stand.write(records('a', 'b'), { protocol: '2.0', orderedLanes: 1 })
    expect(versions()).toBe('2.0.0')
    expect(stand.receiver.received.every(isV2)).toBe(true)
    expect(stand.requests).toStrictEqual([['up{host=a} 1 @1700000000000', 'up{host=b} 1 @1700000000001']])
    expect(stand.writer.status()).toMatchObject({ written: 2 })
    expect(stand.harness.metric('numSamplesOut')).toBe(3)
    expect(stand.harness.metric('numHistogramsOut')).toBe(4)
    expect(stand.harness.metric('numExemplarsOut')).toBe(5)
  })

  test.each<[string, Command]>([
    ['415', { status: 415 }],
    ['a success that confirms nothing', { status: 204 }],
  ])('%s ends the attempt', async (_, command) => {
    v1Receiver(command)
    await stand.write(records('a'), { protocol: '2.0' })
    expect(stand.harness.failures).toMatchObject([{ code: 'SLUICE_SINK_FAILED', facts: { protocol: '2.0' } }])
    expect(stand.harness.failures[0]?.message).toContain("'auto'")
    expect(stand.writer.status()).toMatchObject({ written: 0, inHand: 1 })
    expect(versions()).toBe('2.0.0')
  })

  test('a success that counts too little is looked into, and is no success', async () => {
    stand.receiver.decide = (request) => {
      const taken = linesOf(request).filter((line) => !line.includes('host=b'))
      return { status: 200, headers: { 'X-Prometheus-Remote-Write-Samples-Written': String(taken.length) } }
    }
    await stand.write(records('a', 'b', 'c'), { protocol: '2.0', orderedLanes: 1 })
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 1 })
    expect(stand.harness.metric('numSamplesOut')).toBe(2)
  })
})

describe('protocol auto', () => {
  const auto = { protocol: 'auto', orderedLanes: 1 } as const

  test('stays with 2.0 where it is taken', async () => {
    stand.receiver.decide = confirmed
    await stand.write(records('a'), auto)
    await stand.write([record('a', 5)])
    expect(versions()).toBe('2.0.0 2.0.0')
  })

  test.each<[string, Command]>([
    ['415', { status: 415 }],
    ['400 of a receiver of 1.x', { status: 400, text: 'proto: wrong wireType' }],
    ['a success that confirms nothing', { status: 204 }],
  ])('falls back on %s, once, and loses nothing', async (_, command) => {
    v1Receiver(command)
    await stand.write(records('a', 'b'), auto)
    await stand.write([record('a', 5)])
    expect(versions()).toBe('2.0.0 0.1.0 0.1.0')
    expect(stand.writer.status()).toMatchObject({ written: 3, dropped: 0 })
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(1)
    expect(stand.harness.metric('numSamplesOut')).toBe(3)
    expect(stand.harness.lines('1.0 is sent from now on')).toHaveLength(1)
  })

  test('a refused series is no reason to fall back', async () => {
    stand.receiver.decide = (request) =>
      linesOf(request).some((line) => line.includes('host=b'))
        ? { status: 400 }
        : isV2(request)
          ? confirmed(request)
          : { status: 415 }
    await stand.write(records('a', 'b', 'c'), auto)
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 1 })
    await stand.write([record('a', 5)])
    expect(stand.receiver.received.at(-1)?.headers['x-prometheus-remote-write-version']).toBe('2.0.0')
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(0)
  })

  test('a refused series of a receiver that takes 2.0 only is no reason to fall back either', async () => {
    stand.receiver.decide = (request) => {
      if (!isV2(request)) return { status: 415 }
      return holds(request, 'b') ? { status: 400 } : confirmed(request)
    }
    await stand.write(records('a', 'b', 'c'), auto)
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 1 })
    expect(versions()).toMatch(/^2.0.0 0.1.0( 2.0.0)+$/)
  })

  test('a request that is refused in part, with counts of what was written, proves 2.0', async () => {
    stand.receiver.decide = (request) => {
      if (!isV2(request)) return { status: 204 }
      const sent = linesOf(request)
      const taken = sent.filter((line) => !line.includes('host=b')).length
      const headers = { 'X-Prometheus-Remote-Write-Samples-Written': String(taken) }
      return { status: taken < sent.length ? 400 : 204, headers }
    }
    await stand.write(records('a', 'b', 'c'), auto)
    await stand.write([record('a', 5)])
    expect(versions()).toMatch(/^(2.0.0 ?)+$/)
    expect(stand.writer.status()).toMatchObject({ written: 3, dropped: 1 })
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(0)
  })

  test('errors that may pass say nothing of the version', async () => {
    let count = 0
    stand.receiver.decide = (request) => (++count < 3 ? { status: 503 } : confirmed(request))
    await stand.write(records('a'), auto)
    expect(versions()).toBe('2.0.0 2.0.0 2.0.0')
  })

  test('each tenant is asked for itself', async () => {
    stand.receiver.decide = (request) => {
      if (!isV2(request)) return { status: 204 }
      return request.headers['x-scope-orgid'] === 'new' ? confirmed(request) : { status: 415 }
    }
    await stand.write(records('a', 'b'), { ...auto, tenant })
    await stand.write(records('a', 'b'))
    const last = stand.receiver.received
      .slice(-2)
      .map(({ headers }) => [headers['x-scope-orgid'], headers['x-prometheus-remote-write-version']].join(' '))
    expect(new Set(last)).toStrictEqual(new Set(['new 2.0.0', 'old 0.1.0']))
  })

  test('a receiver that takes neither ends the attempt', async () => {
    stand.receiver.decide = () => ({ status: 415 })
    await stand.write(records('a'), auto)
    expect(stand.harness.failures).toMatchObject([{ code: 'SLUICE_SINK_FAILED' }])
    expect(stand.writer.status()).toMatchObject({ inHand: 1 })
  })
})

function utf8(name: string, at: number): SeriesLike {
  return { name, labels: { host: 'u' }, value: 1, timestamp: T + at }
}

/** All that was sent in one version. */
function sentIn(version: string): readonly string[] {
  return stand.receiver.received
    .filter(({ headers }) => headers['x-prometheus-remote-write-version'] === version)
    .flatMap(linesOf)
}

describe('protocol auto, names that 1.0 does not have', () => {
  const auto = { protocol: 'auto', orderedLanes: 1 } as const

  test('are sent to a receiver of 2.0', async () => {
    stand.receiver.decide = confirmed
    await stand.write([record('a', 1), utf8('http.requests', 2)], auto)
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 0 })
    expect(sentIn('0.1.0')).toStrictEqual([])
  })

  test.each<[string, Command]>([
    ['415', { status: 415 }],
    ['a success that confirms nothing', { status: 204 }],
  ])('are dropped after %s, and never sent in 1.0; the others are written', async (_, command) => {
    v1Receiver(command)
    await stand.write([record('a', 1), utf8('http.requests', 2), record('b', 3)], auto)
    await stand.write([utf8('größe', 4), record('c', 5)])
    expect(sentIn('0.1.0').map((line) => line.split(' ')[0])).toStrictEqual(['up{host=a}', 'up{host=b}', 'up{host=c}'])
    expect(versions()).toBe('2.0.0 0.1.0 0.1.0 0.1.0')
    expect(stand.writer.status()).toMatchObject({ written: 3, dropped: 2, inHand: 0 })
    expect(stand.harness.metric('numSamplesNonRetriableDropped')).toBe(2)
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(1)
    expect(stand.harness.lines('were dropped')).toMatchObject([
      { fields: { code: 'notInProtocol', metrics: ['http.requests'] } },
      { fields: { code: 'notInProtocol', metrics: ['größe'] } },
    ])
  })

  test('go to the dead letters where there are any', async () => {
    v1Receiver({ status: 415 })
    stand.harness.settlement.delivers = true
    await stand.write([record('a', 1), utf8('http.requests', 2)], auto)
    expect(stand.writer.status()).toMatchObject({ written: 1, deadLettered: 1 })
    expect(stand.harness.settlement.refusals).toMatchObject([{ token: 1, reason: { code: 'notInProtocol' } }])
  })

  test('of labels and of exemplars count too', async () => {
    v1Receiver({ status: 415 })
    const samples = [{ value: 1, timestamp: T }]
    await stand.write(
      [
        { metricName: 'label', labels: { 'a.b': '1' }, samples },
        { metricName: 'exemplar', samples, exemplars: [{ labels: { 'trace.id': 'x' }, value: 1, timestamp: T }] },
        { metricName: 'fine', samples, exemplars: [{ labels: { trace_id: 'x' }, value: 1, timestamp: T }] },
      ],
      auto,
    )
    expect(sentIn('0.1.0')).toStrictEqual([`fine{} 1 @${T}`])
    expect(stand.writer.status()).toMatchObject({ written: 1, dropped: 2 })
  })

  test('which a receiver of 2.0 refuses prove nothing of its version', async () => {
    stand.receiver.decide = (request) => {
      if (!isV2(request)) return { status: 204 }
      return linesOf(request).some((line) => line.includes('http.requests')) ? { status: 400 } : confirmed(request)
    }
    await stand.write([record('a', 1), utf8('http.requests', 2), record('b', 3)], auto)
    expect(sentIn('0.1.0').filter((line) => line.includes('http.requests'))).toStrictEqual([])
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 1 })
    await stand.write([record('c', 5)])
    expect(stand.receiver.received.at(-1)?.headers['x-prometheus-remote-write-version']).toBe('2.0.0')
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(0)
  })

  test('a receiver that is not well while it is asked is asked again', async () => {
    let count = 0
    stand.receiver.decide = (request) => {
      if (isV2(request)) return { status: 415 }
      return { status: ++count === 1 ? 503 : 204 }
    }
    await stand.write([record('a', 1), utf8('http.requests', 2)], auto)
    expect(stand.writer.status()).toMatchObject({ written: 1, dropped: 1, inHand: 0 })
  })

  test('cost none beside them where a receiver of 1.x answers 400 to 2.0', async () => {
    v1Receiver({ status: 400, text: 'proto: wrong wireType' })
    const values = Array.from({ length: 60 }, (_, at) =>
      at % 5 === 0 ? utf8('http.requests', at) : record(`h${at}`, at),
    )
    await stand.write(values, { ...auto, maxIsolationRequests: 4 })
    expect(sentIn('0.1.0')).toHaveLength(48)
    expect(stand.writer.status()).toMatchObject({ written: 48, dropped: 12, inHand: 0 })
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(1)
    expect(stand.harness.lines('were dropped')).toMatchObject([{ fields: { code: 'notInProtocol' } }])
    // One with all of them, an empty one of each version, and what 1.0 can say.
    expect(versions()).toBe('2.0.0 2.0.0 0.1.0 0.1.0')
  })

  test('which a receiver that refuses every request has, are refused', async () => {
    stand.receiver.decide = () => ({ status: 400 })
    await stand.write([utf8('http.requests', 1)], auto)
    expect(stand.writer.status()).toMatchObject({ dropped: 1, inHand: 0 })
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(0)
  })

  test('a receiver that is not well when it is asked by an empty request is asked again', async () => {
    let count = 0
    stand.receiver.decide = (request) => {
      if (linesOf(request).length === 0 && ++count < 3) return { status: 503 }
      return isV2(request) ? { status: 400 } : { status: 204 }
    }
    await stand.write([record('a', 1), utf8('http.requests', 2)], auto)
    expect(stand.writer.status()).toMatchObject({ written: 1, dropped: 1, inHand: 0 })
  })

  test.each<[string, Command]>([
    ['415', { status: 415 }],
    ['a success that confirms nothing', { status: 204 }],
    ['400', { status: 400 }],
  ])('a gateway that wants smaller requests is no reason to end, before %s of its receiver', async (_, toV2) => {
    stand.receiver.decide = (request) => {
      if (linesOf(request).length > 2) return { status: 413 }
      return isV2(request) ? toV2 : { status: 204 }
    }
    await stand.write([utf8('http.requests', 1), ...records('a', 'b', 'c')], auto)
    expect(stand.harness.failures).toStrictEqual([])
    expect(sentIn('0.1.0').toSorted()).toStrictEqual(['a', 'b', 'c'].map((host, at) => `up{host=${host}} 1 @${T + at}`))
    expect(stand.writer.status()).toMatchObject({ written: 3, dropped: 1, inHand: 0 })
    expect(stand.harness.metric('numProtocolFallbacks')).toBe(1)
  })
})
