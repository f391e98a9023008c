import { type Columns, columnsFor, Parcel } from './parcel.ts'

/** What a batch may hold. */
export interface BatchLimits {
  readonly maxBatchSize: number
  readonly maxBatchSizeInBytes: number
  readonly maxBatchWeight: number
}

/** An entry that is taken out without being sent. */
export interface Removed<Entry> {
  readonly entry: Entry
  readonly token: number
  readonly enqueuedAt: number
  readonly charge: number
}

const MAX_POOLED = 64

/** Columns of batches that were settled, to be used again. */
export class ColumnPool {
  readonly maxBatchSize: number
  readonly #free: Columns[] = []

  constructor(maxBatchSize: number) {
    this.maxBatchSize = maxBatchSize
  }

  take(): Columns {
    return this.#free.pop() ?? columnsFor(this.maxBatchSize)
  }

  give(columns: Columns): void {
    if (columns.tokens.length === this.maxBatchSize && this.#free.length < MAX_POOLED) this.#free.push(columns)
  }
}

/** Where an entry lies: in which block, and at which place in it. */
interface Place<Entry> {
  readonly block: Parcel<Entry>
  readonly index: number
}

/**
 * The buffer of a lane, in order of acceptance, oldest first. Entries are collected in blocks of a full batch, so that nearly always a
 * block is sent as it is and no entry is copied. Every block but the last is full.
 */
export class EntryQueue<Entry> {
  readonly #pool: ColumnPool
  #blocks: Parcel<Entry>[] = []
  /** Entries of the first block that were taken already. */
  #offset = 0
  #length = 0
  #size = 0
  #weight = 0
  #hastened = 0

  constructor(pool: ColumnPool) {
    this.#pool = pool
  }

  /** Number of entries. */
  get length(): number {
    return this.#length
  }

  /** Sum of the sizes in bytes. */
  get sizeInBytes(): number {
    return this.#size
  }

  get weight(): number {
    return this.#weight
  }

  /** True while an entry lies in it that did when {@link EntryQueue.hasten} was called. */
  get isHastened(): boolean {
    return this.#hastened > 0
  }

  /** When the entry at the head was pushed; undefined if there is none. */
  get oldestAt(): number | undefined {
    return this.#length === 0 ? undefined : this.#blocks[0]?.enqueuedAt(this.#offset)
  }

  /** @param tokens - and the index in it: see {@link Parcel.add}. */
  push(
    entry: Entry,
    tokens: Float64Array,
    at: number,
    enqueuedAt: number,
    size: number,
    weight: number,
    charge: number,
    key: number,
  ): void {
    let block = this.#blocks.at(-1)
    if (block === undefined || block.length === this.#pool.maxBatchSize) block = this.#newBlock()
    block.add(entry, tokens, at, enqueuedAt, size, weight, charge, key)
    this.#size += size
    this.#weight += weight
    this.#length++
  }

  /** What lies in it now is to be sent without waiting for more. */
  hasten(): void {
    this.#hastened = this.#length
  }

  /** The next batch: entries from the head while they fit; one that is too large by itself goes alone. */
  take(limits: BatchLimits): Parcel<Entry> {
    const [first] = this.#blocks
    const isWhole =
      first !== undefined &&
      this.#offset === 0 &&
      first.length <= limits.maxBatchSize &&
      first.sizeInBytes <= limits.maxBatchSizeInBytes &&
      first.weight <= limits.maxBatchWeight
    if (!isWhole) {
      const parcel = new Parcel<Entry>(this.#pool.take())
      this.moveTo(parcel, limits)
      return parcel
    }
    this.#blocks.shift()
    this.#left(first.length, first.sizeInBytes, first.weight)
    return first
  }

  /** Moves entries from the head to the parcel while they fit; one that is too large by itself goes alone. */
  moveTo(parcel: Parcel<Entry>, limits: BatchLimits): void {
    for (let [block] = this.#blocks; block !== undefined; [block] = this.#blocks) {
      while (this.#offset < block.length) {
        if (!hasRoomFor(parcel, block, this.#offset, limits)) return
        parcel.move(block, this.#offset)
        this.#left(1, block.size(this.#offset), block.weightOf(this.#offset))
        this.#offset++
      }
      this.#blocks.shift()
      this.#offset = 0
      this.#pool.give(block.columns)
    }
  }

  /**
   * As {@link EntryQueue.moveTo}, but at most one entry for each order key: one whose key is in the parcel already stays, and so do
   * all later ones of that key. It looks at `window` entries at most.
   */
  moveDistinctTo(parcel: Parcel<Entry>, limits: BatchLimits, window: number): void {
    const keys = new Set<number>()
    for (let index = 0; index < parcel.length; index++) keys.add(parcel.key(index))
    const taken = new Set<number>()
    let position = 0
    for (const { block, index } of this.#places()) {
      if (position >= window || parcel.length >= limits.maxBatchSize) break
      const key = block.key(index)
      if (!keys.has(key)) {
        // What follows must not overtake it.
        if (!hasRoomFor(parcel, block, index, limits)) break
        keys.add(key)
        taken.add(position)
        parcel.move(block, index)
      }
      position++
    }
    if (taken.size > 0) this.#takeOut((_, at) => taken.has(at))
  }

  /** Takes out every entry for which the test holds. */
  remove(test: (token: number, enqueuedAt: number) => boolean): Removed<Entry>[] {
    const removed: Removed<Entry>[] = []
    for (const { block, index } of this.#places()) {
      const token = block.token(index)
      const enqueuedAt = block.enqueuedAt(index)
      if (!test(token, enqueuedAt)) continue
      removed.push({ entry: block.entries[index] as Entry, token, enqueuedAt, charge: block.charge(index) })
    }
    if (removed.length > 0) this.#takeOut(({ block, index }) => test(block.token(index), block.enqueuedAt(index)))
    return removed
  }

  clear(): void {
    this.#blocks = []
    this.#offset = 0
    this.#length = 0
    this.#size = 0
    this.#weight = 0
    this.#hastened = 0
  }

  *#places(): Generator<Place<Entry>> {
    let start = this.#offset
    for (const block of this.#blocks) {
      for (let index = start; index < block.length; index++) yield { block, index }
      start = 0
    }
  }

  /** Keeps the others, in their order, in full blocks. */
  #takeOut(isOut: (place: Place<Entry>, position: number) => boolean): void {
    const kept: Place<Entry>[] = []
    let hastened = 0
    let position = 0
    for (const place of this.#places()) {
      if (!isOut(place, position)) {
        kept.push(place)
        if (position < this.#hastened) hastened++
      }
      position++
    }
    this.clear()
    for (const { block, index } of kept) {
      let last = this.#blocks.at(-1)
      if (last === undefined || last.length === this.#pool.maxBatchSize) last = this.#newBlock()
      last.move(block, index)
      this.#size += block.size(index)
      this.#weight += block.weightOf(index)
      this.#length++
    }
    this.#hastened = hastened
  }

  #newBlock(): Parcel<Entry> {
    const block = new Parcel<Entry>(this.#pool.take())
    this.#blocks.push(block)
    return block
  }

  #left(count: number, sizeInBytes: number, weight: number): void {
    this.#length -= count
    this.#size -= sizeInBytes
    this.#weight -= weight
    this.#hastened = Math.max(0, this.#hastened - count)
  }
}

function hasRoomFor<Entry>(
  parcel: Parcel<Entry>,
  from: Parcel<Entry>,
  index: number,
  { maxBatchSize, maxBatchSizeInBytes, maxBatchWeight }: BatchLimits,
): boolean {
  if (parcel.length === 0) return true
  return (
    parcel.length < maxBatchSize &&
    parcel.sizeInBytes + from.size(index) <= maxBatchSizeInBytes &&
    parcel.weight + from.weightOf(index) <= maxBatchWeight
  )
}
