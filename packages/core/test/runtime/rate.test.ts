import { expect, test } from 'vitest'
import { Rate } from '../../src/runtime/rate.ts'

test('a rate is that of the last minute', () => {
  const rate = new Rate(0)
  expect(rate.look(0, 0)).toBe(0)
  expect(rate.look(10_000, 500)).toBe(50)
  expect(rate.look(60_000, 3000)).toBe(50)
  expect(rate.look(70_000, 3000)).toBeCloseTo(2500 / 60)
  expect(rate.look(130_000, 3000)).toBe(0)
  expect(rate.look(140_000, 3700)).toBe(10)
})

test('one that is looked at seldom is that since the look before', () => {
  const rate = new Rate(1000)
  expect(rate.look(1_001_000, 1000)).toBe(1)
  expect(rate.look(2_001_000, 3000)).toBe(2)
})

test('it keeps no more samples than a minute has looks', () => {
  const rate = new Rate(0)
  for (let at = 1; at <= 100_000; at++) rate.look(at * 100, at)
  expect(rate.look(10_000_000, 100_000)).toBeCloseTo(10)
})
