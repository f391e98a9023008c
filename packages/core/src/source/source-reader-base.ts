import { messageOf, SluiceError } from '../errors.ts'
import { SOURCE_METRICS } from '../metrics/source-metrics.ts'
import { sumOf } from '../runtime/sum.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { WakeUp } from '../runtime/signal.ts'
import { within } from '../runtime/within.ts'
import { Acknowledging, type Moved, type Settled } from './acknowledging.ts'
import { ByteBudget } from './byte-budget.ts'
import { runFetchLoop } from './fetch-loop.ts'
import { FetchQueue } from './fetch-queue.ts'
import type { FetchedBatch, SourceReaderOptions, SplitFetcher } from './fetched.ts'
import { bytesOf, PickedBatch, receiptOf, type RecordRef } from './picked-batch.ts'
import { ReaderMetrics } from './reader-metrics.ts'
import { SplitAssignment } from './split-assignment.ts'
import type {
  ReaderContext,
  ReaderStatus,
  RecordBatch,
  ReleasedSplit,
  SettledRecords,
  SourceReader,
  SourceSplit,
} from './spi.ts'

export type { Fetched, FetchedBatch, SourceReaderOptions, SplitFetcher } from './fetched.ts'

/**
 * What every polling source needs: one fetch loop a split, a queue that is bounded in bytes, and positions that move when
 * records are emitted, never when they are fetched (FLIP-27's SourceReaderBase).
 */
export abstract class SourceReaderBase<T, Split extends SourceSplit> implements SourceReader<T, Split> {
  protected readonly context: ReaderContext
  readonly #options: SourceReaderOptions
  readonly #budget: ByteBudget
  readonly #assignments = new Map<string, SplitAssignment<T, Split>>()
  readonly #acknowledging: Acknowledging<T, Split>
  readonly #queue: FetchQueue<T, Split>
  readonly #arrived = new WakeUp()
  /** Fetch loops and give-backs under way. */
  readonly #underWay = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  readonly #metrics: ReaderMetrics
  #noMoreSplits = false

  constructor(context: ReaderContext, options: SourceReaderOptions) {
    this.context = context
    this.#options = options
    this.#budget = new ByteBudget(options.maxFetchedBytes ?? 16 * 1024 * 1024)
    this.#queue = new FetchQueue(this.#assignments, options.groupConcurrency !== undefined)
    this.#metrics = new ReaderMetrics(context, () => [...this.#assignments.values()].map(({ facts }) => facts))
    this.#acknowledging = new Acknowledging({
      clock: context.clock,
      commit: (splits, signal) => this.commit(splits, signal),
      acknowledgeRecords: (settled, signal) => this.acknowledgeRecords(settled, signal),
    })
  }

  /** Makes the fetcher of a split that was just assigned. A throw ends the attempt. */
  protected abstract openSplit(split: Split): SplitFetcher<T, Split>

  /** The position of a split in words, for `status()`. */
  protected abstract describePosition(split: Split): string

  /**
   * Tells the service how far the splits are settled, with `acknowledgement: 'prefix'` and `positionAuthority: 'external'`. Calls
   * come one after the other, only with positions that have moved since the split was assigned. A rejection is logged, and a later
   * call covers it.
   *
   * @param signal - aborts when the reader is closed, and at the deadline of a release: nothing may be committed after that.
   */
  protected commit(_splits: readonly Split[], _signal: AbortSignal): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Acknowledges records one by one, with `acknowledgement: 'individual'`. After a rejection core asks again, for all of them.
   *
   * @param signal - as for `commit`.
   */
  protected acknowledgeRecords(_settled: readonly SettledRecords[], _signal: AbortSignal): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Gives records back to the service, in this order, with `acknowledgement: 'individual'`: those that are not emitted, and those
   * that a sink returned. Of a group the last comes first, so that none is delivered again before those in front of it. The end
   * of it is awaited by {@link SourceReaderBase.close}.
   *
   * @param receipts - of `RecordBatch.receipts`.
   */
  protected returnRecords(_splitId: string, _receipts: readonly unknown[]): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Records of a batch, from index `from` on, that were fetched and will not be emitted, because their split was stopped. Gives
   * those with receipts back. Must not throw.
   */
  protected dropped({ splitId, receipts = [] }: FetchedBatch<T, Split>, from: number): void {
    void this.#return(splitId, receipts.slice(from).toReversed())
  }

  get ended(): boolean {
    if (!this.#noMoreSplits || this.#queue.hasNext) return false
    for (const { isFinished } of this.#assignments.values()) if (!isFinished) return false
    return true
  }

  get waitsForSettled(): boolean {
    return this.#queue.isHeld
  }

  poll(): FetchedBatch<T, Split> | undefined {
    const batch = this.#queue.next()
    if (batch === undefined) {
      this.#metrics.idle()
      return undefined
    }
    this.#metrics.busy()
    const assignment = this.#assignments.get(batch.splitId)
    if (assignment !== undefined) {
      assignment.inHand = batch
      assignment.emitted = 0
    }
    return batch
  }

  ready(): Promise<void> {
    if (this.#queue.hasNext || this.ended || this.#stop.signal.aborted) return Promise.resolve()
    return this.#arrived.wait()
  }

  addSplits(splits: readonly Split[]): void {
    for (const split of splits) {
      try {
        this.#addSplit(split)
      } catch (error) {
        this.#failed(split.splitId, error)
      }
    }
    this.#arrived.wake()
  }

  noMoreSplits(): void {
    this.#noMoreSplits = true
    this.#arrived.wake()
  }

  emitted(batch: FetchedBatch<T, Split>, count: number): void {
    const assignment = this.#assignments.get(batch.splitId)
    // Reported as a whole before, by a barrier after its last record, or of a split that was released.
    if (assignment === undefined || assignment.inHand !== batch) return
    assignment.emitted = count
    if (count > 0) assignment.split = batch.splitAfter(count - 1)
    if (count < batch.values.length) return
    assignment.inHand = undefined
    if (batch.lastOfSplit) assignment.split = { ...assignment.split, finished: true }
    this.#budget.release(sumOf(batch.byteLengths))
    this.#arrived.wake()
  }

  limitSnapshot(splits: readonly Split[]): void {
    this.#acknowledging.limit(splits)
  }

  snapshotState(checkpointId: number): readonly Split[] {
    return this.#acknowledging.note(checkpointId, this.#assignments.values())
  }

  splitState(splitId: string): Split | undefined {
    return this.#assignments.get(splitId)?.split
  }

  pauseSplits(splitIds: readonly string[]): void {
    for (const splitId of splitIds) this.#assignments.get(splitId)?.pause()
  }

  resumeSplits(splitIds: readonly string[]): void {
    for (const splitId of splitIds) this.#assignments.get(splitId)?.resume()
  }

  recordEnded(batch: RecordBatch<T>, index: number, how: 'settled' | 'returned'): void {
    const gate = batch instanceof PickedBatch ? (batch as PickedBatch<T, Split>).gate : undefined
    const group = batch.groups?.[index]
    if (how === 'settled') {
      if (gate === undefined || group === undefined) return
      gate.settled(group)
      if (gate.hasNext) this.#arrived.wake()
      return
    }
    const receipts = batch.receipts?.slice(index, index + 1) ?? []
    if (gate === undefined || group === undefined) {
      void this.#return(batch.splitId, receipts)
      return
    }
    const behind = gate.hold(group, batch.raw(index)?.position)
    this.#letGo(behind)
    void this.#return(batch.splitId, [...behind.map(receiptOf), ...receipts]).then(() => gate.release(group))
    if (gate.hasNext) this.#arrived.wake()
  }

  async acknowledge(checkpointId: number, settled: readonly SettledRecords[]): Promise<void> {
    await this.#acknowledging.acknowledge(checkpointId, this.#owned(settled))
    for (const [splitId, assignment] of this.#assignments) {
      const { finishedIn } = assignment
      if (finishedIn === undefined || finishedIn > checkpointId) continue
      this.#assignments.delete(splitId)
      assignment.unregisterGauges()
    }
  }

  stopSplits(splitIds: readonly string[]): void {
    const stopped = new SluiceError('SLUICE_CLOSED', 'the split was released', { restartable: true })
    for (const splitId of splitIds) this.#assignments.get(splitId)?.stop(stopped)
    this.#dropQueued(splitIds)
  }

  async releaseSplits(...call: Parameters<SourceReader<T, Split>['releaseSplits']>): Promise<boolean> {
    const [released, how, deadlineMs, lost] = call
    this.stopSplits(released.map(({ split }) => split.splitId))
    const moved: Moved<T, Split>[] = []
    const settled: Settled<T, Split>[] = []
    const left: SplitAssignment<T, Split>[] = []
    for (const { split, receipts } of released) {
      const { splitId } = split
      const assignment = this.#assignments.get(splitId)
      if (assignment === undefined) continue
      this.#assignments.delete(splitId)
      assignment.release()
      left.push(assignment)
      this.#dropInHand(assignment)
      if (assignment.acknowledged !== split) moved.push([assignment, split])
      if (receipts.length > 0) settled.push([assignment, { splitId, receipts }])
    }
    this.#arrived.wake()
    if (how === 'lost') this.#acknowledging.giveUp(left)
    if (how === 'lost' || (moved.length === 0 && settled.length === 0)) return true
    try {
      if (await this.#acknowledging.release(moved, settled, deadlineMs, lost)) return true
      this.#notAcknowledged(released, `no answer within ${Math.round(deadlineMs)} ms`)
    } catch (error) {
      this.#notAcknowledged(released, messageOf(error))
    }
    return false
  }

  stopFetching(): void {
    const { signal } = this.#stop
    if (signal.aborted) return
    this.#stop.abort(new SluiceError('SLUICE_CLOSED', 'the reader was closed', { restartable: true }))
    for (const assignment of this.#assignments.values()) assignment.stop(signal.reason)
    this.#dropQueued([...this.#assignments.keys()])
    for (const assignment of this.#assignments.values()) this.#dropInHand(assignment)
    this.#arrived.wake()
  }

  async close(deadlineMs: number): Promise<void> {
    this.stopFetching()
    this.#acknowledging.close(this.#stop.signal.reason)
    this.#metrics.close()
    for (const assignment of this.#assignments.values()) assignment.unregisterGauges()
    await within(this.context.clock, deadlineMs, Promise.all([...this.#underWay, this.#acknowledging.idle]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0)
  }

  status(): ReaderStatus {
    return {
      fetchedBytes: this.#budget.held,
      queuedRecords: this.#queue.records,
      splits: [...this.#assignments.values()].map(({ split, facts: { millisBehindLatest }, isPaused }) => ({
        splitId: split.splitId,
        position: split.finished === true ? 'finished' : this.describePosition(split),
        ...(millisBehindLatest === undefined ? {} : { millisBehindLatest }),
        ...(isPaused ? { paused: true } : {}),
      })),
    }
  }

  #addSplit(split: Split): void {
    const { splitId } = split
    // Two fetch loops would read it twice, and only one of them could be stopped.
    if (this.#assignments.has(splitId)) throw new Error('assigned to a reader that has it already')
    const assignment = new SplitAssignment<T, Split>(
      split,
      this.#options.groupConcurrency !== undefined,
      this.context.metrics.gauge(
        SOURCE_METRICS.millisBehindLatest,
        () => this.#assignments.get(splitId)?.facts.millisBehindLatest ?? Number.NaN,
        { split: splitId },
      ),
    )
    this.#assignments.set(splitId, assignment)
    // Assigned after the end: nothing is read, but the split belongs into the last snapshot.
    if (this.#stop.signal.aborted) {
      assignment.stop(this.#stop.signal.reason)
      assignment.unregisterGauges()
    }
    if (!assignment.isFinished) this.#track(this.#run(assignment, this.openSplit(split)))
  }

  #track(work: Promise<void>): void {
    this.#underWay.add(work)
    void work.finally(() => this.#underWay.delete(work))
  }

  #owned(settled: readonly SettledRecords[]): readonly Settled<T, Split>[] {
    return settled.flatMap((records) => {
      const assignment = this.#assignments.get(records.splitId)
      return assignment === undefined ? [] : [[assignment, records]]
    })
  }

  #failed(splitId: string, error: unknown): void {
    this.context.fail(SluiceError.from(error, 'SLUICE_SOURCE_FAILED', `${this.context.sourceUid}, split ${splitId}`))
  }

  #notAcknowledged(released: readonly ReleasedSplit<Split>[], why: string): void {
    const splits = released.map(({ split }) => split.splitId)
    const { logger, sourceUid } = this.context
    logger.warn(
      { source: sourceUid, splits, error: why },
      'What was settled of released splits could not be acknowledged; their next owner repeats it',
    )
  }

  #dropQueued(splitIds: readonly string[]): void {
    const { batches, records } = this.#queue.remove(splitIds)
    for (const batch of batches) this.#drop(batch, 0)
    this.#letGo(records)
    for (const splitId of splitIds) {
      const own = records.filter(({ batch }) => batch.splitId === splitId)
      void this.#return(splitId, own.map(receiptOf))
    }
  }

  /** The part of the batch in hand that was not emitted. */
  #dropInHand(assignment: SplitAssignment<T, Split>): void {
    const { inHand, emitted } = assignment
    assignment.inHand = undefined
    if (inHand !== undefined) this.#drop(inHand, emitted)
  }

  #drop(batch: FetchedBatch<T, Split>, from: number): void {
    this.#budget.release(sumOf(batch.byteLengths))
    this.dropped(batch, from)
  }

  /** Records that waited for others of their group and are not emitted. */
  #letGo(records: readonly RecordRef<T, Split>[]): void {
    this.#budget.release(records.reduce((bytes, record) => bytes + bytesOf(record), 0))
  }

  /** Resolves when they were given back or could not be: then the service delivers them again when their time is over. */
  #return(splitId: string, receipts: readonly unknown[]): Promise<void> {
    if (receipts.length === 0) return Promise.resolve()
    const returned = this.returnRecords(splitId, receipts).catch((error: unknown) => {
      const { logger, sourceUid } = this.context
      const facts = { source: sourceUid, split: splitId, records: receipts.length, error: messageOf(error) }
      logger.warn(facts, 'Records could not be given back; the service delivers them again later')
    })
    this.#track(returned)
    return returned
  }

  async #run(assignment: SplitAssignment<T, Split>, fetcher: SplitFetcher<T, Split>): Promise<void> {
    try {
      await runFetchLoop(assignment, fetcher, {
        context: this.context,
        budget: this.#budget,
        maxBytesPerFetch: this.#options.maxBytesPerFetch,
        fetched: this.#enqueue,
        dropped: (batch) => this.dropped(batch, 0),
      })
    } catch (error) {
      this.#failed(assignment.split.splitId, error)
    }
  }

  readonly #enqueue = (
    assignment: SplitAssignment<T, Split>,
    batch: FetchedBatch<T, Split> | undefined,
    bytes: number,
  ): void => {
    this.#metrics.told(assignment.facts)
    if (batch === undefined || (batch.values.length === 0 && !batch.lastOfSplit)) return
    this.#metrics.fetched(batch, bytes)
    const outOfOrder = this.#queue.add(assignment, batch)
    if (outOfOrder.length > 0) {
      this.#letGo(outOfOrder)
      void this.#return(batch.splitId, outOfOrder.map(receiptOf))
    }
    failpoint('source:fetched')
    this.#arrived.wake()
  }
}
