import type { _Record, TimestreamWriteClient, WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import type { AwsCredentials } from '@sluice/aws'
import type { AsyncSinkOptions } from '@sluice/core'
import type { RecordMapping } from './mapping.ts'
import type { FailureHandlerConfig, Policy, RejectionPolicy } from './policy.ts'
import type { TimestreamRecord } from './record/record.ts'
import type { NumberOptions, NumberRules } from './record/values.ts'
import type { EnsureTable } from './tables/settings.ts'
import type { VersionFrom, VersionReader } from './versions.ts'

/**
 * Turns a value into none, one or many records. Synchronous and repeatable: the same value always gives the same records, or a
 * replay would not be recognised as one. A throw refuses the value.
 */
export type ElementConverter<In> = (value: In) => TimestreamRecord | readonly TimestreamRecord[] | undefined

/** A table of the sink's database, or of another. */
export type TableName = string | { readonly databaseName?: string; readonly tableName: string }

/** Chooses the table of a value. Synchronous and repeatable. A throw, or what is no name of a table, refuses the value. */
export type TableRouter<In> = (value: In) => TableName

/**
 * Turns records into a request. `Records[i]` must be made from `records[i]`: the service names rejected records by their index.
 * A list of another length, or with records that are seen to have changed places, fails the job with `SLUICE_BATCH_CONVERTER_NOT_ALIGNED`.
 */
export type BatchConverter = (records: readonly _Record[]) => WriteRecordsRequest

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
   * With the transport `sdk`: how often the SDK repeats one request by itself before the sink sees its error, 0 to 100. Its pauses
   * double up to 20 s, and end when the sink is closed; `AWS_RETRY_MODE` is not used. With `direct` the sink alone repeats.
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
  /** Database to write to: 3 to 256 letters, digits, `_`, `.` or `-`, as for a table. Required, unless a `batchConverter` or the router names it. */
  readonly databaseName?: string
  /** Table to write to, or a function that chooses one for each value. Required, unless a `batchConverter` names it. */
  readonly tableName?: string | TableRouter<In>
  /** Exactly one of `elementConverter` and `mapping` is required. */
  readonly elementConverter?: ElementConverter<In>
  /** Says how a value becomes a record, by names of fields and functions. */
  readonly mapping?: RecordMapping<In>
  /** Version of records that have none of their own. @default none: the service takes 1, and the first value of a key stays */
  readonly version?: VersionFrom<In>
  /**
   * Turns records into a request. With one of your own the sink sends what it returns: no records grouped, sorted or resolved, and
   * what a record lacks may be a common attribute.
   *
   * @default records grouped by series and measure name and sorted by time, with what they have in common as `CommonAttributes`
   */
  readonly batchConverter?: BatchConverter
  /** What becomes of numbers that the service does not take. */
  readonly numbers?: NumberOptions
  /**
   * True sends the records of one series, and repeats them, in their order: needed only where an older value without a version may not
   * come later than a newer one. Requests are then in flight on `orderedLanes` lanes. `keyBy` of the pipeline wins.
   *
   * @default false
   */
  readonly orderBySeries?: boolean
  /** Creates databases and tables that do not exist, before the first request to each. @default false */
  readonly ensureTable?: boolean | EnsureTable
  /**
   * Refuses records outside of the table's retention before they are sent. Asks DescribeTable for it every 10 minutes, which needs the
   * right timestream:DescribeTable.
   *
   * @default false: the service says so
   */
  readonly checkRetention?: boolean
  /**
   * How requests are sent. `direct`: signed and sent by the sink itself, one attempt each; the sink repeats. `sdk`: by the client of the
   * AWS SDK, which repeats each up to `maxErrorRetry` times before the sink does.
   *
   * @default 'direct'; 'sdk' with a `client`
   */
  readonly transport?: 'direct' | 'sdk'
  /**
   * Report the sink's metrics to CloudWatch once a minute and at the end, in the namespace `kinesisanalytics`, with the region and the
   * credentials of the sink's client. Needs the right `cloudwatch:PutMetricData`; what fails is logged and never touches the job.
   *
   * @default false
   */
  readonly emitSinkMetricsToCloudWatch?: boolean
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
  /** Keys, or any provider of the AWS SDK (`fromTemporaryCredentials(...)`). Excludes `credentialsProviderType`. */
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials>)
  /** What becomes of what the service does not take, as in the original connector. Excludes `rejectionPolicy`. */
  readonly failureHandlerConfig?: FailureHandlerConfig
  /** What becomes of records that are not stored, by reason. @default 'deadLetter' for every reason */
  readonly rejectionPolicy?: RejectionPolicy
  /**
   * A client that you made and will destroy. It excludes `writeClientConfig`, `credentialsProviderType`, `credentialConfig`,
   * `credentials` and the transport `direct`.
   */
  readonly client?: TimestreamWriteClient
}

/** What the sink works with: every default filled in. */
export interface ResolvedOptions<In> {
  readonly uid: string
  readonly databaseName: string | undefined
  /** Undefined where a router or the batch converter chooses. */
  readonly tableName: string | undefined
  readonly router: TableRouter<In> | undefined
  readonly elementConverter: ElementConverter<In>
  readonly version: VersionReader<In>
  readonly batchConverter: BatchConverter | undefined
  readonly numbers: NumberRules
  readonly orderBySeries: boolean
  readonly ensureTable: EnsureTable | undefined
  readonly checkRetention: boolean
  readonly engine: AsyncSinkOptions
  /** Milliseconds that one request takes at most, with what the transport repeats. */
  readonly writeTimeoutMs: number
  readonly policy: Policy
  readonly transport: 'direct' | 'sdk'
  readonly emitSinkMetricsToCloudWatch: boolean
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
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials>)
}
