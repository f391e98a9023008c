import { CheckpointCoordinator } from '../checkpoint/coordinator.ts'
import type { Checkpoint, CheckpointStore } from '../checkpoint/storage.ts'
import { messageOf, type SluiceError } from '../errors.ts'
import { Acknowledgements } from '../job/acknowledgements.ts'
import type { Assignments } from '../job/assignments.ts'
import type { Grace } from '../job/grace.ts'
import type { AnySource } from '../job/plan.ts'
import type { Released } from '../job/split-release.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import type { Timer } from '../runtime/clock.ts'
import type { SourceReader, SourceSplit, SplitEnumerator } from '../source/spi.ts'
import type { Tracker } from '../tracker/tracker.ts'
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
  /** What holds the oldest message back. */
  oldest(): string
  /** Gives splits back, as in a rebalance. */
  release(splitIds: readonly string[], deadlineMs: number): Promise<Released>
  fail(error: SluiceError): void
}

/** Stores and acknowledges what was acked: at intervals, and at the end. */
export class Positions {
  readonly #plan: PositionsPlan
  readonly #coordinator: CheckpointCoordinator
  readonly #acknowledgements: Acknowledgements
  #lastId: number
  #timer: Timer | undefined
  #acknowledging: Promise<void> = Promise.resolve()
  /** Another owner may have the positions: nothing of them is told to anybody any more. */
  #storeFailed = false
  #stopped = false

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
      snapshot: (id) => this.#snapshot(id),
      hasten: () => plan.hasten(),
      acknowledge: (id, barrier) => this.#acknowledge(id, barrier),
      oldest: () => plan.oldest(),
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

  get openBarrier(): number | undefined {
    return this.#coordinator.openBarrier
  }

  /** Start positions are stored before the first read: a crash before the first interval must not move LATEST. */
  storeStart(): Promise<void> {
    return this.#coordinator.takeFinal()
  }

  start(): void {
    this.#coordinator.start()
    if (this.#plan.source.acknowledgement === 'individual') this.#acknowledgeEvery()
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

  /** @throws SluiceError why the last acknowledgement failed. */
  async end(grace: Grace): Promise<void> {
    this.#timer?.cancel()
    const { source, options, tracker, assignments, store } = this.#plan
    const [reader] = assignments.readers
    if (this.#storeFailed || reader === undefined) return
    await acknowledgeLast(
      {
        clock: options.job.clock,
        closeDeadlineMs: options.closeDeadlineMs,
        tracker,
        coordinator: this.#coordinator,
        reader,
        release: (splitIds, deadlineMs) => this.#plan.release(splitIds, deadlineMs),
        checkpoint: () => {
          const id = this.#lastId + 1
          const state = this.#plan.enumerator()?.snapshotState(id)
          return (splits) => this.#checkpoint(id, state, splits)
        },
        store: source.positionAuthority === 'checkpoint' ? (checkpoint) => store.store(checkpoint) : undefined,
      },
      grace,
    )
  }

  /** Resolves when no store is under way. */
  stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    return this.#coordinator.stop()
  }

  #snapshot(id: number): Checkpoint {
    const { assignments } = this.#plan
    this.#lastId = id
    this.#plan.tracker.splits.forgetFinished((splitId) => assignments.readers.some((each) => each.splitState(splitId)))
    for (const { subtask } of assignments.members) subtask.reportEmitted()
    const splits = assignments.readers.flatMap((reader) => [...reader.snapshotState(id)])
    return this.#checkpoint(id, this.#plan.enumerator()?.snapshotState(id), [...splits, ...assignments.pending])
  }

  #checkpoint(id: number, enumerator: unknown, splits: readonly SourceSplit[]): Checkpoint {
    const { source, options } = this.#plan
    const { name, clock } = options.job
    const sources = { [source.uid]: { stateVersion: source.stateVersion, enumerator, splits } }
    return { id, job: name, createdAtMs: clock.wallNow(), sources }
  }

  /** One after the other, so that no message is acknowledged by two calls at once. */
  #acknowledge(id: number, barrier: number): Promise<void> {
    const { source, assignments } = this.#plan
    // Messages that are acknowledged one by one do not wait for each other.
    const below = source.acknowledgement === 'individual' ? Number.POSITIVE_INFINITY : barrier
    const done = this.#acknowledging.then(() => this.#acknowledgements.acknowledge(assignments.readers, id, below))
    this.#acknowledging = done.catch(() => undefined)
    return done
  }

  /** A message that stays unacknowledged holds a checkpoint open, but not the other messages. */
  #acknowledgeEvery(): void {
    if (this.#stopped) return
    const { clock, checkpoints } = this.#plan.options.job
    this.#timer = clock.after(checkpoints.intervalMs, () => {
      void this.#acknowledgeAside().then(() => this.#acknowledgeEvery())
    })
  }

  async #acknowledgeAside(): Promise<void> {
    if (this.openBarrier === undefined) return
    const { logger, metrics, name } = this.#plan.options.job
    try {
      await this.#acknowledge(this.#coordinator.status().last?.id ?? 0, 0)
    } catch (error) {
      metrics.group({ job: name }).counter(JOB_METRICS.numAcknowledgementsFailed).value++
      logger.warn({ job: name, error: messageOf(error) }, 'An acknowledgement failed; the next one repeats it')
    }
  }
}
