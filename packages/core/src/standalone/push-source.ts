import { WakeUp } from '../runtime/signal.ts'
import { SPI_VERSION } from '../sink/spi.ts'
import { type Fetched, type FetchedBatch, SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  ReaderContext,
  RecordBatch,
  RestoredSource,
  Source,
  SourceReader,
  SourceSplit,
  SplitEnumerator,
} from '../source/spi.ts'

const MAX_BATCH_SIZE = 1_000
/** Power of two. */
const FIRST_ROOM = 1_024
/** Stands where a value was that is settled. */
const SETTLED = Symbol('settled')

/**
 * A source of the values that are pushed into it. It keeps each until it is settled, so that the next attempt of its job repeats
 * what the last one left; hence `individual`: which values are settled is known at once, one by one.
 */
export class PushSource<T> implements Source<T, SourceSplit, null> {
  readonly spiVersion: number = SPI_VERSION
  readonly stateVersion: number = 1
  readonly acknowledgement = 'individual' as const
  readonly assignment = 'enumerator' as const
  readonly positionAuthority = 'external' as const
  readonly uid: string
  /** Counts the values that were pushed: the ordinal of the next. */
  next: number = 0
  /** Resolves when values arrived, or none will follow. */
  readonly arrived: WakeUp = new WakeUp()
  /** The values from `#settledUpTo` to `next`, each in the slot of its ordinal modulo the length. */
  #ring: (T | typeof SETTLED)[] = ringOf(FIRST_ROOM)
  #unsettled = 0
  #settledUpTo = 0
  readonly #onSettled: () => void
  #ended = false
  readonly #isAwaited: () => boolean
  #requestCheckpoint: ((reason: string) => void) | undefined

  /**
   * @param onSettled - told after each value that was settled.
   * @param isAwaited - somebody waits for values: partial batches are to be sent at once.
   */
  constructor(uid: string, onSettled: () => void, isAwaited: () => boolean) {
    this.uid = uid
    this.#onSettled = onSettled
    this.#isAwaited = isAwaited
  }

  /** Values that are not settled. */
  get size(): number {
    return this.#unsettled
  }

  /** All values with a lower ordinal are settled. */
  get settledUpTo(): number {
    return this.#settledUpTo
  }

  get ended(): boolean {
    return this.#ended
  }

  push(value: T): void {
    if (this.next - this.#settledUpTo === this.#ring.length) this.#grow()
    this.#ring[this.next++ & (this.#ring.length - 1)] = value
    this.#unsettled++
    this.arrived.wake()
  }

  /** No value follows. */
  end(): void {
    this.#ended = true
    this.arrived.wake()
  }

  /** A checkpoint hastens the sink; what is emitted after its barrier needs one more. */
  hasten(): void {
    if (this.#isAwaited()) this.#requestCheckpoint?.('flush')
  }

  settle(ordinal: number): void {
    const ring = this.#ring
    const mask = ring.length - 1
    if (ordinal >= this.#settledUpTo && ring[ordinal & mask] !== SETTLED) {
      ring[ordinal & mask] = SETTLED
      this.#unsettled--
      let upTo = this.#settledUpTo
      while (upTo < this.next && ring[upTo & mask] === SETTLED) upTo++
      this.#settledUpTo = upTo
    }
    this.#onSettled()
  }

  /** Unsettled values from that ordinal on. */
  from(ordinal: number): { readonly ordinals: readonly number[]; readonly values: readonly T[] } {
    const ring = this.#ring
    const mask = ring.length - 1
    const ordinals: number[] = []
    const values: T[] = []
    for (let at = Math.max(ordinal, this.#settledUpTo); at < this.next && values.length < MAX_BATCH_SIZE; at++) {
      const value = ring[at & mask] as T | typeof SETTLED
      if (value === SETTLED) continue
      ordinals.push(at)
      values.push(value)
    }
    return { ordinals, values }
  }

  createEnumerator(
    context: EnumeratorContext<SourceSplit>,
    restored: RestoredSource<SourceSplit, null> | undefined,
  ): SplitEnumerator<null> {
    return {
      start() {
        context.assign(restored?.splits ?? [{ splitId: '0' }], 0)
        context.noMoreSplits()
        return Promise.resolve()
      },
      splitFinished: () => {},
      snapshotState: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  createReader(context: ReaderContext): SourceReader<T, SourceSplit> {
    this.#requestCheckpoint = (reason) => context.requestCheckpoint(reason)
    return new PushReader<T>(context, this)
  }

  #grow(): void {
    const ring = this.#ring
    const grown = ringOf<T>(ring.length * 2)
    for (let at = this.#settledUpTo; at < this.next; at++) {
      grown[at & (grown.length - 1)] = ring[at & (ring.length - 1)] as T | typeof SETTLED
    }
    this.#ring = grown
  }
}

function ringOf<T>(length: number): (T | typeof SETTLED)[] {
  return Array.from({ length }, () => SETTLED)
}

class PushReader<T> extends SourceReaderBase<T, SourceSplit> {
  readonly #source: PushSource<T>

  constructor(context: ReaderContext, source: PushSource<T>) {
    // Values are here already; counted as a byte each, two batches bound what is prepared.
    super(context, { maxFetchedBytes: 2 * MAX_BATCH_SIZE, maxBytesPerFetch: MAX_BATCH_SIZE })
    this.#source = source
  }

  override emitted(batch: FetchedBatch<T, SourceSplit>, count: number): void {
    super.emitted(batch, count)
    this.#source.hasten()
  }

  override recordEnded(batch: RecordBatch<T>, index: number, how: 'settled' | 'returned'): void {
    // Nothing is given back: it is kept until it is settled.
    if (how === 'settled') this.#source.settle((batch as PushedBatch<T>).ordinals[index] as number)
  }

  protected openSplit({ splitId }: SourceSplit): SplitFetcher<T, SourceSplit> {
    const source = this.#source
    let next = source.settledUpTo
    return {
      async fetch(signal): Promise<Fetched<T, SourceSplit>> {
        const wake = (): void => source.arrived.wake()
        signal.addEventListener('abort', wake, { once: true })
        while (next === source.next && !source.ended && !signal.aborted) await source.arrived.wait()
        signal.removeEventListener('abort', wake)
        const { ordinals, values } = source.from(next)
        next = (ordinals.at(-1) ?? source.next - 1) + 1
        return { delayMs: 0, batch: pushedBatch(splitId, ordinals, values, source.ended && next === source.next) }
      },
    }
  }

  protected describePosition(): string {
    return String(this.#source.settledUpTo)
  }
}

/** Without receipts: what is settled is let go at once, so there is nothing to acknowledge. */
interface PushedBatch<T> extends FetchedBatch<T, SourceSplit> {
  readonly ordinals: readonly number[]
}

function pushedBatch<T>(
  splitId: string,
  ordinals: readonly number[],
  values: readonly T[],
  lastOfSplit: boolean,
): PushedBatch<T> {
  return {
    splitId,
    values,
    byteLengths: new Uint32Array(values.length).fill(1),
    ordinals,
    lastOfSplit,
    raw: (index) => ({ bytes: new Uint8Array(0), position: String(ordinals[index]) }),
    splitAfter: () => ({ splitId }),
  }
}
