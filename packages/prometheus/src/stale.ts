import { Entry, type Series } from './series.ts'

/** What was last sent of a series. */
interface Tracked {
  readonly series: Series
  lastTimestamp: number
}

/**
 * Remembers which series are alive, so that their end can be told: without a stale marker a receiver shows the last value of a series
 * for five minutes more.
 *
 * See https://prometheus.io/docs/specs/prw/remote_write_spec/ (stale markers)
 */
export class LiveSeries {
  readonly #live = new Map<number, Tracked>()

  get size(): number {
    return this.#live.size
  }

  /** An entry is on its way to the receiver. */
  saw(entry: Entry): void {
    const { series, parts } = entry
    const samples = parts === undefined ? [entry] : [...parts.samples, ...parts.histograms]
    const last = samples.at(-1)
    if (last === undefined) return
    if (last.stale === true) {
      this.#live.delete(series.orderKey)
      return
    }
    const known = this.#live.get(series.orderKey)
    if (known === undefined) this.#live.set(series.orderKey, { series, lastTimestamp: last.timestamp })
    else known.lastTimestamp = Math.max(known.lastTimestamp, last.timestamp)
  }

  /** A marker for each series, later than everything that was seen of it. */
  markers(now: number): readonly Entry[] {
    return Array.from(this.#live.values(), ({ series, lastTimestamp }) =>
      staleMarker(series, Math.max(now, lastTimestamp + 1)),
    )
  }
}

/** The end of a series at a time, in milliseconds since 1970. */
export function staleMarker(series: Series, timestamp: number): Entry {
  return new Entry(series, 0, timestamp, 0, true, undefined)
}
