import type { Clock } from '@sluice/core'
import type { WriteVerdict } from './classify.ts'
import type { Entry, Series } from './series.ts'
import { staleMarker } from './stale.ts'

/** The metric of the series that is written where nothing else is, see `ServerErrorRule`. */
export const PROBE_METRIC = 'sluice_remote_write_probe'

export interface SampleProbePlan {
  readonly clock: Clock
  /** The object that stands for the sink's own series now. */
  readonly series: () => Series
}

interface Asked {
  /** The probe under way. */
  readonly running: Promise<WriteVerdict>
  /** The one after it, for all who ask meanwhile. */
  next: Promise<WriteVerdict> | undefined
}

/**
 * Asks destinations whether they write samples, with one of no consequence: a stale marker of a series of the sink's own, which queries
 * do not show. One at a time for each destination: of two markers the later one might come first, and the other be refused.
 */
export class SampleProbe {
  readonly #plan: SampleProbePlan
  readonly #asked = new Map<string, Asked>()
  /** No marker is older than the one before it, even if the clock was set back. */
  #lastAt = 0

  constructor(plan: SampleProbePlan) {
    this.#plan = plan
  }

  /**
   * @param send - must not reject.
   * @returns what a marker was answered that was sent after the call.
   */
  ask(destination: string, send: (entries: readonly Entry[]) => Promise<WriteVerdict>): Promise<WriteVerdict> {
    const asked = this.#asked.get(destination)
    if (asked === undefined) return this.#start(destination, send)
    asked.next ??= asked.running.then(() => this.#start(destination, send))
    return asked.next
  }

  #start(destination: string, send: (entries: readonly Entry[]) => Promise<WriteVerdict>): Promise<WriteVerdict> {
    this.#lastAt = Math.max(this.#lastAt, this.#plan.clock.wallNow())
    const marker = staleMarker(this.#plan.series(), this.#lastAt)
    marker.tenant = destination
    const running = send([marker]).then((verdict) => {
      const next = this.#asked.get(destination)?.next
      if (next === undefined) this.#asked.delete(destination)
      return verdict
    })
    this.#asked.set(destination, { running, next: undefined })
    return running
  }
}
