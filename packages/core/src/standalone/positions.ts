import { CheckpointCoordinator } from '../checkpoint/coordinator.ts'
import type { Checkpoint, CheckpointStore } from '../checkpoint/storage.ts'
import { SluiceError } from '../errors.ts'
import { Acknowledgements } from '../job/acknowledgements.ts'
import type { Assignments } from '../job/assignments.ts'
import type { Grace } from '../job/grace.ts'
import type { AnySource } from '../job/plan.ts'
import type { Released } from '../job/split-release.ts'
import { failpoint } from '../runtime/failpoints.ts'
import type { SourceReader, SourceSplit, SplitEnumerator } from '../source/spi.ts'
import type { Tracker } from '../tracker/tracker.ts'
import { Cuts, type SourceParts } from './cuts.ts'
import type { Feed } from './feed.ts'
import { acknowledgeLast } from './last-acknowledgement.ts'
import type { ResolvedMessagesOptions } from './options.ts'

export interface PositionsPlan {
  readonly source: AnySource
  readonly options: ResolvedMessagesOptions
  readonly tracker: Tracker
  readonly assignments: Assignments<Feed>
  readonly store: CheckpointStore
  /** The id of the last checkpoint of earlier processes; 0 if there was none. */
  readonly restoredId: number
  enumerator(): SplitEnumerator<unknown> | undefined
  hasten(): void
  /** Gives splits back, as in a rebalance. */
  release(splitIds: readonly string[], deadlineMs: number): Promise<Released>
  fail(error: SluiceError): void
}

/**
 * Stores and acknowledges what was acked: at intervals, and at the end. A checkpoint waits for nothing: of each split it has the state
 * before the first record that is not settled, so that a message which takes long holds back its own split and no more.
 */
export class Positions {
  readonly #plan: PositionsPlan
  readonly #coordinator: CheckpointCoordinator
  readonly #acknowledgements: Acknowledgements
  readonly #cuts = new Cuts()
  #lastId: number
  /** Another owner may have the positions: nothing of them is told to anybody any more. */
  #storeFailed = false

  constructor(plan: PositionsPlan) {
    this.#plan = plan
    this.#lastId = plan.restoredId
    this.#acknowledgements = new Acknowledgements(plan.tracker)
    const { clock, logger, metrics, checkpoints, name } = plan.options.job
    this.#coordinator = new CheckpointCoordinator({
      job: name,
      clock,
      logger,
      metrics: metrics.group({ job: name }),
      store: plan.store,
      tracker: plan.tracker,
      ...checkpoints,
      lastId: plan.restoredId,
      barrier: () => (failpoint('sabotage:skip-flush') ? plan.tracker.next : plan.tracker.watermark),
      snapshot: (id) => this.#snapshot(id),
      hasten: () => plan.hasten(),
      // Messages that are acknowledged one by one do not wait for each other.
      acknowledge: (id) => this.#acknowledgements.acknowledge(plan.assignments.readers, id, Number.POSITIVE_INFINITY),
      fail: (error) => {
        this.#storeFailed = true
        void this.stop()
        plan.fail(error)
      },
    })
  }

  get coveredUpTo(): number {
    return this.#coordinator.coveredUpTo
  }

  get acknowledgedUpTo(): number {
    return this.#coordinator.acknowledgedUpTo
  }

  /** Start positions are stored before the first read: a crash before the first interval must not move LATEST. */
  storeStart(): Promise<void> {
    return this.#coordinator.takeFinal()
  }

  start(): void {
    this.#coordinator.start()
  }

  request(reason: string): void {
    this.#coordinator.request(reason)
  }

  /** As {@link CheckpointCoordinator.hold}. */
  giveUp(): () => void {
    return this.#coordinator.hold(true)
  }

  /** What may be acknowledged of a split and could not be yet. */
  takeOf(reader: SourceReader<unknown, SourceSplit>, splitId: string): readonly unknown[] {
    return this.#acknowledgements.takeOf(reader, splitId)
  }

  /** The last record of the split was emitted. */
  splitFinished(splitId: string): void {
    const { source, tracker, assignments } = this.#plan
    const enumerator = this.#plan.enumerator()
    const split = tracker.splits.get(splitId)
    // Where the service keeps the positions nothing is restored from a checkpoint.
    if (source.positionAuthority === 'checkpoint' && split !== undefined && split.unsettled > 0) {
      const splitIds = assignments.readers.flatMap((reader) => reader.status().splits.map((each) => each.splitId))
      const unread = assignments.pending
      this.#cuts.add(split, enumerator?.snapshotState(this.#lastId + 1), [
        ...splitIds,
        ...unread.map((each) => each.splitId),
      ])
      this.#cuts.keep(unread)
    }
    enumerator?.splitFinished(splitId, 0)
  }

  /** Splits went back to their enumerator. */
  released(splits: readonly SourceSplit[]): void {
    this.#cuts.keep(splits)
  }

  /** @throws SluiceError why the last acknowledgement failed. */
  async end(grace: Grace): Promise<void> {
    const { source, options, tracker, assignments, store } = this.#plan
    const [reader] = assignments.readers
    if (this.#storeFailed || reader === undefined) return
    await acknowledgeLast(
      {
        ...options.job,
        closeDeadlineMs: options.closeDeadlineMs,
        tracker,
        coordinator: this.#coordinator,
        reader,
        release: (splitIds, deadlineMs) => this.#plan.release(splitIds, deadlineMs),
        checkpoint: () => {
          const id = this.#lastId + 1
          const partsOf = this.#cuts.now(() => this.#plan.enumerator()?.snapshotState(id))
          const unread = assignments.pending
          return (splits) => this.#checkpoint(id, partsOf([...splits, ...unread]))
        },
        store: source.positionAuthority === 'checkpoint' ? (checkpoint) => store.store(checkpoint) : undefined,
      },
      grace,
    )
  }

  /** Resolves when no store is under way. */
  stop(): Promise<void> {
    return this.#coordinator.stop()
  }

  #snapshot(id: number): Checkpoint {
    const { assignments } = this.#plan
    this.#lastId = id
    this.#plan.tracker.splits.forgetFinished((splitId) => assignments.readers.some((each) => each.splitState(splitId)))
    for (const { subtask } of assignments.members) subtask.reportEmitted()
    const partsOf = this.#cuts.now(() => this.#plan.enumerator()?.snapshotState(id))
    for (const reader of assignments.readers) reader.limitSnapshot(this.#limits())
    const splits = assignments.readers.flatMap((reader) => [...reader.snapshotState(id)])
    // The reader forgets them once this is stored.
    this.#cuts.keep(splits.filter(({ finished }) => finished === true))
    return this.#checkpoint(id, partsOf([...splits, ...assignments.pending]))
  }

  /** Splits of which records are not settled, before the first of those. */
  #limits(): readonly SourceSplit[] {
    const { source, tracker } = this.#plan
    if (source.acknowledgement === 'individual' || failpoint('sabotage:skip-flush')) return []
    return [...tracker.splits.values()].flatMap((split) => {
      const first = split.unsettled === 0 ? undefined : tracker.firstNotSettled(split)
      if (first === undefined) return []
      if (first.before !== undefined) return [first.before]
      throw new SluiceError('SLUICE_SOURCE_FAILED', `${source.uid}: the reader does not know split ${split.splitId}`)
    })
  }

  #checkpoint(id: number, parts: SourceParts): Checkpoint {
    const { source, options } = this.#plan
    const { name, clock } = options.job
    const sources = { [source.uid]: { stateVersion: source.stateVersion, ...parts } }
    return { id, job: name, createdAtMs: clock.wallNow(), sources }
  }
}
