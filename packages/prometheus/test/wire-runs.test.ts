import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeRemoteWrite } from '../src/decode.ts'
import { RunsEncoder } from '../src/encode-runs.ts'
import { WriteRequestEncoder } from '../src/encode-v1.ts'
import { emitTimeSeries } from '../src/entries.ts'
import type { PrometheusTimeSeries, Sample, ValidationPolicy } from '../src/model.ts'
import { SeriesTable } from '../src/series-table.ts'
import { Entry } from '../src/series.ts'
import { WireBuffer } from '../src/wire-buffer.ts'
import { anySeries } from './wire-arbitraries.ts'
import { contentOf } from './wire-expected.ts'

const T = 1_700_000_000_000

function newTable(validation: ValidationPolicy = 'normalise', maxSeries = 1000): SeriesTable {
  return new SeriesTable({ protocol: '1.0', validation, maxSeries })
}

function entriesOf(table: SeriesTable, list: readonly PrometheusTimeSeries[], maxSize = 500): Entry[] {
  const entries: Entry[] = []
  for (const each of list) emitTimeSeries(table, each, maxSize, (entry) => void entries.push(entry))
  return entries
}

function samples(count: number, from = T): Sample[] {
  return Array.from({ length: count }, (_, at) => ({ value: at + 0.5, timestamp: from + at }))
}

function seriesOf(id: string, own: readonly Sample[]): PrometheusTimeSeries {
  return { metricName: 'up', labels: { id }, samples: own }
}

/** What one pass writes, decoded; undefined where it leaves the request to others. */
function inOnePass(
  entries: readonly Entry[],
  sorts = true,
): ReturnType<typeof decodeRemoteWrite>['timeSeries'] | undefined {
  const out = new WireBuffer(16)
  return new RunsEncoder(sorts).encode(out, entries) ? decodeRemoteWrite(out.written(), '1.0').timeSeries : undefined
}

test.each([1, 5, 6, 7, 800, 1000, 120_000])('writes a series of %s samples, whatever its length takes', (count) => {
  const entries = entriesOf(newTable(), [seriesOf('a', samples(count)), seriesOf('b', samples(1))], count)
  const [a, b] = inOnePass(entries) ?? []
  expect(a?.samples).toEqual(samples(count))
  expect(b).toMatchObject({ labels: [{ value: 'up' }, { name: 'id', value: 'b' }], samples: samples(1) })
})

test('writes a series without samples whose labels nearly need a longer length', () => {
  const id = 'x'.repeat(95)
  const sent = inOnePass(entriesOf(newTable('off'), [seriesOf(id, []), seriesOf('b', samples(1))]), false)
  expect(sent?.map((each) => each.samples?.length)).toEqual([0, 1])
})

test('writes single samples that follow each other as one series, and those of several entries after them', () => {
  const table = newTable()
  const series = table.series('up', { id: 'a' })
  const single = samples(3).map(({ value, timestamp }) => new Entry(series, value, timestamp, 0, false, undefined))
  const sent = inOnePass([...single, ...entriesOf(table, [seriesOf('a', samples(4, T + 3))])])
  expect(sent).toHaveLength(1)
  expect(sent?.[0]?.samples?.map(({ timestamp }) => timestamp)).toEqual(samples(7).map(({ timestamp }) => timestamp))
})

test('writes series that come by once', () => {
  const entries = entriesOf(newTable(), [seriesOf('a', samples(1)), seriesOf('b', samples(2))])
  expect(entries.every(({ series }) => series.isEvicted)).toBe(true)
  expect(inOnePass(entries)?.map((each) => each.samples?.length)).toEqual([1, 2])
})

test.each<[string, (table: SeriesTable) => Entry[]]>([
  [
    'a series that comes again',
    (table) => {
      for (const id of ['a', 'b']) table.series('up', { id })
      return entriesOf(table, [seriesOf('a', samples(1)), seriesOf('b', samples(1)), seriesOf('a', samples(1, T + 1))])
    },
  ],
  [
    'two objects for one series',
    (table) => {
      // The table remembers what comes by for the second time.
      const entries = entriesOf(table, [
        seriesOf('a', samples(1)),
        seriesOf('b', samples(1)),
        seriesOf('a', samples(1, T + 1)),
      ])
      expect(entries[0]?.series).not.toBe(entries[2]?.series)
      return entries
    },
  ],
  [
    'samples out of order',
    (table) =>
      [...samples(1, T + 1), ...samples(1)].map((each) => {
        return new Entry(table.series('up', { id: 'a' }), each.value, each.timestamp, 0, false, undefined)
      }),
  ],
  ['a time before 1971', (table) => entriesOf(table, [seriesOf('a', samples(1, 0))])],
  [
    'an exemplar',
    (table) => entriesOf(table, [{ ...seriesOf('a', samples(1)), exemplars: [{ value: 1, timestamp: T }] }]),
  ],
])('leaves %s to the other way, which says all of it', (_, make) => {
  const table = newTable()
  const entries = make(table)
  expect(inOnePass(entries)).toBeUndefined()
  const { timeSeries } = decodeRemoteWrite(new WriteRequestEncoder(true).encode(entries), '1.0')
  expect(timeSeries.map((each) => each.samples.length).reduce((sum, count) => sum + count, 0)).toBe(entries.length)
  const labels = timeSeries.map((each) => JSON.stringify(each.labels))
  expect(new Set(labels).size).toBe(labels.length)
})

test('tries again after requests that it had to leave', () => {
  const table = newTable()
  const encoder = new WriteRequestEncoder(true)
  const mixed = entriesOf(table, [
    seriesOf('a', samples(1)),
    seriesOf('b', samples(1)),
    seriesOf('a', samples(1, T + 1)),
  ])
  const plain = entriesOf(table, [seriesOf('a', samples(2)), seriesOf('b', samples(1))])
  const expected = inOnePass(plain)
  encoder.encode(mixed)
  for (let request = 0; request < 40; request++) {
    expect(decodeRemoteWrite(encoder.encode(plain), '1.0').timeSeries).toEqual(expected)
  }
})

test('one pass says what the other way says', () => {
  let taken = 0
  fc.assert(
    fc.property(fc.array(anySeries('1.0'), { maxLength: 6 }), fc.integer({ min: 1, max: 4 }), (list, maxSize) => {
      const entries = entriesOf(
        newTable(),
        list
          .map(({ exemplars: _e, histograms: _h, ...plain }) => plain)
          .filter((each) => (each.samples?.length ?? 0) > 0),
        maxSize,
      )
      const sent = inOnePass(entries)
      if (sent === undefined) return
      taken++
      const encoder = new WriteRequestEncoder(true)
      // Left by one pass, so that the next request goes the other way.
      const other = newTable().series('up', { id: 'other' })
      encoder.encode([new Entry(other, 1, 0, 0, false, undefined)])
      expect(contentOf(sent, false)).toEqual(
        contentOf(decodeRemoteWrite(encoder.encode(entries), '1.0').timeSeries, false),
      )
    }),
    { numRuns: 500 },
  )
  expect(taken).toBeGreaterThan(20)
})
