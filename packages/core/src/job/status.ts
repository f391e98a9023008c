import type { CheckpointStatus } from '../checkpoint/coordinator.ts'
import type { DeadLetterStatus } from '../dead-letters/dead-letters.ts'
import type { SinkStatus } from '../sink/spi.ts'
import type { ReaderStatus } from '../source/spi.ts'
import type { RateLimitStatus } from './rate-gate.ts'

/** How a job ended, when it did not fail. */
export interface JobEnd {
  /** `finished`: the input ended. `drained` and `closed`: as asked. */
  readonly how: 'finished' | 'drained' | 'closed'
  /**
   * Inputs that were emitted and not settled: they are repeated at the next start. 0 unless the job was closed, or was stopped
   * while it waited to restart.
   */
  readonly unsettled: number
  readonly unsettledBySplit: Readonly<Record<string, number>>
}

/** What `job.status()` tells: plain data, without record content of its own; `lastError` has the words of whoever failed. */
export interface JobStatus {
  readonly name: string
  /** `paused`: it runs, and by `job.pause()` neither reads nor emits. */
  readonly state: 'starting' | 'running' | 'paused' | 'restarting' | 'draining' | 'ended' | 'failed'
  readonly attempt: number
  readonly restarts: number
  readonly uptimeMs: number
  /** Inputs emitted by this attempt. */
  readonly emitted: number
  /** Over the last minute, as far as the status was asked for; else since it was asked for before. */
  readonly rates: {
    readonly emittedPerSecond: number
    /** Entries that the stores confirmed, by sink. */
    readonly writtenPerSecond: Readonly<Record<string, number>>
  }
  readonly unsettled: number
  /** Inputs that a kill at this moment would repeat. */
  readonly repeatIfKilledNow: number
  /** Raw bytes of the fetched batches that have unsettled inputs; at most `maxRetainedBytes`, or one batch. */
  readonly retainedBytes: number
  /** Why nothing more is emitted: the bound that is reached, and what holds the oldest entry back. */
  readonly waitingFor?: string
  /** Only with the option `rateLimit`. */
  readonly rateLimit?: RateLimitStatus
  readonly readers: readonly ReaderStatus[]
  readonly sinks: Readonly<Record<string, SinkStatus>>
  readonly deadLetters: DeadLetterStatus
  readonly checkpoints: CheckpointStatus | undefined
  readonly lastError?: { readonly code: string; readonly message: string; readonly attempt: number }
}

/** What an attempt tells of itself. */
export interface AttemptStatus {
  readonly emitted: number
  readonly unsettled: number
  readonly repeatIfKilledNow: number
  readonly retainedBytes: number
  readonly waitingFor: string | undefined
  readonly rateLimit: RateLimitStatus | undefined
  readonly readers: readonly ReaderStatus[]
  readonly sinks: Readonly<Record<string, SinkStatus>>
  readonly deadLetters: DeadLetterStatus
  readonly checkpoints: CheckpointStatus | undefined
}
