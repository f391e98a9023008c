import { WakeUp } from '../runtime/signal.ts'
import { SPI_VERSION } from '../sink/spi.ts'
import { type Fetched, SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  ReaderContext,
  RestoredSource,
  Source,
  SourceReader,
  SourceSplit,
  SplitEnumerator,
} from '../source/spi.ts'

export interface MemorySplit extends SourceSplit {
  /** Values before this index were emitted. */
  readonly next: number
}

export interface InMemorySourceOptions {
  /** @default 'memory' */
  readonly uid?: string
  /** Names of the splits. @default ['0'] */
  readonly splits?: readonly string[]
  /** Values in one fetched batch, at most. @default 100 */
  readonly maxBatchSize?: number
  /** @default no limit */
  readonly maxFetchedBytes?: number
}

const BYTES_PER_RECORD = 100

/**
 * A source whose records a test puts in by hand. Its records outlive every job and attempt, like those of a service, so that a
 * restart reads on from its positions. What it was told is there to be looked at.
 */
export class InMemorySource<T> implements Source<T, MemorySplit, null> {
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
  /** Values handed out by fetches. */
  fetched = 0
  readonly #maxBatchSize: number
  readonly #maxFetchedBytes: number
  readonly #logs: Map<string, T[]>
  readonly #changed = new WakeUp()
  readonly #poison = new Set<T>()
  #ended = false
  #failure: Error | undefined

  constructor(options: InMemorySourceOptions = {}) {
    this.uid = options.uid ?? 'memory'
    this.#maxBatchSize = options.maxBatchSize ?? 100
    this.#maxFetchedBytes = options.maxFetchedBytes ?? Number.MAX_SAFE_INTEGER
    this.#logs = new Map((options.splits ?? ['0']).map((splitId) => [splitId, []]))
  }

  /** Appends values to a split. @throws RangeError if there is no such split. */
  push(splitId: string, ...values: readonly T[]): void {
    const log = this.#logs.get(splitId)
    if (log === undefined) throw new RangeError(`source '${this.uid}' has no split '${splitId}'`)
    for (const value of values) log.push(value)
    this.#changed.wake()
  }

  /** Appends a value that cannot be decoded. */
  pushUndecodable(splitId: string, value: T): void {
    this.#poison.add(value)
    this.push(splitId, value)
  }

  /** No value follows: readers end when they have emitted what is there. */
  end(): void {
    this.#ended = true
    this.#changed.wake()
  }

  /** The next fetch fails with this error. */
  failNextFetch(error: Error): void {
    this.#failure = error
    this.#changed.wake()
  }

  createEnumerator(
    context: EnumeratorContext<MemorySplit>,
    restored: RestoredSource<MemorySplit, null> | undefined,
  ): SplitEnumerator<null> {
    return {
      start: () => {
        const splits = restored?.splits ?? [...this.#logs.keys()].map((splitId) => ({ splitId, next: 0 }))
        for (const [index, split] of splits.entries()) context.assign([split], index % context.parallelism)
        context.noMoreSplits()
        return Promise.resolve()
      },
      splitFinished: (splitId) => void this.finished.push(splitId),
      snapshotState: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  createReader(context: ReaderContext): SourceReader<T, MemorySplit> {
    const acknowledged = this.acknowledged
    const options = { maxFetchedBytes: this.#maxFetchedBytes, maxBytesPerFetch: this.#maxBatchSize * BYTES_PER_RECORD }
    const open = (split: MemorySplit): SplitFetcher<T, MemorySplit> => this.#fetcher(split)
    return new (class extends SourceReaderBase<T, MemorySplit> {
      protected openSplit(split: MemorySplit): SplitFetcher<T, MemorySplit> {
        return open(split)
      }
      protected describePosition(split: MemorySplit): string {
        return String(split.next)
      }
      override acknowledge(...call: Parameters<SourceReader<T, MemorySplit>['acknowledge']>): Promise<void> {
        acknowledged.push(call[0])
        return super.acknowledge(...call)
      }
    })(context, options)
  }

  #fetcher(split: MemorySplit): SplitFetcher<T, MemorySplit> {
    let { next } = split
    return {
      fetch: async (signal) => {
        const log = this.#logs.get(split.splitId) ?? []
        const wake = (): void => this.#changed.wake()
        signal.addEventListener('abort', wake, { once: true })
        while (next >= log.length && !this.#ended && this.#failure === undefined && !signal.aborted)
          await this.#changed.wait()
        signal.removeEventListener('abort', wake)
        const failure = this.#failure
        this.#failure = undefined
        if (failure !== undefined) throw failure
        const values = log.slice(next, next + this.#maxBatchSize)
        const first = next
        next += values.length
        this.fetched += values.length
        return this.#batch(split.splitId, values, first, this.#ended && next >= log.length)
      },
    }
  }

  #batch(splitId: string, values: readonly T[], first: number, lastOfSplit: boolean): Fetched<T, MemorySplit> {
    const decodeErrors = new Map<number, unknown>()
    for (const [index, value] of values.entries()) {
      if (this.#poison.has(value)) decodeErrors.set(index, new SyntaxError('not decodable'))
    }
    return {
      delayMs: 0,
      batch: {
        splitId,
        values,
        byteLengths: new Uint32Array(values.length).fill(BYTES_PER_RECORD),
        decodeErrors,
        lastOfSplit,
        raw: (index) => ({
          bytes: Buffer.from(JSON.stringify(values[index]) ?? ''),
          key: splitId,
          position: String(first + index),
        }),
        splitAfter: (index) => ({ splitId, next: first + index + 1 }),
      },
    }
  }
}
