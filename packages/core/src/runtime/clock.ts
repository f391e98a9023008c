/** A callback that is due, see {@link Clock.after}. */
export interface Timer {
  cancel(): void
}

/** Time as components see it; tests replace it by virtual time (`VirtualClock` of `@sluice/core/testing`). */
export interface Clock {
  /** Monotonic milliseconds: for every duration and deadline. */
  now(): number
  /** Wall clock, milliseconds since the epoch: for record times and signatures only. */
  wallNow(): number
  /** Calls back once after `delayMs`. The timer keeps the process alive. */
  after(delayMs: number, callback: () => void): Timer
  /** Calls back after the next poll phase of the event loop. */
  afterPoll(callback: () => void): void
}

/** setTimeout takes a signed 32-bit number; a longer delay would fire at once. */
const MAX_TIMEOUT_MS = 0x7fff_ffff

/** The time of the process: the default of every component. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, callback) {
    const timeout = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_TIMEOUT_MS))
    return { cancel: () => clearTimeout(timeout) }
  },
  afterPoll(callback) {
    setImmediate(callback)
  },
}

/**
 * Calls back when `delayMs` have passed, judged one poll phase after the timer: an answer that already waits in the socket
 * while the process was busy is read first, and its handler can still cancel the deadline.
 */
export function deadline(clock: Clock, delayMs: number, onExpired: () => void): Timer {
  let live = true
  const timer = clock.after(delayMs, () => {
    clock.afterPoll(() => {
      if (live) onExpired()
    })
  })
  return {
    cancel() {
      live = false
      timer.cancel()
    },
  }
}

/** Resolves after `delayMs`, or at once when the signal aborts. Never rejects. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, done)
    function done(): void {
      timer.cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done, { once: true })
  })
}
