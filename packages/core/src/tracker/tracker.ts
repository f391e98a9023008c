import { WakeUp } from '../runtime/signal.ts'
import type { RawRecord, RecordBatch } from '../source/spi.ts'

/** Where an input came from: for errors and dead letters, looked up only on failure. */
export interface Origin {
  readonly source: string
  readonly splitId: string
  readonly raw: RawRecord | undefined
}

/** A fetched batch whose inputs are being emitted, or were. While one of them is unsettled it is kept, with its raw bytes. */
export interface TrackedBatch {
  readonly source: string
  readonly batch: RecordBatch<unknown>
  readonly bytes: number
  /** Where the tracker keeps it; -1 while nothing of it is unsettled. */
  slot: number
  unsettled: number
}

export interface TrackerOptions {
  /** Raw bytes of the batches that have unsettled inputs. A single batch may be larger. @default no limit */
  readonly maxRetainedBytes?: number
  /** Called for each call after {@link Tracker.end}. */
  readonly onLateCall?: () => void
}

/** Inputs emitted at or above the watermark: what one input that stays unsettled costs in counts and in repeats after a kill. */
export const MAX_INPUTS_ABOVE_WATERMARK: number = 1024 * 1024

type Bound = 'maxRetainedBytes' | 'maxInputsAboveWatermark'

const INITIAL_CAPACITY = 1024

/**
 * The one place that decides when an input is settled. Every input gets a token when it is emitted: a dense integer with a
 * reference count of the entries that it became in all sinks. The watermark is the lowest token that is not settled, so "all
 * emitted before a barrier are settled" is one comparison.
 *
 * It also bounds what unsettled inputs cost: the raw bytes of their batches, and the number of inputs above the watermark.
 *
 * A tracker belongs to one attempt of a job. After {@link Tracker.end} every call is counted and ignored: a late answer of an
 * ended attempt can never settle an input of the next.
 */
export class Tracker {
  // By token, modulo the capacity: unsettled entries, the batch of the input and its index in it.
  #counts = new Int32Array(INITIAL_CAPACITY)
  #slots = new Int32Array(INITIAL_CAPACITY)
  #indexes = new Int32Array(INITIAL_CAPACITY)
  #mask = INITIAL_CAPACITY - 1
  #next = 0
  #watermark = 0
  #unsettled = 0
  #retainedBytes = 0
  #ended = false
  readonly #maxRetainedBytes: number
  readonly #onLateCall: () => void
  readonly #batches: (TrackedBatch | undefined)[] = []
  readonly #freeSlots: number[] = []
  /** Batches that wait for room, first come, first served: a large one must not starve behind small ones. */
  readonly #waiting = new Set<TrackedBatch>()
  readonly #room = new WakeUp()
  #fullBound: Bound | undefined
  readonly #waiters: { readonly barrier: number; readonly resolve: () => void }[] = []

  constructor(options: TrackerOptions = {}) {
    this.#maxRetainedBytes = options.maxRetainedBytes ?? Number.POSITIVE_INFINITY
    this.#onLateCall = options.onLateCall ?? (() => {})
  }

  /** The token that the next input gets: a barrier taken now lies before it. */
  get next(): number {
    return this.#next
  }

  /** All tokens below are settled. */
  get watermark(): number {
    return this.#watermark
  }

  /** Inputs emitted and not settled. */
  get unsettled(): number {
    return this.#unsettled
  }

  /** Raw bytes of the batches that have unsettled inputs. */
  get retainedBytes(): number {
    return this.#retainedBytes
  }

  /** The bound that a batch waits for, as a name for people; undefined when none waits. */
  get waitsFor(): Bound | undefined {
    return this.#waiting.size === 0 ? undefined : this.#fullBound
  }

  /** Makes a fetched batch known, before its inputs are emitted. */
  track(source: string, batch: RecordBatch<unknown>): TrackedBatch {
    let bytes = 0
    for (const length of batch.byteLengths) bytes += length
    return { source, batch, bytes, slot: -1, unsettled: 0 }
  }

  /**
   * Undefined when that many inputs of the batch may be emitted in this turn; otherwise it resolves when asking again may help.
   * What is in the sinks must be hastened meanwhile: room comes only from what is settled.
   */
  room(tracked: TrackedBatch, inputs: number): Promise<void> | undefined {
    const isWindowFull = this.#isWindowFull(inputs)
    if (isWindowFull || !this.#mayRetain(tracked)) {
      this.#fullBound = isWindowFull ? 'maxInputsAboveWatermark' : 'maxRetainedBytes'
      this.#waiting.add(tracked)
      return this.#room.wait()
    }
    if (this.#waiting.delete(tracked) && this.#waiting.size > 0) this.#room.wake()
    return undefined
  }

  /** Nothing more is to be emitted: whoever waits for room goes on and sees so. */
  stopWaiting(): void {
    this.#waiting.clear()
    this.#room.wake()
  }

  /**
   * Emits an input.
   *
   * @param index - of the record in its batch.
   * @param references - entries that will be settled one by one; 0 settles the input at once.
   */
  emit(tracked: TrackedBatch, index: number, references: number): number {
    const token = this.#next
    if (token - this.#watermark > this.#mask) this.#grow()
    const place = token & this.#mask
    this.#counts[place] = references
    this.#next++
    if (references === 0) {
      if (token === this.#watermark) this.#advance()
    } else {
      if (tracked.unsettled++ === 0) this.#retain(tracked)
      this.#slots[place] = tracked.slot
      this.#indexes[place] = index
      this.#unsettled++
    }
    return token
  }

  /** Changes the number of entries of an input that is in hand. */
  add(token: number, change: number): void {
    if (change === 0) return
    if (this.#ended) {
      this.#onLateCall()
      return
    }
    const place = token & this.#mask
    const count = this.#counts[place] as number
    const left = count + change
    // A writer that settled an entry twice: silent acceptance could acknowledge an input in hand.
    if (token < this.#watermark || token >= this.#next || count === 0 || left < 0) {
      throw new RangeError(`token ${token} was settled more often than it has entries`)
    }
    this.#counts[place] = left
    if (left > 0) return
    this.#unsettled--
    const tracked = this.#batches[this.#slots[place] as number] as TrackedBatch
    if (--tracked.unsettled === 0) this.#letGo(tracked)
    if (token === this.#watermark) this.#advance()
  }

  /** One entry of the input has its outcome. */
  settle(token: number): void {
    this.add(token, -1)
  }

  /** As {@link Tracker.settle} for the first `count` tokens of the list. */
  settleAll(tokens: Float64Array, count: number): void {
    for (let index = 0; index < count; index++) this.add(tokens[index] as number, -1)
  }

  /** Resolves when all tokens below the barrier are settled; never after {@link Tracker.end}. */
  settledUpTo(barrier: number): Promise<void> {
    if (this.#watermark >= barrier) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiters.push({ barrier, resolve })
    })
  }

  /** Undefined for an input that is settled. */
  origin(token: number): Origin | undefined {
    const place = token & this.#mask
    if (token < this.#watermark || token >= this.#next || this.#counts[place] === 0) return undefined
    const tracked = this.#batches[this.#slots[place] as number]
    if (tracked === undefined) return undefined
    const { source, batch } = tracked
    return { source, splitId: batch.splitId, raw: batch.raw(this.#indexes[place] as number) }
  }

  /** Unsettled inputs by split, for reports. */
  unsettledBySplit(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const tracked of this.#batches) {
      if (tracked === undefined) continue
      const { splitId } = tracked.batch
      counts.set(splitId, (counts.get(splitId) ?? 0) + tracked.unsettled)
    }
    return counts
  }

  /** The attempt is over: what is unsettled stays so, and late calls are ignored. */
  end(): void {
    this.#ended = true
    this.#waiters.length = 0
  }

  #advance(): void {
    const counts = this.#counts
    const mask = this.#mask
    let watermark = this.#watermark
    while (watermark < this.#next && counts[watermark & mask] === 0) watermark++
    this.#watermark = watermark
    if (this.#waiting.size > 0) this.#room.wake()
    for (let index = this.#waiters.length - 1; index >= 0; index--) {
      const waiter = this.#waiters[index]
      if (waiter === undefined || waiter.barrier > watermark) continue
      this.#waiters.splice(index, 1)
      waiter.resolve()
    }
  }

  #isWindowFull(inputs: number): boolean {
    const above = this.#next - this.#watermark
    return above > 0 && above + inputs > MAX_INPUTS_ABOVE_WATERMARK
  }

  #mayRetain(tracked: TrackedBatch): boolean {
    // Its bytes are counted already.
    if (tracked.unsettled > 0) return true
    const [first = tracked] = this.#waiting
    if (first !== tracked) return false
    // A batch above the bound passes alone: it must not wait for ever.
    return this.#retainedBytes === 0 || this.#retainedBytes + tracked.bytes <= this.#maxRetainedBytes
  }

  #retain(tracked: TrackedBatch): void {
    tracked.slot = this.#freeSlots.pop() ?? this.#batches.length
    this.#batches[tracked.slot] = tracked
    this.#retainedBytes += tracked.bytes
  }

  #letGo(tracked: TrackedBatch): void {
    this.#batches[tracked.slot] = undefined
    this.#freeSlots.push(tracked.slot)
    tracked.slot = -1
    this.#retainedBytes -= tracked.bytes
    if (this.#waiting.size > 0) this.#room.wake()
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2
    const mask = this.#mask
    const counts = new Int32Array(capacity)
    const slots = new Int32Array(capacity)
    const indexes = new Int32Array(capacity)
    for (let token = this.#watermark; token < this.#next; token++) {
      const to = token & (capacity - 1)
      const from = token & mask
      counts[to] = this.#counts[from] as number
      slots[to] = this.#slots[from] as number
      indexes[to] = this.#indexes[from] as number
    }
    this.#counts = counts
    this.#slots = slots
    this.#indexes = indexes
    this.#mask = capacity - 1
  }
}
