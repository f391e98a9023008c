import type { KinesisClient } from '@aws-sdk/client-kinesis'
import { AWS_CLIENT_CONFIG_FIELDS, type AwsClientConfig, checkAwsClientConfig } from '@sluice/aws'
import { OptionsCheck } from '@sluice/core'

import type { ShardPartition } from './split.ts'

/** What a record is besides its bytes. */
export interface KinesisRecordInfo {
  readonly streamName: string
  readonly shardId: string
  readonly sequenceNumber: string
  readonly partitionKey: string
  /** When the service took the record in, milliseconds since the epoch. */
  readonly approximateArrivalMs: number
}

/** Turns the bytes of a record into a value. What it throws makes the record poison of stage `decode`. */
export type KinesisDeserializer<T> = (bytes: Uint8Array, record: KinesisRecordInfo) => T

/** Where to begin when there is no checkpoint. */
export type KinesisInitialPosition = 'TRIM_HORIZON' | 'LATEST' | { readonly atTimestamp: Date | number }

/** A client of the AWS SDK, or whatever sends its commands. */
export type KinesisSender = Pick<KinesisClient, 'send'>

/** Options of {@link KinesisSource}. */
export interface KinesisSourceOptions<T> {
  /** The stream's name. Exactly one of `streamName` and `streamArn` is needed. */
  readonly streamName?: string
  /** The stream's ARN: for a stream of another account, or where requests are to name the account. */
  readonly streamArn?: string
  /** Names the source in checkpoints and metrics; keep it between starts. @default `kinesis:<stream name>` */
  readonly uid?: string
  /**
   * Turns the bytes of a record into a value. Synchronous. A record of the Kinesis Producer Library that holds several user
   * records (it begins with the bytes F3 89 9A C2) is passed as it is.
   *
   * @default JSON.parse of UTF-8; bytes that are not UTF-8 are refused
   */
  readonly deserialize?: KinesisDeserializer<T>
  /**
   * Where to begin when there is no checkpoint: the oldest record, records that arrive from now on, or records that arrived
   * at a time or later. `LATEST` is turned into a time once and stored, so that a restart skips nothing. A time that
   * retention has passed means the oldest record; a time in the future is refused. Flink: `source.init.position`.
   *
   * @default 'LATEST'
   */
  readonly initialPosition?: KinesisInitialPosition
  /** Milliseconds between two listings of the shards. From 1000. Flink: `source.shard.discovery.interval`. @default 10000 */
  readonly shardDiscoveryIntervalMs?: number
  /** Records of one GetRecords request, 1 to 10000. Flink: `source.shard.get-records.max-record-count`. @default 10000 */
  readonly maxRecordsPerFetch?: number
  /**
   * Milliseconds to wait after an empty answer at the end of a shard. Flink: `source.reader.empty-records-fetch-interval`.
   *
   * @default 250
   */
  readonly emptyFetchIntervalMs?: number
  /**
   * Milliseconds from one GetRecords request of a shard to the next, at least. The service takes five a second for each shard, from
   * all consumers together: with several consumers that poll one stream, raise it. 0 does not wait.
   *
   * @default 200
   */
  readonly fetchIntervalMs?: number
  /**
   * Bytes of records that a reader holds, at most. From 10485760 (10 MiB), the most that one GetRecords returns; a request
   * under way counts with it, so the number of shards fetched at one time is this divided by 10 MiB, and at least one.
   *
   * @default 16777216 (16 MiB)
   */
  readonly maxFetchedBytes?: number
  /** Milliseconds until a request that has no answer is given up and repeated. @default 30000 */
  readonly requestTimeoutMs?: number
  /**
   * Reads only the shards the middle of whose hash key range lies in part `index` of `count` equal parts, so that several
   * processes share a stream, each with its own checkpoints.
   *
   * @default all shards
   */
  readonly shards?: ShardPartition
  /** A client of your own. It is not destroyed, and its tries of a request come before ours. Not together with `aws`. */
  readonly client?: KinesisSender
  /** Region, endpoint and credentials of the client that the source makes. @default what the AWS SDK finds */
  readonly aws?: AwsClientConfig
}

/** The most that one GetRecords request returns. */
export const MAX_BYTES_PER_FETCH: number = 10 * 1024 * 1024

type Defaulted =
  | 'uid'
  | 'initialPosition'
  | 'shardDiscoveryIntervalMs'
  | 'maxRecordsPerFetch'
  | 'emptyFetchIntervalMs'
  | 'fetchIntervalMs'
  | 'maxFetchedBytes'
  | 'requestTimeoutMs'

export type ResolvedOptions<T> = Omit<KinesisSourceOptions<T>, Defaulted | 'streamName'> &
  Required<Pick<KinesisSourceOptions<T>, Defaulted | 'streamName'>>

const NAMES = [
  'streamName',
  'streamArn',
  'uid',
  'deserialize',
  'initialPosition',
  'shardDiscoveryIntervalMs',
  'maxRecordsPerFetch',
  'emptyFetchIntervalMs',
  'fetchIntervalMs',
  'maxFetchedBytes',
  'requestTimeoutMs',
  'shards',
  'client',
  'aws',
] as const satisfies readonly (keyof KinesisSourceOptions<unknown>)[]

const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,128}$/
const STREAM_ARN = /^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream\/([a-zA-Z0-9_.-]{1,128})$/

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` that lists every problem. */
export function resolveOptions<T>(options: KinesisSourceOptions<T>): ResolvedOptions<T> {
  const check = new OptionsCheck('KinesisSource', options, NAMES)
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) checkValues(check, options)
  check.throwIfAny()
  const streamName = options.streamName ?? STREAM_ARN.exec(options.streamArn ?? '')?.[1] ?? ''
  return {
    ...options,
    streamName,
    uid: options.uid ?? `kinesis:${streamName}`,
    initialPosition: options.initialPosition ?? 'LATEST',
    shardDiscoveryIntervalMs: options.shardDiscoveryIntervalMs ?? 10_000,
    maxRecordsPerFetch: options.maxRecordsPerFetch ?? 10_000,
    emptyFetchIntervalMs: options.emptyFetchIntervalMs ?? 250,
    fetchIntervalMs: options.fetchIntervalMs ?? 200,
    maxFetchedBytes: options.maxFetchedBytes ?? 16 * 1024 * 1024,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
  }
}

function checkValues(check: OptionsCheck, options: KinesisSourceOptions<unknown>): void {
  if ((options.streamName === undefined) === (options.streamArn === undefined)) {
    check.problem('exactly one of streamName and streamArn is needed')
  }
  check.string('streamName', { pattern: STREAM_NAME, says: '1 to 128 letters, digits, underscores, hyphens and dots' })
  check.string('streamArn', {
    pattern: STREAM_ARN,
    says: "the ARN of a stream, such as 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders'",
  })
  check.string('uid')
  check.function('deserialize')
  checkInitialPosition(check, options.initialPosition)
  check.integer('shardDiscoveryIntervalMs', { min: 1000 })
  check.integer('maxRecordsPerFetch', { max: 10_000 })
  check.integer('emptyFetchIntervalMs')
  check.integer('fetchIntervalMs', { min: 0 })
  check.integer('maxFetchedBytes', { min: MAX_BYTES_PER_FETCH })
  check.integer('requestTimeoutMs')
  checkPartition(check, options.shards)
  const { client, aws } = options
  if (client !== undefined && typeof Reflect.get(Object(client), 'send') !== 'function') {
    check.refuse('client', 'a client of @aws-sdk/client-kinesis')
  }
  if (client !== undefined && aws !== undefined) check.problem('only one of client and aws may be given')
  if (aws === undefined) return
  if (typeof aws !== 'object' || aws === null) check.refuse('aws', 'an object')
  else {
    const { problems } = new OptionsCheck('aws', aws, AWS_CLIENT_CONFIG_FIELDS, 'aws.')
    for (const problem of problems) check.problem(problem)
    checkAwsClientConfig(check, aws, (field) => `aws.${field}`)
  }
}

function checkInitialPosition(check: OptionsCheck, position: KinesisInitialPosition | undefined): void {
  if (position === undefined || position === 'TRIM_HORIZON' || position === 'LATEST') return
  const at: unknown = typeof position === 'object' && position !== null ? position.atTimestamp : undefined
  const time = at instanceof Date ? at.getTime() : at
  if (typeof time !== 'number' || !Number.isFinite(time) || time < 0) {
    check.refuse(
      'initialPosition',
      "'TRIM_HORIZON', 'LATEST' or { atTimestamp: a Date or milliseconds since the epoch }",
    )
  }
}

function checkPartition(check: OptionsCheck, shards: ShardPartition | undefined): void {
  if (shards === undefined) return
  const { index, count } = Object(shards) as ShardPartition
  const valid = Number.isSafeInteger(index) && Number.isSafeInteger(count) && index >= 0 && index < count
  if (!valid) check.refuse('shards', '{ index, count } with integers and 0 <= index < count')
  else
    for (const problem of new OptionsCheck('shards', shards, ['index', 'count'], 'shards.').problems)
      check.problem(problem)
}
