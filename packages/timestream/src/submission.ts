import type { EntryOutcome, Reason, SluiceError } from '@sluice/core'
import type { Follower, Item } from './request/layout.ts'

/** A request that did not end record by record: what becomes of the whole batch. */
export type Whole =
  | { readonly retryAll: Reason; readonly slowDown: boolean; readonly unknown: boolean }
  | { readonly isolate: Reason }
  | { readonly fail: SluiceError }

const WRITTEN: EntryOutcome = Object.freeze({ kind: 'written' })

/** Collects what became of each record of a batch, which may take more than one request. */
export class Book {
  readonly #outcomes: (EntryOutcome | undefined)[]
  readonly #followers: Follower[] = []
  #written = 0

  constructor(records: number) {
    this.#outcomes = Array.from<EntryOutcome | undefined>({ length: records }).fill(undefined)
  }

  written({ index }: Item): void {
    this.#outcomes[index] = WRITTEN
    this.#written++
  }

  note({ index }: Item, outcome: EntryOutcome): void {
    this.#outcomes[index] = outcome
  }

  /** Records that were not sent because another says the same or more. */
  follow(followers: readonly Follower[]): void {
    for (const follower of followers) this.#followers.push(follower)
  }

  /**
   * One outcome for every record, undefined if all were written. Of a record that was to be overwritten by one that is not stored,
   * nothing is known: then the batch is to be isolated.
   */
  close(): readonly EntryOutcome[] | undefined | { readonly isolate: Reason } {
    for (const { item, leader, as } of this.#followers) {
      const outcome = this.#outcomes[leader.index]
      if (outcome?.kind === 'written') this.written(item)
      else if (as === 'same' && outcome !== undefined) this.note(item, outcome)
      else return { isolate: OVERWRITING_NOT_STORED }
    }
    if (this.#written === this.#outcomes.length) return undefined
    // A record without an outcome would be a mistake of ours: it is asked for alone, never counted as written.
    if (this.#outcomes.includes(undefined)) return { isolate: NO_OUTCOME }
    return this.#outcomes as readonly EntryOutcome[]
  }
}

const OVERWRITING_NOT_STORED: Reason = {
  code: 'sameKey',
  message: 'a record of the same key that should have overwritten this one was not stored',
}

const NO_OUTCOME: Reason = {
  code: 'outcomeMissing',
  message: 'the request ended without saying what became of this record',
}
