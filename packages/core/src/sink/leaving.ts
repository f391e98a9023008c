import type { SinkCounters } from '../metrics/sink-metrics.ts'
import { type Disposition, timeoutReason } from './disposition.ts'
import type { Removed } from './entry-queue.ts'
import type { InHand } from './in-hand.ts'
import type { ResolvedSinkOptions } from './options.ts'
import type { Scheduler } from './scheduler.ts'
import type { SinkContext } from './spi.ts'

export interface LeavingPlan<Entry> {
  readonly context: SinkContext
  readonly limits: ResolvedSinkOptions
  readonly counters: SinkCounters
  readonly hand: InHand<Entry>
  readonly disposition: Disposition<Entry>
  readonly scheduler: Scheduler<Entry>
}

/** Takes out what is not to be sent any more: entries of a split that was given back, and those whose time is over. */
export class Leaving<Entry> {
  readonly #plan: LeavingPlan<Entry>

  constructor(plan: LeavingPlan<Entry>) {
    this.#plan = plan
  }

  /** @returns how many entries of released splits were returned; those in flight follow with their answers. */
  release(now: number): number {
    const { context, counters } = this.#plan
    const { settlement } = context
    const before = counters.numRecordsReturned.value
    const isReleased = (token: number): boolean => settlement.isReleased(token)
    this.#removeQueued(isReleased, ({ token }) => {
      counters.numRecordsReturned.value++
      settlement.returned(token)
    })
    this.#removeWaiting(now)
    return counters.numRecordsReturned.value - before
  }

  /** Refuses entries that have been in hand for `entryTimeoutMs` and are not in flight. */
  expire(now: number): void {
    const { limits, disposition } = this.#plan
    const { entryTimeoutMs } = limits
    if (entryTimeoutMs === Number.POSITIVE_INFINITY) return
    const isOver = (_token: number, enqueuedAt: number): boolean => enqueuedAt + entryTimeoutMs <= now
    this.#removeQueued(isOver, ({ token, entry, enqueuedAt, charge }) => {
      const reason = timeoutReason(entryTimeoutMs, 'it was not sent yet')
      disposition.refuse({ token, stage: 'store', reason, entry, attempts: 0 }, charge, enqueuedAt, true)
    })
    this.#removeWaiting(now)
    this.wakeInTime(now)
  }

  /** An entry in flight has no timer of its own: its answer may put it among those that wait, for longer than its time. */
  wakeInTime(now: number): void {
    const { limits, hand, scheduler } = this.#plan
    if (limits.entryTimeoutMs === Number.POSITIVE_INFINITY) return
    const oldest = hand.oldestToSend()
    if (oldest !== undefined) scheduler.wakeAt(oldest + limits.entryTimeoutMs, now)
  }

  #removeQueued(
    test: (token: number, enqueuedAt: number) => boolean,
    onRemoved: (removed: Removed<Entry>) => void,
  ): void {
    const { hand } = this.#plan
    for (const { queue } of hand.lanes()) {
      for (const removed of queue.remove(test)) {
        hand.bufferedRecords--
        hand.bufferedBytes -= removed.charge
        onRemoved(removed)
      }
    }
  }

  /** Takes what has to leave out of what is to be repeated. */
  #removeWaiting(now: number): void {
    const { hand, disposition, scheduler } = this.#plan
    for (const destination of hand.destinations.values()) {
      const before = hand.countToBeRetried(destination)
      destination.waiting.replaceEach((parcel) => disposition.withoutLeaving(parcel, now))
      for (const { again } of destination.allLanes()) {
        const kept = again.flatMap((parcel) => disposition.withoutLeaving(parcel, now) ?? [])
        again.splice(0, again.length, ...kept)
      }
      for (const lane of destination.isolating) if (lane.isEmpty) destination.isolating.delete(lane)
      hand.bufferedRecords -= before - hand.countToBeRetried(destination)
      scheduler.considerAll(destination, now)
    }
  }
}
