import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TimestreamRecord } from '../../src/record/record.ts'
import { timeNanos } from '../../src/record/values.ts'
import { type Item, layOut } from '../../src/request/layout.ts'
import { itemsOf, records } from './arbitrary.ts'

const keyOf = ({ entry }: Item): string =>
  `${entry.series.identity}|${entry.form.measureName}|${timeNanos(entry.time, entry.form.unit)}`

test('every record is sent, follows one that is, or waits; a request has one record of a key', () => {
  fc.assert(
    fc.property(records, fc.boolean(), fc.boolean(), (given, keepsOrder, overwrites) => {
      const items = itemsOf(given)
      const { send, followers, later } = layOut(items, keepsOrder, overwrites)
      const places = [...send, ...followers.map(({ item }) => item), ...later].map(({ index }) => index)
      expect(places.toSorted((a, b) => a - b)).toEqual(items.map(({ index }) => index))
      expect(new Set(send.map(keyOf)).size).toBe(send.length)
      for (const { item, leader, as } of followers) {
        expect(send).toContain(leader)
        expect(keyOf(item)).toBe(keyOf(leader))
        const [own, its] = [item.entry.version ?? 1, leader.entry.version ?? 1]
        expect(as === 'same' ? own === its && item.entry.values === leader.entry.values : own < its).toBe(true)
      }
      for (const item of later) {
        const leader = send.find((sent) => keyOf(sent) === keyOf(item))
        expect(leader).toBeDefined()
        // It would be raised above what came after it.
        expect(overwrites && item.index < (leader?.index ?? -1)).toBe(false)
      }
    }),
    { numRuns: 500 },
  )
})

test('records of a series and measure name stand together, the oldest first', () => {
  fc.assert(
    fc.property(records, (given) => {
      const { send } = layOut(itemsOf(given), false, false)
      const groups = send.map(({ entry }) => `${entry.series.identity}|${entry.form.measureName}`)
      const changes = groups.filter((group, at) => group !== groups[at - 1])
      expect(new Set(changes).size).toBe(changes.length)
      for (const [at, { entry }] of send.entries()) {
        const before = send[at - 1]?.entry
        const isNext = before !== undefined && groups[at] === groups[at - 1]
        expect(isNext && timeNanos(before.time, before.form.unit) > timeNanos(entry.time, entry.form.unit)).toBe(false)
      }
    }),
  )
})

test('where somebody asked for the order, records stay as they came', () => {
  fc.assert(
    fc.property(records, (given) => {
      const places = layOut(itemsOf(given), true, false).send.map(({ index }) => index)
      expect(places).toEqual(places.toSorted((a, b) => a - b))
    }),
  )
})

const record = (value: number, Version?: number): TimestreamRecord => ({
  Dimensions: [{ Name: 'host', Value: 'a' }],
  MeasureName: 'cpu',
  MeasureValue: value,
  Time: 5,
  Version,
})

test.for([
  ['the same twice', [record(1), record(1)], [0], [[1, 'same']], []],
  ['a higher version later', [record(1, 1), record(2, 2)], [1], [[0, 'overwritten']], []],
  ['a lower version later', [record(2, 2), record(1, 1)], [0], [], [1]],
  ['another value of one version', [record(1), record(2)], [0], [], [1]],
  [
    'the same, then a higher version',
    [record(1, 1), record(1, 1), record(2, 2)],
    [2],
    [
      [1, 'overwritten'],
      [0, 'overwritten'],
    ],
    [],
  ],
] as const)('%s', ([, given, send, followers, later]) => {
  const layout = layOut(itemsOf(given), false, false)
  expect(layout.send.map(({ index }) => index)).toEqual(send)
  expect(layout.followers.map(({ item, as }) => [item.index, as])).toEqual(expect.arrayContaining([...followers]))
  expect(layout.followers).toHaveLength(followers.length)
  expect(layout.later.map(({ index }) => index)).toEqual(later)
})

test.for([
  ['values before a higher version', [record(1, 1), record(2, 1), record(3, 5)], [2], [0, 1], []],
  [
    'values before and after a higher version',
    [record(1, 3), record(2, 2), record(3, 5), record(4, 4)],
    [2],
    [0, 1],
    [3],
  ],
  ['the first value again after another', [record(1), record(2), record(1)], [0], [], [1, 2]],
] as const)('where conflicts are overwritten the last writer wins: %s', ([, given, send, overwritten, later]) => {
  const layout = layOut(itemsOf(given), false, true)
  expect(layout.send.map(({ index }) => index)).toEqual(send)
  expect(layout.followers.map(({ item, as }) => [item.index, as])).toEqual(overwritten.map((at) => [at, 'overwritten']))
  expect(layout.later.map(({ index }) => index)).toEqual(later)
})

test('a time in another unit is the same time', () => {
  const seconds = { ...record(1), TimeUnit: 'SECONDS' as const }
  const millis = { ...record(1), Time: 5000 }
  expect(layOut(itemsOf([seconds, millis]), false, false).send).toHaveLength(1)
})

const withTimestamp = (TimeUnit: 'SECONDS' | 'MILLISECONDS', Time: number): TimestreamRecord => ({
  Dimensions: [{ Name: 'host', Value: 'a' }],
  MeasureName: 'm',
  MeasureValueType: 'MULTI',
  MeasureValues: [{ Name: 'at', Value: '100', Type: 'TIMESTAMP' }],
  Time,
  TimeUnit,
})

test('a TIMESTAMP of the same digits in another unit is another value', () => {
  const layout = layOut(itemsOf([withTimestamp('SECONDS', 5), withTimestamp('MILLISECONDS', 5000)]), false, false)
  expect(layout.followers).toEqual([])
  expect(layout.later.map(({ index }) => index)).toEqual([1])
})

const ofHost = (host: number, isTurned: boolean): TimestreamRecord => {
  const dimensions = [
    { Name: 'host', Value: `h${host}` },
    { Name: 'region', Value: 'eu' },
  ]
  return { ...record(1), Dimensions: isTurned ? dimensions.toReversed() : dimensions }
}

test('equal series are found in batches of any size, whatever the order of their dimensions', () => {
  for (const size of [2, 100, 128, 129, 300]) {
    const given = Array.from({ length: size }, (_, at) => ofHost(at, false))
    expect(layOut(itemsOf(given), false, false).send).toHaveLength(size)
    const { send, followers } = layOut(itemsOf([...given.slice(1), ofHost(1, true)]), false, false)
    expect([send.length, followers.length]).toEqual([size - 1, 1])
  }
})

test('series with the same hash are told apart', () => {
  const given = ['h31554', 'h61202'].map((host, at): TimestreamRecord => ({
    Dimensions: [{ Name: 'host', Value: host }],
    MeasureName: 'm',
    MeasureValue: at,
    Time: 1,
  }))
  const items = itemsOf(given)
  expect(items[0]?.entry.series.hash).toBe(items[1]?.entry.series.hash)
  expect(layOut(items, false, false)).toEqual({ send: items, followers: [], later: [] })
  const twice = itemsOf([...given, ...given])
  expect(layOut(twice, false, false).followers.map(({ item, leader }) => [item.index, leader.index])).toEqual([
    [2, 0],
    [3, 1],
  ])
})
