import { type Clock, SluiceError } from '@sluice/core'

import type { KinesisApi } from './api.ts'
import { describePosition, type KinesisPosition, type KinesisSplit, readUpToMs } from './split.ts'

const HOUR_MS = 3_600_000
/** No stream keeps records for less time than this. */
export const MIN_RETENTION_MS: number = 24 * HOUR_MS
/** A reader that began at the oldest record is past it when it is this far from where records expire. */
const CLEAR_OF_HORIZON_MS = 5 * 60_000

/** How long the stream keeps records; asked for only when a position is older than every stream keeps them. */
export class Retention {
  readonly #api: KinesisApi

  constructor(api: KinesisApi) {
    this.#api = api
  }

  async readMs(signal: AbortSignal): Promise<number> {
    const { RetentionPeriodHours } = await this.#api.describeStream(signal)
    return (RetentionPeriodHours ?? 24) * HOUR_MS
  }
}

/**
 * Notices that records expired before they were read. The service does not say so: it goes on at the oldest record that it
 * still has. A position is lost when it is older than the retention period, since whatever arrived between it and
 * the oldest record is gone.
 */
export class ExpiryGuard {
  readonly #retention: Retention
  readonly #clock: Clock
  #retentionMs = MIN_RETENTION_MS
  /** While the oldest record, whichever that is, was asked for and is being reached, records that expire are not missed. */
  #armed: boolean

  constructor(retention: Retention, clock: Clock, split: KinesisSplit) {
    this.#retention = retention
    this.#clock = clock
    this.#armed = readUpToMs(split) !== undefined
  }

  /** @throws SluiceError `SLUICE_POSITION_LOST` */
  async check(split: KinesisSplit, signal: AbortSignal): Promise<void> {
    const reached = readUpToMs(split)
    if (reached === undefined) return
    const nowMs = this.#clock.wallNow()
    if (nowMs - reached > this.#retentionMs && this.#armed) {
      this.#retentionMs = await this.#retention.readMs(signal)
      if (nowMs - reached > this.#retentionMs) throw positionLost(split, nowMs - this.#retentionMs, nowMs)
    }
    if (nowMs - reached < this.#retentionMs - CLEAR_OF_HORIZON_MS) this.#armed = true
  }
}

/**
 * @param oldestMs - when the oldest record that the service has can have arrived.
 */
export function positionLost(split: KinesisSplit, oldestMs: number, nowMs: number, cause?: unknown): SluiceError {
  const [oldest, newest] = [oldestMs, nowMs].map((ms) => new Date(ms).toISOString())
  const reached = readUpToMs(split)
  const read = reached === undefined ? '' : ` (read up to ${new Date(reached).toISOString()})`
  return new SluiceError(
    'SLUICE_POSITION_LOST',
    `shard ${split.splitId}: records after the stored position may be gone: wanted ${describePosition(split.position)}${read}, ` +
      `the stream has records from ${oldest} to ${newest}; raise the stream's retention period, or reset the checkpoint to accept the gap`,
    { cause, facts: { split: split.splitId, wanted: wantedOf(split.position), oldest, newest } },
  )
}

function wantedOf(position: KinesisPosition): string {
  if (position.kind === 'AFTER') return `${position.sequenceNumber}:${position.subSequenceNumber}`
  return position.kind === 'AT_TIMESTAMP' ? new Date(position.timestampMs).toISOString() : position.kind
}
