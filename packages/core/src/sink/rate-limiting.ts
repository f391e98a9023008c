import { SluiceError } from '../errors.ts'
import { areNumbers, OptionsCheck } from '../options.ts'

/** How many requests may be in flight to one destination. The size of batches never changes: stores bill and limit by request. */
export interface RateLimiter {
  /** Requests that may be in flight to the destination now, at least 1. */
  readonly limit: number
  /** A request ended without being throttled. */
  onSuccess(): void
  /** The store asked to slow down, or did not answer. */
  onSlowDown(): void
}

/** Makes a limiter for each destination. FLIP-242's RateLimitingStrategy, without its shrinking batches. */
export interface RateLimitingStrategy {
  readonly name: string
  createLimiter(maxInFlightRequests: number): RateLimiter
}

export interface CongestionControlOptions {
  /** Requests in flight that are added in one round of successes. @default 1 */
  readonly increaseRate?: number
  /** The share of the requests in flight that is left after a throttle, above 0 and below 1. @default 0.5 */
  readonly decreaseFactor?: number
}

/**
 * Additive increase, multiplicative decrease, as in TCP. Starts at `maxInFlightRequests`: a store that never throttles never pays
 * for a slow start.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`.
 */
export function congestionControl(options: CongestionControlOptions = {}): RateLimitingStrategy {
  new OptionsCheck('congestionControl', options, ['increaseRate', 'decreaseFactor']).throwIfAny()
  const { increaseRate = 1, decreaseFactor = 0.5 } = options
  if (!areNumbers(increaseRate) || !(increaseRate > 0 && increaseRate < Number.POSITIVE_INFINITY)) {
    throw invalid(`congestionControl: increaseRate must be a number above 0, got ${String(increaseRate)}`)
  }
  if (!areNumbers(decreaseFactor) || !(decreaseFactor > 0 && decreaseFactor < 1)) {
    throw invalid(
      `congestionControl: decreaseFactor must be a number above 0 and below 1, got ${String(decreaseFactor)}`,
    )
  }
  return {
    name: 'congestionControl',
    createLimiter(maxInFlightRequests) {
      let limit = maxInFlightRequests
      return {
        get limit() {
          return Math.max(1, Math.floor(limit))
        },
        onSuccess() {
          if (limit < maxInFlightRequests) limit = Math.min(maxInFlightRequests, limit + increaseRate / limit)
        },
        onSlowDown() {
          limit = Math.max(1, limit * decreaseFactor)
        },
      }
    },
  }
}

/**
 * A fixed number of requests in flight to each destination, whatever the store says.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`.
 */
export function fixedRateLimit(options: { readonly maxInFlightRequestsPerDestination: number }): RateLimitingStrategy {
  new OptionsCheck('fixedRateLimit', options, ['maxInFlightRequestsPerDestination']).throwIfAny()
  const { maxInFlightRequestsPerDestination: most } = options
  if (!Number.isSafeInteger(most) || most < 1) {
    throw invalid(`fixedRateLimit: maxInFlightRequestsPerDestination must be an integer from 1 up, got ${String(most)}`)
  }
  return { name: 'fixedRateLimit', createLimiter: (max) => unchanging(Math.min(max, most)) }
}

/** No limit but the writer's `maxInFlightRequests`. A `Retry-After` still holds its destination back. */
export function noRateLimit(): RateLimitingStrategy {
  return { name: 'noRateLimit', createLimiter: unchanging }
}

function unchanging(limit: number): RateLimiter {
  return { limit, onSuccess: () => {}, onSlowDown: () => {} }
}

function invalid(message: string): SluiceError {
  return new SluiceError('SLUICE_OPTIONS_INVALID', message)
}
