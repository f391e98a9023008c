import {
  ALL_WRITTEN,
  AsyncSinkWriter,
  type Batch,
  messageOf,
  type Sink,
  type SinkContext,
  type SinkWriter,
  SPI_VERSION,
  type SubmitContext,
  type SubmitOutcome,
} from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import { type MemoryClient, ServiceError } from './client.ts'

const LIMITS = {
  maxBatchSize: 20,
  maxInFlightRequests: 4,
  maxBufferedRequests: 200,
  maxTimeInBufferMS: 150,
  retry: { initialDelayMs: 20, maxDelayMs: 500 },
} as const

/** The store of the memory service. */
export class MemoryStoreSink implements Sink<GeneratedRecord> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid = 'store'
  readonly repeats = 'duplicated' as const
  readonly #client: MemoryClient
  readonly #beforeSend: () => void

  /** @param beforeSend - called in the turn in which a request is sent. */
  constructor(client: MemoryClient, beforeSend: () => void) {
    this.#client = client
    this.#beforeSend = beforeSend
  }

  createWriter(context: SinkContext): SinkWriter<GeneratedRecord> {
    return new StoreWriter(context, this.#client, this.#beforeSend)
  }
}

class StoreWriter extends AsyncSinkWriter<GeneratedRecord, GeneratedRecord> {
  readonly #client: MemoryClient
  readonly #beforeSend: () => void

  constructor(context: SinkContext, client: MemoryClient, beforeSend: () => void) {
    super(context, LIMITS)
    this.#client = client
    this.#beforeSend = beforeSend
  }

  protected convert(record: GeneratedRecord, emit: (entry: GeneratedRecord) => void): void {
    emit(record)
  }

  protected async submit({ entries }: Batch<GeneratedRecord>, { signal }: SubmitContext): Promise<SubmitOutcome> {
    this.#beforeSend()
    try {
      await this.#client.post('/store/write', { records: entries }, signal)
      return ALL_WRITTEN
    } catch (error) {
      if (error instanceof ServiceError) return { retryAll: { code: String(error.status), message: error.message } }
      return { retryAll: { code: 'noAnswer', message: messageOf(error) }, unknown: true }
    }
  }
}
