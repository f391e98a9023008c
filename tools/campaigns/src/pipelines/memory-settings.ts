/** The shapes of the memory service's sources. */
export type MemoryShape = 'prefix' | 'individual' | 'external'

/** What the subject is told. */
export interface MemorySettings {
  readonly endpoint: string
  readonly shape: MemoryShape
  /** For positions that checkpoints keep. */
  readonly stateFolder: string
  readonly checkpointIntervalMs: number
}

export const JOB = 'campaign'
