import type { Step } from './operators.ts'

/** Who waits for a slot. */
export interface SlotWaiter {
  /** A slot is the waiter's: it uses it, or gives it back. */
  granted(): void
}

/** The calls of one `mapAsync` that may be under way, in all fetch loops of an attempt; first come, first served. */
export class CallSlots {
  #free: number
  readonly #waiting = new Set<SlotWaiter>()

  constructor(count: number) {
    this.#free = count
  }

  /** True: the slot is the caller's. False: {@link SlotWaiter.granted} is called once when it is its turn. */
  take(waiter: SlotWaiter): boolean {
    if (this.#free > 0) {
      this.#free--
      return true
    }
    this.#waiting.add(waiter)
    return false
  }

  give(): void {
    const [first] = this.#waiting
    if (first === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(first)
    first.granted()
  }
}

/** Slots for each asynchronous step of a pipeline. */
export function callSlots(steps: readonly Step[]): ReadonlyMap<Step, CallSlots> {
  const slots = new Map<Step, CallSlots>()
  for (const step of steps) if (step.kind === 'mapAsync') slots.set(step, new CallSlots(step.concurrency))
  return slots
}
