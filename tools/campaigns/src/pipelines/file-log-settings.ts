import type { GeneratedRecord } from '../campaign.ts'

export const JOB = 'campaign'

/** What the subject is told. */
export interface FileLogSettings {
  /** One record a line, in JSON; lines are added while it is read. */
  readonly recordsPath: string
  /** Where the sink writes. */
  readonly journalPath: string
  /** Where a process says what became of it. */
  readonly eventsPath: string
  readonly stateFolder: string
  readonly checkpointIntervalMs: number
  /** Names the process in the journal. */
  readonly process: number
  /** Milliseconds since the epoch at which the job starts: two processes that are given the same one meet. */
  readonly startAtMs?: number
  /** The process stops itself, with SIGSTOP, at the second hit of this failpoint. */
  readonly stopAt?: string
  /** It is to other owners as if it ran on another machine: their sockets do not answer. */
  readonly elsewhere?: boolean
  /** Instead of one job: one after the other, each on a copy of the state of its own. */
  readonly sweep?: readonly string[]
}

/** A line of the journal. */
export interface JournalLine {
  readonly record: GeneratedRecord
  readonly process: number
  readonly atNs: string
  /** Of a sweep: the state that the job was started on. */
  readonly state?: string
}

/** A line of the events. */
export interface FileLogEvent {
  readonly process: number
  readonly what: 'owned' | 'stored' | 'acknowledged' | 'ended'
  /** Of the checkpoint; of `owned`: the one that was loaded. */
  readonly id?: number
  /** Of the error that it ended with; absent when it was drained. */
  readonly code?: string
  /** Of a sweep: the state that it is about. */
  readonly state?: string
}
