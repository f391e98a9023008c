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
  /** The time has come to look what may be sent. */
  onTime(now: number): void
}

/** Says which lane sends next, what, and when to look again. */
export class Scheduler<Entry> {
  readonly #plan: SchedulerPlan<Entry>
  /** Lanes that may send, first come, first served; what keeps them from it may have come since. */
  readonly #ready = new Set<Lane<Entry>>()
  #served = 0
  #timer: { readonly dueAt: number; readonly timer: Timer } | undefined

  constructor(plan: SchedulerPlan<Entry>) {
    this.#plan = plan
  }

  get hasReady(): boolean {
    return this.#ready.size > 0
  }

  /** Something about the lane has changed. */
  consider(lane: Lane<Entry>, now: number): void {
    const at = this.#sendableAt(lane, now)
    if (at <= now) this.#ready.add(lane)
    else this.wakeAt(at, now)
  }

  considerAll(destination: Destination<Entry>, now: number): void {
    const [first] = destination.lanes
    if (first !== undefined && destination.lanes.length === 1 && destination.isolating.size === 0) {
      this.consider(first, now)
      return
    }
    // Who was served last comes last: where few requests may be in flight, a lane that always has a full batch would take them all.
    const inTurn = [...destination.allLanes()].sort((a, b) => a.servedAt - b.servedAt)
    for (const lane of inTurn) this.consider(lane, now)
  }

  /** What is to be sent now; undefined if nothing is. The caller sends it and considers its lane again. */
  next(now: number): Outgoing<Entry> | undefined {
    for (const lane of this.#ready) {
      this.#ready.delete(lane)
      if (this.#sendableAt(lane, now) > now) {
        this.consider(lane, now)
        continue
      }
      const outgoing = this.#take(lane, now)
      if (outgoing === undefined) continue
      lane.servedAt = ++this.#served
      return outgoing
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
    const parcel = new Parcel<Entry>()
    this.#fill(parcel, fullest)
    return { parcel, lane: fullest, trigger: 'weight' }
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

  /** When the lane may send, as far as time decides; Infinity if an answer has to come first, or an entry. */
  #sendableAt(lane: Lane<Entry>, now: number): number {
    const { destination, isSerial, again } = lane
    if (destination.inFlight >= destination.limiter.limit || (isSerial && lane.inFlight > 0)) {
      return Number.POSITIVE_INFINITY
    }
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
    const parcel = new Parcel<Entry>()
    this.#fill(parcel, lane)
    return { parcel, lane, trigger }
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

  #fill(parcel: Parcel<Entry>, { isSerial, queue }: Lane<Entry>): void {
    const { limits, hand } = this.#plan
    const before = queue.length
    if (isSerial && this.#plan.isDistinct()) {
      queue.moveDistinctTo(parcel, limits, DISTINCT_WINDOW * limits.maxBatchSize)
    } else queue.moveTo(parcel, limits)
    hand.bufferedRecords -= before - queue.length
  }
}
