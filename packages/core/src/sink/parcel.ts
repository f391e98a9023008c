/** Numbers kept for each entry beside its token, in this order. */
const COLUMNS = 5
const ENQUEUED_AT = 0
const SIZE = 1
const WEIGHT = 2
const CHARGE = 3
const KEY = 4

/** What is known of entries, in arrays that are used again: they lie outside of the heap, where making and collecting them is dear. */
export interface Columns {
  readonly tokens: Float64Array
  readonly numbers: Float64Array
}

export function columnsFor(entries: number): Columns {
  return { tokens: new Float64Array(entries), numbers: new Float64Array(entries * COLUMNS) }
}

/** What became of the entries of a parcel before: kept only once a request has left one of them unsettled. */
interface Failures {
  readonly isRepeat: boolean[]
  readonly tries: number[]
  /** Monotonic time of the first failed try; NaN for an entry that has not failed. */
  readonly firstFailedAt: number[]
}

/** What is left to find the culprits of one refused request, shared by all its parts. */
export interface Isolation {
  requestsLeft: number
}

/**
 * The entries of one request, or on their way to one, with what the engine knows of each: parallel arrays, so that an entry costs no
 * object of its own.
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
  #columns: Columns
  #failures: Failures | undefined
  #sizeInBytes = 0
  #weight = 0
  #charges = 0

  /** @param columns - for as many entries as it will hold; without them it makes room as it needs it. */
  constructor(columns: Columns = NO_COLUMNS) {
    this.#columns = columns
  }

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

  /** Sum of the charges. */
  get charges(): number {
    return this.#charges
  }

  /** The token of each entry; the list may be longer than the parcel. */
  get tokens(): Float64Array {
    return this.#columns.tokens
  }

  /** To be used again once nothing of the parcel is looked at any more. */
  get columns(): Columns {
    return this.#columns
  }

  token(index: number): number {
    return this.#columns.tokens[index] as number
  }

  /** When the entry was accepted. */
  enqueuedAt(index: number): number {
    return this.#columns.numbers[index * COLUMNS + ENQUEUED_AT] as number
  }

  /** When the oldest entry was accepted; undefined without entries. */
  get oldestAt(): number | undefined {
    let oldest: number | undefined
    for (let index = 0; index < this.length; index++) {
      const at = this.enqueuedAt(index)
      if (oldest === undefined || at < oldest) oldest = at
    }
    return oldest
  }

  size(index: number): number {
    return this.#columns.numbers[index * COLUMNS + SIZE] as number
  }

  weightOf(index: number): number {
    return this.#columns.numbers[index * COLUMNS + WEIGHT] as number
  }

  /** What the entry adds to `bufferedBytes`: its size and its share of the raw input. */
  charge(index: number): number {
    return this.#columns.numbers[index * COLUMNS + CHARGE] as number
  }

  /** The order key; meaningless in a writer without order. */
  key(index: number): number {
    return this.#columns.numbers[index * COLUMNS + KEY] as number
  }

  /** True if no entry of it was in a request before. */
  get isFresh(): boolean {
    return this.#failures === undefined
  }

  /** True if the entry was in a request before, counted as a try or not. */
  isRepeat(index: number): boolean {
    return this.#failures?.isRepeat[index] === true
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

  /** A request has left the entry unsettled, and this is no failed try of it. */
  unsettled(index: number): void {
    this.#failures ??= this.#noFailures()
    this.#failures.isRepeat[index] = true
  }

  /** Counts a failed try of the entry. */
  failed(index: number, now: number): void {
    const failures = (this.#failures ??= this.#noFailures())
    const tries = (failures.tries[index] ?? 0) + 1
    failures.isRepeat[index] = true
    failures.tries[index] = tries
    if (tries === 1) failures.firstFailedAt[index] = now
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

  /**
   * Appends a new entry.
   *
   * @param tokens - and `at`, the index in it: a number that is passed on its own would be made an object for each entry.
   */
  add(
    entry: Entry,
    tokens: Float64Array,
    at: number,
    enqueuedAt: number,
    size: number,
    weight: number,
    charge: number,
    key: number,
  ): void {
    const index = this.entries.length
    if (index === this.#columns.tokens.length) this.#grow()
    const { tokens: own, numbers } = this.#columns
    own[index] = tokens[at] as number
    const to = index * COLUMNS
    numbers[to + ENQUEUED_AT] = enqueuedAt
    numbers[to + SIZE] = size
    numbers[to + WEIGHT] = weight
    numbers[to + CHARGE] = charge
    numbers[to + KEY] = key
    this.#sizeInBytes += size
    this.#weight += weight
    this.#charges += charge
    this.entries.push(entry)
  }

  /** Appends one entry of another parcel, with its tries. */
  move(from: Parcel<Entry>, index: number): void {
    if (from.isRepeat(index)) this.#failures ??= this.#noFailures()
    this.#failures?.isRepeat.push(from.isRepeat(index))
    this.#failures?.tries.push(from.tries(index))
    this.#failures?.firstFailedAt.push(from.firstFailedAt(index) ?? Number.NaN)
    this.add(
      from.entries[index] as Entry,
      from.tokens,
      index,
      from.enqueuedAt(index),
      from.size(index),
      from.weightOf(index),
      from.charge(index),
      from.key(index),
    )
  }

  #grow(): void {
    const { tokens, numbers } = this.#columns
    const columns = columnsFor(Math.max(8, tokens.length * 2))
    columns.tokens.set(tokens)
    columns.numbers.set(numbers)
    this.#columns = columns
  }

  #noFailures(): Failures {
    return {
      isRepeat: this.entries.map(() => false),
      tries: this.entries.map(() => 0),
      firstFailedAt: this.entries.map(() => Number.NaN),
    }
  }
}

const NO_COLUMNS = columnsFor(0)
