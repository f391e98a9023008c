import type { RecordBatch } from '../source/spi.ts'
import type { TrackedBatch } from './run.ts'

/** Inputs of one batch that may be acknowledged one by one. */
export interface SettledInputs {
  readonly source: string
  readonly batch: RecordBatch<unknown>
  /** In the order in which they were settled. */
  readonly indexes: readonly number[]
}

interface Noted {
  readonly token: number
  readonly index: number
}

/** Inputs that were settled and not yet taken, for sources that acknowledge each by itself. */
export class SettledList {
  #byBatch = new Map<TrackedBatch, Noted[]>()

  note(tracked: TrackedBatch, token: number, index: number): void {
    const noted = this.#byBatch.get(tracked)
    if (noted === undefined) this.#byBatch.set(tracked, [{ token, index }])
    else noted.push({ token, index })
  }

  /** Takes those with a token below. */
  take(below: number): SettledInputs[] {
    const taken: SettledInputs[] = []
    const later = new Map<TrackedBatch, Noted[]>()
    for (const [tracked, noted] of this.#byBatch) {
      const indexes = noted.filter(({ token }) => token < below).map(({ index }) => index)
      if (indexes.length > 0) taken.push({ source: tracked.source, batch: tracked.batch, indexes })
      if (indexes.length < noted.length) {
        later.set(
          tracked,
          noted.filter(({ token }) => token >= below),
        )
      }
    }
    this.#byBatch = later
    return taken
  }
}
