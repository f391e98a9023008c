/** What the subject is told. */
export interface KinesisTimestreamSettings {
  readonly kinesisEndpoint: string
  readonly streamName: string
  /** The fault proxy before the store. */
  readonly timestreamEndpoint: string
  readonly databaseName: string
  readonly tableName: string
  readonly stateFolder: string
  readonly checkpointIntervalMs: number
}

export const JOB = 'campaign'
