import { messageOf } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { type Clock, delay } from '../runtime/clock.ts'

/** The time that parts of a job have to end, all of them together: one that hangs or fails must not keep the job from its end. */
export class Grace {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #job: string
  readonly #expiresAt: number

  constructor(clock: Clock, logger: Logger, job: string, graceMs: number) {
    this.#clock = clock
    this.#logger = logger
    this.#job = job
    this.#expiresAt = clock.now() + graceMs
  }

  /** Milliseconds that are left; 0 when the time is up. */
  get leftMs(): number {
    return Math.max(0, this.#expiresAt - this.#clock.now())
  }

  /** Ends parts side by side, as far as the time that is left allows. Never rejects: a failure is logged. */
  async spend(endings: readonly (() => PromiseLike<void> | undefined)[]): Promise<void> {
    const done = new AbortController()
    const all = Promise.all(endings.map((end) => this.#endSafely(end)))
    // One millisecond more than they were given: at its own deadline a part still counts what it abandons.
    await Promise.race([all, delay(this.#clock, this.leftMs + 1, done.signal)])
    done.abort()
  }

  async #endSafely(end: () => PromiseLike<void> | undefined): Promise<void> {
    try {
      await end()
    } catch (error) {
      this.#logger.warn({ job: this.#job, error: messageOf(error) }, 'A part of the job did not end well')
    }
  }
}
