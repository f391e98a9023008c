import type { Clock } from '@sluice/core'

const INTERVAL_MS = 60_000

/** Of something that lasts, the log is told when it begins, and then once a minute. */
export class WarningInterval {
  readonly #clock: Clock
  #warnedAt: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether to warn now. */
  due(): boolean {
    const now = this.#clock.now()
    if (this.#warnedAt !== undefined && now - this.#warnedAt < INTERVAL_MS) return false
    this.#warnedAt = now
    return true
  }

  /** It is over: the next time is a new beginning. */
  reset(): void {
    this.#warnedAt = undefined
  }
}
