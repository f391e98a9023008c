import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRemoteWrite } from '../src/decode.ts'
import { createEncoder } from '../src/encode.ts'
import { recordEntry } from '../src/entries.ts'
import type { Labels } from '../src/model.ts'
import { InvalidSeriesError } from '../src/problems.ts'
import type { LabelHash } from '../src/series-hash.ts'
import { SeriesTable, type SeriesTableOptions } from '../src/series-table.ts'
import { sentLabels } from './wire-expected.ts'

const T = 1_700_000_000_000

function newTable(options: Partial<SeriesTableOptions> = {}, hash?: LabelHash): SeriesTable {
  return new SeriesTable({ protocol: '1.0', validation: 'normalise', ...options }, hash)
}

test('what passes once is not remembered, what passes again is', () => {
  const table = newTable()
  const first = table.passing('up', { a: '1' })
  expect(table.size).toBe(0)
  const second = table.passing('up', { a: '1' })
  expect(second).not.toBe(first)
  expect(table.size).toBe(1)
  expect(table.passing('up', { a: '1' })).toBe(second)
  expect(table.series('up', { a: '1' })).toBe(second)
  expect(table.current(first)).toBe(second)
})

test.each([
  ['the usual labels', {}],
  ['labels beyond ASCII', { city: 'Köln' }],
])('series that are remembered keep no memory of those that pass once: %s', (_, more) => {
  const table = newTable()
  const [once, kept] = [new Set<ArrayBufferLike>(), new Set<ArrayBufferLike>()]
  const pad = 'x'.repeat(100)
  for (let id = 0; id < 6000; id++) {
    once.add(table.passing('up', { id: `once ${id}`, pad, ...more }).block.buffer)
    if (id % 100 === 0) kept.add(table.series('up', { id: `kept ${id}`, pad, ...more }).block.buffer)
  }
  expect(once.size).toBeGreaterThan(10)
  // 60 of them are less than a chunk; what was seen once may by chance be taken for seen before, and be remembered.
  expect(kept.size).toBeLessThanOrEqual(2)
})

test('series that pass once do not make the table forget those that come again', () => {
  const table = newTable({ maxSeries: 500 })
  table.passing('up', { id: 'steady' })
  const steady = table.passing('up', { id: 'steady' })
  for (let id = 0; id < 20_000; id++) table.passing('up', { id: String(id) })
  expect(steady.isEvicted).toBe(false)
  expect(table.passing('up', { id: 'steady' })).toBe(steady)
})

test.each(['normalise', 'strict', 'off'] as const)('one pass writes what two tables write: %s', (validation) => {
  const text = fc.oneof(
    { weight: 6, arbitrary: fc.string({ minLength: 1, maxLength: 20 }) },
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.string({ minLength: 90, maxLength: 140 }),
    fc.constant(''),
    fc.constant('\uD800'),
  )
  const names = ['a', 'instance', 'n'.repeat(60), 'zone']
  const someLabels = fc
    .tuple(fc.subarray(names), fc.array(text, { minLength: 4, maxLength: 4 }))
    .map(([chosen, values]) => Object.fromEntries(chosen.map((name, at) => [name, values[at] as string])))
  const record = fc.tuple(fc.constantFrom('up', 'down', '0bad', 'größe', 'm'.repeat(130)), someLabels)
  fc.assert(
    fc.property(fc.array(record, { minLength: 2, maxLength: 30 }), (records) => {
      const table = newTable({ validation })
      for (const [name, labels] of [...records, ...records, ...records]) {
        const expected = outcomeOf(() => newTable({ validation }).series(name, labels))
        expect(outcomeOf(() => table.passing(name, labels))).toEqual(expected)
      }
    }),
    { numRuns: 100 },
  )
})

function outcomeOf(look: () => { labels: unknown; block: Uint8Array }): unknown {
  try {
    const { labels, block } = look()
    return { labels, block: Buffer.from(block).toString('latin1') }
  } catch (error) {
    if (error instanceof InvalidSeriesError) return error.problems
    throw error
  }
}

test('a series with many labels is written whole', () => {
  const labels = Object.fromEntries(
    Array.from({ length: 90 }, (_, at) => [`label_${String(at).padStart(3, '0')}`, 'x'.repeat(80)]),
  )
  const table = newTable()
  for (let time = 0; time < 4; time++) {
    expect(table.passing('up', { ...labels }).labels).toEqual(sentLabels('up', Object.entries(labels).map(pair)))
  }
})

function pair([name, value]: [string, string]): { name: string; value: string } {
  return { name, value }
}

test.each([
  ['a number', { a: 1, b: 'x' }],
  ['null', { a: null, b: 'x' }],
])('%s among the values is refused after a series with the same names', (_, labels) => {
  const table = newTable()
  for (let time = 0; time < 3; time++) {
    table.passing('up', { a: '1', b: String(time) })
    expect(() => table.passing('up', labels as unknown as Labels)).toThrow(InvalidSeriesError)
  }
})

const hashes: readonly [string, LabelHash | undefined][] = [
  ['the usual hash', undefined],
  ['a hash that is always the same', () => 7],
]

describe.each(hashes)('a request in which series pass for the first and for the second time, with %s', (_, hash) => {
  test.each(['1.0', '2.0'] as const)('has each series once, in the order of time: %s', (protocol) => {
    const table = newTable({ protocol }, hash)
    const encoder = createEncoder(protocol, table.rules)
    for (let request = 0; request < 3; request++) {
      const entries = Array.from({ length: 120 }, (_each, at) =>
        recordEntry(table, {
          name: 'up',
          // The last ones are others in each request, and the order of the names changes.
          labels: at % 2 === 0 ? { a: idOf(at, request), b: 'x' } : { b: 'x', a: idOf(at, request) },
          value: at,
          timestamp: T + request * 1000 + at,
        }),
      )
      const { timeSeries } = decodeRemoteWrite(encoder.encode(entries), protocol)
      expect(timeSeries).toHaveLength(40)
      for (const { labels, samples } of timeSeries) {
        const id = labels.find(({ name }) => name === 'a')?.value
        const expected = Array.from({ length: 120 }, (_each, at) => at).filter((at) => idOf(at, request) === id)
        expect(samples.map(({ value }) => value)).toEqual(expected)
      }
    }
  })
})

function idOf(at: number, request: number): string {
  const id = at % 40
  return id < 30 ? String(id) : `${request}-${id}`
}
