import type { Label, Labels } from './model.ts'
import type { Series } from './series.ts'
import { isLabelList, isOtherIterable } from './time-series.ts'

const FIRST_SLOTS = 64

/** One way in which a series was given. */
export interface Spelling {
  readonly metricName: string
  readonly names: readonly string[]
  readonly values: readonly string[]
  readonly series: Series
}

/**
 * Finds series by the way in which they were given: an open-addressing hash table. What has the same hash is compared string by string,
 * so that a sample never goes to a series with other labels.
 */
export class SeriesIndex {
  size = 0
  #mask = FIRST_SLOTS - 1
  #hashes = new Int32Array(FIRST_SLOTS)
  #slots: (Spelling | undefined)[] = empty(FIRST_SLOTS)

  find(hash: number, metricName: string, labels: Labels | undefined): Series | undefined {
    const mask = this.#mask
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const known = this.#slots[slot]
      if (known === undefined) return undefined
      if (this.#hashes[slot] === hash && isSpelled(known, metricName, labels)) return known.series
    }
  }

  add(hash: number, spelling: Spelling): void {
    // Half full at most: chains stay short.
    if (this.size * 2 >= this.#slots.length) this.#grow()
    this.#put(hash, spelling)
    this.size++
  }

  *[Symbol.iterator](): Generator<Series> {
    for (const spelling of this.#slots) if (spelling !== undefined) yield spelling.series
  }

  #grow(): void {
    const slots = this.#slots
    const hashes = this.#hashes
    const length = slots.length * 2
    this.#mask = length - 1
    this.#hashes = new Int32Array(length)
    this.#slots = empty(length)
    for (const [slot, spelling] of slots.entries()) {
      if (spelling !== undefined) this.#put(hashes[slot] as number, spelling)
    }
  }

  #put(hash: number, spelling: Spelling): void {
    let slot = hash & this.#mask
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & this.#mask
    this.#slots[slot] = spelling
    this.#hashes[slot] = hash
  }
}

/** Whether these are the labels, in this way. Nothing else need be known of them: what is no label is not equal to one. */
export function isSpelled(known: Spelling, metricName: string, labels: Labels | undefined): boolean {
  const { names, values } = known
  const { length } = names
  if (metricName !== known.metricName) return false
  if (labels === undefined) return length === 0
  if (typeof labels !== 'object' || labels === null) return false
  if (isLabelList(labels)) {
    if (labels.length !== length) return false
    for (let index = 0; index < length; index++) {
      const label = labels[index] as Label | null | undefined
      if (label?.name !== names[index] || label?.value !== values[index]) return false
    }
    return true
  }
  let index = 0
  for (const name in labels) {
    // Beyond the end there is no name that is equal.
    if (name !== names[index] || labels[name] !== values[index]) return false
    index++
  }
  // A Map has no names either.
  return index === length && (length > 0 || !isOtherIterable(labels))
}

function empty<T>(length: number): (T | undefined)[] {
  const list: (T | undefined)[] = []
  for (let index = 0; index < length; index++) list.push(undefined)
  return list
}
