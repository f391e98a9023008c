export { type FailpointAction, setFailpoint } from './runtime/failpoints.ts'
export type { TestRunner } from './testing/conformance/kit.ts'
export { describeSource } from './testing/conformance-source/runner.ts'
export type {
  SourceAbilities,
  SourceRecord,
  SourceService,
  SourceSettings,
  SourceStage,
  SourceSubject,
} from './testing/conformance-source/subject.ts'
export { describeSink } from './testing/conformance/runner.ts'
export type {
  SentEntry,
  SinkAbilities,
  SinkLimits,
  SinkRecord,
  SinkStage,
  SinkSubject,
} from './testing/conformance/subject.ts'
export {
  type GroupCommit,
  type GroupMember,
  type GroupSplit,
  InMemoryGroupLog,
  type InMemoryGroupLogOptions,
  type Rebalance,
} from './testing/in-memory-group-log.ts'
export { InMemoryGroupSource, type InMemoryGroupSourceOptions } from './testing/in-memory-group-source.ts'
export {
  InMemoryQueue,
  type InMemoryQueueOptions,
  type QueueDelivery,
  type QueueReceipt,
  type QueueRequest,
} from './testing/in-memory-queue.ts'
export { InMemoryQueueSource, type InMemoryQueueSourceOptions } from './testing/in-memory-queue-source.ts'
export { InMemorySink, type InMemorySinkOptions, type Misbehaviour } from './testing/in-memory-sink.ts'
export { InMemorySource, type InMemorySourceOptions, type MemoryEnumeratorState } from './testing/in-memory-source.ts'
export { type LogReading, MemoryLog, type MemorySplit } from './testing/memory-log.ts'
export { compareLedger, type LedgerEntry, type LedgerReport, payloadHash } from './testing/ledger.ts'
export { ScriptedSink, type ScriptedSinkOptions } from './testing/scripted-sink.ts'
export {
  type CommitCommand,
  type FetchCommand,
  type ScriptedEnumeratorState,
  ScriptedSource,
  type ScriptedSourceOptions,
} from './testing/scripted-source.ts'
export {
  type EntryAnswer,
  ScriptedStore,
  type ScriptedStoreOptions,
  type StoreAnswer,
  type StoreCommand,
  type StoreRequest,
} from './testing/scripted-store.ts'
export { seededRandom } from './testing/seeded-random.ts'
export { VirtualClock } from './testing/virtual-clock.ts'
