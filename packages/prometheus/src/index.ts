export type { BasicAuth, BearerToken } from './auth.ts'
export { RemoteWriteClient, type SeriesDescription, type SeriesHandle } from './client.ts'
export type { RemoteWriteClientOptions } from './client-options.ts'
export { seriesKey } from './key-selector.ts'
export { PROMETHEUS_METRICS } from './metrics.ts'
export type {
  BucketSpan,
  Exemplar,
  FloatHistogram,
  IntHistogram,
  Label,
  Labels,
  MetricMetadata,
  MetricType,
  NativeHistogram,
  PrometheusRecord,
  Sample,
  ValidationPolicy,
} from './model.ts'
export type {
  ErrorHandlingBehaviorConfiguration,
  OnErrorBehavior,
  RemoteWriteOptions,
  RetryConfiguration,
  TlsOptions,
  WireProtocol,
} from './options.ts'
export type { ConvertedSeries, ElementConverter, PrometheusSinkOptions, SeriesLike } from './options-sink.ts'
export { InvalidSeriesError } from './problems.ts'
export type { PrometheusRequestSigner } from './signer.ts'
export type { CollectedMetric, CollectedValue, MetricsRegistry } from './push-collection.ts'
export type { PushRegistryOptions } from './push-options.ts'
export { pushRegistry, type PushStatus, type RegistryPush } from './push-registry.ts'
export { PrometheusSink } from './sink.ts'
export { PrometheusTimeSeries, PrometheusTimeSeriesBuilder } from './time-series.ts'
