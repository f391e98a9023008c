import type { Series } from './series.ts'

const FIRST_SLOTS = 16

/** Hashes the first `count` numbers of a list. A bad one costs time, and nothing else. */
export type IdHash = (ids: readonly number[], count: number) => number

export const hashIds: IdHash = (ids, count) => {
  let hash = count
  for (let index = 0; index < count; index++) hash = Math.imul(hash ^ (ids[index] as number), 0x9e3779b1)
  // The slot is taken from the low bits, which multiplication alone never reaches from above.
  return hash ^ (hash >>> 15)
}

/**
 * Finds series by the numbers of their values: an open-addressing hash table. What has the same hash is compared number by number, so
 * that a sample never goes to a series with other labels.
 */
export class SeriesIndex {
  size = 0
  readonly #hash: IdHash
  #mask = FIRST_SLOTS - 1
  #hashes = new Int32Array(FIRST_SLOTS)
  #ids: (readonly number[] | undefined)[] = empty(FIRST_SLOTS)
  #series: (Series | undefined)[] = empty(FIRST_SLOTS)

  constructor(hash: IdHash) {
    this.#hash = hash
  }

  find(ids: readonly number[], count: number): Series | undefined {
    const hash = this.#hash(ids, count) | 0
    const mask = this.#mask
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const known = this.#ids[slot]
      if (known === undefined) return undefined
      if (this.#hashes[slot] === hash && areEqual(known, ids, count)) return this.#series[slot]
    }
  }

  add(ids: readonly number[], series: Series): void {
    // Half full at most: chains stay short.
    if (this.size * 2 >= this.#ids.length) this.#grow()
    this.#put(ids, series, this.#hash(ids, ids.length) | 0)
    this.size++
  }

  *[Symbol.iterator](): Generator<Series> {
    for (const series of this.#series) if (series !== undefined) yield series
  }

  #grow(): void {
    const before = { ids: this.#ids, series: this.#series, hashes: this.#hashes }
    const length = before.ids.length * 2
    this.#mask = length - 1
    this.#hashes = new Int32Array(length)
    this.#ids = empty(length)
    this.#series = empty(length)
    for (const [slot, ids] of before.ids.entries()) {
      if (ids !== undefined) this.#put(ids, before.series[slot] as Series, before.hashes[slot] as number)
    }
  }

  #put(ids: readonly number[], series: Series, hash: number): void {
    let slot = hash & this.#mask
    while (this.#ids[slot] !== undefined) slot = (slot + 1) & this.#mask
    this.#ids[slot] = ids
    this.#series[slot] = series
    this.#hashes[slot] = hash
  }
}

function areEqual(known: readonly number[], ids: readonly number[], count: number): boolean {
  for (let index = 0; index < count; index++) if (known[index] !== ids[index]) return false
  return true
}

function empty<T>(length: number): (T | undefined)[] {
  return Array.from<undefined>({ length })
}
