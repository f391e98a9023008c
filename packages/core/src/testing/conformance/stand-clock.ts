import type { Timer } from '../../runtime/clock.ts'
import { VirtualClock } from '../virtual-clock.ts'

/** A connector that sets timer after timer would keep virtual time from going on. */
const MAX_TIMERS = 20_000

/** Virtual time that can be stopped for good, so that nothing of an ended case goes on. */
export class StandClock extends VirtualClock {
  stopped = false
  #timers = 0

  override after(delayMs: number, callback: () => void): Timer {
    if (++this.#timers > MAX_TIMERS) this.stopped = true
    return this.stopped ? { cancel: () => {} } : super.after(delayMs, callback)
  }

  override async advance(ms: number): Promise<void> {
    if (this.stopped)
      throw new Error('the case was stopped: it took too long, or a connector that sets timer after timer')
    await super.advance(ms)
  }
}
