import { ALL_WRITTEN, type EntryOutcome, type Reason, type SluiceError, type SubmitOutcome } from '@sluice/core'
import type { Follower, Item } from './request/layout.ts'

/** A request that did not end record by record: what becomes of the whole batch. */
export type Whole = Again | { readonly isolate: Reason } | { readonly fail: SluiceError }

/** The request is to be sent again. */
interface Again {
  readonly retryAll: Reason
  readonly slowDown: boolean
  readonly unknown: boolean
}

const WRITTEN: EntryOutcome = Object.freeze({ kind: 'written' })

/** Collects what became of each record of a batch, which may take more than one request. */
export class Book {
  readonly #records: number
  /** Made when a record's outcome is another than all of the batch have. */
  #outcomes: (EntryOutcome | undefined)[] | undefined
  readonly #followers: Follower[] = []
  #written = 0
  #slowDown = false
  #unknown = false

  constructor(records: number) {
    this.#records = records
  }

  /** Each of the items was stored. An item is told of once. */
  written(items: readonly Item[]): void {
    this.#written += items.length
    if (items.length === this.#records) return
    const outcomes = this.#list()
    for (const { index } of items) outcomes[index] = WRITTEN
  }

  note({ index }: Item, outcome: EntryOutcome): void {
    this.#list()[index] = outcome
  }

  /** Records that were not sent because another says the same or more. */
  follow(followers: readonly Follower[]): void {
    for (const follower of followers) this.#followers.push(follower)
  }

  /** True if no record has an outcome of its own. */
  get isEmpty(): boolean {
    return this.#outcomes === undefined
  }

  /** The items were sent, and are to be sent again. */
  retry(items: readonly Item[], { retryAll: reason, slowDown, unknown }: Again): void {
    this.#slowDown ||= slowDown
    this.#unknown ||= unknown
    for (const item of items) this.note(item, { kind: 'retry', reason })
  }

  /** The items are to be sent, or again, through no fault of theirs: it costs them no try. */
  putOff(items: readonly Item[], reason: Reason): void {
    for (const item of items) this.note(item, { kind: 'retry', reason, isTry: false })
  }

  /**
   * One outcome for every record. A record that was to be overwritten by one that is not stored was never sent, and now is to be.
   */
  close(): SubmitOutcome {
    if (this.#written === this.#records) return ALL_WRITTEN
    const outcomes = this.#list()
    for (const { item, leader, as } of this.#followers) {
      const outcome = outcomes[leader.index]
      if (outcome?.kind === 'written') this.written([item])
      else if (outcome?.kind === 'retry' || (as === 'same' && outcome !== undefined)) this.note(item, outcome)
      else this.putOff([item], OVERWRITING_NOT_STORED)
    }
    if (this.#written === this.#records) return ALL_WRITTEN
    // A record without an outcome would be a mistake of ours: it is asked for alone, never counted as written.
    if (outcomes.includes(undefined)) return { isolate: NO_OUTCOME }
    return { entries: outcomes as readonly EntryOutcome[], slowDown: this.#slowDown, unknown: this.#unknown }
  }

  #list(): (EntryOutcome | undefined)[] {
    this.#outcomes ??= Array.from<EntryOutcome | undefined>({ length: this.#records })
    return this.#outcomes
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
