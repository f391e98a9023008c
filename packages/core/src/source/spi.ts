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
  /** Who says which splits there are: our enumerator, or the host (a Kafka group). */
  readonly assignment: 'enumerator' | 'external'
  /** The one truth about positions: the stored checkpoint, or the service. */
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
  /** Every split of the checkpoint, finished ones included; independent of the parallelism that wrote it. */
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
  /** Hands splits to a reader. Nothing is read before the start positions are stored. */
  assign(splits: readonly Split[], subtask: number): void
  /** No split will follow, for any subtask: bounded input. */
  noMoreSplits(): void
}

/** Finds splits and hands them to readers; one for each attempt of a job. */
export interface SplitEnumerator<State> extends AsyncDisposable {
  /** Finds the splits and resolves every start position, then assigns. Rejects if the source does not exist. */
  start(): Promise<void>
  /**
   * The last record of the split was emitted, and all of them were offered to the sinks: a child that is assigned now stays
   * behind its parent. After a restore a finished split is not announced: it is among the restored splits.
   */
  splitFinished(splitId: string, subtask: number): void
  /** Called in the same turn of the event loop as the readers' snapshots: the parts of a checkpoint belong to one instant. */
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
  /** True if no record of this split follows. */
  readonly lastOfSplit: boolean
}

/** Reads the splits that it is given; one for each fetch loop. Extend `SourceReaderBase` rather than implement it. */
export interface SourceReader<T, Split extends SourceSplit> extends AsyncDisposable {
  /** The next batch that was fetched, or undefined: then await {@link SourceReader.ready}. A batch may be empty. */
  poll(): RecordBatch<T> | undefined
  /** Resolves when there may be a batch, or when the reader ended. False wake-ups are allowed. */
  ready(): Promise<void>
  /** True when no split is left and none will follow. */
  readonly ended: boolean
  addSplits(splits: readonly Split[]): void
  noMoreSplits(): void
  /**
   * The first `count` records of the batch polled last from this split were emitted: moves the split's position. A position
   * never moves when records are fetched; a barrier may fall inside a batch.
   */
  emitted(batch: RecordBatch<T>, count: number): void
  /** Splits with the position after the last emitted record; a finished one stays until the covering checkpoint completed. */
  snapshotState(checkpointId: number): readonly Split[]
  /** The checkpoint and all before it are stored. May come late, twice or never. */
  acknowledge(checkpointId: number): Promise<void>
  /** Stops fetching, within `deadlineMs` milliseconds; nothing more is emitted after `poll` has returned what the caller took. */
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
}
