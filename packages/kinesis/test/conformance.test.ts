import { GetRecordsCommand } from '@aws-sdk/client-kinesis'
import {
  describeSource,
  type SourceRecord,
  type SourceService,
  type SourceSettings,
  type SourceStage,
  type VirtualClock,
} from '@sluice/core/testing'
import { afterAll, describe, test } from 'vitest'

import { type KinesisSender, KinesisSource } from '../src/index.ts'
import { serviceError, StubService } from './support/stub-service.ts'

interface Value {
  readonly id: string
}

const HOUR_MS = 3_600_000

/** A stream of two shards behind the AWS client's `send`. */
class StreamService implements SourceService<Value> {
  readonly splitIds: readonly string[] = ['shard-0', 'shard-1']
  /** The smallest that there is: the most that one request returns. */
  readonly maxFetchedBytes: number = 10 * 1024 * 1024
  openFetches = 0
  readonly #clock: VirtualClock
  readonly #stub: StubService
  readonly #maxRecordsPerFetch: number

  constructor({ clock, maxRecordsPerFetch }: SourceStage) {
    this.#clock = clock
    this.#maxRecordsPerFetch = maxRecordsPerFetch
    this.#stub = new StubService(() => clock.wallNow())
    this.#stub.shard('shard-0', { from: 0, to: 0.5 })
    this.#stub.shard('shard-1', { from: 0.5, to: 1 })
  }

  get fetches(): number {
    return this.#stub.count('GetRecords')
  }

  /** The client is the kit's: what a source can hold of it are requests. */
  get openHandles(): number {
    return this.openFetches
  }

  createSource({ initialPosition }: SourceSettings): KinesisSource<Value> {
    return new KinesisSource<Value>({
      streamName: 'orders',
      initialPosition: initialPosition === 'earliest' ? 'TRIM_HORIZON' : 'LATEST',
      maxRecordsPerFetch: this.#maxRecordsPerFetch,
      maxFetchedBytes: this.maxFetchedBytes,
      client: this.#client(),
    })
  }

  idOf({ id }: Value): string {
    return id
  }

  put(splitId: string, records: readonly SourceRecord[]): void {
    for (const { id, undecodable, sizeBytes } of records) {
      this.#stub.put(splitId, undecodable ? `not JSON: ${id}` : { id, filler: '.'.repeat(sizeBytes) })
    }
  }

  failNextFetch(how: 'restartable' | 'final'): void {
    const [name, status] =
      how === 'final' ? (['AccessDeniedException', 400] as const) : (['InternalFailure', 500] as const)
    this.#stub.fail('GetRecords', serviceError(name, 'the service says so', status))
  }

  hangNextFetch(): void {
    this.#stub.fail('GetRecords', 'hang')
  }

  endSplit(splitId: string): void {
    const shard = this.#stub.shards.find(({ id }) => id === splitId)
    if (shard !== undefined) shard.closedAtMs = this.#clock.wallNow()
  }

  /** Records expire by their age, all of them. */
  async expire(): Promise<void> {
    await this.#clock.advance(25 * HOUR_MS)
  }

  /** Counts GetRecords requests until they have an answer or are aborted. */
  #client(): KinesisSender {
    const send = async (command: object, { abortSignal }: { readonly abortSignal: AbortSignal }): Promise<unknown> => {
      const answer = (this.#stub.sender.send as unknown as (sent: object) => Promise<unknown>)(command)
      if (!(command instanceof GetRecordsCommand)) return answer
      this.openFetches++
      const aborted = new Promise<never>((_, reject) => {
        abortSignal.addEventListener('abort', () => reject(abortSignal.reason as Error), { once: true })
      })
      try {
        return await Promise.race([answer, aborted])
      } finally {
        this.openFetches--
      }
    }
    const sender: unknown = { send }
    return sender as KinesisSender
  }
}

describeSource<Value>(
  { describe, test, afterAll },
  {
    name: 'KinesisSource',
    abilities: {
      acknowledgement: 'prefix',
      assignment: 'enumerator',
      positionAuthority: 'checkpoint',
      bounded: 'splits',
      groups: false,
      lostPositions: 'fail',
    },
    open: (stage) => new StreamService(stage),
  },
)
