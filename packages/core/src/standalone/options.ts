import { DEAD_LETTER_OPTIONS, type DeadLetterOptions } from '../dead-letters/options.ts'
import { type CheckpointOptions, type JobOptions, resolveJobOptions, type ResolvedJobOptions } from '../job/options.ts'
import type { AnySource } from '../job/plan.ts'
import { stream } from '../job/stream.ts'
import { OptionsCheck } from '../options.ts'

/** What {@link messages} is told. */
export interface MessagesOptions
  extends DeadLetterOptions, Pick<JobOptions, 'maxRetainedBytes' | 'logger' | 'metrics' | 'clock' | 'random'> {
  /** Names the consumer in metrics (label `job`), logs, dead letters and checkpoint storage. @default the uid of the source */
  readonly name?: string
  /** Where the positions of a source with `positionAuthority: 'checkpoint'` are kept; others need none. */
  readonly checkpoints?: Pick<CheckpointOptions, 'storage' | 'timeoutMs'>
  /**
   * Messages handed out and not acknowledged, at most; where the service remembers one position a split (`prefix`), all that were
   * handed out since the oldest unacknowledged one: those of its split wait for it. At the limit nothing more is handed out; `status()`
   * names the oldest. @default 10000
   */
  readonly maxUnacked?: number
  /**
   * Milliseconds between two acknowledgements of what was acked meanwhile: what a kill repeats.
   * @default 1000; 10000 where each of them stores a checkpoint
   */
  readonly acknowledgeIntervalMs?: number
  /**
   * With `prefix` sources, how often a message is handed out before a `nack` refuses it: it then goes to `deadLetters`, or ends the
   * iteration with `SLUICE_RECORD_REFUSED` when there are none. Other sources give a message back at each `nack`, and the service
   * counts. @default 1
   */
  readonly maxAttempts?: number
  /** Milliseconds that the end has for the last acknowledgement and for closing the source. @default 5000 */
  readonly closeDeadlineMs?: number
}

/** What {@link batches} is told. */
export interface BatchesOptions extends MessagesOptions {
  /** Values in one batch, at most. A batch is of one split and may be smaller: it never waits for more. @default 500 */
  readonly maxBatchSize?: number
}

/** Options with defaults, and those of the job that a session is made like. */
export interface ResolvedMessagesOptions {
  readonly job: ResolvedJobOptions
  readonly maxUnacked: number
  readonly maxAttempts: number
  readonly closeDeadlineMs: number
  readonly maxBatchSize: number
}

const PASSED = ['maxRetainedBytes', 'logger', 'metrics', 'clock', 'random', ...DEAD_LETTER_OPTIONS] as const
const KNOWN = [
  'name',
  'checkpoints',
  'maxUnacked',
  'acknowledgeIntervalMs',
  'maxAttempts',
  'closeDeadlineMs',
  ...PASSED,
]

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem, `SLUICE_SPI_MISMATCH`. */
export function resolveMessagesOptions(
  owner: 'messages' | 'batches',
  source: AnySource,
  options: BatchesOptions,
): ResolvedMessagesOptions {
  stream(source)
  const check = new OptionsCheck(owner, options, owner === 'batches' ? [...KNOWN, 'maxBatchSize'] : KNOWN)
  for (const name of ['maxUnacked', 'acknowledgeIntervalMs', 'maxAttempts', 'maxBatchSize']) check.integer(name)
  check.integer('closeDeadlineMs', { min: 0 })
  const { checkpoints, acknowledgeIntervalMs, maxUnacked, maxAttempts, closeDeadlineMs, maxBatchSize } = options ?? {}
  if (checkpoints !== undefined) {
    const nested = new OptionsCheck('checkpoints', checkpoints, ['storage', 'timeoutMs'], 'checkpoints.')
    for (const problem of nested.problems) check.problem(problem)
  }
  check.throwIfAny()
  const intervalMs = acknowledgeIntervalMs ?? (source.positionAuthority === 'checkpoint' ? 10_000 : 1_000)
  const passed = Object.fromEntries(
    PASSED.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  )
  return {
    job: resolveJobOptions({
      ...passed,
      name: options.name ?? nameOf(source.uid),
      checkpoints: { ...checkpoints, intervalMs },
    }),
    maxUnacked: maxUnacked ?? 10_000,
    maxAttempts: maxAttempts ?? 1,
    closeDeadlineMs: closeDeadlineMs ?? 5_000,
    maxBatchSize: maxBatchSize ?? 500,
  }
}

/** A uid may have what the name of a folder may not. */
export function nameOf(uid: string): string {
  return uid.replaceAll(/[^A-Za-z0-9._-]|^\./g, '_').slice(0, 100)
}
