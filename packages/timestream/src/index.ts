export type { FieldOrFunction, MeasureMapping, RecordMapping } from './mapping.ts'
export { TIMESTREAM_METRICS } from './metrics.ts'
export type {
  BatchConverter,
  CredentialConfig,
  CredentialProviderType,
  ElementConverter,
  TableName,
  TableRouter,
  TimestreamSinkOptions,
  WriteClientConfig,
} from './options.ts'
export type {
  FailedWrite,
  FailureDecision,
  FailureHandlerConfig,
  RejectionKind,
  RejectionPolicy,
  Remedy,
  WriteRequestFailureHandler,
} from './policy.ts'
export type { TimestreamMeasure, TimestreamRecord } from './record/record.ts'
export { series, type SeriesDimensions } from './record/series.ts'
export type { NumberOptions, TimeUnit, ValueInput, ValueType } from './record/values.ts'
export { TimestreamSink } from './sink.ts'
export type { EnsureTable } from './tables/settings.ts'
export type { VersionFrom } from './versions.ts'
export type { WriteAction, WriteFailure } from './classify.ts'
