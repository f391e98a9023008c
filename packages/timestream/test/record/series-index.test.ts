import { expect, test } from 'vitest'
import { Series, SeriesCache } from '../../src/record/series.ts'
import { SeriesIndex } from '../../src/record/series-index.ts'

const dimensions = (values: Readonly<Record<string, string>>): { Name: string; Value: string }[] =>
  Object.entries(values).map(([Name, Value]) => ({ Name, Value }))

const host = (number: number): { Name: string; Value: string }[] =>
  dimensions({ region: `region-${number % 3}`, host: `host-${number}`, os: 'linux' })

test('series are found by the dimension that tells them apart, wherever it stands', () => {
  const index = new SeriesIndex()
  const all = Array.from({ length: 500 }, (_, number) => new Series(host(number)))
  // The second time adds what was found by another dimension before.
  for (const series of [...all, ...all]) if (index.find(series.dimensions) === undefined) index.add(series)
  for (const [number, series] of all.entries()) expect(index.find(host(number))).toBe(series)
})

test('only the same dimensions in the same order are a series', () => {
  const index = new SeriesIndex()
  index.add(new Series(host(1)))
  const [region, named, os] = host(1) as [never, never, never]
  expect(index.find([region, named])).toBeUndefined()
  expect(index.find([region, os, named])).toBeUndefined()
  expect(index.find([region, named, os, named])).toBeUndefined()
  expect(index.find([region, named, { ...(os as object), DimensionValueType: 'VARCHAR' } as never])).toBeUndefined()
  expect(index.find([region, named, { ...(os as object), Name: 'system' } as never])).toBeUndefined()
  expect(index.find([region, named, { ...(os as object), Value: 'bsd' } as never])).toBeUndefined()
  expect(index.find([region, named, undefined as never])).toBeUndefined()
  expect(index.find([])).toBeUndefined()
})

test('where no dimension tells series apart, the cache finds all of them none the less', () => {
  const cache = new SeriesCache()
  const grid = Array.from({ length: 30 * 30 * 3 }, (_, n) =>
    dimensions({ a: `${n % 30}`, b: `${Math.floor(n / 30) % 30}`, c: `${Math.floor(n / 900)}` }),
  )
  const found = grid.map((list) => cache.of(list))
  expect(new Set(found).size).toBe(grid.length)
  for (const [at, list] of grid.entries()) {
    expect(cache.of(list.map((dimension) => ({ ...dimension })))).toBe(found[at])
    expect(found[at]?.dimensions).toEqual(list)
  }
})

test('the cache forgets what it found when it is full', () => {
  const cache = new SeriesCache(10)
  const first = cache.of(host(0))
  expect(cache.of(host(0))).toBe(first)
  for (let number = 1; number <= 10; number++) cache.of(host(number))
  expect(cache.of(host(0))).not.toBe(first)
})

test('of a list with one dimension that cannot be kept, nothing is remembered', () => {
  const cache = new SeriesCache()
  const bad = [...host(1), { Name: 'bad', Value: 5 as never }]
  expect(cache.of(bad)).not.toBe(cache.of(bad))
  expect(cache.of(bad).problems).toHaveLength(1)
  expect(cache.of([...host(1), null as never]).problems).not.toEqual([])
  expect(cache.of(host(1))).toBe(cache.of(host(1)))
})

test('of dimensions that are too large, nothing is remembered', () => {
  const cache = new SeriesCache()
  const large = [{ Name: 'host', Value: 'x'.repeat(2045) }]
  expect(cache.of(large).problems).toHaveLength(1)
  expect(cache.of(large)).not.toBe(cache.of(large))
  const fits = [{ Name: 'host', Value: 'x'.repeat(2044) }]
  expect(cache.of(fits).problems).toEqual([])
  expect(cache.of(fits)).toBe(cache.of(fits))
})

test('a list with a gap is refused like one with nothing in its place', () => {
  const sparse = dimensions({ host: 'a' })
  sparse[2] = { Name: 'region', Value: 'eu' }
  const cache = new SeriesCache()
  expect(cache.of(sparse).problems).toEqual(cache.of([...sparse]).problems)
  expect(cache.of(sparse).problems).toHaveLength(2)
})
