import { describe, expect, test } from 'vitest'

import {
  congestionControl,
  fixedRateLimit,
  noRateLimit,
  type RateLimiter,
  type RateLimitingStrategy,
} from '../../src/sink/rate-limiting.ts'
import { Harness, leastJitter, names, reason, WRITTEN } from './harness.ts'

function throttled(limiter: RateLimiter, times: number): number {
  for (let count = 0; count < times; count++) limiter.onSlowDown()
  return limiter.limit
}

/** How many successes it takes until the limit has grown by one, again and again. */
function climb(limiter: RateLimiter, to: number): readonly number[] {
  const rounds: number[] = []
  while (limiter.limit < to && rounds.length < 100) {
    const before = limiter.limit
    let successes = 0
    while (limiter.limit === before && successes < 1000) {
      limiter.onSuccess()
      successes++
    }
    rounds.push(successes)
  }
  return rounds
}

describe('congestionControl', () => {
  test('starts at the limit of the writer, and never goes above it', () => {
    const limiter = congestionControl().createLimiter(8)
    expect(limiter.limit).toBe(8)
    for (let count = 0; count < 100; count++) limiter.onSuccess()
    expect(limiter.limit).toBe(8)
  })

  test('halves with every throttle, down to one', () => {
    const limiter = congestionControl().createLimiter(16)
    expect([0, 1, 1, 1, 1, 5].map((times) => throttled(limiter, times))).toEqual([16, 8, 4, 2, 1, 1])
  })

  test('decreaseFactor is the share that is left', () => {
    const limiter = congestionControl({ decreaseFactor: 0.9 }).createLimiter(100)
    expect([throttled(limiter, 1), throttled(limiter, 1)]).toEqual([90, 81])
  })

  test('adds one in a round of as many successes as may be in flight', () => {
    const limiter = congestionControl().createLimiter(5)
    throttled(limiter, 10)
    const rounds = climb(limiter, 5)
    for (const [index, successes] of rounds.entries()) {
      expect(successes).toBeGreaterThanOrEqual(index + 1)
      expect(successes).toBeLessThanOrEqual(index + 3)
    }
    expect(limiter.limit).toBe(5)
  })

  test('increaseRate is how many are added in a round', () => {
    const [slow, fast] = [1, 10].map((increaseRate) => {
      const limiter = congestionControl({ increaseRate }).createLimiter(100)
      throttled(limiter, 50)
      return climb(limiter, 100).reduce((total, successes) => total + successes, 0)
    })
    expect(fast).toBeLessThan((slow ?? 0) / 5)
  })

  test('comes back after the longest series of throttles', () => {
    const limiter = congestionControl({ decreaseFactor: 0.01 }).createLimiter(3)
    throttled(limiter, 10_000)
    expect(climb(limiter, 3).reduce((total, successes) => total + successes, 0)).toBeLessThan(10)
  })

  test.each([
    [{ increaseRate: 0 }, 'congestionControl: increaseRate must be a number above 0, got 0'],
    [{ increaseRate: -1 }, 'congestionControl: increaseRate must be a number above 0, got -1'],
    [{ increaseRate: Number.NaN }, 'congestionControl: increaseRate must be a number above 0, got NaN'],
    [
      { increaseRate: Number.POSITIVE_INFINITY },
      'congestionControl: increaseRate must be a number above 0, got Infinity',
    ],
    [{ decreaseFactor: 0 }, 'congestionControl: decreaseFactor must be a number above 0 and below 1, got 0'],
    [{ decreaseFactor: 1 }, 'congestionControl: decreaseFactor must be a number above 0 and below 1, got 1'],
    [{ decreaseFactor: Number.NaN }, 'congestionControl: decreaseFactor must be a number above 0 and below 1, got NaN'],
  ])('%o is refused', (options, message) => {
    expect(() => congestionControl(options)).toThrow(
      expect.objectContaining({ code: 'SLUICE_OPTIONS_INVALID', message }) as Error,
    )
  })
})

test.each([Symbol('n'), 1n, '5'])('what is no number is refused: %s', (n) => {
  const isInvalid = expect.objectContaining({ code: 'SLUICE_OPTIONS_INVALID' }) as Error
  expect(() => congestionControl({ increaseRate: n } as never)).toThrow(isInvalid)
  expect(() => congestionControl({ decreaseFactor: n } as never)).toThrow(isInvalid)
  expect(() => fixedRateLimit({ maxInFlightRequestsPerDestination: n } as never)).toThrow(isInvalid)
})

test('an option that a strategy does not know is refused, with the nearest name', () => {
  const misspelt: object = { increaserate: 2 }
  expect(() => congestionControl(misspelt)).toThrow("unknown option 'increaserate'; did you mean 'increaseRate'?")
})

describe('fixedRateLimit', () => {
  test('stays where it is, whatever the store says', () => {
    const limiter = fixedRateLimit({ maxInFlightRequestsPerDestination: 3 }).createLimiter(8)
    throttled(limiter, 5)
    for (let count = 0; count < 50; count++) limiter.onSuccess()
    expect(limiter.limit).toBe(3)
  })

  test('is never above the limit of the writer', () => {
    expect(fixedRateLimit({ maxInFlightRequestsPerDestination: 30 }).createLimiter(8).limit).toBe(8)
  })

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('%d is refused', (most) => {
    expect(() => fixedRateLimit({ maxInFlightRequestsPerDestination: most })).toThrow(
      expect.objectContaining({
        code: 'SLUICE_OPTIONS_INVALID',
        message: `fixedRateLimit: maxInFlightRequestsPerDestination must be an integer from 1 up, got ${most}`,
      }) as Error,
    )
  })

  test('bounds the requests in flight to each destination', async () => {
    const rateLimitingStrategy = fixedRateLimit({ maxInFlightRequestsPerDestination: 2 })
    const limits = { rateLimitingStrategy, maxInFlightRequests: 8, maxBufferedRequests: 200 }
    const harness = new Harness(limits, leastJitter, { destinations: true })
    harness.offer(
      ...names('x', 40).map((name) => ({ name, to: 'x' })),
      ...names('y', 40).map((name) => ({ name, to: 'y' })),
    )
    expect(harness.sent().map(({ destination }) => destination)).toEqual(['x', 'x', 'y', 'y'])
  })
})

describe('noRateLimit', () => {
  test('leaves as many requests in flight as the writer allows, however often the store throttles', async () => {
    const limits = { rateLimitingStrategy: noRateLimit(), maxInFlightRequests: 4, maxBufferedRequests: 200 }
    const harness = new Harness(limits, leastJitter)
    harness.offer(...names('a', 100))
    for (let round = 0; round < 5; round++) {
      const open = harness.sent()
      for (const request of open) await request.answer({ retryAll: reason('429') })
      await harness.clock.advance(10_000)
      expect(harness.writer.status().inFlightRequests).toBe(4)
    }
  })

  test('Retry-After still holds back the destination', async () => {
    const limits = { rateLimitingStrategy: noRateLimit(), maxInFlightRequests: 4, maxBufferedRequests: 200 }
    const harness = new Harness(limits, leastJitter)
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('429'), afterMs: 5000 })
    harness.offer(...names('b', 40))
    await harness.clock.advance(4999)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    expect(harness.sent()).toHaveLength(4)
  })
})

describe('a strategy of one’s own', () => {
  test('is told of every success and every throttle, and its limit is obeyed', async () => {
    const told: string[] = []
    let limit = 1
    const rateLimitingStrategy: RateLimitingStrategy = {
      name: 'own',
      createLimiter: (max) => {
        told.push(`created with ${max}`)
        return {
          get limit() {
            return limit
          },
          onSuccess: () => void told.push('success'),
          onSlowDown: () => void told.push('slow down'),
        }
      },
    }
    const harness = new Harness({ rateLimitingStrategy, maxInFlightRequests: 4, maxBufferedRequests: 200 }, leastJitter)
    harness.offer(...names('a', 100))
    const request = await harness.only()
    limit = 3
    await request.answer(WRITTEN)
    const open = harness.sent()
    expect(open).toHaveLength(3)
    await open[0]?.answer({ retryAll: reason('429'), afterMs: 1 })
    await open[1]?.answer({ retryAll: reason('reset'), unknown: true, slowDown: false })
    await open[2]?.answer({ entries: Array.from({ length: 4 }, () => ({ kind: 'duplicate' })) })
    expect(told).toEqual(['created with 4', 'success', 'slow down', 'success'])
  })

  test('of which every destination has its own limiter', async () => {
    let made = 0
    const createLimiter = (max: number): RateLimiter => {
      made++
      return noRateLimit().createLimiter(max)
    }
    const limits = { rateLimitingStrategy: { name: 'own', createLimiter }, maxBufferedRequests: 40 }
    const harness = new Harness(limits, leastJitter, { destinations: true })
    for (const to of ['x', 'y', 'x', 'y', 'z']) harness.offer({ name: to, to })
    expect(made).toBe(3)
  })
})

describe('throttling', () => {
  test('never makes a batch smaller', async () => {
    const harness = new Harness({ maxInFlightRequests: 4, maxBufferedRequests: 100 }, leastJitter)
    let next = 0
    const sizes: number[] = []
    for (let round = 0; round < 40; round++) {
      next += harness.offer(...names(`r${round}-`, 20))
      const open = harness.sent()
      sizes.push(...open.map((request) => request.names.length))
      for (const [index, request] of open.entries()) {
        await request.answer(index % 2 === 0 ? { retryAll: reason('429') } : WRITTEN)
      }
      await harness.clock.advance(200)
    }
    expect(next).toBeGreaterThan(150)
    expect(new Set(sizes)).toEqual(new Set([4]))
  })
})

test('a limiter of ones own that throws ends the attempt; no entry is charged, and nothing is left unhandled', async () => {
  const rateLimitingStrategy: RateLimitingStrategy = {
    name: 'broken',
    createLimiter: (limit) => ({
      limit,
      onSuccess: () => {
        throw new Error('limiter')
      },
      onSlowDown: () => {},
    }),
  }
  const harness = new Harness({ rateLimitingStrategy })
  harness.offer(...names('a', 4))
  await (await harness.only()).answer(WRITTEN)
  expect(harness.failures).toMatchObject([{ code: 'SLUICE_INTERNAL' }])
  expect(harness.settlement.refusals).toEqual([])
})
