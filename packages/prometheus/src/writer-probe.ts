import type { Clock } from '@sluice/core'
import type { Entry, Series } from './series.ts'
import { staleMarker } from './stale.ts'

/** The metric of the series that is written where nothing else is, see `ServerErrorRule`. */
export const PROBE_METRIC = 'sluice_remote_write_probe'

/** Makes samples of no consequence: stale markers of a series of the sink's own, which queries do not show. */
export class SampleProbe {
  readonly #seriesOf: () => Series
  readonly #clock: Clock
  #lastAt = 0

  /** @param seriesOf - the object that stands for the series now. */
  constructor(seriesOf: () => Series, clock: Clock) {
    this.#seriesOf = seriesOf
    this.#clock = clock
  }

  /** A marker that is never older than the one before it, even if the clock was set back. */
  next(destination: string): Entry {
    this.#lastAt = Math.max(this.#lastAt, this.#clock.wallNow())
    const marker = staleMarker(this.#seriesOf(), this.#lastAt)
    marker.tenant = destination
    return marker
  }
}
