import { describe, expect, test } from 'vitest'
import { orderKeyOf } from '../../src/index.ts'

const SETS: Readonly<Record<string, readonly (string | number)[]>> = {
  'small integers': Array.from({ length: 20_000 }, (_, n) => n),
  'negative integers': Array.from({ length: 20_000 }, (_, n) => -n),
  'multiples of 2^20': Array.from({ length: 20_000 }, (_, n) => n * 2 ** 20),
  'large integers': Array.from({ length: 20_000 }, (_, n) => Number.MAX_SAFE_INTEGER - n),
  fractions: Array.from({ length: 20_000 }, (_, n) => n / 1024),
  'numbered hosts': Array.from({ length: 20_000 }, (_, n) => `host-${n}.example.com`),
  'numbers in front': Array.from({ length: 20_000 }, (_, n) => `${n}/cpu/user`),
  'one letter repeated': Array.from({ length: 2000 }, (_, n) => 'a'.repeat(n)),
  'letters beyond ASCII': Array.from({ length: 20_000 }, (_, n) => String.fromCharCode(0x100 + (n % 200), 0x4e00 + n)),
}

describe('order keys', () => {
  test.each(Object.entries(SETS))('of %s are distinct 53-bit integers', (_, values) => {
    const keys = values.map(orderKeyOf)
    expect(keys.filter((key) => !Number.isSafeInteger(key) || key < 0)).toEqual([])
    expect(new Set(keys).size).toBe(new Set(values).size)
  })

  // With 20,000 keys on k lanes, chi-squared has k - 1 degrees of freedom; six standard deviations above its mean is chance in 10^9.
  test.each(
    Object.entries(SETS).flatMap(([name, values]) => [2, 3, 4, 16, 100].map((lanes) => ({ name, values, lanes }))),
  )('of $name spread over $lanes lanes, by their low bits and by their high ones', ({ values, lanes }) => {
    for (const laneOf of [
      (key: number): number => key % lanes,
      (key: number): number => Math.floor((key / 2 ** 53) * lanes),
    ]) {
      const counts = Array.from({ length: lanes }, () => 0)
      for (const value of values) {
        const lane = laneOf(orderKeyOf(value))
        counts[lane] = (counts[lane] ?? 0) + 1
      }
      const expected = values.length / lanes
      const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
      expect(chiSquared).toBeLessThan(lanes - 1 + 6 * Math.sqrt(2 * (lanes - 1)) + 10)
    }
  })

  test('are the same in every process and version', () => {
    expect([0, 1, -1, 2 ** 53, 0.5].map(orderKeyOf)).toMatchInlineSnapshot(`
      [
        7518053419468603,
        562457532366353,
        5768053632596930,
        5650073758036502,
        5965780477322980,
      ]
    `)
    expect(['', 'a', 'host-1', 'Zürich', '😀'].map(orderKeyOf)).toMatchInlineSnapshot(`
      [
        3766708142271367,
        6102201350060408,
        8728157956040852,
        6662851504701313,
        7891510405821614,
      ]
    `)
  })

  test('do not tell 0 from -0, but a number from its text', () => {
    expect(orderKeyOf(-0)).toBe(orderKeyOf(0))
    expect(orderKeyOf(1)).not.toBe(orderKeyOf('1'))
  })

  test.each([
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, 'object'],
    [1n, 'bigint'],
  ])('of %s are refused', (value, given) => {
    expect(() => orderKeyOf(value as never)).toThrow(
      new TypeError(`an order key must be a string or a finite number, got ${given}`),
    )
  })
})
