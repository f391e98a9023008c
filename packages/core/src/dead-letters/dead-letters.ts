import type { DeadLetter } from './letter.ts'

/**
 * Where refused records go, instead of ending the job. A letter is delivered at least once: after an unknown outcome or a kill
 * the same one comes again, with the same `id`.
 *
 * One object may serve several jobs and sinks, and is used over all attempts of a job.
 *
 * @example
 * ```ts
 * const deadLetters: DeadLetters = {
 *   async deliver(letter, { signal }) {
 *     const answer = await fetch(url, { method: 'PUT', body: encodeDeadLetter(letter), signal })
 *     if (!answer.ok) throw new Error(`status ${answer.status}`)
 *   },
 * }
 * ```
 */
export interface DeadLetters {
  /** Resolves when the letter is stored; what it held back is then acknowledged. A rejection is repeated, see `deadLetterRetry`. */
  deliver(letter: DeadLetter, context: DeliveryContext): Promise<void>
  /** Somebody waits for what is buffered: send partial batches now instead of at their age. */
  hasten?(): void
  /** Called once before a job reads its first record: a place that cannot take letters is told then, and not at the first one. */
  open?(): Promise<void>
  /** Called when a job has ended. Lets go of files and connections; a later `deliver` of another job must still work. */
  close?(): Promise<void>
}

/** What `deliver` is told with each letter. */
export interface DeliveryContext {
  /** Aborts at the deadline of this try and when the attempt of the job ends. It frees resources and proves nothing. */
  readonly signal: AbortSignal
  /** 1 for the first try of the letter in this attempt of the job. */
  readonly attempt: number
}

export interface DeadLetterRetryOptions {
  /** Tries of one letter before the job fails with `SLUICE_DEAD_LETTERS_FAILED`. @default 10 */
  readonly maxAttempts?: number
  /** Milliseconds until one try, and `open`, is given up. @default 30000 */
  readonly timeoutMs?: number
  /** Milliseconds before the second try; they double, half of each random. @default 100 */
  readonly initialDelayMs?: number
  /** Longest time between two tries, in milliseconds. @default 10000 */
  readonly maxDelayMs?: number
}

/** Figures for `status()`. */
export interface DeadLetterStatus {
  /** Letters confirmed in this attempt of the job. */
  readonly delivered: number
  /** Refused records whose letter is not confirmed. */
  readonly pending: number
  /** Tries that failed in this attempt of the job. */
  readonly errors: number
  /** Why the last try failed. */
  readonly lastError?: string
}
