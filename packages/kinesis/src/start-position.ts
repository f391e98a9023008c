import { SluiceError } from '@sluice/core'

import type { KinesisInitialPosition } from './options.ts'
import type { KinesisEnumeratorState } from './split.ts'

/** How far the clock of this machine may be ahead of the service's without records being skipped, if the service does not say its time. */
const CLOCK_MARGIN_MS = 2000
/** A time so little in the future, by clocks that are rounded down, may well be the present: it is waited for. */
const LONGEST_WAIT_MS = 1000 + CLOCK_MARGIN_MS

/**
 * The service's time, never later than it is: from its answer, which is rounded down to the second, else from this machine's
 * clock less a margin.
 */
export function serviceNowMs(answeredMs: number | undefined, wallNowMs: number): number {
  return answeredMs ?? wallNowMs - CLOCK_MARGIN_MS
}

/**
 * Turns the option into a position that means the same at any later time.
 *
 * `LATEST` becomes the time now: an iterator of type LATEST, asked for again after a restart, would skip what came between.
 * The time is the service's and rounded down, so that up to a second of older records may be read, and none is skipped.
 *
 * @param nowMs - the service's time.
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` for a time in the future, which the service would refuse.
 */
export function resolveStart(
  initialPosition: KinesisInitialPosition,
  nowMs: number,
  retentionMs: number,
): KinesisEnumeratorState['start'] {
  if (initialPosition === 'TRIM_HORIZON') return { kind: 'TRIM_HORIZON' }
  if (initialPosition === 'LATEST') return { kind: 'AT_TIMESTAMP', timestampMs: nowMs }
  const { atTimestamp } = initialPosition
  const wantedMs = atTimestamp instanceof Date ? atTimestamp.getTime() : atTimestamp
  if (wantedMs > nowMs + LONGEST_WAIT_MS) {
    throw new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `KinesisSource: initialPosition.atTimestamp must not be in the future: got ${new Date(wantedMs).toISOString()}, ` +
        `the service's time is ${new Date(nowMs).toISOString()}`,
    )
  }
  if (wantedMs < nowMs - retentionMs) return { kind: 'TRIM_HORIZON' }
  return { kind: 'AT_TIMESTAMP', timestampMs: wantedMs }
}
