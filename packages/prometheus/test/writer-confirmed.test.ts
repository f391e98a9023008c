import type { SinkWriter } from '@sluice/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { emitTimeSeries, recordEntry } from '../src/entries.ts'
import type { PrometheusRecord, PrometheusTimeSeries } from '../src/model.ts'
import type { PrometheusSinkOptions, SeriesLike } from '../src/options-sink.ts'
import { SeriesTable } from '../src/series-table.ts'
import type { Entry } from '../src/series.ts'
import { PrometheusSink } from '../src/sink.ts'
import { ConfirmedSamples, Repeats } from '../src/writer-confirmed.ts'
import { Harness, until } from './harness.ts'
import { Receiver } from './receiver.ts'
import { linesOf, record, records, T } from './writer-stand.ts'

function repeatsOf(confirmed: ConfirmedSamples): (entry: Entry) => boolean {
  return new Repeats(confirmed).of({ replaySuspect: true }) ?? (() => false)
}

describe('samples that were confirmed', () => {
  const table = new SeriesTable({ validation: 'normalise', protocol: '1.0' })

  function entry(given: Partial<PrometheusRecord> & { at: number }): Entry {
    const { at, ...rest } = given
    return recordEntry(table, { name: 'up', labels: { host: 'a' }, value: 1, timestamp: T + at, ...rest })
  }

  function series(given: PrometheusTimeSeries): Entry {
    const [only] = emitted(given)
    return only as Entry
  }

  function emitted(given: PrometheusTimeSeries): readonly Entry[] {
    const entries: Entry[] = []
    emitTimeSeries(table, given, 100, (each) => entries.push(each))
    return entries
  }

  test('are known by series, time and value, all of them', () => {
    const confirmed = new ConfirmedSamples()
    confirmed.remember([entry({ at: 0 }), entry({ at: 1, value: -0 }), entry({ at: 2, value: Number.NaN })])
    confirmed.remember([
      series({ metricName: 'l', samples: [0, 1, 2].map((at) => ({ value: at, timestamp: T + at })) }),
    ])
    const has = repeatsOf(confirmed)
    expect(has(entry({ at: 0 }))).toBe(true)
    expect(has(entry({ at: 1, value: -0 }))).toBe(true)
    expect(has(entry({ at: 1, value: 0 }))).toBe(false)
    expect(has(entry({ at: 2, value: Number.NaN }))).toBe(false)
    expect(has(entry({ at: 0, value: 2 }))).toBe(false)
    expect(has(entry({ at: 5 }))).toBe(false)
    expect(has(entry({ at: 0, labels: { host: 'b' } }))).toBe(false)
    const samples = [0, 2].map((at) => ({ value: at, timestamp: T + at }))
    expect(has(series({ metricName: 'l', samples }))).toBe(true)
    expect(has(series({ metricName: 'l', samples: [...samples, { value: 3, timestamp: T + 3 }] }))).toBe(false)
    const exemplars = [{ value: 1, timestamp: T }]
    expect(has(series({ metricName: 'l', samples, exemplars }))).toBe(false)
  })

  test('older than one that was confirmed is not confirmed', () => {
    const confirmed = new ConfirmedSamples()
    confirmed.remember([entry({ at: 100 })])
    expect(repeatsOf(confirmed)(entry({ at: 95 }))).toBe(false)
  })

  test('stale markers are never taken for values', () => {
    const confirmed = new ConfirmedSamples()
    confirmed.remember([entry({ at: 0, stale: true, value: 0 }), entry({ at: 1, value: 0 })])
    const has = repeatsOf(confirmed)
    expect(has(entry({ at: 0, value: 0 }))).toBe(false)
    expect(has(entry({ at: 1, stale: true, value: 0 }))).toBe(false)
  })

  test('of one tenant are not those of another', () => {
    const confirmed = new ConfirmedSamples()
    const mine = entry({ at: 0 })
    mine.tenant = 'mine'
    confirmed.remember([mine])
    const has = repeatsOf(confirmed)
    expect(has(entry({ at: 0 }))).toBe(false)
    expect(has(mine)).toBe(true)
  })

  test('the last ones are remembered, and no more than so many', () => {
    const confirmed = new ConfirmedSamples(1500)
    for (let at = 0; at < 4000; at++) confirmed.remember([entry({ at })])
    const has = repeatsOf(confirmed)
    const known = Array.from({ length: 4000 }, (_, at) => has(entry({ at })))
    expect(known.indexOf(true)).toBe(2500)
    expect(known.filter(Boolean)).toHaveLength(1500)
  })

  test('are looked for until repeats no longer come', () => {
    const confirmed = new ConfirmedSamples()
    confirmed.remember([entry({ at: 0 })])
    const repeats = new Repeats(confirmed)
    const suspect = (): boolean => repeats.of({ replaySuspect: true })?.(entry({ at: 0 })) ?? false
    expect(suspect()).toBe(true)
    for (let request = 0; request < 63; request++) expect(repeats.of({ replaySuspect: false })).toBeUndefined()
    expect(suspect()).toBe(true)
    for (let request = 0; request < 64; request++) repeats.of({ replaySuspect: false })
    expect(suspect()).toBe(false)
  })

  test('of a first attempt there are none, and nothing is asked', () => {
    const confirmed = new ConfirmedSamples()
    const repeats = new Repeats(confirmed)
    confirmed.remember([entry({ at: 0 })])
    const request = {
      get replaySuspect(): boolean {
        throw new Error('asked')
      },
    }
    expect(repeats.of(request)).toBeUndefined()
  })

  test('of two series with one order key are told apart', () => {
    const confirmed = new ConfirmedSamples()
    const one = entry({ at: 0 })
    const other = entry({ at: 0, labels: { host: 'b' } })
    Object.defineProperty(one.series, 'orderKey', { value: other.series.orderKey })
    confirmed.remember([one])
    expect(repeatsOf(confirmed)(other)).toBe(false)
    expect(repeatsOf(confirmed)(one)).toBe(true)
  })
})

describe('a second attempt in one process', () => {
  let receiver: Receiver
  let sink: PrometheusSink
  const open: SinkWriter<SeriesLike>[] = []

  beforeEach(async () => {
    receiver = await Receiver.start()
  })

  afterEach(async () => {
    for (const writer of open.splice(0)) await writer.close(0)
    await receiver[Symbol.asyncDispose]()
  })

  function make(options: Partial<PrometheusSinkOptions> = {}): void {
    sink = new PrometheusSink({ prometheusRemoteWriteUrl: receiver.url, orderedLanes: 1, ...options })
  }

  /** Writes by a writer of its own; the tokens of `suspects` may be repeats. */
  async function attempt(
    values: readonly SeriesLike[],
    suspects: readonly number[] = [],
  ): Promise<{ readonly harness: Harness; readonly writer: SinkWriter<SeriesLike>; readonly sent: readonly string[] }> {
    const harness = new Harness()
    for (const token of suspects) harness.settlement.suspects.add(token)
    const before = receiver.received.length
    const writer = sink.createWriter(harness.context)
    open.push(writer)
    await harness.write(writer, values)
    await until('nothing is in hand', () => writer.status().inHand === 0 || harness.failures.length > 0)
    return { harness, writer, sent: receiver.received.slice(before).flatMap(linesOf) }
  }

  test('does not send what the first saw confirmed, and sends the rest', async () => {
    make()
    await attempt(records('abc'))
    const values = [...records('abc'), record('d', 4)]
    const { harness, writer, sent } = await attempt(values, [0, 1, 2, 3])
    expect(sent).toStrictEqual([`up{host=d} 1 @${T + 4}`])
    expect(writer.status()).toMatchObject({ written: 1, duplicate: 3, dropped: 0, inHand: 0 })
    expect(harness.settlement.settled.toSorted((a, b) => a - b)).toStrictEqual([0, 1, 2, 3])
    expect(harness.metric('numSamplesOut')).toBe(1)
    expect(harness.metric('numSamplesRefusedOnReplay')).toBe(0)
  })

  test('sends what is no possible repeat, whatever was confirmed', async () => {
    make()
    await attempt(records('ab'))
    const { sent, writer } = await attempt(records('ab'))
    expect(sent).toHaveLength(2)
    expect(writer.status()).toMatchObject({ written: 2, duplicate: 0 })
  })

  test('sends what the first was not told to be stored, and what is refused then is dropped as refused on replay', async () => {
    make({ retryConfiguration: { maxRetryCount: 0 } })
    receiver.decide = () => 'cut'
    const first = await attempt(records('ab'))
    expect(first.harness.failures).toHaveLength(1)
    receiver.decide = (request) => ({ status: linesOf(request).some((line) => line.includes('host=a')) ? 400 : 204 })
    const { writer, harness, sent } = await attempt(records('ab'), [0, 1])
    expect(sent).toContain(`up{host=a} 1 @${T}`)
    expect(writer.status()).toMatchObject({ written: 1, duplicate: 0, dropped: 1 })
    expect(harness.metric('numSamplesRefusedOnReplay')).toBe(1)
  })

  test('another value for the same time is sent, and the receiver decides', async () => {
    make()
    await attempt([record('a', 1, 5)])
    const { sent } = await attempt([record('a', 1, 6)], [0])
    expect(sent).toStrictEqual([`up{host=a} 6 @${T + 1}`])
  })

  test('what was confirmed last of several values for one time is sent after them, and stays', async () => {
    make()
    const store = new Map<string, string>()
    receiver.decide = (request) => {
      for (const line of linesOf(request)) {
        const [series, value = '', time] = line.split(' ')
        store.set([series, time].join(' '), value)
      }
      return { status: 204 }
    }
    const two = { metricName: 'two', samples: [5, 6].map((value) => ({ value, timestamp: T })) }
    const values = [record('a', 1, 1), record('a', 1, 2), record('b', 1, 3), two]
    await attempt(values)
    const { writer, sent } = await attempt(values, [0, 1, 2, 3])
    expect(sent).toHaveLength(4)
    expect(writer.status()).toMatchObject({ written: 3, duplicate: 1 })
    expect([...store]).toStrictEqual([
      [`up{host=a} @${T + 1}`, '2'],
      [`up{host=b} @${T + 1}`, '3'],
      [`two{} @${T}`, '6'],
    ])
  })

  test('a receiver that cannot store samples costs nothing, however often the attempt begins anew', async () => {
    make({ retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 1, maxRetryCount: 5 } })
    receiver.decide = (request) => ({ status: linesOf(request).length === 0 ? 204 : 500 })
    const values = records('abcd')
    for (let count = 0; count < 3; count++) {
      const { harness, writer } = await attempt(values)
      expect(harness.failures).toHaveLength(1)
      expect(writer.status()).toMatchObject({ dropped: 0, inHand: 4 })
    }
    receiver.decide = () => ({ status: 204 })
    const { writer } = await attempt(values)
    expect(writer.status()).toMatchObject({ written: 4, dropped: 0 })
  })

  test('a tenant of one value does not answer for another', async () => {
    let tenant = 'one'
    make({ tenant: () => tenant })
    await attempt(records('a'))
    tenant = 'two'
    const { sent } = await attempt(records('a'), [0])
    expect(sent).toHaveLength(1)
  })
})
