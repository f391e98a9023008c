import { SluiceError } from '../errors.ts'
import { type Counter } from '../metrics/registry.ts'
import { SOURCE_METRICS } from '../metrics/source-metrics.ts'
import { delay } from '../runtime/clock.ts'
import { sumOf } from '../runtime/sum.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { WakeUp } from '../runtime/signal.ts'
import { type SourceFetchResult, traceFetch } from '../runtime/tracing.ts'
import { ByteBudget } from './byte-budget.ts'
import type { ReaderContext, ReaderStatus, RecordBatch, SourceReader, SourceSplit } from './spi.ts'

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

interface SplitState<Split> {
  split: Split
  /** The first checkpoint that stored this split as finished. */
  finishedIn: number | undefined
  millisBehindLatest: number | undefined
  readonly unregisterGauge: () => void
}

/**
 * What every polling source needs: one fetch loop a split, a queue that is bounded in bytes, and positions that move when
 * records are emitted, never when they are fetched (FLIP-27's SourceReaderBase).
 */
export abstract class SourceReaderBase<T, Split extends SourceSplit> implements SourceReader<T, Split> {
  protected readonly context: ReaderContext
  readonly #budget: ByteBudget
  readonly #maxBytesPerFetch: number
  readonly #states = new Map<string, SplitState<Split>>()
  readonly #queue: FetchedBatch<T, Split>[] = []
  readonly #arrived = new WakeUp()
  readonly #loops = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  readonly #recordsIn: Counter
  readonly #bytesIn: Counter
  /** Batches whose bytes were given back. */
  readonly #whole = new WeakSet<object>()
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

  get ended(): boolean {
    return this.#noMoreSplits && this.#queue.length === 0 && this.#unfinished() === 0
  }

  poll(): FetchedBatch<T, Split> | undefined {
    const batch = this.#queue.shift()
    if (batch !== undefined) this.#queuedRecords -= batch.values.length
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
        () => this.#states.get(splitId)?.millisBehindLatest ?? Number.NaN,
        { split: splitId },
      )
      this.#states.set(splitId, { split, finishedIn: undefined, millisBehindLatest: undefined, unregisterGauge })
      // Assigned after the close: nothing is read, but the split belongs into the last snapshot.
      if (this.#stop.signal.aborted) unregisterGauge()
      if (split.finished === true) continue
      const loop = this.#run(splitId, this.openSplit(split)).finally(() => this.#loops.delete(loop))
      this.#loops.add(loop)
    }
    this.#arrived.wake()
  }

  noMoreSplits(): void {
    this.#noMoreSplits = true
    this.#arrived.wake()
  }

  emitted(batch: FetchedBatch<T, Split>, count: number): void {
    const state = this.#states.get(batch.splitId)
    if (state === undefined) return
    // Reported as a whole before: by a barrier after its last record.
    if (this.#whole.has(batch)) return
    if (count > 0) state.split = batch.splitAfter(count - 1)
    if (count < batch.values.length) return
    this.#whole.add(batch)
    if (batch.lastOfSplit) state.split = { ...state.split, finished: true }
    this.#budget.release(sumOf(batch.byteLengths))
    this.#arrived.wake()
  }

  snapshotState(checkpointId: number): readonly Split[] {
    const splits: Split[] = []
    for (const state of this.#states.values()) {
      if (state.split.finished === true) state.finishedIn ??= checkpointId
      splits.push(state.split)
    }
    return splits
  }

  acknowledge(checkpointId: number): Promise<void> {
    for (const [splitId, { finishedIn, unregisterGauge }] of this.#states) {
      if (finishedIn === undefined || finishedIn > checkpointId) continue
      this.#states.delete(splitId)
      unregisterGauge()
    }
    return Promise.resolve()
  }

  async close(deadlineMs: number): Promise<void> {
    const { promise: expired, resolve } = Promise.withResolvers<void>()
    const expiry = this.context.clock.after(deadlineMs, resolve)
    this.#stop.abort(new SluiceError('SLUICE_CLOSED', 'the reader was closed', { restartable: true }))
    // The registry outlives the attempt; nobody polls any more.
    for (const { unregisterGauge } of this.#states.values()) unregisterGauge()
    for (const batch of this.#queue.splice(0)) this.#budget.release(sumOf(batch.byteLengths))
    this.#queuedRecords = 0
    this.#arrived.wake()
    await Promise.race([Promise.all(this.#loops), expired])
    expiry.cancel()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0)
  }

  status(): ReaderStatus {
    return {
      fetchedBytes: this.#budget.held,
      queuedRecords: this.#queuedRecords,
      splits: [...this.#states.values()].map(({ split, millisBehindLatest }) => ({
        splitId: split.splitId,
        position: split.finished === true ? 'finished' : this.describePosition(split),
        ...(millisBehindLatest === undefined ? {} : { millisBehindLatest }),
      })),
    }
  }

  #unfinished(): number {
    let count = 0
    for (const { split } of this.#states.values()) if (split.finished !== true) count++
    return count
  }

  async #run(splitId: string, fetcher: SplitFetcher<T, Split>): Promise<void> {
    const { signal } = this.#stop
    const reserved = this.#maxBytesPerFetch
    try {
      while (await this.#budget.acquire(reserved, signal)) {
        const message = { source: this.context.sourceUid, split: splitId }
        const fetched = await traceFetch(message, () => fetcher.fetch(signal), factsOf)
        if (signal.aborted) return
        const { batch } = fetched
        const bytes = batch === undefined ? 0 : sumOf(batch.byteLengths)
        this.#budget.release(reserved - bytes)
        this.#enqueue(splitId, fetched, bytes)
        if (batch?.lastOfSplit === true) return
        if (fetched.delayMs > 0) await delay(this.context.clock, fetched.delayMs, signal)
      }
    } catch (error) {
      if (signal.aborted) return
      const failure = SluiceError.from(error, 'SLUICE_SOURCE_FAILED', `${this.context.sourceUid}, split ${splitId}`)
      this.context.fail(failure)
    }
  }

  #enqueue(splitId: string, fetched: Fetched<T, Split>, bytes: number): void {
    const { batch, millisBehindLatest } = fetched
    const state = this.#states.get(splitId)
    if (state !== undefined) state.millisBehindLatest = millisBehindLatest
    if (batch === undefined || (batch.values.length === 0 && !batch.lastOfSplit)) return
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
