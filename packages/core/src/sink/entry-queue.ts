/** Entries taken off the queue for one request; index i of each list belongs together. */
export interface Parcel<Entry> {
  readonly entries: Entry[]
  readonly tokens: number[]
  readonly enqueuedAt: number[]
  readonly sizes: number[]
  readonly weights: number[]
  /** What the entry adds to `bufferedBytes`: its size and its share of the raw input. */
  readonly charges: number[]
  /** Failed tries of each entry so far; undefined while there was none. */
  attempts: number[] | undefined
  /** Why the last try did not settle it. */
  reason: string
  /** To be sent exactly as it is: a half of a refused or too large request. */
  exact: boolean
  /** Requests left for finding the culprits, shared by all parts of one refused request. */
  isolation: { left: number } | undefined
  /** False once the tokens were settled ahead of the outcome (a sabotage of the campaigns). */
  holdsTokens: boolean
}

export function emptyParcel<Entry>(): Parcel<Entry> {
  return {
    entries: [],
    tokens: [],
    enqueuedAt: [],
    sizes: [],
    weights: [],
    charges: [],
    attempts: undefined,
    reason: 'waiting for its batch',
    exact: false,
    isolation: undefined,
    holdsTokens: true,
  }
}

/** Appends entry `index` of one parcel to another. */
export function moveEntry<Entry>(from: Parcel<Entry>, index: number, to: Parcel<Entry>): void {
  const attempts = from.attempts?.[index] ?? 0
  if (attempts > 0 && to.attempts === undefined) to.attempts = to.entries.map(() => 0)
  to.attempts?.push(attempts)
  to.entries.push(from.entries[index] as Entry)
  to.tokens.push(from.tokens[index] as number)
  to.enqueuedAt.push(from.enqueuedAt[index] as number)
  to.sizes.push(from.sizes[index] as number)
  to.weights.push(from.weights[index] as number)
  to.charges.push(from.charges[index] as number)
}

const INITIAL_CAPACITY = 256
const COLUMNS = 5

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
  fill(parcel: Parcel<Entry>, maxEntries: number, maxSizeInBytes: number, maxWeight: number): void {
    let size = sum(parcel.sizes)
    let weight = sum(parcel.weights)
    while (this.#head < this.#tail && parcel.entries.length < maxEntries) {
      const slot = this.#head & this.#mask
      const at = slot * COLUMNS
      const entrySize = this.#columns[at + 2] as number
      const entryWeight = this.#columns[at + 3] as number
      size += entrySize
      weight += entryWeight
      if (parcel.entries.length > 0 && (size > maxSizeInBytes || weight > maxWeight)) return
      parcel.entries.push(this.#entries[slot] as Entry)
      parcel.tokens.push(this.#columns[at] as number)
      parcel.enqueuedAt.push(this.#columns[at + 1] as number)
      parcel.sizes.push(entrySize)
      parcel.weights.push(entryWeight)
      parcel.charges.push(this.#columns[at + 4] as number)
      parcel.attempts?.push(0)
      this.#entries[slot] = undefined
      this.#size -= entrySize
      this.#weight -= entryWeight
      this.#head++
    }
  }

  clear(): void {
    this.#entries.fill(undefined)
    this.#head = this.#tail
    this.#size = 0
    this.#weight = 0
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

export function sum(values: readonly number[]): number {
  let total = 0
  for (const value of values) total += value
  return total
}
