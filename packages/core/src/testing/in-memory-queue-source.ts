import { SPI_VERSION } from '../sink/spi.ts'
import { type FetchedBatch, SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  ReaderContext,
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
 * of the same subtask only brings its newer receipt.
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
interface InHand {
  readonly splitId: string
  /** Of the newest delivery: the only one that works. */
  receipt: QueueReceipt
}

class QueueReader<T> extends SourceReaderBase<T, SourceSplit> {
  readonly #options: Required<InMemoryQueueSourceOptions<T>>
  readonly #inHand = new Map<string, InHand>()

  constructor(context: ReaderContext, options: Required<InMemoryQueueSourceOptions<T>>) {
    const { maxFetchedBytes, maxBatchSize } = options
    super(context, { maxFetchedBytes, maxBytesPerFetch: maxBatchSize * MAX_BYTES_PER_RECORD, groupConcurrency: 1 })
    this.#options = options
  }

  override async releaseSplits(...call: Parameters<SourceReader<T, SourceSplit>['releaseSplits']>): Promise<boolean> {
    const isAcknowledged = await super.releaseSplits(...call)
    // What was not deleted is delivered again, and must not be taken for a repeat then.
    const splitIds = new Set(call[0].map(({ split }) => split.splitId))
    for (const [messageId, { splitId }] of this.#inHand) if (splitIds.has(splitId)) this.#inHand.delete(messageId)
    return isAcknowledged
  }

  protected openSplit(split: SourceSplit): SplitFetcher<T, SourceSplit> {
    const { queue, maxBatchSize } = this.#options
    return {
      fetch: async (signal) => {
        const deliveries = await queue.receive(maxBatchSize, signal)
        return { delayMs: 0, batch: this.#batch(split, this.#new(split.splitId, deliveries)) }
      },
    }
  }

  protected describePosition(): string {
    return 'the oldest visible message'
  }

  protected override async acknowledgeRecords(settled: readonly SettledRecords[], signal: AbortSignal): Promise<void> {
    const messageIds = settled.flatMap(({ receipts }) => receipts).map(messageIdOf)
    const receipts = messageIds.flatMap((messageId) => this.#inHand.get(messageId)?.receipt ?? [])
    await this.#options.queue.delete(receipts, signal)
    for (const messageId of messageIds) this.#inHand.delete(messageId)
  }

  protected override returnRecords(_splitId: string, receipts: readonly unknown[]): Promise<void> {
    for (const messageId of receipts.map(messageIdOf)) {
      const inHand = this.#inHand.get(messageId)
      this.#inHand.delete(messageId)
      if (inHand !== undefined) this.#options.queue.giveBack(inHand.receipt)
    }
    return Promise.resolve()
  }

  /** Without the repeats of what is in hand: of those only the newer receipt counts. */
  #new(splitId: string, deliveries: readonly QueueDelivery<T>[]): readonly QueueDelivery<T>[] {
    return deliveries.filter(({ receipt }) => {
      const inHand = this.#inHand.get(receipt.messageId)
      if (inHand === undefined) this.#inHand.set(receipt.messageId, { splitId, receipt })
      else inHand.receipt = receipt
      return inHand === undefined
    })
  }

  #batch(split: SourceSplit, deliveries: readonly QueueDelivery<T>[]): QueueBatch<T> {
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

function messageIdOf(receipt: unknown): string {
  return (receipt as QueueReceipt).messageId
}
