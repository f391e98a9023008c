/** Numbers kept for each entry, in this order. */
export const COLUMNS = 6
export const TOKEN = 0
export const ENQUEUED_AT = 1
export const SIZE = 2
export const WEIGHT = 3
export const CHARGE = 4
export const KEY = 5

/** The failed tries of the entries of a parcel: kept only once there was one. */
interface Failures {
  readonly tries: number[]
  /** Monotonic time of the first failed try; NaN for an entry that has not failed. */
  readonly firstFailedAt: number[]
}

/** What is left to find the culprits of one refused request, shared by all its parts. */
export interface Isolation {
  requestsLeft: number
}

/**
 * The entries of one request, with what the engine knows of each: parallel arrays, so that an entry costs no object of its own.
 */
export class Parcel<Entry> {
  entries: Entry[] = []
  /** Why the last try did not settle it. */
  reason = 'waiting for its batch'
  /** When it may be sent again. */
  dueAt = 0
  /** To be sent exactly as it is: a half of a refused or too large request. */
  exact = false
  isolation: Isolation | undefined
  /** False once the tokens were settled ahead of the outcome (a sabotage of the campaigns). */
  holdsTokens = true
  #columns: Float64Array<ArrayBuffer> = NO_COLUMNS
  #failures: Failures | undefined
  #sizeInBytes = 0
  #weight = 0

  /** Number of entries. */
  get length(): number {
    return this.entries.length
  }

  /** Sum of the sizes. */
  get sizeInBytes(): number {
    return this.#sizeInBytes
  }

  /** Sum of the weights. */
  get weight(): number {
    return this.#weight
  }

  /** What the engine knows of each entry, {@link COLUMNS} numbers for each: for loops over all of them. */
  get columns(): Float64Array<ArrayBuffer> {
    return this.#columns
  }

  token(index: number): number {
    return this.#columns[index * COLUMNS + TOKEN] as number
  }

  /** When the entry was accepted. */
  enqueuedAt(index: number): number {
    return this.#columns[index * COLUMNS + ENQUEUED_AT] as number
  }

  size(index: number): number {
    return this.#columns[index * COLUMNS + SIZE] as number
  }

  /** What the entry adds to `bufferedBytes`: its size and its share of the raw input. */
  charge(index: number): number {
    return this.#columns[index * COLUMNS + CHARGE] as number
  }

  /** The order key; meaningless in a writer without order. */
  key(index: number): number {
    return this.#columns[index * COLUMNS + KEY] as number
  }

  /** True if no entry of it has failed yet. */
  get isFresh(): boolean {
    return this.#failures === undefined
  }

  /** Failed tries of the entry so far. */
  tries(index: number): number {
    return this.#failures?.tries[index] ?? 0
  }

  /** Monotonic time of its first failed try. */
  firstFailedAt(index: number): number | undefined {
    const at = this.#failures?.firstFailedAt[index]
    return at === undefined || Number.isNaN(at) ? undefined : at
  }

  get mostTries(): number {
    let most = 0
    if (this.#failures !== undefined) for (const tries of this.#failures.tries) most = Math.max(most, tries)
    return most
  }

  /** Counts a failed try of the entry, and returns how many there were. */
  failed(index: number, now: number): number {
    const failures = (this.#failures ??= this.#noFailures())
    const tries = (failures.tries[index] ?? 0) + 1
    failures.tries[index] = tries
    if (tries === 1) failures.firstFailedAt[index] = now
    return tries
  }

  /** A parcel without entries that is treated as this one: for its parts. */
  emptyPart(): Parcel<Entry> {
    const part = new Parcel<Entry>()
    part.reason = this.reason
    part.exact = this.exact
    part.isolation = this.isolation
    part.holdsTokens = this.holdsTokens
    return part
  }

  /** Appends new entries: `columns` holds {@link COLUMNS} numbers of each, in an array that may be longer, and becomes the parcel's own. */
  append(entries: Entry[], columns: Float64Array<ArrayBuffer>, sizeInBytes: number, weight: number): void {
    if (this.entries.length === 0) {
      this.entries = entries
      this.#columns = columns
    } else {
      const used = this.entries.length * COLUMNS
      const both = new Float64Array(used + entries.length * COLUMNS)
      both.set(this.#columns.subarray(0, used))
      both.set(columns.subarray(0, entries.length * COLUMNS), used)
      this.#columns = both
      for (const entry of entries) {
        this.entries.push(entry)
        this.#failures?.tries.push(0)
        this.#failures?.firstFailedAt.push(Number.NaN)
      }
    }
    this.#sizeInBytes += sizeInBytes
    this.#weight += weight
  }

  /** Appends one entry of another parcel, with its tries. */
  move(from: Parcel<Entry>, index: number): void {
    if (from.tries(index) > 0) this.#failures ??= this.#noFailures()
    this.#failures?.tries.push(from.tries(index))
    this.#failures?.firstFailedAt.push(from.firstFailedAt(index) ?? Number.NaN)
    const at = this.entries.length * COLUMNS
    if (at === this.#columns.length) {
      const roomy = new Float64Array(Math.max(8 * COLUMNS, at * 2))
      roomy.set(this.#columns)
      this.#columns = roomy
    }
    const start = index * COLUMNS
    for (let column = 0; column < COLUMNS; column++)
      this.#columns[at + column] = from.#columns[start + column] as number
    this.entries.push(from.entries[index] as Entry)
    this.#sizeInBytes += from.#columns[start + SIZE] as number
    this.#weight += from.#columns[start + WEIGHT] as number
  }

  #noFailures(): Failures {
    return { tries: this.entries.map(() => 0), firstFailedAt: this.entries.map(() => Number.NaN) }
  }
}

const NO_COLUMNS = new Float64Array(0)
