import { OptionsCheck } from '../options.ts'
import type { DeadLetterRetryOptions, DeadLetters } from './dead-letters.ts'

/** What `start()` is told about dead letters. */
export interface DeadLetterOptions {
  /**
   * Where records go that decode, an operator, a converter or a store refuses for themselves; a sink may have its own, see
   * `sinkTo`. @default none: a refusal ends the job with `SLUICE_RECORD_REFUSED`
   */
  readonly deadLetters?: DeadLetters
  /** When a letter that could not be delivered is repeated, and when the job fails with `SLUICE_DEAD_LETTERS_FAILED`. */
  readonly deadLetterRetry?: DeadLetterRetryOptions
  /**
   * Share of inputs, from 0 to 1, that may be refused: when more of any 1000 consecutive inputs are (as they were emitted, in this
   * attempt of the job; an input counts once), the job ends with `SLUICE_POISON_STORM` and acknowledges nothing beyond. With fewer
   * inputs the same count is the bound: 500 for the default. 1 switches it off. @default 0.5
   */
  readonly maxDeadLetterRatio?: number
}

export interface ResolvedDeadLetterOptions {
  readonly deadLetters: DeadLetters | undefined
  readonly deadLetterRetry: Required<DeadLetterRetryOptions>
  readonly maxDeadLetterRatio: number
}

export const DEAD_LETTER_OPTIONS: readonly (keyof DeadLetterOptions)[] = [
  'deadLetters',
  'deadLetterRetry',
  'maxDeadLetterRatio',
]

const DEFAULT_RETRY: Required<DeadLetterRetryOptions> = {
  maxAttempts: 10,
  timeoutMs: 30_000,
  initialDelayMs: 100,
  maxDelayMs: 10_000,
}

const RETRY_OPTIONS = Object.keys(DEFAULT_RETRY) as (keyof DeadLetterRetryOptions)[]

/** Adds what is wrong with `deadLetters` of `start()` or `sinkTo()`. Structural: it may come from another copy of the package. */
export function checkDeadLetters(check: OptionsCheck, given: unknown): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null) return check.refuse('deadLetters', 'an object with a method deliver')
  const methods = given as Readonly<Record<string, unknown>>
  if (typeof methods['deliver'] !== 'function') check.problem('deadLetters must have the method(s) deliver')
  for (const name of ['hasten', 'open', 'close']) {
    if (methods[name] !== undefined && typeof methods[name] !== 'function') {
      check.problem(`deadLetters.${name} must be a function where there is one`)
    }
  }
}

/** Adds every problem of the dead-letter options of `start()`. */
export function checkDeadLetterOptions(check: OptionsCheck, options: DeadLetterOptions | undefined): void {
  checkDeadLetters(check, options?.deadLetters)
  const ratio: unknown = options?.maxDeadLetterRatio
  if (ratio !== undefined && !(typeof ratio === 'number' && ratio >= 0 && ratio <= 1)) {
    check.refuse('maxDeadLetterRatio', 'a number from 0 to 1')
  }
  const retry: unknown = options?.deadLetterRetry
  if (retry === undefined) return
  const nested = new OptionsCheck('deadLetterRetry', retry, RETRY_OPTIONS, 'deadLetterRetry.')
  nested.integer('maxAttempts')
  nested.integer('timeoutMs')
  nested.integer('initialDelayMs')
  nested.integer('maxDelayMs')
  for (const problem of nested.problems) check.problem(problem)
}

export function resolveDeadLetterOptions(options: DeadLetterOptions): ResolvedDeadLetterOptions {
  return {
    deadLetters: options.deadLetters,
    deadLetterRetry: { ...DEFAULT_RETRY, ...withoutUndefined(options.deadLetterRetry ?? {}) },
    maxDeadLetterRatio: options.maxDeadLetterRatio ?? 0.5,
  }
}

function withoutUndefined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T
}
