import { afterEach, expect, test, vi } from 'vitest'
import { RetryStrategy } from '../../src/transport/retry-strategy.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

/** How often a request is repeated that fails again and again. */
async function repeats(
  strategy: RetryStrategy,
  errorType: 'TRANSIENT' | 'THROTTLING' | 'SERVER_ERROR' | 'CLIENT_ERROR',
): Promise<number> {
  let token = await strategy.acquireInitialRetryToken()
  try {
    for (;;) token = await strategy.refreshRetryTokenForRetry(token, { errorType })
  } catch {
    return token.getRetryCount()
  }
}

test.for([0, 1, 10])('a request is repeated %i times, and the next one as often', async (maxErrorRetry) => {
  vi.spyOn(Math, 'random').mockReturnValue(0)
  const strategy = new RetryStrategy(maxErrorRetry, new AbortController().signal)
  expect(await repeats(strategy, 'TRANSIENT')).toBe(maxErrorRetry)
  expect(await repeats(strategy, 'THROTTLING')).toBe(maxErrorRetry)
  expect(await repeats(strategy, 'SERVER_ERROR')).toBe(maxErrorRetry)
})

test('an error of the request is not repeated', async () => {
  expect(await repeats(new RetryStrategy(10, new AbortController().signal), 'CLIENT_ERROR')).toBe(0)
})

test('nothing is repeated after close', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0)
  expect(await repeats(new RetryStrategy(10, AbortSignal.abort()), 'TRANSIENT')).toBe(0)
})

test('close ends a pause', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(1000)
  const closed = new AbortController()
  const pausing = repeats(new RetryStrategy(10, closed.signal), 'THROTTLING')
  setImmediate(() => closed.abort())
  expect(await pausing).toBe(0)
})
