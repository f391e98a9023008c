import { messageOf, SluiceError } from '../errors.ts'
import { type Counter } from '../metrics/registry.ts'
import { SOURCE_METRICS } from '../metrics/source-metrics.ts'
import { delay } from '../runtime/clock.ts'
import { sumOf } from '../runtime/sum.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { WakeUp } from '../runtime/signal.ts'
import { type SourceFetchResult, traceFetch } from '../runtime/tracing.ts'
import { ByteBudget } from './byte-budget.ts'
import { SnapshotPositions, SplitAssignment, within } from './split-assignment.ts'
import type {
  ReaderContext,
  ReaderStatus,
  RecordBatch,
  ReleasedSplit,
  ReleaseHow,
  SettledRecords,
  SourceReader,
  SourceSplit,
} from './spi.ts'

export interface SourceReaderOptions {
  /** Bytes that a reader holds, at most; fetches under way count with `maxBytesPerFetch`. @default 16777216 (16 MiB) */
  readonly maxFetchedBytes?: number
  /** The most that one fetch can return. */
  readonly maxBytesPerFetch: number
}

/** A batch that knows the split's state after each of its records. */
export interface FetchedBatch<T, Split extends SourceSplit> extends RecordBatch<T> {
  /** The split's state when records 0 to `index` were emitted. Looked up only for checkpoints. */
  splitAfter(index: number): Split
}

/** What one fetch brought. */
export interface Fetched<T, Split extends SourceSplit> {
  /** Undefined when there was nothing. The last batch of a split says `lastOfSplit`, and may be empty. */
  readonly batch?: FetchedBatch<T, Split>
  /** Milliseconds to wait before the next fetch of this split. */
  readonly delayMs: number
  readonly millisBehindLatest?: number
}

/** Reads one split. Made for each assigned split; keeps iterators and fetch positions, which are ahead of what was emitted. */
export interface SplitFetcher<T, Split extends SourceSplit> {
  /** One request. A rejection ends the attempt, so what may be repeated is repeated inside. */
  fetch(signal: AbortSignal): Promise<Fetched<T, Split>>
}

/**
 * What every polling source needs: one fetch loop a split, a queue that is bounded in bytes, and positions that move when
 * records are emitted, never when they are fetched (FLIP-27's SourceReaderBase).
 */
export abstract class SourceReaderBase<T, Split extends SourceSplit> implements SourceReader<T, Split> {
  protected readonly context: ReaderContext
  readonly #budget: ByteBudget
  readonly #maxBytesPerFetch: number
  readonly #assignments = new Map<string, SplitAssignment<T, Split>>()
  readonly #snapshots = new SnapshotPositions<T, Split>()
  readonly #queue: FetchedBatch<T, Split>[] = []
  readonly #arrived = new WakeUp()
  readonly #loops = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  readonly #recordsIn: Counter
  readonly #bytesIn: Counter
  /** One acknowledgement after the other: an older position must not follow a newer one. */
  #acknowledging: Promise<void> = Promise.resolve()
  readonly #closed = new AbortController()
  #queuedRecords = 0
  #noMoreSplits = false

  constructor(context: ReaderContext, options: SourceReaderOptions) {
    this.context = context
    this.#budget = new ByteBudget(options.maxFetchedBytes ?? 16 * 1024 * 1024)
    this.#maxBytesPerFetch = options.maxBytesPerFetch
    this.#recordsIn = context.metrics.counter(SOURCE_METRICS.numRecordsIn)
    this.#bytesIn = context.metrics.counter(SOURCE_METRICS.numBytesIn)
  }

  /** Makes the fetcher of a split that was just assigned. */
  protected abstract openSplit(split: Split): SplitFetcher<T, Split>

  /** The position of a split in words, for `status()`. */
  protected abstract describePosition(split: Split): string

  /**
   * Tells the service how far the splits are settled, with `acknowledgement: 'prefix'` and `positionAuthority: 'external'`. Calls
   * come one after the other, only with positions that have moved. A rejection is logged, and a later call covers it.
   *
   * @param signal - aborts when the reader is closed.
   */
  protected commit(_splits: readonly Split[], _signal: AbortSignal): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Acknowledges records one by one, with `acknowledgement: 'individual'`. After a rejection core asks again, for all of them.
   *
   * @param signal - aborts when the reader is closed.
   */
  protected acknowledgeRecords(_settled: readonly SettledRecords[], _signal: AbortSignal): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Records of a batch, from index `from` on, that were fetched and will not be emitted, because their split was stopped: messages are
   * given back. Must not throw.
   */
  protected dropped(_batch: FetchedBatch<T, Split>, _from: number): void {}

  recordEnded(_batch: RecordBatch<T>, _index: number, _how: 'settled' | 'returned'): void {}

  get ended(): boolean {
    return this.#noMoreSplits && this.#queue.length === 0 && this.#unfinished() === 0
  }

  poll(): FetchedBatch<T, Split> | undefined {
    const batch = this.#queue.shift()
    if (batch === undefined) return undefined
    this.#queuedRecords -= batch.values.length
    const assignment = this.#assignments.get(batch.splitId)
    if (assignment !== undefined) {
      assignment.inHand = batch
      assignment.emitted = 0
    }
    return batch
  }

  ready(): Promise<void> {
    if (this.#queue.length > 0 || this.ended || this.#stop.signal.aborted) return Promise.resolve()
    return this.#arrived.wait()
  }

  addSplits(splits: readonly Split[]): void {
    for (const split of splits) {
      const { splitId } = split
      const unregisterGauge = this.context.metrics.gauge(
        SOURCE_METRICS.millisBehindLatest,
        () => this.#assignments.get(splitId)?.millisBehindLatest ?? Number.NaN,
        { split: splitId },
      )
      const assignment = new SplitAssignment<T, Split>(split, [unregisterGauge])
      this.#assignments.set(splitId, assignment)
      // Assigned after the end: nothing is read, but the split belongs into the last snapshot.
      if (this.#stop.signal.aborted) {
        assignment.stop(this.#stop.signal.reason)
        assignment.unregisterGauges()
      }
      if (assignment.isFinished) continue
      const loop = this.#run(assignment, this.openSplit(split)).finally(() => this.#loops.delete(loop))
      this.#loops.add(loop)
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
    if (count > 0) assignment.split = batch.splitAfter(count - 1)
    assignment.emitted = count
    if (count < batch.values.length) return
    assignment.inHand = undefined
    if (batch.lastOfSplit) assignment.split = { ...assignment.split, finished: true }
    this.#budget.release(sumOf(batch.byteLengths))
    this.#arrived.wake()
  }

  snapshotState(checkpointId: number): readonly Split[] {
    const splits: Split[] = []
    for (const assignment of this.#assignments.values()) {
      if (assignment.isFinished) assignment.finishedIn ??= checkpointId
      splits.push(assignment.split)
    }
    this.#snapshots.note(checkpointId, this.#assignments.values())
    return splits
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

  async acknowledge(checkpointId: number, settled: readonly SettledRecords[]): Promise<void> {
    for (const [splitId, assignment] of this.#assignments) {
      const { finishedIn } = assignment
      if (finishedIn === undefined || finishedIn > checkpointId) continue
      this.#assignments.delete(splitId)
      assignment.unregisterGauges()
    }
    await this.#inTurn(async () => {
      // Those of splits that were released meanwhile are nobody's to acknowledge any more.
      const moved = [...this.#snapshots.take(checkpointId)].filter(
        ([each, split]) =>
          each.acknowledged !== split && (this.#assignments.get(split.splitId) === each || each.isFinished),
      )
      await this.#commit(moved)
      if (settled.length > 0) await this.acknowledgeRecords(settled, this.#closed.signal)
    })
  }

  stopSplits(splitIds: readonly string[]): void {
    const stopped = new SluiceError('SLUICE_CLOSED', 'the split was released', { restartable: true })
    for (const splitId of splitIds) this.#assignments.get(splitId)?.stop(stopped)
    this.#dropQueued((batch) => splitIds.includes(batch.splitId))
  }

  async releaseSplits(released: readonly ReleasedSplit<Split>[], how: ReleaseHow, deadlineMs: number): Promise<void> {
    const moved: [SplitAssignment<T, Split>, Split][] = []
    const settled: SettledRecords[] = []
    for (const { split, receipts } of released) {
      const { splitId } = split
      const assignment = this.#assignments.get(splitId)
      if (assignment === undefined) continue
      this.#assignments.delete(splitId)
      assignment.unregisterGauges()
      this.#dropInHand(assignment)
      if (assignment.acknowledged !== split) moved.push([assignment, split])
      if (receipts.length > 0) settled.push({ splitId, receipts })
    }
    this.#arrived.wake()
    if (how === 'lost' || (moved.length === 0 && settled.length === 0)) return
    const acknowledged = this.#inTurn(async () => {
      await this.#commit(moved)
      if (settled.length > 0) await this.acknowledgeRecords(settled, this.#closed.signal)
    }).catch((error: unknown) => this.#notAcknowledged(released, messageOf(error)))
    const inTime = await within(this.context.clock, deadlineMs, acknowledged)
    if (!inTime) this.#notAcknowledged(released, `no answer within ${Math.round(deadlineMs)} ms`)
  }

  stopFetching(): void {
    const { signal } = this.#stop
    if (signal.aborted) return
    this.#stop.abort(new SluiceError('SLUICE_CLOSED', 'the reader was closed', { restartable: true }))
    for (const assignment of this.#assignments.values()) assignment.stop(signal.reason)
    this.#dropQueued(() => true)
    this.#arrived.wake()
  }

  async close(deadlineMs: number): Promise<void> {
    this.stopFetching()
    this.#closed.abort(this.#stop.signal.reason)
    for (const assignment of this.#assignments.values()) assignment.unregisterGauges()
    await within(this.context.clock, deadlineMs, Promise.all([...this.#loops, this.#acknowledging]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0)
  }

  status(): ReaderStatus {
    return {
      fetchedBytes: this.#budget.held,
      queuedRecords: this.#queuedRecords,
      splits: [...this.#assignments.values()].map(({ split, millisBehindLatest, isPaused }) => ({
        splitId: split.splitId,
        position: split.finished === true ? 'finished' : this.describePosition(split),
        ...(millisBehindLatest === undefined ? {} : { millisBehindLatest }),
        ...(isPaused ? { paused: true } : {}),
      })),
    }
  }

  #unfinished(): number {
    let count = 0
    for (const { isFinished } of this.#assignments.values()) if (!isFinished) count++
    return count
  }

  async #commit(moved: readonly (readonly [SplitAssignment<T, Split>, Split])[]): Promise<void> {
    if (moved.length === 0) return
    await this.commit(
      moved.map(([, split]) => split),
      this.#closed.signal,
    )
    for (const [assignment, split] of moved) assignment.acknowledged = split
  }

  /** After what was asked before; the outcome of that is not this one's. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#acknowledging.then(work)
    this.#acknowledging = done.catch(() => undefined)
    return done
  }

  #notAcknowledged(released: readonly ReleasedSplit<Split>[], why: string): void {
    const splits = released.map(({ split }) => split.splitId)
    const { logger, sourceUid } = this.context
    logger.warn(
      { source: sourceUid, splits, error: why },
      'What was settled of released splits could not be acknowledged; their next owner repeats it',
    )
  }

  #dropQueued(isDropped: (batch: FetchedBatch<T, Split>) => boolean): void {
    for (const batch of this.#queue.splice(0)) {
      if (!isDropped(batch)) {
        this.#queue.push(batch)
        continue
      }
      this.#queuedRecords -= batch.values.length
      this.#drop(batch)
    }
  }

  /** The part of the batch in hand that was not emitted. */
  #dropInHand(assignment: SplitAssignment<T, Split>): void {
    const { inHand, emitted } = assignment
    if (inHand === undefined) return
    assignment.inHand = undefined
    this.#budget.release(sumOf(inHand.byteLengths))
    this.dropped(inHand, emitted)
  }

  #drop(batch: FetchedBatch<T, Split>): void {
    this.#budget.release(sumOf(batch.byteLengths))
    this.dropped(batch, 0)
  }

  async #run(assignment: SplitAssignment<T, Split>, fetcher: SplitFetcher<T, Split>): Promise<void> {
    const { signal, split } = assignment
    const { splitId } = split
    const message = { source: this.context.sourceUid, split: splitId }
    try {
      for (;;) {
        await assignment.allowed()
        if (!(await this.#budget.acquire(this.#maxBytesPerFetch, signal))) return
        const fetched = await this.#fetch(assignment, () => traceFetch(message, () => fetcher.fetch(signal), factsOf))
        if (fetched?.batch?.lastOfSplit === true || signal.aborted) return
        if (fetched !== undefined && fetched.delayMs > 0) await delay(this.context.clock, fetched.delayMs, signal)
      }
    } catch (error) {
      if (signal.aborted) return
      this.context.fail(SluiceError.from(error, 'SLUICE_SOURCE_FAILED', `${this.context.sourceUid}, split ${splitId}`))
    }
  }

  /** One fetch, for which the most that it can bring is reserved. */
  async #fetch(
    assignment: SplitAssignment<T, Split>,
    fetch: () => Promise<Fetched<T, Split>>,
  ): Promise<Fetched<T, Split> | undefined> {
    const { signal } = assignment
    let held = this.#maxBytesPerFetch
    failpoint('source:fetching')
    try {
      const fetched = await fetch()
      const { batch } = fetched
      if (signal.aborted) {
        if (batch !== undefined) this.dropped(batch, 0)
        return undefined
      }
      const bytes = batch === undefined ? 0 : sumOf(batch.byteLengths)
      this.#budget.release(held - bytes)
      held = 0
      assignment.millisBehindLatest = fetched.millisBehindLatest
      if (batch !== undefined) this.#enqueue(batch, bytes)
      return fetched
    } finally {
      this.#budget.release(held)
    }
  }

  #enqueue(batch: FetchedBatch<T, Split>, bytes: number): void {
    if (batch.values.length === 0 && !batch.lastOfSplit) return
    this.#recordsIn.value += batch.values.length
    this.#bytesIn.value += bytes
    this.#queuedRecords += batch.values.length
    this.#queue.push(batch)
    failpoint('source:fetched')
    this.#arrived.wake()
  }
}

/** What the tracing channel tells of a fetch. */
function factsOf({ batch, millisBehindLatest }: Fetched<unknown, SourceSplit>): SourceFetchResult {
  return {
    records: batch?.values.length ?? 0,
    bytes: batch === undefined ? 0 : sumOf(batch.byteLengths),
    ...(millisBehindLatest === undefined ? {} : { millisBehindLatest }),
    lastOfSplit: batch?.lastOfSplit ?? false,
  }
}
