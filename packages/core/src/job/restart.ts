import { areNumbers, OptionsCheck } from '../options.ts'
import type { Random } from '../runtime/backoff.ts'

/** Decides after a restartable failure whether and when a job tries again. Names and defaults are Flink's. */
export interface RestartStrategy {
  readonly name: string
  /**
   * @param nowMs - monotonic time of the failure.
   * @param ranForMs - how long the attempt ran.
   * @returns milliseconds to wait before the next attempt, or undefined to give up.
   */
  onFailure(nowMs: number, ranForMs: number, random: Random): number | undefined
}

/** The first failure ends the job. */
export function noRestart(): RestartStrategy {
  return { name: 'none', onFailure: () => undefined }
}

export interface FixedDelayOptions {
  /** Restarts in all. @default 1 */
  readonly attempts?: number
  /** Milliseconds before each restart. @default 1000 */
  readonly delayMs?: number
}

/** The same delay before each of a limited number of restarts. @throws SluiceError `SLUICE_OPTIONS_INVALID`. */
export function fixedDelayRestart(options: FixedDelayOptions = {}): RestartStrategy {
  const check = new OptionsCheck('fixedDelayRestart', options, ['attempts', 'delayMs'])
  for (const name of ['attempts', 'delayMs']) check.integer(name, { min: 0 })
  check.throwIfAny()
  const { attempts = 1, delayMs = 1_000 } = options
  let used = 0
  return { name: 'fixed-delay', onFailure: () => (used++ < attempts ? delayMs : undefined) }
}

export interface ExponentialDelayOptions {
  /** @default 1000 */
  readonly initialBackoffMs?: number
  /** @default 60000 */
  readonly maxBackoffMs?: number
  /** @default 1.5 */
  readonly backoffMultiplier?: number
  /** An attempt that ran this long without failure starts the delays anew. @default 3600000 (1 h) */
  readonly resetBackoffThresholdMs?: number
  /** The part of the delay that is random, to both sides. @default 0.1 */
  readonly jitterFactor?: number
  /** Restarts before giving up; counted anew after a reset. @default no limit */
  readonly attemptsBeforeResetBackoff?: number
}

/** The default strategy: keeps trying, ever more slowly. @throws SluiceError `SLUICE_OPTIONS_INVALID`. */
export function exponentialDelayRestart(options: ExponentialDelayOptions = {}): RestartStrategy {
  const {
    initialBackoffMs = 1_000,
    maxBackoffMs = 60_000,
    backoffMultiplier = 1.5,
    resetBackoffThresholdMs = 3_600_000,
    jitterFactor = 0.1,
    attemptsBeforeResetBackoff = Number.POSITIVE_INFINITY,
  } = options
  const given = { initialBackoffMs, maxBackoffMs, backoffMultiplier, resetBackoffThresholdMs, jitterFactor }
  const check = new OptionsCheck('exponentialDelayRestart', { ...options, ...given }, [
    ...Object.keys(given),
    'attemptsBeforeResetBackoff',
  ])
  check.integer('initialBackoffMs')
  check.integer('maxBackoffMs', { min: areNumbers(initialBackoffMs) ? initialBackoffMs : 1 })
  check.integer('resetBackoffThresholdMs')
  if (!areNumbers(backoffMultiplier) || !(backoffMultiplier >= 1))
    check.refuse('backoffMultiplier', 'a number from 1 up')
  if (!areNumbers(jitterFactor) || !(jitterFactor >= 0 && jitterFactor <= 1)) {
    check.refuse('jitterFactor', 'a number from 0 to 1')
  }
  if (attemptsBeforeResetBackoff !== Number.POSITIVE_INFINITY) check.integer('attemptsBeforeResetBackoff', { min: 0 })
  check.throwIfAny()
  let next = initialBackoffMs
  let used = 0
  return {
    name: 'exponential-delay',
    onFailure(_nowMs, ranForMs, random) {
      if (ranForMs >= resetBackoffThresholdMs) {
        next = initialBackoffMs
        used = 0
      }
      if (used++ >= attemptsBeforeResetBackoff) return undefined
      const delayMs = next * (1 + jitterFactor * (2 * random() - 1))
      next = Math.min(maxBackoffMs, next * backoffMultiplier)
      return delayMs
    },
  }
}

export interface FailureRateOptions {
  /** @default 1 */
  readonly maxFailuresPerInterval?: number
  /** @default 60000 */
  readonly failureRateIntervalMs?: number
  /** @default 1000 */
  readonly delayMs?: number
}

/** Gives up when failures come too fast. @throws SluiceError `SLUICE_OPTIONS_INVALID`. */
export function failureRateRestart(options: FailureRateOptions = {}): RestartStrategy {
  const check = new OptionsCheck('failureRateRestart', options, [
    'maxFailuresPerInterval',
    'failureRateIntervalMs',
    'delayMs',
  ])
  check.integer('maxFailuresPerInterval')
  check.integer('failureRateIntervalMs')
  check.integer('delayMs', { min: 0 })
  check.throwIfAny()
  const { maxFailuresPerInterval = 1, failureRateIntervalMs = 60_000, delayMs = 1_000 } = options
  let failures: number[] = []
  return {
    name: 'failure-rate',
    onFailure(nowMs) {
      failures = [...failures.filter((at) => nowMs - at < failureRateIntervalMs), nowMs]
      return failures.length > maxFailuresPerInterval ? undefined : delayMs
    },
  }
}
