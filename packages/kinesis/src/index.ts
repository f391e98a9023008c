export { KINESIS_METRICS } from './metrics.ts'
export type {
  KinesisDeserializer,
  KinesisInitialPosition,
  KinesisRecordInfo,
  KinesisSender,
  KinesisSourceOptions,
} from './options.ts'
export { KinesisSource } from './source.ts'
export type { KinesisEnumeratorState, KinesisPosition, KinesisSplit, ShardPartition } from './split.ts'
