import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRemoteWrite } from '../src/decode.ts'
import { WriteRequestEncoder } from '../src/encode-v1.ts'
import { createEncoder } from '../src/encode.ts'
import { emitTimeSeries, recordEntry, sliceEntry } from '../src/entries.ts'
import type { PrometheusTimeSeries, ValidationPolicy } from '../src/model.ts'
import { SeriesTable } from '../src/series-table.ts'
import type { Entry } from '../src/series.ts'
import { labelList } from '../src/time-series.ts'
import { anySample, anySeries, bitsOf } from './wire-arbitraries.ts'
import { contentOf, sentLabels } from './wire-expected.ts'
import { strictRequestV2 } from './wire-strict-v2.ts'

type Protocol = '1.0' | '2.0'

const T = 1_700_000_000_000

function newTable(protocol: Protocol, validation: ValidationPolicy = 'normalise', maxSeries = 1000): SeriesTable {
  return new SeriesTable({ protocol, validation, maxSeries })
}

function entriesOf(series: SeriesTable, list: readonly PrometheusTimeSeries[], maxSize = 500): Entry[] {
  const entries: Entry[] = []
  for (const each of list) emitTimeSeries(series, each, maxSize, (entry) => void entries.push(entry))
  return entries
}

function asSent(
  list: readonly PrometheusTimeSeries[],
): (PrometheusTimeSeries & { labels: ReturnType<typeof sentLabels> })[] {
  return list.map((each) => ({ ...each, labels: sentLabels(each.metricName, labelList(each.labels)) }))
}

describe.each(['1.0', '2.0'] as const)('remote write %s', (protocol) => {
  const encoder = createEncoder(protocol, { validation: 'normalise' })
  const hasStart = protocol === '2.0'

  test('says every field of every series, merged, sorted and in the order of time', () => {
    fc.assert(
      fc.property(fc.array(anySeries(protocol), { maxLength: 6 }), fc.integer({ min: 1, max: 4 }), (list, maxSize) => {
        const decoded = decodeRemoteWrite(encoder.encode(entriesOf(newTable(protocol), list, maxSize)), protocol)
        expect(contentOf(decoded.timeSeries, hasStart)).toEqual(contentOf(asSent(list), hasStart))
      }),
      { numRuns: 300 },
    )
  })

  test('merges a series that the table has forgotten in between', () => {
    fc.assert(
      fc.property(fc.array(anySeries(protocol), { maxLength: 8 }), (list) => {
        const entries = entriesOf(newTable(protocol, 'normalise', 1), list)
        const decoded = decodeRemoteWrite(encoder.encode(entries), protocol)
        expect(contentOf(decoded.timeSeries, hasStart)).toEqual(contentOf(asSent(list), hasStart))
        const labels = decoded.timeSeries
          .filter(({ samples }) => samples.length > 0)
          .map((each) => JSON.stringify(each.labels))
        expect(new Set(labels).size).toBe(labels.length)
      }),
    )
  })

  test('carries the stale marker bit by bit, and no other NaN becomes one', () => {
    const series = newTable(protocol)
    const samples = [
      { value: 1, timestamp: T, stale: true },
      { value: Number.NaN, timestamp: T + 1 },
    ]
    const body = Buffer.from(encoder.encode(entriesOf(series, [{ metricName: 'up', samples }])))
    expect(body.includes(Buffer.from('090200000000 00f07f'.replace(' ', ''), 'hex'))).toBe(true)
    const [decoded] = decodeRemoteWrite(body, protocol).timeSeries
    expect(decoded?.samples.map(({ stale }) => stale)).toEqual([true, undefined])
    expect(bitsOf(decoded?.samples[1]?.value as number)).toBe(0x7ff8_0000_0000_0000n)
  })

  test('is empty for nothing, and takes series of one label', () => {
    const empty = decodeRemoteWrite(encoder.encode([]), protocol)
    expect(empty.timeSeries).toEqual([])
    const one = encoder.encode([recordEntry(newTable(protocol), { name: 'up', value: 0, timestamp: 0 })])
    expect(decodeRemoteWrite(one, protocol).timeSeries).toMatchObject([
      { labels: [{ name: '__name__', value: 'up' }], samples: [{ value: 0, timestamp: 0 }] },
    ])
  })

  test('grows for labels and batches of any size', () => {
    const series = newTable(protocol)
    const value = 'ä'.repeat(200_000)
    const entries = entriesOf(series, [
      { metricName: 'up', labels: { a: value, b: '😀'.repeat(40) }, samples: [{ value: 1, timestamp: T }] },
      ...Array.from({ length: 3000 }, (_, id) => ({
        metricName: 'up',
        labels: { id: String(id) },
        samples: Array.from({ length: 20 }, (_each, at) => ({ value: at, timestamp: T + at })),
      })),
    ])
    const { timeSeries } = decodeRemoteWrite(encoder.encode(entries), protocol)
    expect(timeSeries).toHaveLength(3001)
    expect(timeSeries[0]?.labels[1]?.value).toBe(value)
    expect(timeSeries[3000]?.samples).toHaveLength(20)
  })

  test('takes more samples of one series than fit onto the stack', () => {
    const samples = Array.from({ length: 300_000 }, (_, at) => ({ value: at, timestamp: T + at }))
    const exemplars = [{ value: 1, timestamp: T }]
    const entries = entriesOf(newTable(protocol), [{ metricName: 'up', samples, exemplars }], samples.length)
    const { timeSeries } = decodeRemoteWrite(encoder.encode(entries), protocol)
    expect(timeSeries[0]?.samples).toHaveLength(samples.length)
  })

  test('sends the two parts of an entry that was cut, and nothing twice', () => {
    fc.assert(
      fc.property(anySeries(protocol), fc.nat(12), (each, cut) => {
        const more = [
          { value: 1, timestamp: T },
          { value: 2, timestamp: T + 1 },
        ]
        const [entry] = entriesOf(newTable(protocol), [
          { ...each, histograms: [], samples: [...(each.samples ?? []), ...more] },
        ]) as [Entry]
        const at = 1 + (cut % (entry.size - 1))
        const parts = [sliceEntry(entry, 0, at), sliceEntry(entry, at, entry.size)]
        expect(parts.map(({ size }) => size)).toEqual([at, entry.size - at])
        const whole = decodeRemoteWrite(encoder.encode([entry]), protocol).timeSeries
        const again = parts.flatMap((part) => decodeRemoteWrite(encoder.encode([part]), protocol).timeSeries)
        expect(contentOf(again, hasStart)).toEqual(contentOf(whole, hasStart))
      }),
    )
  })
})

describe('remote write 2.0', () => {
  test('passes a receiver that refuses what the specification forbids', () => {
    const encoder = createEncoder('2.0', { validation: 'normalise' })
    fc.assert(
      fc.property(fc.array(anySeries('2.0'), { maxLength: 6 }), (list) => {
        const strict = strictRequestV2(encoder.encode(entriesOf(newTable('2.0'), list)))
        const samples = strict.reduce((sum, series) => sum + series.samples.length, 0)
        expect(samples).toBe(list.reduce((sum, series) => sum + (series.samples?.length ?? 0), 0))
        const decoded = decodeRemoteWrite(encoder.encode(entriesOf(newTable('2.0'), list)), '2.0').timeSeries
        expect(strict.map(({ labels }) => labels)).toEqual(
          decoded.map(({ labels }) => labels.map(({ name, value }) => [name, value])),
        )
        expect(strict.map(({ samples: each }) => each.map(({ timestamp }) => Number(timestamp)))).toEqual(
          decoded.map(({ samples: each }) => each.map(({ timestamp }) => timestamp)),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('sends the metadata of each series, and the latest', () => {
    const series = newTable('2.0')
    const encoder = createEncoder('2.0', series.rules)
    const samples = [{ value: 1, timestamp: T }]
    const entries = entriesOf(series, [
      { metricName: 'a', samples, metadata: { type: 'gauge', help: 'old' } },
      { metricName: 'b', samples },
      {
        metricName: 'a',
        samples: [{ value: 2, timestamp: T + 1 }],
        metadata: { type: 'counter', help: 'new', unit: 's' },
      },
    ])
    const [a, b] = strictRequestV2(encoder.encode(entries))
    expect(a?.metadata).toEqual({ type: 1n, help: 'new', unit: 's' })
    expect(b?.metadata).toBeUndefined()
  })

  test('has each text once, however many requests went before', () => {
    const series = newTable('2.0')
    const encoder = createEncoder('2.0', series.rules)
    for (let request = 0; request < 20; request++) {
      const entries = Array.from({ length: 30 }, (_, id) =>
        recordEntry(series, {
          name: 'up',
          labels: { a: `v${id % (request + 1)}`, b: 'up' },
          value: id,
          timestamp: T + id,
        }),
      )
      const decoded = strictRequestV2(encoder.encode(entries))
      expect(decoded).toHaveLength(Math.min(30, request + 1))
      expect(decoded[0]?.labels).toEqual([
        ['__name__', 'up'],
        ['a', 'v0'],
        ['b', 'up'],
      ])
    }
  })
})

describe('remote write 1.0', () => {
  test('sends metadata by metric', () => {
    const body = new WriteRequestEncoder(true).encodeMetadata(
      new Map([
        ['up', { type: 'gauge', help: 'is it there', unit: '' }],
        ['size_bytes', { unit: 'bytes' }],
      ]),
    )
    expect(decodeRemoteWrite(body, '1.0')).toEqual({
      timeSeries: [],
      metadata: new Map([
        ['up', { type: 'gauge', help: 'is it there', unit: '' }],
        ['size_bytes', { type: 'unknown', help: '', unit: 'bytes' }],
      ]),
    })
  })
})

describe('with validation off', () => {
  test('sends samples and labels as they are', () => {
    const series = newTable('1.0', 'off')
    const entries = entriesOf(series, [
      {
        metricName: 'not a name',
        labels: [
          { name: 'b', value: '' },
          { name: 'a', value: '1' },
          { name: 'a', value: '2' },
        ],
        samples: [
          { value: 2, timestamp: T },
          { value: 1, timestamp: T - 1 },
        ],
      },
      { metricName: 'up' },
    ])
    expect(decodeRemoteWrite(createEncoder('1.0', series.rules).encode(entries), '1.0').timeSeries).toMatchObject([
      {
        labels: [
          { value: 'not a name' },
          { name: 'b', value: '' },
          { name: 'a', value: '1' },
          { name: 'a', value: '2' },
        ],
        samples: [{ timestamp: T }, { timestamp: T - 1 }],
      },
      { labels: [{ value: 'up' }], samples: [] },
    ])
  })

  test('still refuses what has no place in the bytes', () => {
    fc.assert(
      fc.property(
        anySample,
        fc.constantFrom(1.5, Number.NaN, 2 ** 53, -(2 ** 53), Infinity, '1' as never),
        (sample, timestamp) => {
          expect(() => recordEntry(newTable('1.0', 'off'), { name: 'up', ...sample, timestamp })).toThrow(
            /timestamp must be an integer/u,
          )
        },
      ),
    )
  })
})
