interface Range {
  readonly min: number
  readonly max: number
  readonly default: number
}

interface Limits {
  readonly recordsPerRequest: number
  readonly dimensionsPerTable: number
  readonly dimensionsPerRecord: number
  readonly measureNamesPerTable: number
  readonly multiMeasureNamesPerTable: number
  readonly measuresPerRecord: number
  readonly dimensionNameBytes: number
  readonly measureNameBytes: number
  readonly dimensionPairsBytes: number
  readonly measureValueBytes: number
  readonly multiMeasureValuesBytes: number
  readonly recordBytes: number
  readonly resourceNameMinLength: number
  readonly resourceNameMaxLength: number
  readonly futureMs: number
  readonly databases: number
  readonly tables: number
  readonly memoryRetentionHours: Range
  readonly magneticRetentionDays: Range
  readonly listPage: number
  readonly queryPageRows: number
}

/**
 * Limits of Amazon Timestream for LiveAnalytics that this server enforces.
 * Source: https://docs.aws.amazon.com/timestream/latest/developerguide/ts-limits.html
 */
export const LIMITS: Limits = {
  recordsPerRequest: 100,
  dimensionsPerTable: 128,
  dimensionsPerRecord: 128,
  measureNamesPerTable: 8192,
  multiMeasureNamesPerTable: 1024,
  measuresPerRecord: 256,
  dimensionNameBytes: 60,
  measureNameBytes: 256,
  dimensionPairsBytes: 2048,
  measureValueBytes: 2048,
  multiMeasureValuesBytes: 2048,
  recordBytes: 2048,
  resourceNameMinLength: 3,
  resourceNameMaxLength: 256,
  futureMs: 15 * 60_000,
  databases: 500,
  tables: 50_000,
  memoryRetentionHours: { min: 1, max: 8766, default: 6 },
  magneticRetentionDays: { min: 1, max: 73_000, default: 73_000 },
  listPage: 20,
  queryPageRows: 1000,
}
