import { WakeUp } from '../runtime/signal.ts'
import type { TrackedBatch } from './run.ts'

/** Inputs emitted at or above the watermark: what one input that stays unsettled costs in counts and in repeats after a kill. */
export const MAX_INPUTS_ABOVE_WATERMARK: number = 1024 * 1024

export type Bound = 'maxRetainedBytes' | 'maxInputsAboveWatermark'

/** Bounds what unsettled inputs cost: the raw bytes of their batches, and the number of inputs above the watermark. */
export class Room {
  readonly #maxRetainedBytes: number
  #retainedBytes = 0
  /** Batches that wait for room, first come, first served: a large one must not starve behind small ones. */
  readonly #waiting = new Set<TrackedBatch>()
  readonly #freed = new WakeUp()
  #fullBound: Bound | undefined

  constructor(maxRetainedBytes: number) {
    this.#maxRetainedBytes = maxRetainedBytes
  }

  get retainedBytes(): number {
    return this.#retainedBytes
  }

  /** The bound that a batch waits for; undefined when none waits. */
  get waitsFor(): Bound | undefined {
    return this.#waiting.size === 0 ? undefined : this.#fullBound
  }

  /** Undefined when there is room for that many inputs of the batch; otherwise it resolves when asking again may help. */
  ask(tracked: TrackedBatch, inputs: number, inputsAboveWatermark: number): Promise<void> | undefined {
    const isWindowFull = inputsAboveWatermark > 0 && inputsAboveWatermark + inputs > MAX_INPUTS_ABOVE_WATERMARK
    if (isWindowFull || !this.#mayRetain(tracked)) {
      this.#fullBound = isWindowFull ? 'maxInputsAboveWatermark' : 'maxRetainedBytes'
      this.#waiting.add(tracked)
      return this.#freed.wait()
    }
    if (this.#waiting.delete(tracked) && this.#waiting.size > 0) this.#freed.wake()
    return undefined
  }

  /** These batches are not emitted any further: whoever is behind them must not wait for them. */
  giveUp(isGivenUp: (tracked: TrackedBatch) => boolean): void {
    for (const tracked of this.#waiting) if (isGivenUp(tracked)) this.#waiting.delete(tracked)
    this.#freed.wake()
  }

  retain(tracked: TrackedBatch): void {
    this.#retainedBytes += tracked.bytes
  }

  letGo(tracked: TrackedBatch): void {
    this.#retainedBytes -= tracked.bytes
    this.wake()
  }

  /** There may be room now. */
  wake(): void {
    if (this.#waiting.size > 0) this.#freed.wake()
  }

  /** Whoever waits goes on. */
  stopWaiting(): void {
    this.#waiting.clear()
    this.#freed.wake()
  }

  #mayRetain(tracked: TrackedBatch): boolean {
    // Its bytes are counted already.
    if (tracked.unsettled > 0) return true
    const [first = tracked] = this.#waiting
    if (first !== tracked) return false
    // A batch above the bound passes alone: it must not wait for ever.
    return this.#retainedBytes === 0 || this.#retainedBytes + tracked.bytes <= this.#maxRetainedBytes
  }
}
