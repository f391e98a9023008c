import type { Clock, Timer } from '../runtime/clock.ts'
import type { InHand } from './in-hand.ts'
import type { Destination, Lane } from './lane.ts'
import type { ResolvedSinkOptions } from './options.ts'
import { Parcel } from './parcel.ts'
import type { BatchTrigger } from './spi.ts'

/** Entries that are to be sent now as one request. */
export interface Outgoing<Entry> {
  readonly parcel: Parcel<Entry>
  readonly lane: Lane<Entry>
  readonly trigger: BatchTrigger
}

/** How far a lane with one entry for each key looks for other keys, in batches. */
const DISTINCT_WINDOW = 4

export interface SchedulerPlan<Entry> {
  readonly hand: InHand<Entry>
  readonly limits: ResolvedSinkOptions
  readonly clock: Clock
  /** True if a batch of a serial lane may hold one entry of a key only: the store answers for each by itself. */
  isDistinct(): boolean
  /** True once entries have gone to more than one destination. */
  hasSeveralDestinations(): boolean
  /** The time has come to look what may be sent. */
  onTime(now: number): void
}

/** Says which lane sends next, what, and when to look again. */
export class Scheduler<Entry> {
  readonly #plan: SchedulerPlan<Entry>
  /** Lanes that may send, first come, first served; what keeps them from it may have come since. */
  readonly #ready = new Set<Lane<Entry>>()
  #timer: { readonly dueAt: number; readonly timer: Timer } | undefined

  constructor(plan: SchedulerPlan<Entry>) {
    this.#plan = plan
  }

  get hasReady(): boolean {
    return this.#ready.size > 0
  }

  /** Something about the lane has changed. */
  consider(lane: Lane<Entry>, now: number): void {
    // In a serial lane an answer has to come first.
    if (lane.isSerial && lane.inFlight > 0) return
    const at = this.#dueAt(lane, now)
    if (at > now) this.wakeAt(at, now)
    else if (lane.destination.isFull) lane.destination.blocked.add(lane)
    else this.#ready.add(lane)
  }

  /** Something about the whole destination has changed. */
  considerAll(destination: Destination<Entry>, now: number): void {
    for (const lane of destination.allLanes()) this.consider(lane, now)
  }

  /** A request of the lane has ended: first come those that waited for it. */
  answered(lane: Lane<Entry>, now: number): void {
    const { blocked, isolating, lanes } = lane.destination
    const waiting = [...blocked]
    blocked.clear()
    for (const other of waiting) if (other !== lane) this.consider(other, now)
    for (const part of isolating) this.consider(part, now)
    this.consider(lane, now)
    // What has to be repeated without order waits with the only lane, also a part of a refused request.
    if (lanes[0] !== undefined && !lanes[0].isSerial) this.consider(lanes[0], now)
  }

  /**
   * What is to be sent now; undefined if nothing is. The caller sends it and considers its lane again.
   *
   * @param slots - requests that may still be sent. The last one is for a destination that has none in flight, if there are several:
   * one that does not answer would else hold up all of them.
   */
  next(now: number, slots: number): Outgoing<Entry> | undefined {
    const { limits } = this.#plan
    const isLastKept = slots === 1 && limits.maxInFlightRequests > 1 && this.#plan.hasSeveralDestinations()
    for (const lane of this.#ready) {
      if (isLastKept && lane.destination.inFlight > 0) continue
      this.#ready.delete(lane)
      if (lane.destination.isFull || (lane.isSerial && lane.inFlight > 0) || this.#dueAt(lane, now) > now) {
        this.consider(lane, now)
        continue
      }
      const outgoing = this.#take(lane, now)
      if (outgoing !== undefined) return outgoing
    }
    return undefined
  }

  /** The fullest lane's entries although its batch is not full: for a buffer without room that no answer will give any. */
  fullest(now: number): Outgoing<Entry> | undefined {
    let fullest: Lane<Entry> | undefined
    for (const lane of this.#plan.hand.lanes()) {
      const { destination, again, queue } = lane
      if (again.length > 0 || queue.length === 0 || destination.pausedUntil > now) continue
      if (queue.length > (fullest?.queue.length ?? 0)) fullest = lane
    }
    if (fullest === undefined) return undefined
    return { parcel: this.#batch(fullest), lane: fullest, trigger: 'weight' }
  }

  /** Looks again at this time, at the latest. */
  wakeAt(dueAt: number, now: number): void {
    if (dueAt === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.dueAt <= dueAt)) return
    this.#timer?.timer.cancel()
    const timer = this.#plan.clock.after(dueAt - now, () => {
      this.#timer = undefined
      this.#plan.onTime(this.#plan.clock.now())
    })
    this.#timer = { dueAt, timer }
  }

  stop(): void {
    this.#ready.clear()
    this.#timer?.timer.cancel()
    this.#timer = undefined
  }

  /** When there is something to send, as far as time decides; Infinity if an entry has to come first. */
  #dueAt(lane: Lane<Entry>, now: number): number {
    const { destination, isSerial, again } = lane
    const repeated = isSerial ? again.at(-1)?.dueAt : destination.waiting.nextDueAt
    // In a serial lane what is to be repeated holds the rest back.
    if (isSerial && repeated !== undefined) return Math.max(repeated, destination.pausedUntil)
    const batch = this.#trigger(lane, now) === undefined ? this.#ageAt(lane) : now
    return Math.max(Math.min(batch, repeated ?? Number.POSITIVE_INFINITY), destination.pausedUntil)
  }

  #ageAt({ queue }: Lane<Entry>): number {
    const { oldestAt } = queue
    return oldestAt === undefined ? Number.POSITIVE_INFINITY : oldestAt + this.#plan.limits.maxTimeInBufferMS
  }

  #trigger(lane: Lane<Entry>, now: number): BatchTrigger | undefined {
    const { queue } = lane
    const { maxBatchSize, maxBatchWeight, maxBatchSizeInBytes } = this.#plan.limits
    if (queue.length === 0) return undefined
    if (queue.length >= maxBatchSize) return 'size'
    if (queue.weight >= maxBatchWeight || queue.sizeInBytes >= maxBatchSizeInBytes) return 'weight'
    if (queue.isHastened) return 'hasten'
    return this.#ageAt(lane) <= now ? 'time' : undefined
  }

  #take(lane: Lane<Entry>, now: number): Outgoing<Entry> | undefined {
    const { hand } = this.#plan
    const again = lane.isSerial ? lane.again.pop() : lane.destination.waiting.popDue(now)
    if (again !== undefined) {
      hand.bufferedRecords -= again.length
      if (!again.exact) this.#topUp(again, lane, now)
      return { parcel: again, lane, trigger: again.exact ? 'isolate' : 'retry' }
    }
    const trigger = this.#trigger(lane, now)
    if (trigger === undefined) return undefined
    return { parcel: this.#batch(lane), lane, trigger }
  }

  /** Fills a repeated request with other due entries, then with new ones: a repeat does not cost a request of its own. */
  #topUp(parcel: Parcel<Entry>, lane: Lane<Entry>, now: number): void {
    const { maxBatchSize, maxBatchSizeInBytes, maxBatchWeight } = this.#plan.limits
    if (!lane.isSerial) {
      // A request whose tokens are settled must not be mixed with one that holds them.
      const fits = (other: Parcel<Entry>): boolean =>
        !other.exact &&
        other.holdsTokens === parcel.holdsTokens &&
        parcel.length + other.length <= maxBatchSize &&
        parcel.sizeInBytes + other.sizeInBytes <= maxBatchSizeInBytes &&
        parcel.weight + other.weight <= maxBatchWeight
      const { waiting } = lane.destination
      for (let other = waiting.popDue(now, fits); other !== undefined; other = waiting.popDue(now, fits)) {
        this.#plan.hand.bufferedRecords -= other.length
        for (let index = 0; index < other.length; index++) parcel.move(other, index)
      }
    }
    if (parcel.holdsTokens && lane.again.length === 0) this.#fill(parcel, lane)
  }

  #batch(lane: Lane<Entry>): Parcel<Entry> {
    const { limits, hand } = this.#plan
    if (lane.isSerial && this.#plan.isDistinct()) {
      const parcel = new Parcel<Entry>()
      this.#fill(parcel, lane)
      return parcel
    }
    const parcel = lane.queue.take(limits)
    hand.bufferedRecords -= parcel.length
    return parcel
  }

  #fill(parcel: Parcel<Entry>, { isSerial, queue }: Lane<Entry>): void {
    const { limits, hand } = this.#plan
    const before = queue.length
    if (isSerial && this.#plan.isDistinct()) {
      queue.moveDistinctTo(parcel, limits, DISTINCT_WINDOW * limits.maxBatchSize)
    } else queue.moveTo(parcel, limits)
    hand.bufferedRecords -= before - queue.length
  }
}
