export type {
  BatchConverter,
  CredentialConfig,
  CredentialProviderType,
  ElementConverter,
  FailureHandlerConfig,
  TimestreamRecord,
  TimestreamSinkOptions,
  WriteClientConfig,
} from './options.ts'
export { TIMESTREAM_METRICS } from './metrics.ts'
export { TimestreamSink } from './sink.ts'
