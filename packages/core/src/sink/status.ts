import type { SinkCounters } from '../metrics/sink-metrics.ts'
import type { InHand } from './in-hand.ts'
import type { SinkStatus } from './spi.ts'

/** As many slowed destinations are named. */
const MAX_NAMED = 10

/** What a writer has done and has in hand, counted where it lies. */
export function sinkStatus<Entry>(counters: SinkCounters, hand: InHand<Entry>, now: number): SinkStatus {
  const oldest = hand.oldest(now)
  const retryingRecords = hand.countToBeRetried()
  const slowed = [...hand.destinations.values()]
    .filter(({ isSlowed, pausedUntil }) => isSlowed || pausedUntil > now)
    .slice(0, MAX_NAMED)
    .map(({ name, limiter, pausedUntil }) => ({
      destination: name,
      maxInFlightRequests: limiter.limit,
      pausedMs: Math.max(0, pausedUntil - now),
    }))
  return {
    accepted: counters.numRecordsAccepted.value,
    written: counters.numRecordsOut.value,
    duplicate: counters.numRecordsDuplicate.value,
    dropped: counters.numRecordsDropped.value,
    deadLettered: counters.numRecordsDeadLettered.value,
    returned: counters.numRecordsReturned.value,
    abandoned: counters.numRecordsAbandoned.value,
    inHand: hand.count(),
    bufferedRecords: hand.countQueued() + retryingRecords + hand.refusing.size,
    retryingRecords,
    inFlightRecords: hand.countInFlight(),
    inFlightRequests: hand.requests.size,
    bufferedBytes: hand.bufferedBytes,
    ...(slowed.length === 0 ? {} : { slowed }),
    ...(oldest === undefined ? {} : { oldest }),
  }
}
