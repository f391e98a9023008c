export { ERROR_CODES, messageOf, SluiceError, type SluiceErrorCode, type SluiceErrorOptions } from './errors.ts'
export { consoleLogger, type ConsoleLoggerOptions, type Logger, silentLogger } from './logger.ts'
export { OptionsCheck } from './options.ts'
export { isSecret, Secret } from './secret.ts'
export {
  type Counter,
  type MetricDefinition,
  type MetricGroup,
  MetricRegistry,
  type MetricSample,
} from './metrics/registry.ts'
export { SINK_METRICS } from './metrics/sink-metrics.ts'
export { SOURCE_METRICS } from './metrics/source-metrics.ts'
export { type BackoffOptions, backoffMs, type Random } from './runtime/backoff.ts'
export { orderKeyOf } from './runtime/order-key.ts'
export { type Clock, deadline, delay, systemClock, type Timer } from './runtime/clock.ts'
export {
  type CheckpointMessage,
  type CheckpointResult,
  type DeadLetterDeliverMessage,
  type SinkSubmitMessage,
  type SinkSubmitResult,
  type SourceFetchMessage,
  type SourceFetchResult,
  TRACING_CHANNELS,
  type TracingMessage,
} from './runtime/tracing.ts'
export { AsyncSinkWriter } from './sink/async-sink-writer.ts'
export { type EntryRules, explainEntries } from './sink/explain.ts'
export {
  ASYNC_SINK_OPTIONS,
  type AsyncSinkOptions,
  checkSinkOptions,
  type ResolvedSinkOptions,
} from './sink/options.ts'
export {
  congestionControl,
  type CongestionControlOptions,
  fixedRateLimit,
  noRateLimit,
  type RateLimiter,
  type RateLimitingStrategy,
} from './sink/rate-limiting.ts'
export {
  ALL_WRITTEN,
  type Batch,
  type BatchTrigger,
  type EntryOutcome,
  type ExplainedEntry,
  type Explanation,
  type Reason,
  type Refusal,
  type Settlement,
  type Sink,
  type SinkContext,
  type SinkStatus,
  type SinkWriter,
  SPI_VERSION,
  type SubmitContext,
  type SubmitOutcome,
  type WriteBatch,
} from './sink/spi.ts'
export {
  type Fetched,
  type FetchedBatch,
  SourceReaderBase,
  type SourceReaderOptions,
  type SplitFetcher,
} from './source/source-reader-base.ts'
export { type LostPosition, type OnPositionLost, positionLost } from './source/position-lost.ts'
export type {
  EnumeratorContext,
  RawRecord,
  ReaderContext,
  ReaderStatus,
  RecordBatch,
  ReleasedSplit,
  ReleaseHow,
  RestoredSource,
  SettledRecords,
  Source,
  SourceContext,
  SourceReader,
  SourceSplit,
  SplitEnumerator,
  SplitStatus,
} from './source/spi.ts'
export type { CheckpointStatus } from './checkpoint/coordinator.ts'
export { fileCheckpoints, type FileCheckpointsOptions } from './checkpoint/file.ts'
export { memoryCheckpoints } from './checkpoint/memory.ts'
export type { Checkpoint, CheckpointStorage, CheckpointStore, EmittedHint, SourceState } from './checkpoint/storage.ts'
export { type Job } from './job/job.ts'
export type { JobEnd, JobStatus } from './job/status.ts'
export type { AdminOptions, CheckpointOptions, JobOptions } from './job/options.ts'
export {
  exponentialDelayRestart,
  type ExponentialDelayOptions,
  failureRateRestart,
  type FailureRateOptions,
  fixedDelayRestart,
  type FixedDelayOptions,
  noRestart,
  type RestartStrategy,
} from './job/restart.ts'
export type {
  DeadLetters,
  DeadLetterRetryOptions,
  DeadLetterStatus,
  DeliveryContext,
} from './dead-letters/dead-letters.ts'
export {
  type DeadLetter,
  type DeadLetterOrigin,
  encodeDeadLetter,
  parseDeadLetter,
  type RefusalStage,
} from './dead-letters/letter.ts'
export type { DeadLetterOptions } from './dead-letters/options.ts'
export { fileDeadLetters, type FileDeadLettersOptions } from './dead-letters/file.ts'
export {
  deadLetterSource,
  type DeadLetterSourceOptions,
  type DeadLetterSourceState,
  type DeadLetterSplit,
} from './dead-letters/source.ts'
export type { DeadLetterRecord } from './dead-letters/record.ts'
export { readDeadLetters, type ReadDeadLettersOptions, type UnreadableLine } from './dead-letters/read.ts'
export { EXIT_CODES, runToExit } from './job/run.ts'
export { drainOnSignals } from './job/signals.ts'
export type { CallContext, MapAsyncOptions } from './job/operators.ts'
export { perCheckpoint, perSecond, type RateLimitStatus, type SourceRateLimit } from './job/rate-gate.ts'
export { SinkedStream, type SinkToOptions, Stream, stream, type StreamOptions } from './job/stream.ts'
export { JOB_METRICS } from './metrics/job-metrics.ts'
export { prometheusName } from './metrics/prometheus-text.ts'
export { type SinkFunction, toFunction, type ToFunctionOptions } from './sink/to-function.ts'
export {
  fromIterable,
  type FromIterableOptions,
  type IterableSplit,
  type IterableValues,
} from './source/from-iterable.ts'
export { batches, type Batches, type MessageBatch } from './standalone/batches.ts'
export { type Message, messages, type Messages } from './standalone/messages.ts'
export { type OpenSink, openSink, type OpenSinkOptions } from './standalone/open-sink.ts'
export type { BatchesOptions, MessagesOptions } from './standalone/options.ts'
export { toReadable, toReadableStream } from './standalone/readables.ts'
export type { MessagesStatus } from './standalone/session.ts'
export type { OldestMessage } from './standalone/window.ts'
export { toWritable, toWritableStream } from './standalone/writables.ts'
