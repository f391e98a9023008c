import { CHARGE, COLUMNS, ENQUEUED_AT, KEY, type Parcel, SIZE, TOKEN, WEIGHT } from './parcel.ts'

const INITIAL_CAPACITY = 16

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

/**
 * Columns of batches that were settled, to be used again: they lie outside of the heap, where making and collecting them costs more
 * than everything else that is done for a batch.
 */
export class ColumnPool {
  readonly #length: number
  readonly #free: Float64Array<ArrayBuffer>[] = []

  constructor(maxBatchSize: number) {
    this.#length = maxBatchSize * COLUMNS
  }

  take(): Float64Array<ArrayBuffer> {
    return this.#free.pop() ?? new Float64Array(this.#length)
  }

  give(columns: Float64Array<ArrayBuffer>): void {
    if (columns.length === this.#length && this.#free.length < MAX_POOLED) this.#free.push(columns)
  }
}

const MAX_POOLED = 64

/**
 * The buffer of a lane: a ring of parallel arrays that grows by doubling, so that an entry costs no object of its own. In order of
 * acceptance, oldest first.
 */
export class EntryQueue<Entry> {
  readonly #pool: ColumnPool
  #entries: (Entry | undefined)[] = Array.from({ length: INITIAL_CAPACITY })
  #columns = new Float64Array(INITIAL_CAPACITY * COLUMNS)
  #mask = INITIAL_CAPACITY - 1
  #head = 0
  #tail = 0
  #size = 0
  #weight = 0
  #hastened = 0

  constructor(pool: ColumnPool) {
    this.#pool = pool
  }

  /** Number of entries. */
  get length(): number {
    return this.#tail - this.#head
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
    if (this.#head === this.#tail) return undefined
    return this.#columns[(this.#head & this.#mask) * COLUMNS + ENQUEUED_AT]
  }

  push(
    entry: Entry,
    token: number,
    enqueuedAt: number,
    size: number,
    weight: number,
    charge: number,
    key: number,
  ): void {
    if (this.length > this.#mask) this.#grow()
    const slot = this.#tail & this.#mask
    this.#entries[slot] = entry
    const columns = this.#columns
    const at = slot * COLUMNS
    columns[at + TOKEN] = token
    columns[at + ENQUEUED_AT] = enqueuedAt
    columns[at + SIZE] = size
    columns[at + WEIGHT] = weight
    columns[at + CHARGE] = charge
    columns[at + KEY] = key
    this.#size += size
    this.#weight += weight
    this.#tail++
  }

  /** What lies in it now is to be sent without waiting for more. */
  hasten(): void {
    this.#hastened = this.length
  }

  /** Moves entries from the head to the parcel while they fit; one that is too large by itself goes alone. */
  moveTo(parcel: Parcel<Entry>, limits: BatchLimits): void {
    const { maxBatchSize, maxBatchSizeInBytes, maxBatchWeight } = limits
    const most = Math.min(this.length, maxBatchSize - parcel.length)
    let { sizeInBytes, weight } = parcel
    let count = 0
    for (; count < most; count++) {
      const at = ((this.#head + count) & this.#mask) * COLUMNS
      const size = sizeInBytes + (this.#columns[at + SIZE] as number)
      const heavier = weight + (this.#columns[at + WEIGHT] as number)
      if ((size > maxBatchSizeInBytes || heavier > maxBatchWeight) && parcel.length + count > 0) break
      sizeInBytes = size
      weight = heavier
    }
    if (count > 0) this.#take(parcel, count, sizeInBytes - parcel.sizeInBytes, weight - parcel.weight)
  }

  /**
   * As {@link EntryQueue.moveTo}, but at most one entry for each order key: one whose key is in the parcel already stays, and so do
   * all later ones of that key. It looks at `window` entries at most.
   */
  moveDistinctTo(parcel: Parcel<Entry>, limits: BatchLimits, window: number): void {
    const keys = new Set<number>()
    for (let index = 0; index < parcel.length; index++) keys.add(parcel.key(index))
    const taken: number[] = []
    const looked = Math.min(this.length, window)
    let { sizeInBytes, weight } = parcel
    for (let place = 0; place < looked && parcel.length + taken.length < limits.maxBatchSize; place++) {
      const at = ((this.#head + place) & this.#mask) * COLUMNS
      const key = this.#columns[at + KEY] as number
      if (keys.has(key)) continue
      const size = sizeInBytes + (this.#columns[at + SIZE] as number)
      const heavier = weight + (this.#columns[at + WEIGHT] as number)
      const isAlone = parcel.length + taken.length === 0
      // What follows must not overtake it.
      if ((size > limits.maxBatchSizeInBytes || heavier > limits.maxBatchWeight) && !isAlone) break
      keys.add(key)
      taken.push(place)
      sizeInBytes = size
      weight = heavier
    }
    if (taken.length === 0) return
    this.#toFront(taken)
    this.#take(parcel, taken.length, sizeInBytes - parcel.sizeInBytes, weight - parcel.weight)
  }

  /** Takes out every entry for which the test holds. */
  remove(test: (token: number, enqueuedAt: number) => boolean): Removed<Entry>[] {
    const removed: Removed<Entry>[] = []
    let to = this.#head
    let hastened = 0
    for (let from = this.#head; from < this.#tail; from++) {
      const at = (from & this.#mask) * COLUMNS
      const token = this.#columns[at + TOKEN] as number
      const enqueuedAt = this.#columns[at + ENQUEUED_AT] as number
      if (test(token, enqueuedAt)) {
        const charge = this.#columns[at + CHARGE] as number
        removed.push({ entry: this.#entries[from & this.#mask] as Entry, token, enqueuedAt, charge })
        this.#size -= this.#columns[at + SIZE] as number
        this.#weight -= this.#columns[at + WEIGHT] as number
        continue
      }
      if (from - this.#head < this.#hastened) hastened++
      if (to !== from) this.#copy(from, to)
      to++
    }
    for (let place = to; place < this.#tail; place++) this.#entries[place & this.#mask] = undefined
    this.#tail = to
    this.#hastened = hastened
    return removed
  }

  clear(): void {
    this.#entries.fill(undefined)
    this.#head = this.#tail
    this.#size = 0
    this.#weight = 0
    this.#hastened = 0
  }

  /** Brings the entries at these places (from the head, rising) to the front; all keep their order among themselves. */
  #toFront(places: readonly number[]): void {
    const last = places.at(-1) ?? 0
    if (last === places.length - 1) return
    const entries: Entry[] = []
    const columns = new Float64Array(places.length * COLUMNS)
    let hastened = 0
    for (const [index, place] of places.entries()) {
      const slot = (this.#head + place) & this.#mask
      entries.push(this.#entries[slot] as Entry)
      columns.set(this.#columns.subarray(slot * COLUMNS, (slot + 1) * COLUMNS), index * COLUMNS)
      if (place < this.#hastened) hastened++
    }
    const isTaken = new Set(places)
    for (let place = last, to = last; place >= 0; place--) {
      if (isTaken.has(place)) continue
      this.#copy(this.#head + place, this.#head + to)
      to--
    }
    for (const [index, entry] of entries.entries()) {
      const slot = (this.#head + index) & this.#mask
      this.#entries[slot] = entry
      this.#columns.set(columns.subarray(index * COLUMNS, (index + 1) * COLUMNS), slot * COLUMNS)
    }
    // Those that stay come right behind, and are still hastened once the others are gone.
    const staying = this.#hastened - hastened
    this.#hastened = staying === 0 ? 0 : places.length + staying
  }

  #copy(from: number, to: number): void {
    const source = from & this.#mask
    const target = to & this.#mask
    this.#entries[target] = this.#entries[source]
    this.#columns.copyWithin(target * COLUMNS, source * COLUMNS, (source + 1) * COLUMNS)
  }

  #take(parcel: Parcel<Entry>, count: number, sizeInBytes: number, weight: number): void {
    const first = this.#head & this.#mask
    const straight = Math.min(count, this.#mask + 1 - first)
    const columns = this.#pool.take()
    columns.set(this.#columns.subarray(first * COLUMNS, (first + straight) * COLUMNS))
    let entries = this.#entries.slice(first, first + straight)
    this.#entries.fill(undefined, first, first + straight)
    if (straight < count) {
      // The ring's end lies within the batch.
      const rest = count - straight
      columns.set(this.#columns.subarray(0, rest * COLUMNS), straight * COLUMNS)
      entries = entries.concat(this.#entries.slice(0, rest))
      this.#entries.fill(undefined, 0, rest)
    }
    // Slots between head and tail always hold an entry.
    parcel.append(entries as Entry[], columns, sizeInBytes, weight)
    if (parcel.columns !== columns) this.#pool.give(columns)
    this.#size -= sizeInBytes
    this.#weight -= weight
    this.#head += count
    this.#hastened = Math.max(0, this.#hastened - count)
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2
    const entries: (Entry | undefined)[] = Array.from({ length: capacity })
    const columns = new Float64Array(capacity * COLUMNS)
    for (let index = this.#head; index < this.#tail; index++) {
      const from = index & this.#mask
      const to = index & (capacity - 1)
      entries[to] = this.#entries[from]
      columns.set(this.#columns.subarray(from * COLUMNS, from * COLUMNS + COLUMNS), to * COLUMNS)
    }
    this.#entries = entries
    this.#columns = columns
    this.#mask = capacity - 1
  }
}
