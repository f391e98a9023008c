import { WakeUp } from '../runtime/signal.ts'
import type { SinkWriter, WriteBatch } from '../sink/spi.ts'
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
  readonly #again = new WakeUp()
  /** Writers that were asked to say when there is room. */
  readonly #asked = new Set<SinkWriter<unknown>>()
  /** A writer broke its word. */
  #failure: { readonly error: unknown } | undefined
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

  /** Splits were given back: a chunk that waits for room may hold values of them. */
  released(): void {
    this.#again.wake()
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
      await this.#roomIn(full)
      if (this.#ended) return
      if (this.#failure !== undefined) throw this.#failure.error
      full = this.#write(chunk, onTaken)
      this.#hastenIfAwaited(lowest)
    }
  }

  /** Resolves when one of them may have room, or when splits were given back. */
  #roomIn(full: readonly SinkWriter<unknown>[]): Promise<void> {
    for (const writer of full) {
      // Once each: a slow one would otherwise gather a listener with every turn of a fast one.
      if (this.#asked.has(writer)) continue
      this.#asked.add(writer)
      const asked = (): void => {
        this.#asked.delete(writer)
        this.#again.wake()
      }
      writer.ready().then(asked, (error: unknown) => {
        this.#failure = { error }
        asked()
      })
    }
    return this.#again.wait()
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
      if (cursor < length) {
        cursor = this.#plan.tracker.hasReleased
          ? this.#writeAssigned(writer, batch, cursor, length)
          : writer.write(batch, cursor, length)
      }
      if (cursor < length) full.push(writer)
      this.#cursors[index] = cursor
      if (cursor < taken) taken = cursor
    }
    onTaken?.(taken)
    return full
  }

  /** Passes over values of splits that were given back: their share in this sink is returned. */
  #writeAssigned(writer: SinkWriter<unknown>, batch: WriteBatch<unknown>, from: number, to: number): number {
    const { tracker } = this.#plan
    const { tokens } = batch
    let cursor = from
    while (cursor < to) {
      if (tracker.isReleased(tokens[cursor] as number)) {
        tracker.returned(tokens[cursor++] as number)
        continue
      }
      let end = cursor + 1
      while (end < to && !tracker.isReleased(tokens[end] as number)) end++
      cursor = writer.write(batch, cursor, end)
      if (cursor < end) break
    }
    return cursor
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
