/** A source of numbers from 0 (inclusive) to 1 (exclusive); `Math.random` in production, seeded in tests. */
export type Random = () => number

export interface BackoffOptions {
  /** Delay before the first repeat, in milliseconds. @default 100 */
  readonly initialDelayMs?: number
  /** No delay is longer, in milliseconds. @default 10000 */
  readonly maxDelayMs?: number
}

/**
 * Exponential backoff with equal jitter: half of the delay is fixed, half is random, so that a repeat is never immediate and
 * clients that failed together do not return together.
 *
 * @param attempt - how many times it failed so far, from 1.
 */
export function backoffMs(attempt: number, random: Random, options: BackoffOptions = {}): number {
  const { initialDelayMs = 100, maxDelayMs = 10_000 } = options
  // 2 ** 31 already exceeds every delay; a larger exponent would only risk Infinity.
  const ceiling = Math.min(maxDelayMs, initialDelayMs * 2 ** Math.min(attempt - 1, 31))
  return ceiling / 2 + (random() * ceiling) / 2
}
