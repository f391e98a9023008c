import type { CheckpointStore } from '../checkpoint/storage.ts'
import type { DeadLetterRetryOptions, DeadLetters } from '../dead-letters/dead-letters.ts'
import type { Logger } from '../logger.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import type { Random } from '../runtime/backoff.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Sink } from '../sink/spi.ts'
import type { ReleaseHow, Source, SourceSplit } from '../source/spi.ts'
import type { Step } from './operators.ts'
import type { SourceRateLimit } from './rate-gate.ts'

/** A source whose types core does not need to know: values and splits pass through as they are. */
export type AnySource = Source<unknown, SourceSplit, unknown>
export type AnySink = Sink<unknown>
/** As `EnumeratorContext.release`. */
export type ReleaseSplits = (
  splitIds: readonly string[],
  how: ReleaseHow,
  deadlineMs: number,
) => Promise<readonly SourceSplit[]>

/** What a job runs: the pipeline, and everything that outlives an attempt. */
export interface JobPlan {
  readonly name: string
  readonly source: AnySource
  readonly steps: readonly Step[]
  readonly sinks: readonly AnySink[]
  readonly rateLimit?: SourceRateLimit | undefined
  readonly deadLetters: DeadLetters | undefined
  /** By uid of the sinks that have their own. */
  readonly sinkDeadLetters: ReadonlyMap<string, DeadLetters>
  readonly deadLetterRetry: Required<DeadLetterRetryOptions>
  readonly maxDeadLetterRatio: number
  readonly parallelism: number
  readonly maxRetainedBytes: number
  readonly intervalMs: number
  readonly minPauseMs: number
  readonly timeoutMs: number
  readonly restartGraceMs: number
  readonly startTimeoutMs: number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: MetricRegistry
  readonly store: CheckpointStore
}
