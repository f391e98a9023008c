import { sampleBytes } from './encode-samples.ts'
import type { Exemplar, NativeHistogram, Sample } from './model.ts'
import type { Entry, Series } from './series.ts'

/** Nothing follows. */
export const NONE = -1

/** What all entries of one series hold together, in the order of time. */
export interface Collected {
  readonly samples: readonly Sample[]
  readonly histograms: readonly NativeHistogram[]
  readonly exemplars: readonly Exemplar[]
}

/**
 * The entries of a request by series, in the order in which each series comes first. Lists instead of objects: they are used again
 * for the next request, and making nothing is what makes it fast.
 */
export class EntryGroups {
  count = 0
  /** Of each group its series. */
  readonly series: Series[] = []
  /** Of each group the first entry. */
  heads: Int32Array<ArrayBuffer> = new Int32Array(512)
  /** Of each entry the next one of its group, or {@link NONE}. */
  next: Int32Array<ArrayBuffer> = new Int32Array(512)
  /** Of each group the bytes of its samples, where it is plain. */
  bytes: Int32Array<ArrayBuffer> = new Int32Array(512)
  /** Of each group 1 where its entries hold something else than samples in order. */
  isSpecial: Uint8Array<ArrayBuffer> = new Uint8Array(512)
  #tails = new Int32Array(512)
  #times = new Float64Array(512)
  readonly #groupOf = new GroupsByLabels()
  readonly #sorts: boolean
  readonly #hasStart: boolean

  /**
   * @param sorts - whether samples of several entries are put in order.
   * @param hasStart - whether start timestamps are sent.
   */
  constructor(sorts: boolean, hasStart: boolean) {
    this.#sorts = sorts
    this.#hasStart = hasStart
  }

  collect(entries: readonly Entry[]): void {
    const { length } = entries
    if (this.next.length < length) this.#grow(length)
    const isMixed = hasStrangers(entries)
    if (isMixed) this.#groupOf.begin(length)
    const { series: owners, heads, next, bytes, isSpecial } = this
    const tails = this.#tails
    const times = this.#times
    let count = 0
    for (let index = 0; index < length;) {
      const entry = entries[index] as Entry
      const { series } = entry
      let { group } = series
      const isOwner = group < count && owners[group] === series
      if (!isOwner) group = isMixed ? this.#groupOf.find(series, owners, count) : count
      if (group < count) next[tails[group] as number] = index
      else {
        count++
        owners[group] = series
        series.group = group
        heads[group] = index
        bytes[group] = 0
        isSpecial[group] = 0
        times[group] = Number.NEGATIVE_INFINITY
      }
      const { parts } = entry
      if (parts === undefined && index + 1 < length && (entries[index + 1] as Entry).series === series) {
        index = this.#run(entries, index, group)
        continue
      }
      next[index] = NONE
      tails[group] = index++
      if (parts === undefined) this.#sample(group, entry.timestamp, entry.startTimestamp)
      else {
        if (parts.histograms.length > 0 || parts.exemplars.length > 0) isSpecial[group] = 1
        for (const sample of parts.samples) this.#sample(group, sample.timestamp, sample.startTimestamp ?? 0)
      }
    }
    this.count = count
  }

  /** Everything of one group, copied and put in order. */
  collected(group: number, entries: readonly Entry[]): Collected {
    const samples: Sample[] = []
    const histograms: NativeHistogram[] = []
    const exemplars: Exemplar[] = []
    for (let index = this.heads[group] as number; index !== NONE; index = this.next[index] as number) {
      const entry = entries[index] as Entry
      if (entry.parts === undefined) samples.push(entry)
      else {
        addAll(samples, entry.parts.samples)
        addAll(histograms, entry.parts.histograms)
        addAll(exemplars, entry.parts.exemplars)
      }
    }
    if (this.#sorts) for (const list of [samples, histograms, exemplars]) list.sort(byTime)
    return { samples, histograms, exemplars }
  }

  /** Samples of one series that follow each other, from `from` on. @returns where they end. */
  #run(entries: readonly Entry[], from: number, group: number): number {
    const { next } = this
    const { length } = entries
    const { series } = entries[from] as Entry
    const hasStart = this.#hasStart
    let bytes = this.bytes[group] as number
    let time = this.#times[group] as number
    let isOrdered = true
    let index = from
    for (; index < length; index++) {
      const entry = entries[index] as Entry
      if (entry.series !== series || entry.parts !== undefined) break
      const { timestamp } = entry
      bytes += sampleBytes(timestamp, hasStart ? entry.startTimestamp : 0)
      if (timestamp < time) isOrdered = false
      time = timestamp
      next[index] = index + 1
    }
    next[index - 1] = NONE
    this.#tails[group] = index - 1
    this.bytes[group] = bytes
    this.#times[group] = time
    if (!isOrdered && this.#sorts) this.isSpecial[group] = 1
    return index
  }

  #sample(group: number, timestamp: number, startTimestamp: number): void {
    const bytes = this.bytes
    bytes[group] = (bytes[group] as number) + sampleBytes(timestamp, this.#hasStart ? startTimestamp : 0)
    if (timestamp < (this.#times[group] as number) && this.#sorts) this.isSpecial[group] = 1
    this.#times[group] = timestamp
  }

  #grow(length: number): void {
    const size = length * 2
    this.heads = new Int32Array(size)
    this.next = new Int32Array(size)
    this.bytes = new Int32Array(size)
    this.isSpecial = new Uint8Array(size)
    this.#tails = new Int32Array(size)
    this.#times = new Float64Array(size)
  }
}

/** Whether there may be several objects for one series: those that the table does not have, or not any more. */
function hasStrangers(entries: readonly Entry[]): boolean {
  for (let index = 0; index < entries.length; index++) if ((entries[index] as Entry).series.isEvicted) return true
  return false
}

/** Finds groups by the labels of their series: two groups of one series would break its order. An open-addressing hash table. */
export class GroupsByLabels {
  #slots = new Int32Array(1024)

  begin(length: number): void {
    if (this.#slots.length < length * 2) this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(length * 2)))
    this.#slots.fill(NONE)
  }

  /** @returns the group of a series with the same labels, or `count`, which is then the group of this one. */
  find(series: Series, owners: readonly Series[], count: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = series.hash & mask; ; slot = (slot + 1) & mask) {
      const group = slots[slot] as number
      if (group === NONE) {
        slots[slot] = count
        return count
      }
      if ((owners[group] as Series).equals(series)) return group
    }
  }
}

/** As arguments of one call they would not fit onto the stack. */
function addAll<T>(to: T[], from: readonly T[]): void {
  for (const each of from) to.push(each)
}

function byTime(a: { readonly timestamp: number }, b: { readonly timestamp: number }): number {
  return a.timestamp - b.timestamp
}
