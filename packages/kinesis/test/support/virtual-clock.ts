import type { Clock, Timer } from '@sluice/core'

/** Time that passes only when a test says so. */
export class VirtualClock implements Clock {
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>()
  readonly #startedMs: number
  #now = 0

  constructor(startedMs: number) {
    this.#startedMs = startedMs
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#startedMs + this.#now
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#now + Math.max(0, delayMs), callback }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  afterPoll(callback: () => void): void {
    setImmediate(callback)
  }

  /** Runs every timer that is due within the span, in order, and lets promises settle after each. */
  async advance(spanMs: number): Promise<void> {
    const until = this.#now + spanMs
    await settle()
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.callback()
      await settle()
    }
    this.#now = until
  }
}

/** Lets every promise that can settle do so, those that wait for a poll phase included. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
}
