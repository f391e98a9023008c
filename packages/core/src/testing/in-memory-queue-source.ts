import { WakeUp } from '../runtime/signal.ts'
import { SPI_VERSION } from '../sink/spi.ts'
import { type Fetched, type FetchedBatch, SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  ReaderContext,
  RecordBatch,
  SettledRecords,
  Source,
  SourceReader,
  SourceSplit,
  SplitEnumerator,
} from '../source/spi.ts'
import type { InMemoryQueue, QueueDelivery, QueueReceipt } from './in-memory-queue.ts'
import { MAX_BYTES_PER_RECORD } from './in-memory-source.ts'
import { rawOf } from './memory-log.ts'

export interface InMemoryQueueSourceOptions<T> {
  readonly queue: InMemoryQueue<T>
  /** @default 'queue' */
  readonly uid?: string
  /** Messages of one receive, at most. @default 10 */
  readonly maxBatchSize?: number
  /** @default no limit */
  readonly maxFetchedBytes?: number
  /** Raw bytes of a message, 100 at most. @default 100 */
  readonly byteLengthOf?: (body: T) => number
}

/**
 * Reads an {@link InMemoryQueue}: acknowledges each message by itself, and the queue is the authority. Of a group one message is in
 * hand at a time, in order; a message that is returned is given back, with those of its group behind it. A repeat of a message in hand
 * only brings its newer receipt.
 */
export class InMemoryQueueSource<T> implements Source<T, SourceSplit, null> {
  readonly spiVersion: number = SPI_VERSION
  readonly stateVersion: number = 1
  readonly acknowledgement = 'individual' as const
  readonly assignment = 'enumerator' as const
  readonly positionAuthority = 'external' as const
  readonly uid: string
  readonly #options: Required<InMemoryQueueSourceOptions<T>>

  constructor(options: InMemoryQueueSourceOptions<T>) {
    this.uid = options.uid ?? 'queue'
    this.#options = {
      queue: options.queue,
      uid: this.uid,
      maxBatchSize: options.maxBatchSize ?? 10,
      maxFetchedBytes: options.maxFetchedBytes ?? Number.MAX_SAFE_INTEGER,
      byteLengthOf: options.byteLengthOf ?? (() => MAX_BYTES_PER_RECORD),
    }
  }

  createEnumerator(context: EnumeratorContext<SourceSplit>): SplitEnumerator<null> {
    return {
      start: () => {
        for (let subtask = 0; subtask < context.parallelism; subtask++) {
          context.assign([{ splitId: `receiver-${subtask}` }], subtask)
        }
        context.noMoreSplits()
        return Promise.resolve()
      },
      splitFinished: () => {},
      snapshotState: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  createReader(context: ReaderContext): SourceReader<T, SourceSplit> {
    return new QueueReader(context, this.#options)
  }
}

interface QueueBatch<T> extends FetchedBatch<T, SourceSplit> {
  readonly receipts: readonly QueueReceipt[]
  readonly groups: readonly (string | undefined)[]
}

/** A message that was received and has not been deleted or given back. */
interface InHand<T> {
  readonly delivery: QueueDelivery<T>
  readonly splitId: string
  /** Of the newest delivery: the only one that works. */
  receipt: QueueReceipt
}

class QueueReader<T> extends SourceReaderBase<T, SourceSplit> {
  readonly #options: Required<InMemoryQueueSourceOptions<T>>
  readonly #inHand = new Map<string, InHand<T>>()
  /** Received behind a message of their group that has not ended, by group. */
  readonly #held = new Map<string, InHand<T>[]>()
  /** Whose turn has come. */
  #next: InHand<T>[] = []
  readonly #turn = new WakeUp()

  constructor(context: ReaderContext, options: Required<InMemoryQueueSourceOptions<T>>) {
    const { maxFetchedBytes, maxBatchSize } = options
    super(context, { maxFetchedBytes, maxBytesPerFetch: maxBatchSize * MAX_BYTES_PER_RECORD })
    this.#options = options
  }

  override recordEnded(batch: RecordBatch<T>, index: number, how: 'settled' | 'returned'): void {
    const { receipts, groups } = batch as QueueBatch<T>
    const { messageId } = receipts[index] as QueueReceipt
    const group = groups[index]
    if (how === 'returned') {
      if (group !== undefined) this.#giveBackGroup(group)
      this.#giveBack(messageId)
      return
    }
    const next = group === undefined ? undefined : this.#held.get(group)?.shift()
    if (group !== undefined && next === undefined) this.#held.delete(group)
    if (next === undefined) return
    this.#next.push(next)
    this.#turn.wake()
  }

  override stopSplits(splitIds: readonly string[]): void {
    super.stopSplits(splitIds)
    this.#giveBackHeld()
  }

  override stopFetching(): void {
    super.stopFetching()
    this.#giveBackHeld()
  }

  override async releaseSplits(...call: Parameters<SourceReader<T, SourceSplit>['releaseSplits']>): Promise<void> {
    await super.releaseSplits(...call)
    // What was not deleted is delivered again, and must not be taken for a repeat then.
    const splitIds = new Set(call[0].map(({ split }) => split.splitId))
    for (const [messageId, { splitId }] of this.#inHand) if (splitIds.has(splitId)) this.#inHand.delete(messageId)
  }

  protected openSplit(split: SourceSplit): SplitFetcher<T, SourceSplit> {
    return { fetch: (signal) => this.#fetch(split, signal) }
  }

  protected describePosition(): string {
    return 'the oldest visible message'
  }

  protected override async acknowledgeRecords(settled: readonly SettledRecords[]): Promise<void> {
    const messageIds = settled
      .flatMap(({ receipts }) => receipts as readonly QueueReceipt[])
      .map((each) => each.messageId)
    await this.#options.queue.delete(messageIds.flatMap((messageId) => this.#inHand.get(messageId)?.receipt ?? []))
    for (const messageId of messageIds) this.#inHand.delete(messageId)
  }

  protected override dropped(batch: FetchedBatch<T, SourceSplit>, from: number): void {
    const { receipts, groups } = batch as QueueBatch<T>
    for (let index = receipts.length - 1; index >= from; index--) {
      const group = groups[index]
      if (group !== undefined) this.#giveBackGroup(group)
      this.#giveBack((receipts[index] as QueueReceipt).messageId)
    }
  }

  async #fetch(split: SourceSplit, signal: AbortSignal): Promise<Fetched<T, SourceSplit>> {
    const { queue, maxBatchSize } = this.#options
    // While as many wait for their turn as fit into a batch, nothing more is received: what is held is bounded, too.
    if (this.#next.length === 0 && this.#heldCount() >= maxBatchSize) await this.#turnOf(signal)
    if (this.#next.length === 0) this.#take(split.splitId, await queue.receive(maxBatchSize, signal, this.#turn.wait()))
    return { delayMs: 0, batch: this.#batch(split, this.#next.splice(0, maxBatchSize)) }
  }

  #take(splitId: string, deliveries: readonly QueueDelivery<T>[]): void {
    for (const delivery of deliveries) {
      const { receipt, group } = delivery
      const inHand = this.#inHand.get(receipt.messageId)
      if (inHand !== undefined) {
        inHand.receipt = receipt
        continue
      }
      const message = { delivery, splitId, receipt }
      this.#inHand.set(receipt.messageId, message)
      const held = group === undefined ? undefined : this.#held.get(group)
      if (held === undefined) this.#next.push(message)
      else held.push(message)
      if (group !== undefined && held === undefined) this.#held.set(group, [])
    }
  }

  async #turnOf(signal: AbortSignal): Promise<void> {
    const { promise: aborted, resolve } = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => resolve(), { once: true })
    await Promise.race([this.#turn.wait(), aborted])
  }

  #heldCount(): number {
    return [...this.#held.values()].reduce((sum, { length }) => sum + length, 0)
  }

  /** What was received of the group behind the message that failed: the highest first, so that none is delivered before an earlier one. */
  #giveBackGroup(group: string): void {
    const held = this.#held.get(group) ?? []
    this.#held.delete(group)
    for (const { receipt } of held.toReversed()) this.#giveBack(receipt.messageId)
  }

  #giveBackHeld(): void {
    for (const { receipt } of this.#next.splice(0).toReversed()) this.#giveBack(receipt.messageId)
    for (const group of this.#held.keys()) this.#giveBackGroup(group)
  }

  #giveBack(messageId: string): void {
    const inHand = this.#inHand.get(messageId)
    if (inHand === undefined) return
    this.#inHand.delete(messageId)
    this.#options.queue.giveBack(inHand.receipt)
  }

  #batch(split: SourceSplit, messages: readonly InHand<T>[]): QueueBatch<T> {
    const deliveries = messages.map(({ delivery }) => delivery)
    const values = deliveries.map(({ body }) => body)
    const decodeErrors = new Map<number, unknown>()
    for (const [index, { undecodable }] of deliveries.entries()) {
      if (undecodable) decodeErrors.set(index, new SyntaxError('not decodable'))
    }
    return {
      splitId: split.splitId,
      values,
      byteLengths: Uint32Array.from(values, this.#options.byteLengthOf),
      decodeErrors,
      receipts: deliveries.map(({ receipt }) => receipt),
      groups: deliveries.map(({ group }) => group),
      lastOfSplit: false,
      raw: (index) => ({ ...rawOf(values[index]), position: deliveries[index]?.receipt.messageId ?? '' }),
      splitAfter: () => split,
    }
  }
}
