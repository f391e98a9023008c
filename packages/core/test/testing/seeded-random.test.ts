import { expect, test } from 'vitest'

import { seededRandom } from '../../src/testing/seeded-random.ts'

function take(seed: number, count: number): readonly number[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => random())
}

test('the same seed gives the same numbers, another one others', () => {
  expect(take(7, 100)).toEqual(take(7, 100))
  expect(take(8, 100)).not.toEqual(take(7, 100))
})

test('it is mulberry32, so that a seed in a report stays valid', () => {
  expect(take(1, 3).map((number) => Math.round(number * 4_294_967_296))).toEqual([
    2_693_262_067, 11_749_833, 2_265_367_787,
  ])
})

test('numbers lie from 0 to below 1 and are spread evenly', () => {
  const tenths = Array.from({ length: 10 }, () => 0)
  for (const number of take(42, 10_000)) tenths[Math.floor(number * 10)]!++
  expect(tenths).toHaveLength(10)
  for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150)
})
