import type { InvalidSeriesError } from './problems.ts'
import { Entry, type Series } from './series.ts'

/**
 * Stands for a series that breaks the rules where such series are dropped: it is never sent, and ends as dropped when its turn to be
 * sent comes, so that it is counted once and as what it is.
 */
export class InvalidEntry extends Entry {
  /** Everything that is wrong with the series. */
  readonly error: InvalidSeriesError
  /** Samples and histograms that it would have had. */
  readonly samples: number

  /** @param standIn - any series: only its size and its order key are used. */
  constructor(standIn: Series, error: InvalidSeriesError, given: object) {
    super(standIn, Number.NaN, 0, 0, false, undefined)
    this.error = error
    this.samples = samplesOf(given)
  }
}

/** At least one: a series without any is refused too, and must be seen in a count. */
function samplesOf(given: { readonly samples?: unknown; readonly histograms?: unknown }): number {
  const { samples, histograms } = given
  return Math.max(1, lengthOf(samples) + lengthOf(histograms))
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}
