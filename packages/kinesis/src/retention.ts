import { type Counter, positionLost, type SourceContext } from '@sluice/core'

import type { KinesisApi } from './api.ts'
import { KINESIS_METRICS } from './metrics.ts'
import { isCatchingUp, type KinesisPosition, type KinesisSplit, readUpToMs, wantsOldest } from './split.ts'
import { WarningInterval } from './warning-interval.ts'

const HOUR_MS = 3_600_000
/** No stream keeps records for less time than this. */
export const MIN_RETENTION_MS: number = 24 * HOUR_MS
/** Reading that began where records expire is away from there when it is this far from it; until then, so little is let go. */
const CLOSE_TO_EXPIRY_MS = 5 * 60_000
/** DescribeStreamSummary is limited for each account: a reader that is far behind asks this often. */
const RETENTION_MAX_AGE_MS = 60_000

/** Whether what arrived at this time expires so soon that reading which begins there may miss some of it. */
export function isCloseToExpiry(arrivedMs: number, nowMs: number, retentionMs: number): boolean {
  return arrivedMs < nowMs - retentionMs + CLOSE_TO_EXPIRY_MS
}

/** How long the stream keeps records; asked for only when a position is older than every stream keeps them. */
export class Retention {
  readonly #api: KinesisApi
  readonly #clock: SourceContext['clock']
  #lastMs = MIN_RETENTION_MS
  #askedAt = -Infinity

  constructor(api: KinesisApi, clock: SourceContext['clock']) {
    this.#api = api
    this.#clock = clock
  }

  /** What the service said last, else what every stream has at least. */
  get lastMs(): number {
    return this.#lastMs
  }

  async readMs(maxAgeMs: number, signal: AbortSignal): Promise<number> {
    const now = this.#clock.now()
    if (now - this.#askedAt >= maxAgeMs) {
      const { RetentionPeriodHours } = await this.#api.describeStream(signal)
      this.#lastMs = (RetentionPeriodHours ?? 24) * HOUR_MS
      this.#askedAt = now
    }
    return this.#lastMs
  }
}

/**
 * Notices that records expired before they were read. The service does not say so: it goes on at the oldest record that it
 * still has. A position is lost when it is older than the retention period, since whatever arrived between it and
 * the oldest record is gone.
 *
 * Reading that began at the oldest record begins where records expire: there a little is told and let go. Before its first
 * record, nothing that expires is missed, since the oldest record, whichever it is, was asked for.
 */
export class ExpiryGuard {
  readonly #context: SourceContext
  readonly #retention: Retention
  readonly #gaps: Counter
  readonly #warning: WarningInterval

  constructor(context: SourceContext, retention: Retention) {
    this.#context = context
    this.#retention = retention
    this.#gaps = context.metrics.counter(KINESIS_METRICS.numExpiryGaps)
    this.#warning = new WarningInterval(context.clock)
  }

  /**
   * @returns the time before which records may have expired unread, if that was let go.
   * @throws SluiceError `SLUICE_POSITION_LOST`
   */
  async check(split: KinesisSplit, signal: AbortSignal): Promise<number | undefined> {
    const reachedMs = readUpToMs(split)
    const nowMs = this.#context.clock.wallNow()
    if (reachedMs === undefined || reachedMs >= nowMs - MIN_RETENTION_MS) return undefined
    const oldestMs = nowMs - (await this.#retention.readMs(RETENTION_MAX_AGE_MS, signal))
    if (reachedMs >= oldestMs) return undefined
    if (wantsOldest(split) || (isCatchingUp(split) && reachedMs >= oldestMs - CLOSE_TO_EXPIRY_MS)) {
      this.#tell(split, reachedMs, oldestMs)
      return oldestMs
    }
    // The period may have been made longer a moment ago, to prevent this.
    const certainMs = nowMs - (await this.#retention.readMs(0, signal))
    if (reachedMs < certainMs) failPositionLost(this.#context, split, certainMs, nowMs)
    return undefined
  }

  /** Reading that is catching up is away from where records expire once it is at a record that arrived at this time or later. */
  awayFromMs(split: KinesisSplit): number {
    if (!isCatchingUp(split)) return -Infinity
    return this.#context.clock.wallNow() - this.#retention.lastMs + CLOSE_TO_EXPIRY_MS
  }

  #tell(split: KinesisSplit, reachedMs: number, oldestMs: number): void {
    this.#gaps.value++
    if (!this.#warning.due()) return
    const [readUpTo, oldest] = [reachedMs, oldestMs].map((ms) => new Date(ms).toISOString())
    this.#context.logger.warn(
      { source: this.#context.sourceUid, split: split.splitId, readUpTo, oldest, gapMs: oldestMs - reachedMs },
      'records may have expired before they were read: reading is still where it began, at the oldest records (a longer retention ' +
        'period of the stream gives it time)',
    )
  }
}

/**
 * @param oldestMs - when the oldest record that the service has can have arrived.
 * @throws SluiceError `SLUICE_POSITION_LOST`
 */
export function failPositionLost(
  context: SourceContext,
  split: KinesisSplit,
  oldestMs: number,
  nowMs: number,
  cause?: unknown,
): never {
  const [oldest, newest] = [oldestMs, nowMs].map((ms) => new Date(ms).toISOString())
  const reached = readUpToMs(split)
  const read = reached === undefined ? '' : `the shard was read up to ${new Date(reached).toISOString()}; `
  positionLost(context, 'fail', {
    splitId: split.splitId,
    wanted: wantedOf(split.position),
    oldest,
    newest,
    advice: `${read}raise the stream's retention period, or, to accept the gap, move the job's checkpoints away`,
    cause,
  })
}

function wantedOf(position: KinesisPosition): string {
  if (position.kind === 'AFTER') return `${position.sequenceNumber}:${position.subSequenceNumber}`
  return position.kind === 'AT_TIMESTAMP' ? new Date(position.timestampMs).toISOString() : position.kind
}
