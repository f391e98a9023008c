export { type FailpointAction, setFailpoint } from './runtime/failpoints.ts'
export { describeSink, type TestRunner } from './testing/conformance/runner.ts'
export type {
  SentEntry,
  SinkAbilities,
  SinkLimits,
  SinkRecord,
  SinkStage,
  SinkSubject,
} from './testing/conformance/subject.ts'
export { InMemorySink, type InMemorySinkOptions, type Misbehaviour } from './testing/in-memory-sink.ts'
export { InMemorySource, type InMemorySourceOptions, type MemorySplit } from './testing/in-memory-source.ts'
export { compareLedger, type LedgerEntry, type LedgerReport, payloadHash } from './testing/ledger.ts'
export { ScriptedSink, type ScriptedSinkOptions } from './testing/scripted-sink.ts'
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
