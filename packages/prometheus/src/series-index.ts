import type { Labels } from './model.ts'
import type { Series } from './series.ts'

const FIRST_SLOTS = 64

/** An open-addressing hash table of series: what has the same hash is compared as a whole. */
export class SeriesIndex {
  size = 0
  #mask = FIRST_SLOTS - 1
  #highs = new Int32Array(FIRST_SLOTS)
  #slots: (Series | undefined)[] = emptySlots(FIRST_SLOTS)

  find(high: number, low: number, metricName: string, labels: Labels | undefined, count: number): Series | undefined {
    for (let slot = high & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const series = this.#slots[slot]
      if (series === undefined) return undefined
      if (this.#highs[slot] === high && series.low === low && series.isSpelled(metricName, labels, count)) return series
    }
  }

  add(series: Series): void {
    // Half full at most: chains stay short.
    if (this.size * 2 >= this.#slots.length) this.#grow()
    this.#put(series)
    this.size++
  }

  *[Symbol.iterator](): Generator<Series> {
    for (const series of this.#slots) if (series !== undefined) yield series
  }

  #grow(): void {
    const before = this.#slots
    const length = before.length * 2
    this.#mask = length - 1
    this.#highs = new Int32Array(length)
    this.#slots = emptySlots(length)
    for (const series of before) if (series !== undefined) this.#put(series)
  }

  #put(series: Series): void {
    let slot = series.high & this.#mask
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & this.#mask
    this.#slots[slot] = series
    this.#highs[slot] = series.high
  }
}

function emptySlots(length: number): (Series | undefined)[] {
  return Array.from<undefined>({ length })
}
