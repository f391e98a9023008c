import { SluiceError } from '../errors.ts'
import { OptionsCheck } from '../options.ts'
import { SPI_VERSION } from '../sink/spi.ts'
import { type Fetched, type FetchedBatch, SourceReaderBase, type SplitFetcher } from './source-reader-base.ts'
import type { EnumeratorContext, ReaderContext, RestoredSource, Source, SourceReader, SourceSplit } from './spi.ts'

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
 * The values of a {@link fromIterable}. What can be iterated only once (a generator, a stream) is given as a function that makes it
 * anew if the job is to survive a restart.
 */
export type IterableValues<T> = Iterable<T> | AsyncIterable<T> | (() => Iterable<T> | AsyncIterable<T>)

/**
 * A bounded source of the values of an array or of anything that can be iterated. After a restart the values are iterated anew
 * and those that were emitted before the checkpoint are skipped: they must be the same each time. Values of an async iterable are
 * emitted as they come. When the job ends first, the iterator's `return` is called.
 *
 * A generator or an async iterable gives its values once: after a failure the job cannot go on and ends with
 * `SLUICE_POSITION_LOST`, as it does when there are fewer values than the checkpoint has seen. A function that makes the iterable
 * anew has no such limit. Memory limits count a value as one byte.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`.
 * @example
 * ```ts
 * await using job = stream(fromIterable(() => createReadStream('hosts.ndjson').pipe(split())))
 *   .sinkTo(sink)
 *   .start({ name: 'hosts' })
 * await job.done
 * ```
 */
export function fromIterable<T>(
  values: IterableValues<T>,
  options: FromIterableOptions = {},
): Source<T, IterableSplit, null> {
  const check = new OptionsCheck('fromIterable', options, ['uid', 'maxBatchSize'])
  check.string('uid')
  check.integer('maxBatchSize')
  if (typeof values !== 'function' && !isIterable(values)) {
    check.problem('values must be an iterable or async iterable object, or a function that returns one')
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

/** Iterables and iterators that give their values once and from which a reader has begun to take them. */
const begun = new WeakSet<object>()

class IterableReader<T> extends SourceReaderBase<T, IterableSplit> {
  readonly #values: IterableValues<T>
  readonly #maxBatchSize: number

  constructor(context: ReaderContext, values: IterableValues<T>, maxBatchSize: number) {
    // Values have no raw bytes; counted as one each, two batches bound what is read ahead.
    super(context, { maxFetchedBytes: 2 * maxBatchSize, maxBytesPerFetch: maxBatchSize })
    this.#values = values
    this.#maxBatchSize = maxBatchSize
  }

  protected openSplit(split: IterableSplit): SplitFetcher<T, IterableSplit> {
    const repeatable = typeof this.#values === 'function'
    const values = typeof this.#values === 'function' ? this.#values() : this.#values
    if (!isIterable(values)) {
      throw new SluiceError('SLUICE_SOURCE_FAILED', 'the function given to fromIterable did not return an iterable')
    }
    if (Symbol.asyncIterator in values) {
      // A stream makes a new iterator each time, over what is left of the same values.
      if (!repeatable) takeOnce(values, split)
      return new AsyncFetcher(values[Symbol.asyncIterator](), split, this.#maxBatchSize)
    }
    const iterator = values[Symbol.iterator]()
    // A generator is its own iterator: to go on with what is left of it would skip what the ended attempt had read ahead.
    takeOnce(iterator, split)
    return new SyncFetcher(iterator, split, this.#maxBatchSize)
  }

  protected describePosition(split: IterableSplit): string {
    return String(split.next)
  }
}

/** Values that are skipped after a restore before the event loop has its turn. */
const SKIPPED_PER_TURN = 10_000

/** Counts values, skips those that were emitted before the checkpoint, and closes the iterator when the job ends first. */
abstract class IterableFetcher<T> implements SplitFetcher<T, IterableSplit> {
  protected readonly maxBatchSize: number
  readonly #split: IterableSplit
  readonly #iterator: Iterator<T> | AsyncIterator<T>
  #next = 0
  #watched = false

  constructor(iterator: Iterator<T> | AsyncIterator<T>, split: IterableSplit, maxBatchSize: number) {
    this.#iterator = iterator
    this.#split = split
    this.maxBatchSize = maxBatchSize
  }

  /** Appends values, in order; resolves true when there are no more. */
  protected abstract take(values: T[], signal: AbortSignal): Promise<boolean>

  async fetch(signal: AbortSignal): Promise<Fetched<T, IterableSplit>> {
    this.#closeOnAbort(signal)
    const values: T[] = []
    const lastOfSplit = await this.take(values, signal)
    const { splitId, next } = this.#split
    if (lastOfSplit && this.#next < next) {
      throw new SluiceError(
        'SLUICE_POSITION_LOST',
        `the iterable has ${this.#next} values and the checkpoint is at ${next}: it must give the same values each time`,
        { facts: { split: splitId, wanted: next, newest: this.#next } },
      )
    }
    return { batch: iterableBatch(splitId, values, this.#next - values.length, lastOfSplit), delayMs: 0 }
  }

  /** Adds the value unless it was emitted before the checkpoint; true when a pause is due while skipping. */
  protected add(values: T[], value: T): boolean {
    this.#next++
    if (this.#next > this.#split.next) {
      values.push(value)
      return false
    }
    return this.#next % SKIPPED_PER_TURN === 0
  }

  async #closeIterator(): Promise<void> {
    try {
      await this.#iterator.return?.()
    } catch {
      // The job has ended; what closing a stream or a file then says changes nothing.
    }
  }

  #closeOnAbort(signal: AbortSignal): void {
    if (this.#watched) return
    this.#watched = true
    signal.addEventListener(
      'abort',
      () => {
        void this.#closeIterator()
      },
      { once: true },
    )
  }
}

class SyncFetcher<T> extends IterableFetcher<T> {
  readonly #iterator: Iterator<T>

  constructor(iterator: Iterator<T>, split: IterableSplit, maxBatchSize: number) {
    super(iterator, split, maxBatchSize)
    this.#iterator = iterator
  }

  protected async take(values: T[], signal: AbortSignal): Promise<boolean> {
    while (values.length < this.maxBatchSize && !signal.aborted) {
      const result = this.#iterator.next()
      if (result.done === true) return true
      if (this.add(values, result.value)) await nextTurn()
    }
    return false
  }
}

class AsyncFetcher<T> extends IterableFetcher<T> {
  readonly #iterator: AsyncIterator<T>
  #pending: Promise<IteratorResult<T>> | undefined

  constructor(iterator: AsyncIterator<T>, split: IterableSplit, maxBatchSize: number) {
    super(iterator, split, maxBatchSize)
    this.#iterator = iterator
  }

  /** Waits for the first value; after it takes what comes in the same turn of the event loop, so that no value waits for others. */
  protected async take(values: T[], signal: AbortSignal): Promise<boolean> {
    const { promise: aborted, resolve } = Promise.withResolvers<undefined>()
    const onAbort = (): void => resolve(undefined)
    if (signal.aborted) onAbort()
    // Taken off again each time: the signal lives as long as the job and would keep what every fetch left on it.
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await this.#takeUntil(aborted, values)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #takeUntil(aborted: Promise<undefined>, values: T[]): Promise<boolean> {
    let turn: Promise<undefined> | undefined
    while (values.length < this.maxBatchSize) {
      this.#pending ??= Promise.resolve(this.#iterator.next())
      const result = await Promise.race([this.#pending, values.length === 0 ? aborted : (turn ??= nextTurn())])
      if (result === undefined) return false
      this.#pending = undefined
      if (result.done === true) return true
      if (this.add(values, result.value)) await nextTurn()
    }
    return false
  }
}

function takeOnce(once: object, { splitId, next }: IterableSplit): void {
  if (begun.has(once)) {
    throw new SluiceError(
      'SLUICE_POSITION_LOST',
      'the values of fromIterable can be iterated only once and were begun: give it an array, or a function that makes the iterable anew',
      { facts: { split: splitId, wanted: next } },
    )
  }
  begun.add(once)
}

function isIterable(values: unknown): values is Iterable<unknown> | AsyncIterable<unknown> {
  return typeof values === 'object' && values !== null && (Symbol.iterator in values || Symbol.asyncIterator in values)
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => {
    setImmediate(() => resolve(undefined))
  })
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
