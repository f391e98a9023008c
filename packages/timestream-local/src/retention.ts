import { LIMITS } from './limits.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Retention settings of a table, as the API spells them. */
export interface Retention {
  readonly MemoryStoreRetentionPeriodInHours: number
  readonly MagneticStoreRetentionPeriodInDays: number
}

/** Where a record of some time goes: one of the two stores, or nowhere and why. */
export type Placement = 'memory' | 'magnetic' | { readonly reason: string }

/** The window of times that a table takes at this moment; computed once per request. */
export class WriteWindow {
  readonly #memoryFromMs: number
  readonly #magneticFromMs: number
  readonly #untilMs: number
  readonly #magneticWrites: boolean

  constructor(retention: Retention, magneticWrites: boolean, nowMs: number) {
    this.#memoryFromMs = nowMs - retention.MemoryStoreRetentionPeriodInHours * HOUR_MS
    this.#magneticFromMs = nowMs - retention.MagneticStoreRetentionPeriodInDays * DAY_MS
    this.#untilMs = nowMs + LIMITS.futureMs
    this.#magneticWrites = magneticWrites
  }

  place(timeMs: number): Placement {
    if (timeMs > this.#untilMs) return this.#outside('memory', this.#memoryFromMs)
    if (timeMs >= this.#memoryFromMs) return 'memory'
    if (!this.#magneticWrites) return this.#outside('memory', this.#memoryFromMs)
    if (timeMs >= this.#magneticFromMs) return 'magnetic'
    return this.#outside('magnetic', this.#magneticFromMs)
  }

  #outside(store: string, fromMs: number): { readonly reason: string } {
    const from = isoTime(Math.max(0, fromMs))
    return {
      reason: `The record timestamp is outside the time range [${from}, ${isoTime(this.#untilMs)}) of the ${store} store.`,
    }
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
