/** How the sink sends. */
export type TimestreamTransport = 'direct' | 'sdk'

/** What the subject is told. */
export interface TimestreamSettings {
  /** The memory service. */
  readonly endpoint: string
  /** The proxy before the store. */
  readonly timestreamEndpoint: string
  readonly transport: TimestreamTransport
  readonly databaseName: string
  readonly tableName: string
  readonly stateFolder: string
  readonly checkpointIntervalMs: number
  readonly maxBatchSize: number
  /** Whether the endpoint is asked for, instead of given. */
  readonly discovers?: boolean
  /** For refused records; without it a refusal ends the job. */
  readonly letterFolder?: string
  /** The file of a `KeyDesk`, where keys are found that are good for a time. */
  readonly keyFile?: string
}

export const JOB = 'campaign'
export const REGION = 'us-east-1'
