import type { Clock } from '../runtime/clock.ts'
import { WakeUp } from '../runtime/signal.ts'
import type { FetchedBatch } from './source-reader-base.ts'
import type { SourceSplit } from './spi.ts'

/** A split as long as a reader has it: a split that comes back later is another assignment. */
export class SplitAssignment<T, Split extends SourceSplit> {
  /** After the record emitted last. */
  split: Split
  /** As it was acknowledged last. */
  acknowledged: Split | undefined
  /** The first checkpoint that stored this split as finished. */
  finishedIn: number | undefined
  millisBehindLatest: number | undefined
  /** The batch polled last, while some of its records are not emitted. */
  inHand: FetchedBatch<T, Split> | undefined
  /** Records of `inHand` that were emitted. */
  emitted = 0
  readonly #stop = new AbortController()
  readonly #resumed = new WakeUp()
  readonly #unregister: readonly (() => void)[]
  #paused = false

  /** @param unregister - takes the gauges of the split away. */
  constructor(split: Split, unregister: readonly (() => void)[]) {
    this.split = split
    this.#unregister = unregister
  }

  /** Aborts when nothing more is to be fetched. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  get isFinished(): boolean {
    return this.split.finished === true
  }

  stop(reason: unknown): void {
    this.#stop.abort(reason)
    this.#resumed.wake()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#resumed.wake()
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** Resolves when the split may be fetched, or was stopped. */
  async allowed(): Promise<void> {
    while (this.#paused && !this.signal.aborted) await this.#resumed.wait()
  }

  /** The registry outlives the reader; nobody polls any more. */
  unregisterGauges(): void {
    for (const unregister of this.#unregister) unregister()
  }
}

/** Positions of one snapshot, by assignment: what its checkpoint acknowledges. */
export class SnapshotPositions<T, Split extends SourceSplit> {
  readonly #byCheckpoint = new Map<number, ReadonlyMap<SplitAssignment<T, Split>, Split>>()

  note(checkpointId: number, assignments: Iterable<SplitAssignment<T, Split>>): void {
    this.#byCheckpoint.set(checkpointId, new Map([...assignments].map((each) => [each, each.split])))
  }

  /** Takes those of the newest checkpoint up to this one, and forgets all before it. */
  take(checkpointId: number): ReadonlyMap<SplitAssignment<T, Split>, Split> {
    let newest = -1
    for (const id of this.#byCheckpoint.keys()) if (id <= checkpointId && id > newest) newest = id
    const positions = this.#byCheckpoint.get(newest) ?? new Map<SplitAssignment<T, Split>, Split>()
    for (const id of this.#byCheckpoint.keys()) if (id < newest) this.#byCheckpoint.delete(id)
    return positions
  }
}

/** Resolves with the work, or after `deadlineMs`; false when that came first. */
export async function within(clock: Clock, deadlineMs: number, work: Promise<unknown>): Promise<boolean> {
  const { promise: expired, resolve } = Promise.withResolvers<boolean>()
  const expiry = clock.after(deadlineMs, () => resolve(false))
  try {
    return await Promise.race([work.then(() => true), expired])
  } finally {
    expiry.cancel()
  }
}
