import { InFlight } from './in-flight.ts'
import type { Destination, Lane } from './lane.ts'
import type { Parcel } from './parcel.ts'
import type { SinkStatus } from './spi.ts'

/** An entry whose refusal is being decided: in hand until a dead letter is confirmed. */
export interface Refusing {
  /** When the entry was accepted. */
  readonly since: number
  readonly reason: string
}

/** Every place where entries without an outcome lie, and the walks over them. */
export class InHand<Entry> {
  readonly destinations: Map<string, Destination<Entry>> = new Map<string, Destination<Entry>>()
  readonly requests: InFlight<Entry> = new InFlight<Entry>()
  readonly refusing: Set<Refusing> = new Set<Refusing>()
  /** Raw bytes and entry bytes of everything in hand. */
  bufferedBytes = 0
  /**
   * Entries that count against `maxBufferedRequests`: those to be retried, and those whose refusal is undecided, included. Kept
   * beside the places themselves, since it is asked for with every value; {@link InHand.count} walks.
   */
  bufferedRecords = 0

  countQueued(): number {
    let count = 0
    for (const { queue } of this.lanes()) count += queue.length
    return count
  }

  /** Of one destination, or of all. */
  countToBeRetried(of?: Destination<Entry>): number {
    let count = 0
    for (const { parcel } of this.#parcelsToSend(of)) count += parcel.length
    return count
  }

  *lanes(): Generator<Lane<Entry>> {
    for (const destination of this.destinations.values()) yield* destination.allLanes()
  }

  countInFlight(): number {
    let count = 0
    for (const { parcel } of this.requests) count += parcel.length
    return count
  }

  /** Counted by walking, never derived from other counts. */
  count(): number {
    return this.countQueued() + this.countToBeRetried() + this.countInFlight() + this.refusing.size
  }

  oldest(now: number): SinkStatus['oldest'] {
    let since = Number.POSITIVE_INFINITY
    let reason = ''
    const consider = (at: number, why: string): void => {
      if (at >= since) return
      since = at
      reason = why
    }
    const considerParcel = (parcel: Parcel<Entry>, why: string): void => {
      for (let index = 0; index < parcel.length; index++) consider(parcel.enqueuedAt(index), why)
    }
    for (const refusal of this.refusing) consider(refusal.since, refusal.reason)
    for (const { parcel, at } of this.#parcelsToSend()) considerParcel(parcel, `${at}to be retried, ${parcel.reason}`)
    for (const { parcel, lane } of this.requests) {
      considerParcel(parcel, `${placeOf(lane.destination, lane.name)}waiting for the answer of its request`)
    }
    // Last: whatever left its queue is at least as old as what is in it, and says more about a stall.
    for (const { queue, destination, name, again } of this.lanes()) {
      if (queue.oldestAt === undefined) continue
      const before = again.at(-1)
      const why = before === undefined ? 'waiting for its batch' : `behind entries to be retried, ${before.reason}`
      consider(queue.oldestAt, `${placeOf(destination, name)}${why}`)
    }
    return since === Number.POSITIVE_INFINITY ? undefined : { ageMs: now - since, reason }
  }

  /** When the oldest entry was accepted that is not in flight and not refused; undefined if there is none. */
  oldestToSend(): number | undefined {
    let oldest = Number.POSITIVE_INFINITY
    for (const { queue } of this.lanes()) oldest = Math.min(oldest, queue.oldestAt ?? oldest)
    for (const { parcel } of this.#parcelsToSend()) {
      for (let index = 0; index < parcel.length; index++) oldest = Math.min(oldest, parcel.enqueuedAt(index))
    }
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest
  }

  clear(): void {
    this.destinations.clear()
    this.requests.clear()
    this.refusing.clear()
    this.bufferedBytes = 0
    this.bufferedRecords = 0
  }

  /** What was sent at least once, or is a part of what was, and is not in flight. */
  *#parcelsToSend(of?: Destination<Entry>): Generator<{ readonly parcel: Parcel<Entry>; readonly at: string }> {
    for (const destination of of === undefined ? this.destinations.values() : [of]) {
      for (const parcel of destination.waiting.parcels()) yield { parcel, at: placeOf(destination, '') }
      for (const { again, name } of destination.allLanes()) {
        for (const parcel of again) yield { parcel, at: placeOf(destination, name) }
      }
    }
  }
}

function placeOf({ name }: { readonly name: string }, lane: string): string {
  const place = [name === '' ? '' : `destination ${name}`, lane].filter((part) => part !== '').join(', ')
  return place === '' ? '' : `${place}: `
}
