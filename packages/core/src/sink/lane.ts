import { DueQueue } from './due-queue.ts'
import { type ColumnPool, EntryQueue } from './entry-queue.ts'
import type { Parcel } from './parcel.ts'
import type { RateLimiter } from './rate-limiting.ts'

/**
 * Entries that share batches. A serial lane has one request in flight and sends what is to be repeated before anything new: that is
 * what keeps the order of a key. The only lane of a destination without order is not serial: its repeats wait in
 * {@link Destination.waiting} and hold nobody back.
 */
export class Lane<Entry> {
  readonly destination: Destination<Entry>
  readonly name: string
  readonly isSerial: boolean
  readonly queue: EntryQueue<Entry>
  /** What comes before the queue, the next one last. Only in a serial lane. */
  readonly again: Parcel<Entry>[] = []
  inFlight = 0

  constructor(destination: Destination<Entry>, name: string, isSerial: boolean, pool: ColumnPool) {
    this.destination = destination
    this.name = name
    this.isSerial = isSerial
    this.queue = new EntryQueue(pool)
  }

  get isEmpty(): boolean {
    return this.inFlight === 0 && this.queue.length === 0 && this.again.length === 0
  }
}

/** A table, a tenant, a queue: has batches and a limiter of its own, so that a stuck one does not stop the rest. */
export class Destination<Entry> {
  readonly name: string
  readonly limiter: RateLimiter
  /** Of the limiter before the store said anything. */
  readonly initialLimit: number
  /** Chosen by order key; one without order. */
  readonly lanes: readonly Lane<Entry>[]
  /** Each holds the parts of one refused request, which are sent in their order; gone when they have ended. */
  readonly isolating: Set<Lane<Entry>> = new Set()
  /** Lanes that may send once fewer requests are in flight, first come, first served. */
  readonly blocked: Set<Lane<Entry>> = new Set()
  /** Repeats that hold nobody back. Only without order. */
  readonly waiting: DueQueue<Entry> = new DueQueue<Entry>()
  /** The store asked not to be called before. */
  pausedUntil = 0
  inFlight = 0
  readonly #pool: ColumnPool

  constructor(name: string, limiter: RateLimiter, lanes: number, isOrdered: boolean, pool: ColumnPool) {
    this.name = name
    this.limiter = limiter
    this.initialLimit = limiter.limit
    this.#pool = pool
    this.lanes = Array.from(
      { length: lanes },
      (_, index) => new Lane(this, isOrdered ? `lane ${index}` : '', isOrdered, pool),
    )
  }

  /** By the low bits of the key: a division of whole 53-bit numbers costs more than everything else that is done for an entry. */
  laneOf(key: number): Lane<Entry> {
    const { lanes } = this
    return lanes[lanes.length === 1 ? 0 : (key >>> 0) % lanes.length] as Lane<Entry>
  }

  /** A lane for the parts of a refused request. */
  isolate(): Lane<Entry> {
    const lane = new Lane<Entry>(this, 'isolation', true, this.#pool)
    this.isolating.add(lane)
    return lane
  }

  *allLanes(): Generator<Lane<Entry>> {
    yield* this.lanes
    yield* this.isolating
  }

  /** True when the store has made its limiter lower the requests in flight. */
  get isSlowed(): boolean {
    return this.limiter.limit < this.initialLimit
  }

  /** True when its limiter allows no further request. */
  get isFull(): boolean {
    return this.inFlight >= this.limiter.limit
  }

  /** True when nothing of it is in hand. */
  get isEmpty(): boolean {
    if (this.inFlight > 0 || this.waiting.entries > 0) return false
    for (const lane of this.allLanes()) if (!lane.isEmpty) return false
    return true
  }
}
