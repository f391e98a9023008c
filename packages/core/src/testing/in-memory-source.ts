import { SPI_VERSION } from '../sink/spi.ts'
import type { OnPositionLost } from '../source/position-lost.ts'
import { SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  ReaderContext,
  RestoredSource,
  Source,
  SourceReader,
  SplitEnumerator,
} from '../source/spi.ts'
import { type LogReading, MemoryLog, type MemorySplit } from './memory-log.ts'

export interface InMemorySourceOptions<T> {
  /** @default 'memory' */
  readonly uid?: string
  /** Names of the splits. @default ['0'] */
  readonly splits?: readonly string[]
  /** The records, when several sources are to share them. @default a log of its own with these splits */
  readonly log?: MemoryLog<T>
  /** Where the first start begins; a split that is added later is read from its beginning. @default 'earliest' */
  readonly initialPosition?: 'earliest' | 'latest'
  /** When records expired before they were read. @default 'fail' */
  readonly onPositionLost?: OnPositionLost
  /** Values in one fetched batch, at most. @default 100 */
  readonly maxBatchSize?: number
  /** @default no limit */
  readonly maxFetchedBytes?: number
  /** Raw bytes of a value, 100 at most: that is what a fetch reserves for each. @default 100 */
  readonly byteLengthOf?: (value: T) => number
}

/** The splits that an enumerator has seen: those which are finished and forgotten are not read again. */
export interface MemoryEnumeratorState {
  readonly known: readonly string[]
}

/** The most that the raw bytes of a record count. */
export const MAX_BYTES_PER_RECORD = 100

/**
 * A source whose records a test puts in by hand: it acknowledges by prefix, and its positions lie in checkpoints alone. Its records
 * outlive every job and attempt, like those of a service, so that a restart reads on from its positions. What it was told is there to
 * be looked at.
 *
 * @example
 * ```ts
 * const source = new InMemorySource<number>({ splits: ['a', 'b'] })
 * source.push('a', 1, 2, 3)
 * source.end()
 * await stream(source).sinkTo(sink).start({ name: 'test' }).done
 * ```
 */
export class InMemorySource<T> implements Source<T, MemorySplit, MemoryEnumeratorState> {
  readonly spiVersion: number = SPI_VERSION
  readonly stateVersion: number = 1
  readonly acknowledgement = 'prefix' as const
  readonly assignment = 'enumerator' as const
  readonly positionAuthority = 'checkpoint' as const
  readonly uid: string
  /** Checkpoint ids of every acknowledgement, in order. */
  readonly acknowledged: number[] = []
  /** Splits in the order in which their ends were announced. */
  readonly finished: string[] = []
  readonly #log: MemoryLog<T>
  readonly #initialPosition: 'earliest' | 'latest'
  readonly #maxFetchedBytes: number
  readonly #reading: LogReading<T>

  constructor(options: InMemorySourceOptions<T> = {}) {
    this.uid = options.uid ?? 'memory'
    this.#log = options.log ?? new MemoryLog(`source '${this.uid}'`, options.splits ?? ['0'])
    this.#initialPosition = options.initialPosition ?? 'earliest'
    this.#maxFetchedBytes = options.maxFetchedBytes ?? Number.MAX_SAFE_INTEGER
    this.#reading = {
      maxBatchSize: options.maxBatchSize ?? 100,
      onPositionLost: options.onPositionLost ?? 'fail',
      byteLengthOf: options.byteLengthOf ?? (() => MAX_BYTES_PER_RECORD),
    }
  }

  /** Values handed out by fetches. */
  get fetched(): number {
    return this.#log.fetched
  }

  /** Fetches that were begun. */
  get fetches(): number {
    return this.#log.fetches
  }

  /** Fetches that have no answer yet. */
  get openFetches(): number {
    return this.#log.waiting
  }

  /** Appends values to a split. @throws RangeError if there is no such split. */
  push(splitId: string, ...values: readonly T[]): void {
    this.#log.push(splitId, values)
  }

  /** Appends a value that cannot be decoded. */
  pushUndecodable(splitId: string, value: T): void {
    this.#log.push(splitId, [value], true)
  }

  /** One more split, found by jobs that run; the next subtask in turn gets it. */
  addSplit(splitId: string): void {
    this.#log.addSplit(splitId)
  }

  /** No value of this split follows. */
  endSplit(splitId: string): void {
    this.#log.endSplit(splitId)
  }

  /** No value follows: readers end when they have emitted what is there. */
  end(): void {
    this.#log.end()
  }

  /** The values before index `before` of a split are gone. */
  expire(splitId: string, before: number): void {
    this.#log.expire(splitId, before)
  }

  /** The next fetch fails with this error. */
  failNextFetch(error: Error): void {
    this.#log.failNextFetch(error)
  }

  createEnumerator(
    context: EnumeratorContext<MemorySplit>,
    restored: RestoredSource<MemorySplit, MemoryEnumeratorState> | undefined,
  ): SplitEnumerator<MemoryEnumeratorState> {
    return memoryEnumerator(context, this.#log, restored, this.#initialPosition, this.finished)
  }

  createReader(context: ReaderContext): SourceReader<T, MemorySplit> {
    return new MemoryReader(context, this.#log, this.#reading, this.#maxFetchedBytes, this.acknowledged)
  }
}

/** Assigns the splits of a log in turn, those of a checkpoint where it says. */
export function memoryEnumerator(
  context: EnumeratorContext<MemorySplit>,
  log: MemoryLog<unknown>,
  restored: RestoredSource<MemorySplit, MemoryEnumeratorState | null> | undefined,
  initialPosition: 'earliest' | 'latest',
  finished: string[],
): SplitEnumerator<MemoryEnumeratorState> {
  // Earlier versions kept no state: what they knew were their splits.
  const known = new Set(restored?.enumerator?.known ?? restored?.splits.map(({ splitId }) => splitId))
  let assigned = 0
  let stopped = false
  const assign = (split: MemorySplit): void => {
    known.add(split.splitId)
    context.assign([split], assigned++ % context.parallelism)
  }
  const discover = (at: 'earliest' | 'latest'): void => {
    for (const splitId of log.splitIds) {
      if (!known.has(splitId)) assign({ splitId, next: log.position(splitId, at) })
    }
    if (log.ended) context.noMoreSplits()
  }
  const watch = async (): Promise<void> => {
    while (!log.ended) {
      await log.changed()
      if (stopped) return
      discover('earliest')
    }
  }
  return {
    start: () => {
      for (const split of restored?.splits ?? []) assign(split)
      discover(restored === undefined ? initialPosition : 'earliest')
      void watch()
      return Promise.resolve()
    },
    splitFinished: (splitId) => void finished.push(splitId),
    snapshotState: () => ({ known: [...known] }),
    [Symbol.asyncDispose]: () => {
      stopped = true
      return Promise.resolve()
    },
  }
}

class MemoryReader<T> extends SourceReaderBase<T, MemorySplit> {
  readonly #log: MemoryLog<T>
  readonly #reading: LogReading<T>
  readonly #acknowledged: number[]

  constructor(
    context: ReaderContext,
    log: MemoryLog<T>,
    reading: LogReading<T>,
    maxFetchedBytes: number,
    acknowledged: number[],
  ) {
    super(context, { maxFetchedBytes, maxBytesPerFetch: reading.maxBatchSize * MAX_BYTES_PER_RECORD })
    this.#log = log
    this.#reading = reading
    this.#acknowledged = acknowledged
  }

  override acknowledge(...call: Parameters<SourceReader<T, MemorySplit>['acknowledge']>): Promise<void> {
    this.#acknowledged.push(call[0])
    return super.acknowledge(...call)
  }

  protected openSplit(split: MemorySplit): SplitFetcher<T, MemorySplit> {
    return logFetcher(this.context, this.#log, split, this.#reading)
  }

  protected describePosition(split: MemorySplit): string {
    return String(split.next)
  }
}

/** Reads a split of a log from its position on. */
export function logFetcher<T, Split extends MemorySplit>(
  context: ReaderContext,
  log: MemoryLog<T>,
  split: Split,
  reading: LogReading<T>,
): SplitFetcher<T, Split> {
  let at = split
  return {
    fetch: async (signal) => {
      const fetched = await log.fetch(context, at, reading, signal)
      const { batch } = fetched
      if (batch !== undefined && batch.values.length > 0) at = batch.splitAfter(batch.values.length - 1)
      return fetched
    },
  }
}
