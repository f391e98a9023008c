import {
  type EnumeratorContext,
  type Fetched,
  type FetchedBatch,
  type ReaderContext,
  type RecordBatch,
  type SettledRecords,
  type Source,
  SourceReaderBase,
  type SourceSplit,
  SPI_VERSION,
  type SplitEnumerator,
  type SplitFetcher,
} from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import type { MemoryClient } from './client.ts'
import { byteLengthsOf, MAX_BYTES_PER_FETCH } from './prefix-source.ts'
import type { Message } from './protocol.ts'
import { QUEUE_SPLIT } from './queue.ts'

const MAX_MESSAGES = 40
/** Receipts in one request, as with SQS. */
const MAX_RECEIPTS = 10
const MAX_DELETES_AT_ONCE = 8
const IDLE_MS = 15
const FETCH_PAUSE_MS = 10

/** The queue: each message is deleted by itself when a checkpoint covers it. */
export class MemoryQueueSource implements Source<GeneratedRecord, SourceSplit, null> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid = 'memory'
  readonly stateVersion: number = 1
  readonly acknowledgement = 'individual' as const
  readonly assignment = 'enumerator' as const
  readonly positionAuthority = 'external' as const
  readonly #client: MemoryClient

  constructor(client: MemoryClient) {
    this.#client = client
  }

  createEnumerator(context: EnumeratorContext<SourceSplit>): SplitEnumerator<null> {
    return {
      start: () => {
        context.assign([{ splitId: QUEUE_SPLIT }], 0)
        return Promise.resolve()
      },
      splitFinished: () => undefined,
      snapshotState: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  createReader(context: ReaderContext): QueueReader {
    return new QueueReader(context, this.#client)
  }
}

class QueueReader extends SourceReaderBase<GeneratedRecord, SourceSplit> {
  readonly #client: MemoryClient

  constructor(context: ReaderContext, client: MemoryClient) {
    super(context, { maxBytesPerFetch: MAX_BYTES_PER_FETCH })
    this.#client = client
  }

  protected openSplit(): SplitFetcher<GeneratedRecord, SourceSplit> {
    return {
      fetch: async (signal): Promise<Fetched<GeneratedRecord, SourceSplit>> => {
        const { messages } = await this.#client.read('/queue/receive', { max: MAX_MESSAGES }, signal)
        if (messages.length === 0) return { delayMs: IDLE_MS }
        return { batch: queueBatch(messages), delayMs: FETCH_PAUSE_MS }
      },
    }
  }

  protected describePosition(): string {
    return QUEUE_SPLIT
  }

  protected override async acknowledgeRecords(settled: readonly SettledRecords[], signal: AbortSignal): Promise<void> {
    const receipts = settled.flatMap((records) => records.receipts.map(String))
    const requests: string[][] = []
    for (let from = 0; from < receipts.length; from += MAX_RECEIPTS)
      requests.push(receipts.slice(from, from + MAX_RECEIPTS))
    // One after the other they would not keep up with what is read.
    for (let from = 0; from < requests.length; from += MAX_DELETES_AT_ONCE) {
      const some = requests.slice(from, from + MAX_DELETES_AT_ONCE)
      await Promise.all(some.map((each) => this.#client.post('/queue/delete', { receipts: each }, signal)))
    }
  }

  protected override dropped({ receipts = [] }: FetchedBatch<GeneratedRecord, SourceSplit>, from: number): void {
    this.#giveBack(receipts.slice(from))
  }

  override recordEnded(
    { receipts = [] }: RecordBatch<GeneratedRecord>,
    index: number,
    how: 'settled' | 'returned',
  ): void {
    if (how === 'returned') this.#giveBack(receipts.slice(index, index + 1))
  }

  /** A failure costs time only: the visibility timeout gives them back too. */
  #giveBack(receipts: readonly unknown[]): void {
    if (receipts.length === 0) return
    this.#client.post('/queue/return', { receipts: receipts.map(String) }).catch((error: unknown) => {
      this.context.logger.debug({ error: String(error) }, 'Messages were not given back')
    })
  }
}

function queueBatch(messages: readonly Message[]): FetchedBatch<GeneratedRecord, SourceSplit> {
  const values = messages.map(({ record }) => record)
  return {
    splitId: QUEUE_SPLIT,
    values,
    byteLengths: byteLengthsOf(values),
    receipts: messages.map(({ receipt }) => receipt),
    lastOfSplit: false,
    raw: (index) => ({
      bytes: Buffer.from(JSON.stringify(values[index])),
      position: messages[index]?.sequenceNumber ?? '',
    }),
    splitAfter: () => ({ splitId: QUEUE_SPLIT }),
  }
}
