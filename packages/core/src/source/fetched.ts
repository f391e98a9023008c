import type { RecordBatch, SourceSplit } from './spi.ts'

/** A batch that knows the split's state after each of its records. */
export interface FetchedBatch<T, Split extends SourceSplit> extends RecordBatch<T> {
  /** The split's state when records 0 to `index` were emitted. Looked up only for checkpoints and for splits that are released. */
  splitAfter(index: number): Split
}

/** What one fetch brought. */
export interface Fetched<T, Split extends SourceSplit> {
  /** Undefined when there was nothing. The last batch of a split says `lastOfSplit`, and may be empty. */
  readonly batch?: FetchedBatch<T, Split>
  /** Milliseconds to wait before the next fetch of this split. */
  readonly delayMs: number
  readonly millisBehindLatest?: number
  /** Records of the split that the service has and that were not fetched, if it says so: the metric `pendingRecords`. */
  readonly pendingRecords?: number
  /** As `pendingRecords`, in bytes: the metric `pendingBytes`. */
  readonly pendingBytes?: number
}

/** Reads one split. Made for each assigned split; keeps iterators and fetch positions, which are ahead of what was emitted. */
export interface SplitFetcher<T, Split extends SourceSplit> {
  /** One request. A rejection ends the attempt, so what may be repeated is repeated inside. */
  fetch(signal: AbortSignal): Promise<Fetched<T, Split>>
}

export interface SourceReaderOptions {
  /** Bytes that a reader holds, at most; fetches under way count with `maxBytesPerFetch`. @default 16777216 (16 MiB) */
  readonly maxFetchedBytes?: number
  /** The most that one fetch can return. */
  readonly maxBytesPerFetch: number
  /**
   * With 1, at most one record of a group (`RecordBatch.groups`) is emitted and has not ended: the next follows when it is settled,
   * and those behind one that is given back are given back too. For `acknowledgement: 'individual'`. @default groups are not looked at
   */
  readonly groupConcurrency?: 1
}
