import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../runtime/clock.ts'
import { within } from '../runtime/within.ts'
import { SnapshotPositions, type SplitAssignment } from './split-assignment.ts'
import type { SettledRecords, SourceSplit } from './spi.ts'

/** A position of an assignment. */
export type Moved<T, Split extends SourceSplit> = readonly [SplitAssignment<T, Split>, Split]
/** Settled records of an assignment. */
export type Settled<T, Split extends SourceSplit> = readonly [SplitAssignment<T, Split>, SettledRecords]

export interface AcknowledgingPlan<Split extends SourceSplit> {
  readonly clock: Clock
  commit(splits: readonly Split[], signal: AbortSignal): Promise<void>
  acknowledgeRecords(settled: readonly SettledRecords[], signal: AbortSignal): Promise<void>
}

/**
 * Tells the service what is settled, one call after the other: an older position never follows a newer one, and nothing of a split
 * that was released, or of a reader that was closed, is told any more.
 */
export class Acknowledging<T, Split extends SourceSplit> {
  readonly #plan: AcknowledgingPlan<Split>
  readonly #snapshots = new SnapshotPositions<T, Split>()
  /** By split. */
  readonly #limits = new Map<string, Split>()
  readonly #closed = new AbortController()
  #last: Promise<void> = Promise.resolve()
  /** What is being told of a checkpoint. */
  #turn: { readonly assignments: ReadonlySet<SplitAssignment<T, Split>>; readonly abort: AbortController } | undefined

  constructor(plan: AcknowledgingPlan<Split>) {
    this.#plan = plan
  }

  /** Resolves when all that was asked has ended; never rejects. */
  get idle(): Promise<void> {
    return this.#last
  }

  /** What the next snapshot says of these splits, instead of where they are. */
  limit(splits: readonly Split[]): void {
    for (const split of splits) this.#limits.set(split.splitId, split)
  }

  /** The positions that belong to the checkpoint. */
  note(checkpointId: number, assignments: Iterable<SplitAssignment<T, Split>>): readonly Split[] {
    const positions = new Map<SplitAssignment<T, Split>, Split>()
    for (const assignment of assignments) {
      const split = this.#limits.get(assignment.split.splitId) ?? assignment.split
      if (split.finished === true) assignment.finishedIn ??= checkpointId
      positions.set(assignment, split)
    }
    this.#limits.clear()
    this.#snapshots.note(checkpointId, positions)
    return [...positions.values()]
  }

  /** The checkpoint is stored. Rejects when the service did not take it, and after {@link Acknowledging.close}. */
  acknowledge(checkpointId: number, settled: readonly Settled<T, Split>[]): Promise<void> {
    return this.#inTurn(this.#closed.signal, async (signal) => {
      const moved = [...this.#snapshots.take(checkpointId)].filter(([assignment]) => !assignment.isReleased)
      const owned = settled.filter(([assignment]) => !assignment.isReleased)
      const abort = new AbortController()
      const assignments = new Set([...moved, ...owned].map(([assignment]) => assignment))
      this.#turn = { assignments, abort }
      try {
        await this.#tell(moved, owned, AbortSignal.any([signal, abort.signal]))
      } finally {
        this.#turn = undefined
      }
    })
  }

  /** Others own these from now on: what is being told of them must end. What it tells of the rest, the next checkpoint covers. */
  giveUp(assignments: Iterable<SplitAssignment<T, Split>>): void {
    const turn = this.#turn
    if (turn === undefined) return
    for (const assignment of assignments) {
      if (!turn.assignments.has(assignment)) continue
      turn.abort.abort(new Error('the split was released, and its time is over'))
      return
    }
  }

  /**
   * Splits were released: what is settled of them is told by the deadline, or never, since others own them then.
   *
   * @returns false when the deadline came first. Rejects when the service did not take it.
   */
  async release(
    moved: readonly Moved<T, Split>[],
    settled: readonly Settled<T, Split>[],
    deadlineMs: number,
    lost?: AbortSignal,
  ): Promise<boolean> {
    const expiry = new AbortController()
    const ends = [this.#closed.signal, ...(lost === undefined ? [] : [lost])]
    const end = (): void => {
      expiry.abort(new Error('the time of the release is over'))
      this.giveUp([...moved, ...settled].map(([assignment]) => assignment))
    }
    for (const signal of ends) signal.addEventListener('abort', end, { once: true })
    if (ends.some(({ aborted }) => aborted)) end()
    try {
      const told = this.#inTurn(expiry.signal, (signal) => this.#tell(moved, settled, signal))
      return await within(this.#plan.clock, deadlineMs, told)
    } finally {
      for (const signal of ends) signal.removeEventListener('abort', end)
      end()
    }
  }

  /** Aborts what is under way; nothing more is told. */
  close(reason: unknown): void {
    this.#closed.abort(reason)
  }

  async #tell(
    positions: readonly Moved<T, Split>[],
    settled: readonly Settled<T, Split>[],
    signal: AbortSignal,
  ): Promise<void> {
    const moved = positions.filter(([assignment, split]) => !isDeepStrictEqual(assignment.acknowledged, split))
    if (moved.length > 0) {
      const splits = moved.map(([, split]) => split)
      await this.#plan.commit(splits, signal)
      for (const [assignment, split] of moved) assignment.acknowledged = split
    }
    if (settled.length === 0) return
    const records = settled.map(([, each]) => each)
    await this.#plan.acknowledgeRecords(records, signal)
  }

  /** After what was asked before, whose outcome is not this one's. */
  #inTurn(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const done = this.#last.then(() => {
      signal.throwIfAborted()
      return work(signal)
    })
    this.#last = done.catch(() => undefined)
    return done
  }
}
