import type { SluiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { MetricGroup } from '../metrics/registry.ts'
import type { Random } from '../runtime/backoff.ts'
import type { Clock } from '../runtime/clock.ts'

/** A part of a source that is read in order: a shard, a partition. Plain JSON, because it is stored in checkpoints. */
export interface SourceSplit {
  readonly splitId: string
  /** Its last record was emitted. A finished split stays in checkpoints until one that covers it has completed. */
  readonly finished?: boolean
}

/** Where records come from: FLIP-27 in TypeScript. */
export interface Source<T, Split extends SourceSplit, EnumeratorState> {
  readonly spiVersion: number
  /** Names the source in metrics, origins and checkpoints. Stable between starts. */
  readonly uid: string
  /** Version of the split and enumerator state in checkpoints. An older one must still restore; a newer one is refused. */
  readonly stateVersion: number
  /** `prefix`: the service remembers one position a split. `individual`: it remembers each message. */
  readonly acknowledgement: 'prefix' | 'individual'
  /**
   * Who says which splits there are. `enumerator`: ours. `external`: a host (a Kafka group), and the enumerator is our member of it,
   * which hears what is assigned and revoked; the splits of a checkpoint are then not handed back to it.
   */
  readonly assignment: 'enumerator' | 'external'
  /**
   * The one truth about positions. `checkpoint`: what is stored is where a start goes on. `external`: the service keeps them, and a
   * checkpoint only says when to acknowledge; a job needs no storage for it.
   */
  readonly positionAuthority: 'checkpoint' | 'external'
  createEnumerator(
    context: EnumeratorContext<Split>,
    restored: RestoredSource<Split, EnumeratorState> | undefined,
  ): SplitEnumerator<EnumeratorState>
  createReader(context: ReaderContext): SourceReader<T, Split>
}

/** What a source gets back from a checkpoint. */
export interface RestoredSource<Split extends SourceSplit, EnumeratorState> {
  /** Version that wrote the state, at most the source's own. */
  readonly stateVersion: number
  readonly enumerator: EnumeratorState
  /**
   * Every split of the checkpoint, finished ones included; independent of the parallelism that wrote it. Empty with
   * `assignment: 'external'`: there the host says which splits are ours and where they begin.
   */
  readonly splits: readonly Split[]
}

/** What core gives to the parts of a source. */
export interface SourceContext {
  readonly sourceUid: string
  readonly logger: Logger
  readonly metrics: MetricGroup
  readonly clock: Clock
  readonly random: Random
  /** Aborts when the attempt ends. */
  readonly signal: AbortSignal
  /** Ends the attempt with this error; the first call counts. */
  fail(error: SluiceError): void
  /**
   * Asks for a checkpoint before its interval is over. It begins as soon as none is open and `minPauseMs` have passed; what is
   * asked meanwhile becomes one. The reason goes to the log.
   */
  requestCheckpoint(reason: string): void
}

/** What core gives to an enumerator. */
export interface EnumeratorContext<Split extends SourceSplit> extends SourceContext {
  readonly parallelism: number
  /**
   * Hands splits to a reader. With `positionAuthority: 'checkpoint'` nothing is read before the start positions are stored; with
   * `external` the source commits them before it assigns.
   */
  assign(splits: readonly Split[], subtask: number): void
  /**
   * Takes splits from their readers, in one turn of the event loop: from then on nothing of them is emitted. Splits that no reader has
   * are passed over.
   *
   * @param deadlineMs - milliseconds from now for what `how` waits for.
   * @returns the splits as they may go on: after the last record of each that is settled with all before it. Until they are assigned
   *   again they belong into the enumerator's state. Resolves by the deadline; never rejects.
   */
  release(splitIds: readonly string[], how: ReleaseHow, deadlineMs: number): Promise<readonly Split[]>
  /** No split will follow, for any subtask: bounded input. */
  noMoreSplits(): void
}

/**
 * Why a split leaves its reader, and what is done for it before.
 *
 * - `revoked`: another takes it over soon. What is being sent is awaited until the deadline, the rest is given back; then what is
 *   settled is acknowledged.
 * - `lost`: another has it already. Nothing is awaited, and nothing is acknowledged.
 * - `drained`: what was emitted of it is first written, until the deadline; then as `revoked`.
 */
export type ReleaseHow = 'revoked' | 'lost' | 'drained'

/** Finds splits and hands them to readers; one for each attempt of a job. */
export interface SplitEnumerator<State> extends AsyncDisposable {
  /** Finds the splits and resolves every start position, then assigns. Rejects if the source does not exist. */
  start(): Promise<void>
  /**
   * The last record of the split was emitted, and all of them were offered to the sinks: a child that is assigned now stays
   * behind its parent. After a restore a finished split is not announced: it is among the restored splits.
   */
  splitFinished(splitId: string, subtask: number): void
  /**
   * Called in the same turn of the event loop as the readers' snapshots: the parts of a checkpoint belong to one instant. Also before
   * {@link SplitEnumerator.splitFinished}: until the last records of that split are settled, this state is what is stored. Ids may come
   * again.
   */
  snapshotState(checkpointId: number): State
}

/** What core gives to a reader. */
export interface ReaderContext extends SourceContext {
  readonly subtask: number
}

/** The raw record behind a value: for dead letters, and for the position in errors. */
export interface RawRecord {
  readonly bytes: Uint8Array
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The position in words that the service understands: a sequence number, an offset. */
  readonly position: string
  readonly timestampMs?: number
}

/** Records of one split, in their order. */
export interface RecordBatch<T> {
  readonly splitId: string
  /** For an index in `decodeErrors` the value is undefined and is not looked at. */
  readonly values: readonly T[]
  /** Bytes of each raw record: what memory limits count. */
  readonly byteLengths: Uint32Array
  readonly eventTimesMs?: Float64Array
  /** Records that could not be decoded: poison of stage `decode`. */
  readonly decodeErrors?: ReadonlyMap<number, unknown>
  /** Looked up only on failure. */
  raw(index: number): RawRecord | undefined
  /** The split's state when records 0 to `index` were emitted. Looked up only for checkpoints and for splits that are released. */
  splitAfter(index: number): SourceSplit
  /** What acknowledges each record, with `acknowledgement: 'individual'`. */
  readonly receipts?: readonly unknown[]
  /** The group of each record whose group is delivered in order (SQS FIFO). */
  readonly groups?: readonly (string | undefined)[]
  /** True if no record of this split follows. */
  readonly lastOfSplit: boolean
}

/** Records that may be acknowledged one by one: settled in every sink, and covered by the checkpoint. */
export interface SettledRecords {
  readonly splitId: string
  /** Of {@link RecordBatch.receipts}, in the order in which they were settled. */
  readonly receipts: readonly unknown[]
}

/** What becomes of a split that leaves its reader. */
export interface ReleasedSplit<Split extends SourceSplit> {
  /** Where it may go on: after the last record that is settled with all before it. */
  readonly split: Split
  /** Records that are settled and not yet acknowledged, with `acknowledgement: 'individual'`. */
  readonly receipts: readonly unknown[]
}

/** Reads the splits that it is given; one for each fetch loop. Extend `SourceReaderBase` rather than implement it. */
export interface SourceReader<T, Split extends SourceSplit> extends AsyncDisposable {
  /** The next batch that was fetched, or undefined: then await {@link SourceReader.ready}. A batch may be empty. */
  poll(): RecordBatch<T> | undefined
  /** Resolves when there may be a batch, or when the reader ended. False wake-ups are allowed. */
  ready(): Promise<void>
  /** True when no split is left and none will follow. */
  readonly ended: boolean
  /** True while all that it has waits for others to be settled, as the order of groups asks: partial batches are then sent at once. */
  readonly waitsForSettled?: boolean
  addSplits(splits: readonly Split[]): void
  noMoreSplits(): void
  /**
   * The first `count` records of the batch polled last from this split were emitted: moves the split's position. A position
   * never moves when records are fetched; a barrier may fall inside a batch.
   */
  emitted(batch: RecordBatch<T>, count: number): void
  /**
   * The snapshot that follows in the same turn has these states, of some of its splits: what was emitted after them is not settled, and
   * its checkpoint neither covers nor acknowledges it. Asked where records are acknowledged by hand and nothing waits for them.
   */
  limitSnapshot(splits: readonly Split[]): void
  /**
   * Splits with the position after the last emitted record, or as {@link SourceReader.limitSnapshot} says; a finished one stays until
   * the covering checkpoint completed.
   */
  snapshotState(checkpointId: number): readonly Split[]
  /** The split after its record emitted last; undefined for one that this reader does not have. */
  splitState(splitId: string): Split | undefined
  /** Fetches nothing more of these splits until they are resumed; what was fetched is still emitted. Unknown ones are passed over. */
  pauseSplits(splitIds: readonly string[]): void
  resumeSplits(splitIds: readonly string[]): void
  /**
   * With `acknowledgement: 'individual'`: a record has ended. A `returned` one is to be given back to the service; a settled one
   * waits for {@link SourceReader.acknowledge}, and lets the next of its group be emitted.
   */
  recordEnded(batch: RecordBatch<T>, index: number, how: 'settled' | 'returned'): void
  /**
   * The checkpoint and all before it are stored, or kept nowhere where the service keeps positions. May come late, twice or never; a
   * rejection is logged, and the next one covers it.
   *
   * @param settled - with `acknowledgement: 'individual'`, what may be acknowledged, that of failed calls before included.
   */
  acknowledge(checkpointId: number, settled: readonly SettledRecords[]): Promise<void>
  /** Stops fetching these splits and drops what is queued of them, at once: nothing of them is polled any more. */
  stopSplits(splitIds: readonly string[]): void
  /**
   * Forgets splits that were stopped; acknowledges first what is settled of them, unless they are `lost`.
   *
   * @param deadlineMs - milliseconds from now. Resolves by then.
   * @param lost - aborts when another has them already: from then on nothing of them may be acknowledged.
   * @returns false when the service did not take what was to be acknowledged: the next owner repeats it.
   */
  releaseSplits(
    released: readonly ReleasedSplit<Split>[],
    how: ReleaseHow,
    deadlineMs: number,
    lost?: AbortSignal,
  ): Promise<boolean>
  /** Fetches nothing more and drops what is queued, at once; wakes who waits. Acknowledging goes on until {@link SourceReader.close}. */
  stopFetching(): void
  /** Ends the reader within `deadlineMs` milliseconds. Idempotent. */
  close(deadlineMs: number): Promise<void>
  status(): ReaderStatus
}

/** Figures of one reader for `status()`. */
export interface ReaderStatus {
  readonly fetchedBytes: number
  readonly queuedRecords: number
  readonly splits: readonly SplitStatus[]
}

/** Where a split stands: the position after the record emitted last. */
export interface SplitStatus {
  readonly splitId: string
  readonly position: string
  /** How far behind the end of the split the last fetch was, as the service says. */
  readonly millisBehindLatest?: number
  /** True while it is not fetched, by `pauseSplits`. */
  readonly paused?: boolean
}
