import type { Timer } from '../runtime/clock.ts'
import { DueQueue } from './due-queue.ts'
import { EntryQueue } from './entry-queue.ts'
import type { Parcel } from './parcel.ts'
import type { SinkStatus } from './spi.ts'

export interface Flight<Entry> {
  readonly parcel: Parcel<Entry>
  readonly abort: AbortController
  /** Gives the request up when its answer is overdue. */
  readonly expiry: Timer
  /** Resolves when the request ended, in whatever way. */
  readonly done: Promise<void>
}

/** An entry whose refusal is being decided: in hand until a dead letter is confirmed. */
export interface Refusing {
  /** When the entry was accepted. */
  readonly since: number
  readonly reason: string
}

/** Every place where entries without an outcome lie, and the walks over them. */
export class InHand<Entry> {
  readonly queue: EntryQueue<Entry> = new EntryQueue<Entry>()
  readonly waiting: DueQueue<Entry> = new DueQueue<Entry>()
  readonly flights: Set<Flight<Entry>> = new Set<Flight<Entry>>()
  readonly refusing: Set<Refusing> = new Set<Refusing>()
  /** Raw bytes and entry bytes of everything in hand. */
  bufferedBytes = 0

  /** Entries that count against `maxBufferedRequests`: those to be retried, and those whose refusal is undecided, included. */
  get bufferedRecords(): number {
    return this.queue.length + this.waiting.entries + this.refusing.size
  }

  countInFlight(): number {
    let count = 0
    for (const { parcel } of this.flights) count += parcel.length
    return count
  }

  /** Counted by walking, never derived from other counts. */
  count(): number {
    let waiting = 0
    for (const parcel of this.waiting.parcels()) waiting += parcel.length
    return this.queue.length + waiting + this.countInFlight() + this.refusing.size
  }

  oldest(now: number): SinkStatus['oldest'] {
    let since = Number.POSITIVE_INFINITY
    let reason = ''
    const consider = (at: number, why: string): void => {
      if (at >= since) return
      since = at
      reason = why
    }
    for (const refusal of this.refusing) consider(refusal.since, refusal.reason)
    for (const parcel of this.waiting.parcels()) {
      for (let index = 0; index < parcel.length; index++) {
        consider(parcel.enqueuedAt(index), `to be retried, ${parcel.reason}`)
      }
    }
    for (const { parcel } of this.flights) {
      for (let index = 0; index < parcel.length; index++) {
        consider(parcel.enqueuedAt(index), 'waiting for the answer of its request')
      }
    }
    // Last: whatever left the queue is at least as old as what is in it, and says more about a stall.
    if (this.queue.oldestAt !== undefined) consider(this.queue.oldestAt, 'waiting for its batch')
    return since === Number.POSITIVE_INFINITY ? undefined : { ageMs: now - since, reason }
  }

  clear(): void {
    this.queue.clear()
    this.waiting.clear()
    for (const { expiry } of this.flights) expiry.cancel()
    this.flights.clear()
    this.refusing.clear()
    this.bufferedBytes = 0
  }
}
