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
  /** No entry that is not in flight is over before: until then nobody has to look. */
  #dueAt: number = Number.POSITIVE_INFINITY

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
    if (now < this.#dueAt) {
      // The writer has one timer, and what it ran out for may have come before.
      this.#plan.scheduler.wakeAt(this.#dueAt, now)
      return
    }
    const { limits, disposition, hand } = this.#plan
    const { entryTimeoutMs } = limits
    const isOver = (_token: number, enqueuedAt: number): boolean => enqueuedAt + entryTimeoutMs <= now
    this.#removeQueued(isOver, ({ token, entry, enqueuedAt, charge }) => {
      const reason = timeoutReason(entryTimeoutMs, 'it was not sent yet')
      disposition.refuse({ token, stage: 'store', reason, entry, attempts: 0 }, charge, enqueuedAt, true)
    })
    this.#removeWaiting(now)
    this.#dueAt = Number.POSITIVE_INFINITY
    this.watch(hand.oldestToSend(), now)
  }

  /**
   * An entry that was accepted at this time waits from now on: behind nothing, or for its repeat. Those that come behind it in its lane
   * are looked at when its time is over, or that of whatever is then the oldest.
   */
  watch(acceptedAt: number | undefined, now: number): void {
    const { entryTimeoutMs } = this.#plan.limits
    if (acceptedAt === undefined || acceptedAt + entryTimeoutMs >= this.#dueAt) return
    this.#dueAt = acceptedAt + entryTimeoutMs
    this.#plan.scheduler.wakeAt(this.#dueAt, now)
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
