import type { WriteVerdict } from './classify.ts'
import type { Entry } from './series.ts'
import type { PartsProgress } from './writer-parts.ts'
import type { ServerErrors } from './writer-server-errors.ts'

/** What is remembered of an entry that was not written at once. */
export interface EntryState {
  /** Failed tries that may be repeated, and how the last one failed. */
  tries: number
  last: WriteVerdict | undefined
  /** A try of it may have been applied. */
  uncertain: boolean
  /** A request that was refused held it: a receiver that does not roll back may have it. */
  mayBeStored: boolean
  readonly serverErrors: ServerErrors
  /** Requests left for finding culprits, shared by all entries of one refused request. */
  isolation: { left: number } | undefined
  parts: PartsProgress | undefined
}

/** Kept beside the entries, so that those that are written at once cost nothing; gone with them. */
export class EntryStates {
  readonly #states = new WeakMap<Entry, EntryState>()

  /** Undefined for an entry that has not failed. */
  known(entry: Entry): EntryState | undefined {
    return this.#states.get(entry)
  }

  of(entry: Entry): EntryState {
    const known = this.#states.get(entry)
    if (known !== undefined) return known
    const state: EntryState = {
      tries: 0,
      last: undefined,
      uncertain: false,
      mayBeStored: false,
      serverErrors: { count: 0, lastAt: Number.NEGATIVE_INFINITY, isSuspected: false },
      isolation: undefined,
      parts: undefined,
    }
    this.#states.set(entry, state)
    return state
  }
}
