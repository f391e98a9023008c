import type { _Record, TimestreamWriteClient, WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import type { AsyncSinkOptions } from '@sluice/core'

/** One record of a request, in the form that the AWS SDK takes. A `Version` beyond 2^53 may be a bigint. */
export type TimestreamRecord = _Record

/**
 * Turns a value into none, one or many records. Synchronous and repeatable: the same value always gives the same records, or a
 * replay would not be recognised as one. A throw refuses the value.
 */
export type ElementConverter<In> = (value: In) => TimestreamRecord | readonly TimestreamRecord[] | undefined

/**
 * Turns records into a request. `Records[i]` must be made from `records[i]`: the service names rejected records by their index.
 * A list of another length fails the job with `SLUICE_BATCH_CONVERTER_NOT_ALIGNED`.
 */
export type BatchConverter = (records: readonly TimestreamRecord[]) => WriteRecordsRequest

/** Where credentials come from. */
export type CredentialProviderType = 'AUTO' | 'ENV_VAR' | 'SYS_PROP' | 'PROFILE'

export interface CredentialConfig {
  /** Profile to read. Required for `PROFILE`. */
  readonly profileName?: string
  /** File that holds the profile. @default the shared files of the AWS SDK (`~/.aws/config`, `~/.aws/credentials`) */
  readonly profileConfigPath?: string
}

export interface WriteClientConfig {
  /** Connections to the service, at most. @default the value of `maxInFlightRequests` */
  readonly maxConcurrency?: number
  /**
   * How often the SDK repeats one request by itself before the sink sees its error: 0 to 100. Its pauses double up to 20 s, and
   * end when the sink is closed; `AWS_RETRY_MODE` is not used.
   *
   * @default 10
   */
  readonly maxErrorRetry?: number
  /** Region of the service. @default what the SDK finds (`AWS_REGION`, profile) */
  readonly region?: string
  /** Milliseconds that one try of a request may take. @default 20000 */
  readonly requestTimeout?: number
  /**
   * Endpoint to write to, such as that of a VPC endpoint; endpoint discovery is then off. `http:` is allowed.
   *
   * @default the endpoint that the service's discovery names
   */
  readonly endpointOverride?: string
  /** Use endpoints that comply with FIPS 140. @default what the SDK finds */
  readonly useFipsEndpoint?: boolean
  /** Use endpoints that have IPv6 too. @default what the SDK finds */
  readonly useDualstackEndpoint?: boolean
}

export interface FailureHandlerConfig {
  /** Log the content of records that failed. They may hold sensitive data. @default false */
  readonly printFailedRequests?: boolean
  /**
   * What happens to records that the service rejects one by one. True: they are refused, which fails the job unless it has dead
   * letters. False: they are dropped and counted. The other records of the request are stored in both cases.
   *
   * @default true
   */
  readonly failProcessingOnRejectedRecordsException?: boolean
  /**
   * What happens to the record for which the service refuses a whole request. The sink finds it by sending halves. True: it is
   * refused, which fails the job unless it has dead letters. False: it is dropped and counted.
   *
   * @default true
   */
  readonly failProcessingOnValidationException?: boolean
  /**
   * What happens when the service answers with any other error that a repeat does not heal, such as a missing table, a missing
   * right or a quota. True: the job fails and no record is lost. False: all records of the request are dropped and counted.
   *
   * The job fails with either value when a restart may help, when the credentials are at fault, and when the request could
   * not be sent.
   *
   * @default true
   */
  readonly failProcessingOnErrorDefault?: boolean
}

/**
 * Options of {@link TimestreamSink}.
 *
 * Names and defaults follow the Timestream connector for Apache Flink; limits are those of
 * https://docs.aws.amazon.com/timestream/latest/developerguide/ts-limits.html
 *
 * @example
 * ```ts
 * const options: TimestreamSinkOptions<{ host: string; cpu: number; timeMs: number }> = {
 *   databaseName: 'metrics',
 *   tableName: 'hosts',
 *   elementConverter: ({ host, cpu, timeMs }) => ({
 *     Dimensions: [{ Name: 'host', Value: host }],
 *     MeasureName: 'cpu',
 *     MeasureValue: String(cpu),
 *     Time: String(timeMs),
 *   }),
 * }
 * ```
 */
export interface TimestreamSinkOptions<In> extends Partial<
  Omit<AsyncSinkOptions, 'requestTimeoutMs' | 'maxBatchSizeInBytes' | 'maxBatchWeight'>
> {
  /** Names the sink in metrics, errors and state; unique within a job. @default 'timestream' */
  readonly uid?: string
  /** Database to write to. */
  readonly databaseName: string
  /** Table to write to. It must exist. */
  readonly tableName: string
  readonly elementConverter: ElementConverter<In>
  /** @default a request for `databaseName` and `tableName` with the records as they are */
  readonly batchConverter?: BatchConverter
  /** Records in one request, at most: 1 to 100. @default 100 */
  readonly maxBatchSize?: number
  /** Records in the buffer, at most; beyond it the stream is slowed. Must be greater than `maxBatchSize`. @default 1000 */
  readonly maxBufferedRequests?: number
  /** Requests under way at one time, at most. @default 100 */
  readonly maxInFlightRequests?: number
  /** Age in milliseconds at which a record is sent although its batch is not full. @default 15000 */
  readonly maxTimeInBufferMS?: number
  readonly writeClientConfig?: WriteClientConfig
  /**
   * Where credentials come from: `AUTO` the SDK's own chain; `ENV_VAR` the variables `AWS_ACCESS_KEY_ID`,
   * `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; `SYS_PROP` the program's arguments `-Daws.accessKeyId=...`,
   * `-Daws.secretKey=...` (or `secretAccessKey`) and `-Daws.sessionToken=...`; `PROFILE` the profile of `credentialConfig`.
   *
   * @default 'AUTO'
   */
  readonly credentialsProviderType?: CredentialProviderType
  readonly credentialConfig?: CredentialConfig
  readonly failureHandlerConfig?: FailureHandlerConfig
  /**
   * A client that you made and will destroy. It excludes `writeClientConfig`, `credentialsProviderType` and
   * `credentialConfig`.
   */
  readonly client?: TimestreamWriteClient
}

/** Options of the failure handler with their defaults. */
export type FailurePolicy = Required<FailureHandlerConfig>

/** What the sink works with: every default filled in. */
export interface ResolvedOptions<In> {
  readonly uid: string
  readonly databaseName: string
  readonly tableName: string
  readonly elementConverter: ElementConverter<In>
  readonly batchConverter: BatchConverter | undefined
  readonly engine: AsyncSinkOptions
  readonly policy: FailurePolicy
  readonly client: TimestreamWriteClient | undefined
  readonly ownClient: OwnClientOptions
}

/** How to make a client of our own. */
export interface OwnClientOptions extends WriteClientConfig {
  readonly maxConcurrency: number
  readonly maxErrorRetry: number
  readonly requestTimeout: number
  readonly credentialsProviderType: CredentialProviderType
  readonly credentialConfig: CredentialConfig
}
