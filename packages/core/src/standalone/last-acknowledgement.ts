import type { CheckpointCoordinator } from '../checkpoint/coordinator.ts'
import type { Checkpoint } from '../checkpoint/storage.ts'
import { SluiceError } from '../errors.ts'
import type { Grace } from '../job/grace.ts'
import type { Released } from '../job/split-release.ts'
import type { Logger } from '../logger.ts'
import type { Clock } from '../runtime/clock.ts'
import type { SourceReader, SourceSplit } from '../source/spi.ts'
import type { Tracker } from '../tracker/tracker.ts'

export interface LastAcknowledgementPlan {
  /** Of the job. */
  readonly name: string
  readonly clock: Clock
  readonly logger: Logger
  readonly closeDeadlineMs: number
  readonly tracker: Tracker
  readonly coordinator: CheckpointCoordinator
  readonly reader: SourceReader<unknown, SourceSplit>
  /** Gives splits back, as in a rebalance. */
  release(splitIds: readonly string[], deadlineMs: number): Promise<Released>
  /** What the splits were read with, of this instant: with their positions it becomes a checkpoint. */
  checkpoint(): (splits: readonly SourceSplit[]) => Checkpoint
  /** Undefined where the service keeps the positions. */
  store: ((checkpoint: Checkpoint) => Promise<number>) | undefined
}

/**
 * What is told at the end: everything, if nothing is unsettled; otherwise, of each split, what is settled before the first record
 * that is not.
 *
 * @throws SluiceError `SLUICE_DEADLINE_EXCEEDED`, or why it failed.
 */
export async function acknowledgeLast(plan: LastAcknowledgementPlan, grace: Grace): Promise<void> {
  const { clock, closeDeadlineMs, tracker, coordinator } = plan
  const { promise: late, reject } = Promise.withResolvers<never>()
  const expiry = clock.after(grace.leftMs, () => reject(tooLate(closeDeadlineMs)))
  try {
    await Promise.race([tracker.unsettled === 0 ? coordinator.takeFinal() : giveBack(plan, grace), late])
  } finally {
    expiry.cancel()
  }
}

async function giveBack(plan: LastAcknowledgementPlan, grace: Grace): Promise<void> {
  const { name, logger, reader, coordinator, store } = plan
  // A store under way must not overtake the last one.
  await coordinator.stop()
  const splitIds = reader.status().splits.map(({ splitId }) => splitId)
  const checkpoint = plan.checkpoint()
  const { splits, isAcknowledged } = await plan.release(splitIds, grace.leftMs)
  if (store !== undefined && splits.length === splitIds.length) await store(checkpoint(splits))
  else if (store !== undefined) {
    // One that is missing would not be read again.
    const missing = splitIds.filter((splitId) => !splits.some((split) => split.splitId === splitId))
    logger.warn(
      { job: name, splits: missing },
      'The last positions were not stored, because splits were being released: what was acked since the last interval is repeated',
    )
  }
  if (isAcknowledged) return
  const message = 'the source did not take the last acknowledgement: what it had is repeated'
  throw new SluiceError('SLUICE_SOURCE_FAILED', message, { restartable: true })
}

function tooLate(closeDeadlineMs: number): SluiceError {
  const message = `the last acknowledgement did not end within ${closeDeadlineMs} ms (closeDeadlineMs): what it had is repeated at the next start`
  return new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { restartable: true })
}
