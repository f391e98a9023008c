export type { Counters } from './counters.ts'
export { TimestreamLocalError, type ServiceErrorType, type TimestreamLocalErrorCode } from './errors.ts'
export type { Fault, FaultKind, FaultOptions, Faults } from './faults.ts'
export {
  readJournal,
  type ControlOperation,
  type JournalControl,
  type JournalEntry,
  type JournalMeasure,
  type JournalRecord,
  type JournalWrite,
} from './journal-reader.ts'
export type { Logger, TimestreamLocalOptions } from './options.ts'
export { startTimestreamLocal, type TimestreamLocal } from './server.ts'
export type { LocalCredentials } from './signature.ts'
export type { RecordOutcome } from './table.ts'
export type { ValueType } from './values.ts'
