/** Numbers kept for each entry, in this order. */
export const COLUMNS = 5
const TOKEN = 0
const ENQUEUED_AT = 1
const SIZE = 2
const WEIGHT = 3
const CHARGE = 4

/**
 * The entries of one request, with what the engine knows of each: parallel arrays, so that an entry costs no object of its own.
 */
export class Parcel<Entry> {
  entries: Entry[] = []
  /** Failed tries of each entry so far; undefined while there was none. */
  attempts: number[] | undefined
  /** Why the last try did not settle it. */
  reason = 'waiting for its batch'
  /** To be sent exactly as it is: a half of a refused or too large request. */
  exact = false
  /** Requests left for finding the culprits, shared by all parts of one refused request. */
  isolation: { left: number } | undefined
  /** False once the tokens were settled ahead of the outcome (a sabotage of the campaigns). */
  holdsTokens = true
  #columns = new Float64Array(0)
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

  /** Failed tries of the entry so far. */
  tries(index: number): number {
    return this.attempts?.[index] ?? 0
  }

  get mostTries(): number {
    let most = 0
    if (this.attempts !== undefined) for (const tries of this.attempts) most = Math.max(most, tries)
    return most
  }

  /** A parcel without entries that is treated as this one: for its parts. */
  emptyPart(): Parcel<Entry> {
    const part = new Parcel<Entry>()
    part.exact = this.exact
    part.isolation = this.isolation
    part.holdsTokens = this.holdsTokens
    return part
  }

  /** Appends new entries: `columns` holds COLUMNS numbers of each and becomes the parcel's own. */
  append(entries: Entry[], columns: Float64Array<ArrayBuffer>, sizeInBytes: number, weight: number): void {
    if (this.entries.length === 0) {
      this.entries = entries
      this.#columns = columns
    } else {
      this.#columns = joined(this.#columns.subarray(0, this.entries.length * COLUMNS), columns)
      for (const entry of entries) {
        this.entries.push(entry)
        this.attempts?.push(0)
      }
    }
    this.#sizeInBytes += sizeInBytes
    this.#weight += weight
  }

  /** Appends one entry of another parcel, with its tries. */
  move(from: Parcel<Entry>, index: number): void {
    const tries = from.tries(index)
    if (tries > 0) this.attempts ??= this.entries.map(() => 0)
    this.attempts?.push(tries)
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
}

function joined(first: Float64Array, second: Float64Array): Float64Array<ArrayBuffer> {
  const both = new Float64Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}
