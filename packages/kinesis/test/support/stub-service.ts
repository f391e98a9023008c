import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'

import type { KinesisSender } from '../../src/index.ts'

export interface StubRecord {
  readonly data: Uint8Array | undefined
  readonly key: string
  readonly sequenceNumber: string
  readonly arrivedMs: number
}

export interface StubShard {
  readonly id: string
  readonly parents: readonly string[]
  readonly from: bigint
  readonly to: bigint
  readonly records: StubRecord[]
  closedAtMs: number | undefined
  /** False: listings lack it, and it can be read. */
  listed: boolean
}

/** The fields of all four requests. */
export interface StubInput {
  readonly StreamName?: string
  readonly StreamARN?: string
  readonly NextToken?: string
  readonly ShardFilter?: { readonly Timestamp?: Date }
  readonly ShardId?: string
  readonly ShardIteratorType?: string
  readonly StartingSequenceNumber?: string
  readonly Timestamp?: Date
  readonly ShardIterator?: string
  readonly Limit?: number
}

export type Operation = 'DescribeStreamSummary' | 'ListShards' | 'GetShardIterator' | 'GetRecords'

const HASH_KEYS: bigint = 2n ** 128n

/** A Kinesis stream behind a client's `send`, with the answers that a test asks for. */
export class StubService {
  readonly shards: StubShard[] = []
  readonly requests: { readonly operation: Operation; readonly input: StubInput }[] = []
  readonly #failures: Partial<Record<Operation, { error: Error | 'hang'; shardId: string | undefined }[]>> = {}
  createdMs = Date.UTC(2025, 0, 1)
  retentionHours = 24
  pageSize = 1000
  knowsShardFilter = true
  /** So many GetRecords answers say nothing, though there are records. */
  emptyAnswers = 0
  nowMs: () => number

  constructor(nowMs: () => number) {
    this.nowMs = nowMs
  }

  get sender(): KinesisSender {
    const sender: unknown = { send: (command: object) => this.#answer(command) }
    return sender as KinesisSender
  }

  /** Adds a shard of the range from `from` to `to`, as fractions of all hash keys. */
  shard(id: string, options: { parents?: string[]; from?: number; to?: number; closed?: boolean } = {}): StubShard {
    const { parents = [], from = 0, to = 1, closed = false } = options
    const shard: StubShard = {
      id,
      parents,
      from: hashKey(from),
      to: hashKey(to) - 1n,
      records: [],
      closedAtMs: closed ? this.nowMs() : undefined,
      listed: true,
    }
    this.shards.push(shard)
    return shard
  }

  put(id: string, ...values: unknown[]): void {
    this.putAged(id, 0, ...values)
  }

  /** Puts records that arrived a while ago. */
  putAged(id: string, ageMs: number, ...values: unknown[]): void {
    const shard = this.#shard(id)
    for (const value of values) {
      shard.records.push({
        data: value === undefined ? undefined : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
        key: 'k',
        sequenceNumber: `${id}-${shard.records.length + 1}`,
        arrivedMs: this.nowMs() - ageMs,
      })
    }
  }

  /** The next requests of an operation end with these errors, or never. */
  fail(operation: Operation, ...errors: (Error | 'hang')[]): void {
    ;(this.#failures[operation] ??= []).push(...errors.map((error) => ({ error, shardId: undefined })))
  }

  /** The next GetShardIterator requests for one shard end with these errors. */
  failShard(shardId: string, ...errors: Error[]): void {
    ;(this.#failures.GetShardIterator ??= []).push(...errors.map((error) => ({ error, shardId })))
  }

  count(operation: Operation): number {
    return this.requests.filter((request) => request.operation === operation).length
  }

  inputs(operation: Operation): StubInput[] {
    return this.requests.filter((request) => request.operation === operation).map(({ input }) => input)
  }

  async #answer(command: object): Promise<unknown> {
    const { input } = command as { input: StubInput }
    const operation = operationOf(command)
    this.requests.push({ operation, input })
    const planned = this.#failures[operation] ?? []
    const index = planned.findIndex(({ shardId }) => shardId === undefined || shardId === input.ShardId)
    const failure = index === -1 ? undefined : planned.splice(index, 1)[0]?.error
    if (failure === 'hang') return new Promise(() => {})
    if (failure !== undefined) throw failure
    return this.#result(operation, input)
  }

  #result(operation: Operation, input: StubInput): unknown {
    switch (operation) {
      case 'DescribeStreamSummary':
        return {
          StreamDescriptionSummary: {
            StreamCreationTimestamp: new Date(this.createdMs),
            RetentionPeriodHours: this.retentionHours,
          },
        }
      case 'ListShards':
        return this.#list(input)
      case 'GetShardIterator':
        return { ShardIterator: JSON.stringify(this.#iterator(input)) }
      case 'GetRecords':
        return this.#records(input.ShardIterator ?? '', input.Limit ?? 0)
      default:
        throw new Error(String(operation satisfies never))
    }
  }

  #list({ NextToken, ShardFilter }: StubInput): object {
    const from = NextToken === undefined ? 0 : Number(NextToken)
    const since = this.knowsShardFilter ? ShardFilter?.Timestamp?.getTime() : undefined
    const all = this.shards.filter(
      ({ listed, closedAtMs }) => listed && (since === undefined || (closedAtMs ?? Infinity) >= since),
    )
    const page = all.slice(from, from + this.pageSize)
    const next = from + this.pageSize
    return {
      Shards: page.map((shard) => ({
        ShardId: shard.id,
        ParentShardId: shard.parents[0],
        AdjacentParentShardId: shard.parents[1],
        HashKeyRange: { StartingHashKey: String(shard.from), EndingHashKey: String(shard.to) },
        SequenceNumberRange: {
          StartingSequenceNumber: '0',
          EndingSequenceNumber: shard.closedAtMs === undefined ? undefined : '9',
        },
      })),
      NextToken: next < all.length ? String(next) : undefined,
    }
  }

  #iterator(input: StubInput): { id: string; index: number } {
    const id = input.ShardId ?? ''
    const { records } = this.#shard(id)
    const at = input.Timestamp?.getTime() ?? 0
    if (input.ShardIteratorType === 'TRIM_HORIZON') return { id, index: 0 }
    if (input.ShardIteratorType === 'AT_TIMESTAMP') {
      const index = records.findIndex(({ arrivedMs }) => arrivedMs >= at)
      return { id, index: index === -1 ? records.length : index }
    }
    const index = records.findIndex(({ sequenceNumber }) => sequenceNumber === input.StartingSequenceNumber)
    if (index === -1) throw serviceError('InvalidArgumentException', 'StartingSequenceNumber is invalid')
    return { id, index: index + 1 }
  }

  #records(iterator: string, limit: number): object {
    const { id, index } = JSON.parse(iterator) as { id: string; index: number }
    const shard = this.#shard(id)
    if (this.emptyAnswers > 0) {
      this.emptyAnswers--
      return { Records: [], NextShardIterator: iterator, MillisBehindLatest: 1 }
    }
    const expired = shard.records.filter(({ arrivedMs }) => arrivedMs < this.nowMs() - this.retentionHours * 3_600_000)
    const from = Math.max(index, expired.length)
    const records = shard.records.slice(from, from + limit)
    const next = from + records.length
    const ended = shard.closedAtMs !== undefined && next === shard.records.length
    const behind = next === shard.records.length ? 0 : this.nowMs() - (records.at(-1)?.arrivedMs ?? 0)
    return {
      Records: records.map(({ data, key, sequenceNumber, arrivedMs }) => ({
        Data: data,
        PartitionKey: key,
        SequenceNumber: sequenceNumber,
        ApproximateArrivalTimestamp: new Date(arrivedMs),
      })),
      NextShardIterator: ended ? undefined : JSON.stringify({ id, index: next }),
      MillisBehindLatest: behind,
    }
  }

  #shard(id: string): StubShard {
    const shard = this.shards.find((candidate) => candidate.id === id)
    if (shard === undefined) throw serviceError('ResourceNotFoundException', `Shard ${id} does not exist`)
    return shard
  }
}

/** An error as the SDK makes it of the service's answer. */
export function serviceError(name: string, message: string, httpStatusCode = 400): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode, requestId: 'request-1' } })
}

/** A fraction of all hash keys, in steps that a shard's range is made of. */
function hashKey(fraction: number): bigint {
  return (BigInt(Math.round(fraction * 1024)) * HASH_KEYS) / 1024n
}

function operationOf(command: object): Operation {
  if (command instanceof ListShardsCommand) return 'ListShards'
  if (command instanceof GetShardIteratorCommand) return 'GetShardIterator'
  if (command instanceof GetRecordsCommand) return 'GetRecords'
  if (command instanceof DescribeStreamSummaryCommand) return 'DescribeStreamSummary'
  throw new Error(`unknown command ${command.constructor.name}`)
}
