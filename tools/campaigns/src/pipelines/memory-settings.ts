/** The shapes of the memory service's sources. */
export type MemoryShape = 'prefix' | 'individual' | 'external'

/** What the subject is told. */
export interface MemorySettings {
  readonly endpoint: string
  readonly shape: MemoryShape
  /** For positions that checkpoints keep. */
  readonly stateFolder: string
  readonly checkpointIntervalMs: number
  /** Milliseconds before another attempt; without it a failure ends the process. */
  readonly restartDelayMs?: number
}

export const JOB = 'campaign'

/** From SIGTERM to the end of the process there are five seconds: so long to drain, and then so long to close. */
export const DRAIN_DEADLINE_MS = 4_000
export const RESTART_GRACE_MS = 1_000
