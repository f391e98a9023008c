import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { backoffMs } from '../../src/runtime/backoff.ts'

test('doubles from the initial to the longest delay; half of it is jitter', () => {
  const options = { initialDelayMs: 100, maxDelayMs: 1000 }
  const attempts = [1, 2, 3, 4, 5, 6]
  expect(attempts.map((attempt) => backoffMs(attempt, () => 0, options))).toEqual([50, 100, 200, 400, 500, 500])
  expect(attempts.map((attempt) => backoffMs(attempt, () => 0.5, options))).toEqual([75, 150, 300, 600, 750, 750])
})

test('the defaults are 100 ms and 10 s', () => {
  expect([backoffMs(1, () => 0), backoffMs(99, () => 0)]).toEqual([50, 5000])
})

test('no number of attempts overflows', () => {
  const options = fc.record({
    initialDelayMs: fc.integer({ min: 1, max: 1_000_000 }),
    maxDelayMs: fc.integer({ min: 1_000_000, max: Number.MAX_SAFE_INTEGER }),
  })
  const attempt = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1 }))
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(attempt, random, options, (tries, roll, limits) => {
      const delayMs = backoffMs(tries, () => roll, limits)
      expect(delayMs).toBeGreaterThanOrEqual(limits.initialDelayMs / 2)
      expect(delayMs).toBeLessThanOrEqual(limits.maxDelayMs)
    }),
  )
})
