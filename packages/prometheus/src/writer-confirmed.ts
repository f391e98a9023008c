import type { Entry, Series } from './series.ts'

/** Samples that are remembered, at most: 24 bytes each. */
const MAX_SAMPLES = 131_072
const FIRST_ROOM = 1024
/** Requests without a possible repeat after which what is left of a look-up is given up. */
const QUIET_REQUESTS = 64

/** By tenant, series and time the value. */
type Known = Map<string, Map<Series, Map<number, number>>>

/**
 * The samples that this process saw confirmed last, so that those that an attempt repeats need not be sent, and be refused, again. A ring
 * of columns: to remember costs a few stores, and only an attempt with possible repeats pays for a look-up. Bounded, and never wrong: what
 * is not found is sent.
 */
export class ConfirmedSamples {
  #series: (Series | undefined)[] = []
  #tenants: string[] = []
  #times = new Float64Array(0)
  #values = new Float64Array(0)
  /** Of all that were ever remembered. */
  #count = 0
  readonly #max: number

  /** @param max - samples that are remembered, at most. */
  constructor(max: number = MAX_SAMPLES) {
    this.#max = max
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

  /** What is remembered now, for one attempt. */
  lookUp(): ConfirmedLookUp {
    const known: Known = new Map()
    const { length } = this.#times
    const from = Math.max(0, this.#count - length)
    for (let at = from; at < this.#count; at++) {
      const slot = at % length
      const tenant = this.#tenants[slot] as string
      const series = this.#series[slot] as Series
      const time = this.#times[slot] as number
      const ofTenant = known.get(tenant) ?? new Map<Series, Map<number, number>>()
      known.set(tenant, ofTenant)
      const values = ofTenant.get(series) ?? new Map<number, number>()
      ofTenant.set(series, values)
      values.set(time, this.#values[slot] as number)
    }
    return new ConfirmedLookUp(known)
  }

  #add(series: Series, tenant: string, time: number, value: number): void {
    if (this.#count >= this.#times.length && this.#times.length < this.#max) this.#grow()
    const slot = this.#count++ % this.#times.length
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

/** Tells exact repeats of what was confirmed before an attempt began. */
export class ConfirmedLookUp {
  readonly #known: Known
  #quiet = 0

  constructor(known: Known) {
    this.#known = known
  }

  /** Whether a request is to be looked at; once the repeats are over, what is left is forgotten. */
  concerns(isSuspect: boolean): boolean {
    this.#quiet = isSuspect ? 0 : this.#quiet + 1
    if (this.#quiet >= QUIET_REQUESTS) this.#known.clear()
    return isSuspect && this.#known.size > 0
  }

  /** True when each sample of the entry was confirmed, with this very value. */
  readonly has = ({ series, tenant, parts, timestamp, value, stale }: Entry): boolean => {
    const values = this.#known.get(tenant)?.get(series)
    if (values === undefined) return false
    if (parts === undefined) return !stale && isEqual(values.get(timestamp), value)
    if (parts.samples.length === 0 || parts.histograms.length > 0 || parts.exemplars.length > 0) return false
    return parts.samples.every((sample) => sample.stale !== true && isEqual(values.get(sample.timestamp), sample.value))
  }
}

function isEqual(known: number | undefined, value: number): boolean {
  return !Number.isNaN(value) && Object.is(known, value)
}
