import { WakeUp } from '../runtime/signal.ts'
import type { FetchedBatch } from './fetched.ts'
import { GroupGate } from './group-gate.ts'
import type { SourceSplit } from './spi.ts'

/** What the service said last of a split. */
export type SplitFacts = {
  readonly [Name in 'millisBehindLatest' | 'pendingRecords' | 'pendingBytes']?: number | undefined
}

/** A split as long as a reader has it: a split that comes back later is another assignment. */
export class SplitAssignment<T, Split extends SourceSplit> {
  /** After the record emitted last. */
  split: Split
  /** As the service has it: as it was assigned, or as it was acknowledged last. */
  acknowledged: Split
  /** The first checkpoint that stored this split as finished. */
  finishedIn: number | undefined
  facts: SplitFacts = {}
  /** The batch polled last, while some of its records are not emitted. */
  inHand: FetchedBatch<T, Split> | undefined
  /** Records of `inHand` that were emitted. */
  emitted = 0
  /** Only where groups are kept in order. */
  readonly groups: GroupGate<T, Split> | undefined
  readonly #stop = new AbortController()
  readonly #resumed = new WakeUp()
  readonly #unregister: () => void
  #paused = false
  #released = false

  /** @param unregister - takes the gauges of the split away. */
  constructor(split: Split, grouped: boolean, unregister: () => void) {
    this.split = split
    this.acknowledged = split
    this.groups = grouped ? new GroupGate() : undefined
    this.#unregister = unregister
  }

  /** Aborts when nothing more is to be fetched. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  get isFinished(): boolean {
    return this.split.finished === true
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** Nobody here acknowledges anything of it any more. */
  get isReleased(): boolean {
    return this.#released
  }

  stop(reason: unknown): void {
    this.#stop.abort(reason)
    this.#resumed.wake()
  }

  release(): void {
    this.#released = true
    this.unregisterGauges()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#resumed.wake()
  }

  /** Resolves when the split may be fetched, or was stopped. */
  async allowed(): Promise<void> {
    while (this.#paused && !this.signal.aborted) await this.#resumed.wait()
  }

  /** The registry outlives the reader; nobody polls any more. */
  unregisterGauges(): void {
    this.#unregister()
  }
}

/** Snapshots that wait for their acknowledgement, at most: without any, checkpoints that fail for days would gather here. */
const MAX_SNAPSHOTS = 64

/** Positions of one snapshot, by assignment: what its checkpoint acknowledges. */
export class SnapshotPositions<T, Split extends SourceSplit> {
  readonly #byCheckpoint = new Map<number, ReadonlyMap<SplitAssignment<T, Split>, Split>>()

  /** Ids rise. */
  note(checkpointId: number, positions: ReadonlyMap<SplitAssignment<T, Split>, Split>): void {
    this.#byCheckpoint.set(checkpointId, positions)
    const [oldest] = this.#byCheckpoint.keys()
    // One that is acknowledged nevertheless is covered by the next.
    if (oldest !== undefined && this.#byCheckpoint.size > MAX_SNAPSHOTS) this.#byCheckpoint.delete(oldest)
  }

  /** Those of the newest checkpoint up to this one; all before it are forgotten. */
  take(checkpointId: number): ReadonlyMap<SplitAssignment<T, Split>, Split> {
    let newest = -1
    for (const id of this.#byCheckpoint.keys()) if (id <= checkpointId && id > newest) newest = id
    const positions = this.#byCheckpoint.get(newest) ?? new Map<SplitAssignment<T, Split>, Split>()
    for (const id of this.#byCheckpoint.keys()) if (id < newest) this.#byCheckpoint.delete(id)
    return positions
  }
}
