import { SluiceError } from '../errors.ts'
import { SOURCE_METRICS } from '../metrics/source-metrics.ts'
import type { SourceContext } from './spi.ts'

/** What happens when the service no longer has a position; `fail` is every source's default. */
export type OnPositionLost = 'fail' | 'earliest' | 'latest'

/** A position that the service does not have any more. */
export interface LostPosition {
  readonly splitId: string
  /** Where reading was to go on, in words that the service understands; so are the other two. */
  readonly wanted: string
  /** The oldest that the service has; undefined when it has none or does not say. */
  readonly oldest: string | undefined
  /** The end of the split; undefined when the service does not say. */
  readonly newest: string | undefined
  /** Records between the lost position and the one that reading goes on at by the policy, if they can be counted. */
  readonly skippedRecords?: number
  /** What a person may do about it. @default how to accept the gap by the option `onPositionLost` */
  readonly advice?: string
  readonly cause?: unknown
}

/**
 * What a source calls when it finds that a position is gone. No gap is passed over in silence: with `fail` it throws, otherwise the
 * gap is logged and counted (`numPositionsLost`, `numRecordsSkipped`).
 *
 * @returns where to go on.
 * @throws SluiceError `SLUICE_POSITION_LOST`, not restartable, with the facts `split`, `wanted`, `oldest` and `newest`.
 * @example
 * ```ts
 * const from = positionLost(context, options.onPositionLost, { splitId, wanted: '17', oldest: '40', newest: '99' })
 * ```
 */
export function positionLost(context: SourceContext, policy: 'fail', lost: LostPosition): never
export function positionLost(context: SourceContext, policy: OnPositionLost, lost: LostPosition): 'earliest' | 'latest'
export function positionLost(
  context: SourceContext,
  policy: OnPositionLost,
  lost: LostPosition,
): 'earliest' | 'latest' {
  const { splitId, wanted, oldest, newest, skippedRecords, cause } = lost
  const { sourceUid, logger, metrics } = context
  const facts = { split: splitId, wanted, oldest, newest }
  if (policy === 'fail') {
    const { advice = `to accept the gap, set onPositionLost to 'earliest' or 'latest'` } = lost
    throw new SluiceError(
      'SLUICE_POSITION_LOST',
      `source '${sourceUid}', split ${splitId}: the service no longer has what follows ${wanted}: it has ${oldest ?? 'unknown'} to ${newest ?? 'unknown'}; ${advice}`,
      { facts, ...(cause === undefined ? {} : { cause }) },
    )
  }
  metrics.counter(SOURCE_METRICS.numPositionsLost).value++
  if (skippedRecords !== undefined) metrics.counter(SOURCE_METRICS.numRecordsSkipped).value += skippedRecords
  logger.warn(
    { source: sourceUid, ...facts, goesOnAt: policy, ...(skippedRecords === undefined ? {} : { skippedRecords }) },
    'Records were lost: the service no longer has the position, and onPositionLost accepts the gap',
  )
  return policy
}
