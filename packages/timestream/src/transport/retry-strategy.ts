import { setTimeout as pause } from 'node:timers/promises'
import type { TimestreamWriteClientConfig } from '@aws-sdk/client-timestream-write'

type SdkStrategy = Extract<TimestreamWriteClientConfig['retryStrategy'], { acquireInitialRetryToken: unknown }>
type RetryToken = Awaited<ReturnType<SdkStrategy['acquireInitialRetryToken']>>
type RetryErrorInfo = Parameters<SdkStrategy['refreshRetryTokenForRetry']>[1]

/** The longest pause between two tries. */
export const MAX_PAUSE_MS = 20_000

/** Bounds of the first pause; each further one is twice as long. Throttling pauses longer. */
const FIRST_PAUSE_MS = 50
const FIRST_THROTTLED_PAUSE_MS = 1000

/**
 * Repeats a request of the SDK `maxErrorRetry` times, with the pauses of the SDK's standard mode.
 *
 * The SDK's own strategy pauses with a timer that no signal ends: it keeps the process alive for up to 20 s after the last
 * request was aborted. These pauses end with `closed`, and nothing is repeated after it. Nor is there the SDK's budget of repeats, which is
 * shared by all requests: `maxErrorRetry` holds for each, and the sink lowers the number in flight.
 */
export class RetryStrategy implements SdkStrategy {
  readonly #maxErrorRetry: number
  readonly #closed: AbortSignal

  constructor(maxErrorRetry: number, closed: AbortSignal) {
    this.#maxErrorRetry = maxErrorRetry
    this.#closed = closed
  }

  acquireInitialRetryToken(): Promise<RetryToken> {
    return Promise.resolve(tokenOf(0))
  }

  /** A rejection makes the SDK throw the error of the last try. */
  async refreshRetryTokenForRetry(token: RetryToken, { errorType }: RetryErrorInfo): Promise<RetryToken> {
    const retries = token.getRetryCount()
    if (errorType === 'CLIENT_ERROR' || retries >= this.#maxErrorRetry) throw new Error('not to be repeated')
    const firstMs = errorType === 'THROTTLING' ? FIRST_THROTTLED_PAUSE_MS : FIRST_PAUSE_MS
    const pauseMs = Math.random() * Math.min(firstMs * 2 ** retries, MAX_PAUSE_MS)
    await pause(pauseMs, undefined, { signal: this.#closed })
    return tokenOf(retries + 1)
  }

  recordSuccess(): void {}
}

function tokenOf(retries: number): RetryToken {
  // The pause is over when a token is given.
  return { getRetryCount: () => retries, getRetryDelay: () => 0 }
}
