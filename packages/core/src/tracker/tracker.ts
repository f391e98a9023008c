import type { RawRecord, RecordBatch } from '../source/spi.ts'

/** Where an input came from: for errors and dead letters, looked up only on failure. */
export interface Origin {
  readonly source: string
  readonly splitId: string
  readonly raw: RawRecord | undefined
}

interface Segment {
  readonly firstToken: number
  readonly source: string
  readonly batch: RecordBatch<unknown>
  readonly firstIndex: number
  count: number
}

const INITIAL_CAPACITY = 1024

/**
 * The one place that decides when an input is settled. Every input gets a token when it is emitted: a dense integer with a
 * reference count of the entries that it became in all sinks. The watermark is the lowest token that is not settled, so "all
 * emitted before a barrier are settled" is one comparison.
 *
 * A tracker belongs to one attempt of a job. After {@link Tracker.end} every call is counted and ignored: a late answer of an
 * ended attempt can never settle an input of the next.
 */
export class Tracker {
  #counts = new Int32Array(INITIAL_CAPACITY)
  #mask = INITIAL_CAPACITY - 1
  #next = 0
  #watermark = 0
  #unsettled = 0
  #ended = false
  readonly #onLateCall: () => void
  readonly #segments: (Segment | undefined)[] = []
  #firstSegment = 0
  readonly #waiters: { readonly barrier: number; readonly resolve: () => void }[] = []

  constructor(onLateCall: () => void = () => {}) {
    this.#onLateCall = onLateCall
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

  /** The inputs emitted next come from this batch, from this index on, in order. */
  open(source: string, batch: RecordBatch<unknown>, firstIndex: number): void {
    this.#segments.push({ firstToken: this.#next, source, batch, firstIndex, count: 0 })
  }

  /**
   * Emits the next input of the open batch.
   *
   * @param references - entries that will be settled one by one; 0 settles the input at once.
   */
  emit(references: number): number {
    const token = this.#next
    if (token - this.#watermark > this.#mask) this.#grow()
    const segment = this.#segments.at(-1)
    if (segment !== undefined) segment.count++
    this.#counts[token & this.#mask] = references
    this.#next++
    if (references === 0) {
      if (token === this.#watermark) this.#advance()
    } else this.#unsettled++
    return token
  }

  /** Changes the number of entries of an input that is in hand. */
  add(token: number, change: number): void {
    if (change === 0) return
    if (this.#ended) {
      this.#onLateCall()
      return
    }
    const slot = token & this.#mask
    const count = this.#counts[slot] as number
    const left = count + change
    // A writer that settled an entry twice: silent acceptance could acknowledge an input in hand.
    if (token < this.#watermark || token >= this.#next || count === 0 || left < 0) {
      throw new RangeError(`token ${token} was settled more often than it has entries`)
    }
    this.#counts[slot] = left
    if (left > 0) return
    this.#unsettled--
    if (token === this.#watermark) this.#advance()
  }

  /** One entry of the input has its outcome. */
  settle(token: number): void {
    this.add(token, -1)
  }

  /** Resolves when all tokens below the barrier are settled; never after {@link Tracker.end}. */
  settledUpTo(barrier: number): Promise<void> {
    if (this.#watermark >= barrier) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiters.push({ barrier, resolve })
    })
  }

  origin(token: number): Origin | undefined {
    for (let index = this.#segments.length - 1; index >= this.#firstSegment; index--) {
      const segment = this.#segments[index]
      if (segment === undefined || token < segment.firstToken) continue
      if (token >= segment.firstToken + segment.count) return undefined
      const { source, batch, firstIndex, firstToken } = segment
      return { source, splitId: batch.splitId, raw: batch.raw(firstIndex + token - firstToken) }
    }
    return undefined
  }

  /** Unsettled inputs by split: walks them, for `status()` and reports. */
  unsettledBySplit(): Map<string, number> {
    const counts = new Map<string, number>()
    for (let index = this.#firstSegment; index < this.#segments.length; index++) {
      const segment = this.#segments[index]
      if (segment === undefined) continue
      let count = 0
      const end = segment.firstToken + segment.count
      for (let token = Math.max(segment.firstToken, this.#watermark); token < end; token++) {
        if ((this.#counts[token & this.#mask] as number) > 0) count++
      }
      if (count > 0) counts.set(segment.batch.splitId, (counts.get(segment.batch.splitId) ?? 0) + count)
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
    this.#dropSegments()
    for (let index = this.#waiters.length - 1; index >= 0; index--) {
      const waiter = this.#waiters[index]
      if (waiter === undefined || waiter.barrier > watermark) continue
      this.#waiters.splice(index, 1)
      waiter.resolve()
    }
  }

  /** Settled segments let go of their batches, and with them of the raw bytes. */
  #dropSegments(): void {
    for (;;) {
      const segment = this.#segments[this.#firstSegment]
      // The newest segment may still grow.
      if (segment === undefined || this.#firstSegment === this.#segments.length - 1) break
      if (segment.firstToken + segment.count > this.#watermark) break
      this.#segments[this.#firstSegment++] = undefined
    }
    if (this.#firstSegment > 64 && this.#firstSegment * 2 > this.#segments.length) {
      this.#segments.splice(0, this.#firstSegment)
      this.#firstSegment = 0
    }
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2
    const counts = new Int32Array(capacity)
    for (let token = this.#watermark; token < this.#next; token++) {
      counts[token & (capacity - 1)] = this.#counts[token & this.#mask] as number
    }
    this.#counts = counts
    this.#mask = capacity - 1
  }
}
