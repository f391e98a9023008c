import { SluiceError } from '../errors.ts'
import { OptionsCheck } from '../options.ts'
import { SPI_VERSION } from '../sink/spi.ts'
import { type Fetched, type FetchedBatch, SourceReaderBase, type SplitFetcher } from './source-reader-base.ts'
import type { EnumeratorContext, RestoredSource, Source, SourceReader, SourceSplit } from './spi.ts'

export interface IterableSplit extends SourceSplit {
  /** Values before this index were emitted. */
  readonly next: number
}

export interface FromIterableOptions {
  /** Names the source in metrics and checkpoints. @default 'iterable' */
  readonly uid?: string
  /** Values read at one time, at most. @default 1000 */
  readonly maxBatchSize?: number
}

/**
 * A bounded source of the values of an array or of anything that can be iterated. After a restart the values are iterated anew
 * and those that were emitted before the checkpoint are skipped: it must give the same values each time. A generator gives them
 * once: a job over one cannot restart within the process and fails with `SLUICE_POSITION_LOST`.
 *
 * Memory limits count a value as one byte.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`.
 * @example
 * ```ts
 * await using job = stream(fromIterable([1, 2, 3])).sinkTo(sink).start({ name: 'numbers' })
 * await job.done
 * ```
 */
export function fromIterable<T>(
  values: Iterable<T> | AsyncIterable<T>,
  options: FromIterableOptions = {},
): Source<T, IterableSplit, null> {
  const check = new OptionsCheck('fromIterable', options, ['uid', 'maxBatchSize'])
  check.string('uid')
  check.integer('maxBatchSize')
  if (typeof values !== 'object' || values === null || !(Symbol.iterator in values || Symbol.asyncIterator in values)) {
    check.problem('values must be an iterable or an async iterable object')
  }
  check.throwIfAny()
  const { uid = 'iterable', maxBatchSize = 1000 } = options
  return {
    spiVersion: SPI_VERSION,
    uid,
    stateVersion: 1,
    acknowledgement: 'prefix',
    assignment: 'enumerator',
    positionAuthority: 'checkpoint',
    createEnumerator: (context, restored) => enumerator(context, restored),
    createReader: (context): SourceReader<T, IterableSplit> => new IterableReader<T>(context, values, maxBatchSize),
  }
}

function enumerator(
  context: EnumeratorContext<IterableSplit>,
  restored: RestoredSource<IterableSplit, null> | undefined,
): ReturnType<Source<unknown, IterableSplit, null>['createEnumerator']> {
  return {
    start() {
      context.assign(restored?.splits ?? [{ splitId: '0', next: 0 }], 0)
      context.noMoreSplits()
      return Promise.resolve()
    },
    splitFinished: () => {},
    snapshotState: () => null,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** Iterators, as generators are, that a reader has begun to take values from. */
const begun = new WeakSet<object>()

class IterableReader<T> extends SourceReaderBase<T, IterableSplit> {
  readonly #values: Iterable<T> | AsyncIterable<T>
  readonly #maxBatchSize: number

  constructor(
    context: ConstructorParameters<typeof SourceReaderBase>[0],
    values: Iterable<T> | AsyncIterable<T>,
    maxBatchSize: number,
  ) {
    // Values have no raw bytes; counted as one each, two batches bound what is read ahead.
    super(context, { maxFetchedBytes: 2 * maxBatchSize, maxBytesPerFetch: maxBatchSize })
    this.#values = values
    this.#maxBatchSize = maxBatchSize
  }

  protected openSplit(split: IterableSplit): SplitFetcher<T, IterableSplit> {
    return new IterableFetcher(this.#values, split, this.#maxBatchSize)
  }

  protected describePosition(split: IterableSplit): string {
    return String(split.next)
  }
}

class IterableFetcher<T> implements SplitFetcher<T, IterableSplit> {
  readonly #iterator: Iterator<T> | AsyncIterator<T>
  readonly #split: IterableSplit
  readonly #maxBatchSize: number
  #next = 0

  constructor(values: Iterable<T> | AsyncIterable<T>, split: IterableSplit, maxBatchSize: number) {
    this.#iterator = Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]()
    // To go on with what is left of it would skip, silently, what the ended attempt had read ahead.
    if (begun.has(this.#iterator)) {
      throw new SluiceError(
        'SLUICE_POSITION_LOST',
        'the values of fromIterable can be iterated only once and were begun: give it an array, or an object that makes a new iterator each time',
        { facts: { split: split.splitId, wanted: split.next } },
      )
    }
    begun.add(this.#iterator)
    this.#split = split
    this.#maxBatchSize = maxBatchSize
  }

  async fetch(signal: AbortSignal): Promise<Fetched<T, IterableSplit>> {
    const values: T[] = []
    let lastOfSplit = false
    while (values.length < this.#maxBatchSize && !signal.aborted) {
      const result = await this.#iterator.next()
      if (result.done === true) {
        lastOfSplit = true
        break
      }
      if (this.#next++ >= this.#split.next) values.push(result.value)
    }
    return { batch: iterableBatch(this.#split.splitId, values, this.#next - values.length, lastOfSplit), delayMs: 0 }
  }
}

function iterableBatch<T>(
  splitId: string,
  values: readonly T[],
  first: number,
  lastOfSplit: boolean,
): FetchedBatch<T, IterableSplit> {
  return {
    splitId,
    values,
    byteLengths: new Uint32Array(values.length).fill(1),
    lastOfSplit,
    raw: (index) => ({ bytes: new Uint8Array(0), position: String(first + index) }),
    splitAfter: (index) => ({ splitId, next: first + index + 1 }),
  }
}
