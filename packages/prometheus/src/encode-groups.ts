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
    const present = presentSeries(entries)
    const { series: owners, heads, next, bytes, isSpecial } = this
    const tails = this.#tails
    const times = this.#times
    let count = 0
    for (let index = 0; index < length; index++) {
      const entry = entries[index] as Entry
      const series = present === undefined ? entry.series : (present.get(entry.series) as Series)
      let group = series.group
      if (group < count && owners[group] === series) next[tails[group] as number] = index
      else {
        group = count++
        owners[group] = series
        series.group = group
        heads[group] = index
        bytes[group] = 0
        isSpecial[group] = 0
        times[group] = Number.NEGATIVE_INFINITY
      }
      next[index] = NONE
      tails[group] = index
      const { parts } = entry
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
        samples.push(...entry.parts.samples)
        histograms.push(...entry.parts.histograms)
        exemplars.push(...entry.parts.exemplars)
      }
    }
    if (this.#sorts) for (const list of [samples, histograms, exemplars]) list.sort(byTime)
    return { samples, histograms, exemplars }
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

/**
 * For each series the one that stands for it, where the table has forgotten one of them: it may have another one for the same labels
 * since, and two groups of one series would break its order.
 */
function presentSeries(entries: readonly Entry[]): Map<Series, Series> | undefined {
  let isEvicted = false
  for (let index = 0; index < entries.length; index++) {
    if ((entries[index] as Entry).series.isEvicted) {
      isEvicted = true
      break
    }
  }
  if (!isEvicted) return undefined
  const present = new Map<Series, Series>()
  const byLabels = new Map<string, Series>()
  for (const { series } of entries) {
    if (present.has(series)) continue
    const id = series.canonicalId
    const first = byLabels.get(id)
    if (first === undefined) byLabels.set(id, series)
    present.set(series, first ?? series)
  }
  return present
}

function byTime(a: { readonly timestamp: number }, b: { readonly timestamp: number }): number {
  return a.timestamp - b.timestamp
}
