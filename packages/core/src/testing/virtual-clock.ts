import type { Clock, Timer } from '../runtime/clock.ts'

interface Pending {
  readonly dueAt: number
  readonly order: number
  readonly callback: () => void
}

/**
 * Time that stands still until a test moves it. Timers fire in the order of their due times, and between two of them all promises
 * that can settle do.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock()
 * await clock.advance(15_000) // everything that 15 s would have caused has happened
 * ```
 */
export class VirtualClock implements Clock {
  readonly #startWallMs: number
  #now = 0
  #order = 0
  readonly #timers = new Set<Pending>()

  constructor(startWallMs: number = Date.UTC(2026, 0, 1)) {
    this.#startWallMs = startWallMs
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#startWallMs + this.#now
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { dueAt: this.#now + (delayMs > 0 ? delayMs : 0), order: this.#order++, callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  afterPoll(callback: () => void): void {
    setImmediate(callback)
  }

  /** Timers that have not fired: 0 at the end of a test shows that nothing leaks. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Moves time on by `ms` and lets everything happen that falls due. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.dueAt)
      next.callback()
      await settle()
    }
    this.#now = end
  }

  /** Lets every promise settle that can, without moving time. */
  async flush(): Promise<void> {
    await settle()
  }

  #next(end: number): Pending | undefined {
    let first: Pending | undefined
    for (const timer of this.#timers) {
      if (timer.dueAt > end) continue
      if (
        first === undefined ||
        timer.dueAt < first.dueAt ||
        (timer.dueAt === first.dueAt && timer.order < first.order)
      ) {
        first = timer
      }
    }
    return first
  }
}

/** A few poll phases: promise chains and `afterPoll` callbacks that follow from each other run to their end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
}
