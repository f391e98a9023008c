import { COLUMNS, type Parcel } from './parcel.ts'

const INITIAL_CAPACITY = 256

/**
 * The buffer of a writer: a ring of parallel arrays that grows by doubling, so that an entry costs no object of its own.
 * Column order: token, enqueuedAt, size, weight, charge.
 */
export class EntryQueue<Entry> {
  #entries: (Entry | undefined)[] = Array.from({ length: INITIAL_CAPACITY })
  #columns = new Float64Array(INITIAL_CAPACITY * COLUMNS)
  #mask = INITIAL_CAPACITY - 1
  #head = 0
  #tail = 0
  #size = 0
  #weight = 0

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

  /** Counts entries ever pushed; an entry's number is the value before its push. */
  get pushed(): number {
    return this.#tail
  }

  /** Counts entries ever taken: the number of the entry at the head. */
  get taken(): number {
    return this.#head
  }

  /** When the entry at the head was pushed; undefined if there is none. */
  get oldestAt(): number | undefined {
    return this.#head === this.#tail ? undefined : this.#columns[(this.#head & this.#mask) * COLUMNS + 1]
  }

  push(entry: Entry, token: number, enqueuedAt: number, size: number, weight: number, charge: number): void {
    if (this.length > this.#mask) this.#grow()
    const slot = this.#tail & this.#mask
    this.#entries[slot] = entry
    const at = slot * COLUMNS
    this.#columns[at] = token
    this.#columns[at + 1] = enqueuedAt
    this.#columns[at + 2] = size
    this.#columns[at + 3] = weight
    this.#columns[at + 4] = charge
    this.#size += size
    this.#weight += weight
    this.#tail++
  }

  /** Moves entries from the head to the parcel while they fit; one that is too large by itself goes alone. */
  moveTo(parcel: Parcel<Entry>, maxEntries: number, maxSizeInBytes: number, maxWeight: number): void {
    const most = Math.min(this.length, maxEntries - parcel.length)
    let { sizeInBytes, weight } = parcel
    let count = 0
    for (; count < most; count++) {
      const at = ((this.#head + count) & this.#mask) * COLUMNS
      const size = sizeInBytes + (this.#columns[at + 2] as number)
      const heavier = weight + (this.#columns[at + 3] as number)
      if ((size > maxSizeInBytes || heavier > maxWeight) && parcel.length + count > 0) break
      sizeInBytes = size
      weight = heavier
    }
    if (count > 0) this.#take(parcel, count, sizeInBytes - parcel.sizeInBytes, weight - parcel.weight)
  }

  clear(): void {
    this.#entries.fill(undefined)
    this.#head = this.#tail
    this.#size = 0
    this.#weight = 0
  }

  #take(parcel: Parcel<Entry>, count: number, sizeInBytes: number, weight: number): void {
    const first = this.#head & this.#mask
    const straight = Math.min(count, this.#mask + 1 - first)
    const columns = new Float64Array(count * COLUMNS)
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
    this.#size -= sizeInBytes
    this.#weight -= weight
    this.#head += count
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
