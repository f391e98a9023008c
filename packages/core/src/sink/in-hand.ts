import { DueQueue } from './due-queue.ts'
import { EntryQueue, type Parcel } from './entry-queue.ts'
import type { SinkStatus } from './spi.ts'

export interface Flight<Entry> {
  readonly parcel: Parcel<Entry>
  readonly abort: AbortController
  /** Resolves when the request ended, in whatever way. */
  readonly done: Promise<void>
}

/** An entry whose refusal is being decided: in hand until a dead letter is confirmed. */
export interface Refusing {
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

  /** Entries that count against `maxBufferedRequests`: those to be retried included. */
  get bufferedRecords(): number {
    return this.queue.length + this.waiting.entries
  }

  countInFlight(): number {
    let count = 0
    for (const { parcel } of this.flights) count += parcel.entries.length
    return count
  }

  /** Counted by walking, never derived from other counts. */
  count(): number {
    let waiting = 0
    for (const parcel of this.waiting.parcels()) waiting += parcel.entries.length
    return this.queue.length + waiting + this.countInFlight() + this.refusing.size
  }

  oldest(now: number): SinkStatus['oldest'] {
    let since = this.queue.oldestAt ?? Number.POSITIVE_INFINITY
    let reason = 'waiting for its batch'
    const consider = (at: number | undefined, why: string): void => {
      if (at === undefined || at >= since) return
      since = at
      reason = why
    }
    for (const parcel of this.waiting.parcels()) consider(parcel.enqueuedAt[0], `to be retried, ${parcel.reason}`)
    for (const { parcel } of this.flights) consider(parcel.enqueuedAt[0], 'waiting for the answer of its request')
    for (const refusal of this.refusing) consider(refusal.since, refusal.reason)
    return since === Number.POSITIVE_INFINITY ? undefined : { ageMs: now - since, reason }
  }

  clear(): void {
    this.queue.clear()
    this.waiting.clear()
    this.flights.clear()
    this.refusing.clear()
    this.bufferedBytes = 0
  }
}
