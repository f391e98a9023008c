import type { Entry, Series } from './series.ts'

/** Samples that are remembered, at most: 24 bytes each, and their series. */
const MAX_SAMPLES = 65_536
const FIRST_ROOM = 1024
/** Requests without a possible repeat after which repeats are no longer looked for. */
const QUIET_REQUESTS = 64

interface Confirmed {
  readonly series: Series
  /** By time. */
  readonly values: Map<number, number>
}

/** By tenant and order key the series that have it, which is one of them but for collisions. */
type Known = Map<string, Map<number, Confirmed[]>>

/**
 * The samples that this process saw confirmed last, so that those that an attempt repeats need not be sent, and be refused, again. A ring
 * of columns: to remember costs a few stores, and only an attempt with possible repeats pays for a look-up. Bounded, and never wrong: what
 * is not found is sent.
 */
export class ConfirmedSamples {
  readonly #series: Series[] = []
  readonly #tenants: string[] = []
  #times = new Float64Array(0)
  #values = new Float64Array(0)
  /** Of all that were ever remembered. */
  #count = 0
  /** Of the next. */
  #slot = 0
  readonly #max: number

  /** @param max - samples that are remembered, at most. */
  constructor(max: number = MAX_SAMPLES) {
    this.#max = max
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** The receiver has confirmed all of them. Only plain samples are remembered: of what is compared a NaN is never equal. */
  remember(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { series, tenant, parts } = entry
      if (parts === undefined) {
        if (!entry.stale) this.#add(series, tenant, entry.timestamp, entry.value)
      } else {
        for (const { timestamp, value, stale } of parts.samples) {
          if (stale !== true) this.#add(series, tenant, timestamp, value)
        }
      }
    }
  }

  /** What is remembered now, to be looked up. */
  known(): Known {
    const known: Known = new Map()
    const { length } = this.#times
    for (let at = Math.max(0, this.#count - length); at < this.#count; at++) {
      const slot = at % length
      const tenant = this.#tenants[slot] as string
      const series = this.#series[slot] as Series
      const ofTenant = known.get(tenant) ?? new Map<number, Confirmed[]>()
      known.set(tenant, ofTenant)
      const sameKey = ofTenant.get(series.orderKey) ?? []
      ofTenant.set(series.orderKey, sameKey)
      let confirmed = sameKey.find((each) => isSameSeries(each.series, series))
      if (confirmed === undefined) sameKey.push((confirmed = { series, values: new Map() }))
      confirmed.values.set(this.#times[slot] as number, this.#values[slot] as number)
    }
    return known
  }

  #add(series: Series, tenant: string, time: number, value: number): void {
    // Full for the first time, or once around.
    if (this.#slot === this.#times.length) {
      if (this.#times.length < this.#max) this.#grow()
      else this.#slot = 0
    }
    this.#count++
    const slot = this.#slot++
    this.#series[slot] = series
    this.#tenants[slot] = tenant
    this.#times[slot] = time
    this.#values[slot] = value
  }

  #grow(): void {
    const length = Math.min(this.#max, Math.max(FIRST_ROOM, this.#times.length * 2))
    const [times, values] = [new Float64Array(length), new Float64Array(length)]
    times.set(this.#times)
    values.set(this.#values)
    this.#times = times
    this.#values = values
  }
}

/** Tells, for one attempt, exact repeats of what was confirmed. */
export class Repeats {
  /** Undefined once there is nothing to look for. */
  #confirmed: ConfirmedSamples | undefined
  /** Made when the first possible repeat comes. */
  #known: Known | undefined
  #quiet = 0

  constructor(confirmed: ConfirmedSamples) {
    this.#confirmed = confirmed.isEmpty ? undefined : confirmed
  }

  /** Undefined where a request holds none. Asks whether it may only as long as repeats may come: the answer is dear. */
  of(request: { readonly replaySuspect: boolean }): ((entry: Entry) => boolean) | undefined {
    const confirmed = this.#confirmed
    if (confirmed === undefined) return undefined
    if (request.replaySuspect) {
      this.#quiet = 0
      this.#known ??= confirmed.known()
      return this.#has
    }
    if (++this.#quiet >= QUIET_REQUESTS) {
      this.#confirmed = undefined
      this.#known = undefined
    }
    return undefined
  }

  /** True when each sample of the entry was confirmed, with this very value. Asked in the order in which entries are sent. */
  readonly #has = (entry: Entry): boolean => {
    const { series, tenant } = entry
    const sameKey = this.#known?.get(tenant)?.get(series.orderKey)
    const values = sameKey?.find((each) => isSameSeries(each.series, series))?.values
    if (values === undefined) return false
    if (isConfirmed(entry, values)) return true
    // It is sent, and a receiver may take it in the place of what was confirmed for its times: that is to be sent after it then.
    for (const time of timesOf(entry)) values.delete(time)
    return false
  }
}

function isConfirmed({ parts, timestamp, value, stale }: Entry, values: ReadonlyMap<number, number>): boolean {
  if (parts === undefined) return !stale && isEqual(values.get(timestamp), value)
  if (parts.samples.length === 0 || parts.histograms.length > 0 || parts.exemplars.length > 0) return false
  return parts.samples.every((sample) => sample.stale !== true && isEqual(values.get(sample.timestamp), sample.value))
}

function timesOf({ parts, timestamp }: Entry): readonly number[] {
  return parts === undefined ? [timestamp] : [...parts.samples, ...parts.histograms].map((each) => each.timestamp)
}

/** A series that has come by once only is another object the next time. */
function isSameSeries(one: Series, other: Series): boolean {
  return one === other || one.canonicalId === other.canonicalId
}

function isEqual(known: number | undefined, value: number): boolean {
  return !Number.isNaN(value) && Object.is(known, value)
}
