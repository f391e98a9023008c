import type { Clock } from './clock.ts'

const MAX_SYNCHRONOUS_MS = 10
const MAX_MICROTASK_TURNS = 64

/**
 * Gives the event loop its turn: after 10 ms of synchronous work or 64 consecutive microtask turns, the next
 * {@link Breather.turn} waits for a poll phase. A loop of resolved promises would otherwise starve timers and signals.
 */
export class Breather {
  readonly #clock: Clock
  #turns = 0
  #since: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.now()
  }

  /** Undefined when there is no need to wait: `const pause = breather.turn(); if (pause) await pause`. */
  turn(): Promise<void> | undefined {
    this.#turns++
    if (this.#turns < MAX_MICROTASK_TURNS && this.#clock.now() - this.#since < MAX_SYNCHRONOUS_MS) return undefined
    return new Promise((resolve) => {
      this.#clock.afterPoll(() => {
        this.rested()
        resolve()
      })
    })
  }

  /** The caller has just waited for something real (a timer, a socket). */
  rested(): void {
    this.#turns = 0
    this.#since = this.#clock.now()
  }
}
