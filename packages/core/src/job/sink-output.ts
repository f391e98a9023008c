import type { SinkWriter } from '../sink/spi.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { Chunk } from './chunk.ts'

export interface SinkOutputPlan {
  readonly writers: readonly SinkWriter<unknown>[]
  readonly tracker: Tracker
  /** Inputs below this token are waited for by an open checkpoint. */
  openBarrier(): number | undefined
}

/** Offers values to every sink, each with its own cursor: what one took it is not offered again while another is full. */
export class SinkOutput {
  readonly #plan: SinkOutputPlan
  readonly #cursors: number[]
  #draining = false
  #ended = false

  constructor(plan: SinkOutputPlan) {
    this.#plan = plan
    this.#cursors = plan.writers.map(() => 0)
  }

  /** From now on partial batches are sent at once. */
  drain(): void {
    this.#draining = true
  }

  /** Offers nothing more. The writers must be closed to wake who waits. */
  end(): void {
    this.#ended = true
  }

  /**
   * One chunk at a time.
   *
   * @param lowest - the lowest token in the chunk.
   * @param onTaken - told how many values, from the first on, all sinks have taken.
   * @returns undefined when all sinks took all of it.
   */
  offer(chunk: Chunk, lowest: number, onTaken?: (count: number) => void): Promise<void> | undefined {
    if (chunk.length === 0 || this.#ended) return undefined
    this.#cursors.fill(0)
    const full = this.#write(chunk, onTaken)
    this.#hastenIfAwaited(lowest)
    return full.length === 0 ? undefined : this.#offerRest(chunk, lowest, full, onTaken)
  }

  async #offerRest(
    chunk: Chunk,
    lowest: number,
    first: readonly SinkWriter<unknown>[],
    onTaken: ((count: number) => void) | undefined,
  ): Promise<void> {
    for (let full = first; full.length > 0;) {
      const [only] = full
      await (only !== undefined && full.length === 1
        ? only.ready()
        : Promise.race(full.map((writer) => writer.ready())))
      if (this.#ended) return
      full = this.#write(chunk, onTaken)
      this.#hastenIfAwaited(lowest)
    }
  }

  /** Returns the writers that have no room for the rest. */
  #write(chunk: Chunk, onTaken: ((count: number) => void) | undefined): readonly SinkWriter<unknown>[] {
    const { writers } = this.#plan
    const { length } = chunk
    const batch = chunk.batch()
    const full: SinkWriter<unknown>[] = []
    let taken = length
    for (let index = 0; index < writers.length; index++) {
      const writer = writers[index] as SinkWriter<unknown>
      let cursor = this.#cursors[index] as number
      if (cursor < length) cursor = writer.write(batch, cursor, length)
      if (cursor < length) full.push(writer)
      this.#cursors[index] = cursor
      if (cursor < taken) taken = cursor
    }
    onTaken?.(taken)
    return full
  }

  /**
   * Values that came to a sink after the barrier's hasten, although emitted before it, would wait for their batch's age; so would
   * those that a drain waits for, or a subtask without room.
   */
  #hastenIfAwaited(lowest: number): void {
    const { tracker, writers } = this.#plan
    const barrier = this.#plan.openBarrier()
    if (!this.#draining && tracker.waitsFor === undefined && !(barrier !== undefined && lowest < barrier)) return
    for (const writer of writers) writer.hasten()
  }
}
