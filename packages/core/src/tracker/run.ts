import type { RawRecord, RecordBatch, SourceSplit } from '../source/spi.ts'
import type { Place } from './splits.ts'

/** Where an input came from: for errors and dead letters, looked up only on failure. */
export interface Origin {
  readonly source: string
  readonly splitId: string
  readonly raw: RawRecord | undefined
}

/** A split as long as it is assigned to this attempt. */
export interface TrackedSplit {
  readonly splitId: string
  /** Inputs emitted since it was assigned: the ordinal of the next one. */
  emitted: number
  /** Inputs with a lower ordinal may be repeats of what was emitted before the last restart. */
  suspects: number
  /** Inputs in hand. */
  unsettled: number
  /** Nothing more of it is to be emitted. */
  stopped: boolean
  /** It was given back: what is in hand is to be returned, not sent again. */
  released: boolean
  /** Nobody acknowledges anything of it any more. */
  gone: boolean
  /** Of the inputs that were returned, the first: a position may not go past it. */
  firstReturned: Place | undefined
}

/** A fetched batch whose inputs are being emitted, or were. While one of them is unsettled it is kept, with its raw bytes. */
export interface TrackedBatch {
  readonly source: string
  readonly batch: RecordBatch<unknown>
  readonly bytes: number
  readonly split: TrackedSplit
  /** The split's state before the first record of the batch. */
  readonly before: SourceSplit | undefined
  /** Ordinal in its split of the record with index 0. */
  firstOrdinal: number
  unsettled: number
}

/** Inputs that were emitted one after the other from one batch: what maps a token to its record. */
export interface Run {
  readonly tracked: TrackedBatch
  /** Where the tracker keeps it. */
  readonly slot: number
  readonly firstToken: number
  /** Index in the batch of the first token. */
  readonly firstIndex: number
  endToken: number
  unsettled: number
}

/** The token's record in its batch. */
export function indexOf({ firstIndex, firstToken }: Run, token: number): number {
  return firstIndex + token - firstToken
}

/** The token's record in its split, counted from the assignment of the split. */
export function ordinalOf(run: Run, token: number): number {
  return run.tracked.firstOrdinal + indexOf(run, token)
}

/** For fewer elements calling `fill` costs more than it saves. */
const WORTH_A_FILL = 16

/** Writes one value to consecutive tokens of a ring. */
export function fillRing(ring: Int32Array, mask: number, first: number, count: number, value: number): void {
  if (count < WORTH_A_FILL) {
    for (let token = first; token < first + count; token++) ring[token & mask] = value
    return
  }
  const from = first & mask
  const straight = Math.min(count, mask + 1 - from)
  ring.fill(value, from, from + straight)
  if (straight < count) ring.fill(value, 0, count - straight)
}

/** Runs with unsettled inputs, and the last one, by slot. */
export class RunTable {
  readonly #runs: (Run | undefined)[] = []
  readonly #freeSlots: number[] = []
  #last: Run | undefined

  /** The run that was added to last, if these records continue it. */
  continued(tracked: TrackedBatch, token: number, index: number): Run | undefined {
    const last = this.#last
    if (last === undefined || last.tracked !== tracked || last.endToken !== token) return undefined
    return indexOf(last, token) === index ? last : undefined
  }

  /** A run without inputs, to be added to. */
  start(tracked: TrackedBatch, firstToken: number, firstIndex: number): Run {
    if (this.#last?.unsettled === 0) this.#free(this.#last)
    const slot = this.#freeSlots.pop() ?? this.#runs.length
    const run = { tracked, slot, firstToken, firstIndex, endToken: firstToken, unsettled: 0 }
    this.#runs[slot] = run
    this.#last = run
    return run
  }

  at(slot: number): Run | undefined {
    return this.#runs[slot]
  }

  /** Runs with unsettled inputs, in no order. */
  *live(): Generator<Run> {
    for (const run of this.#runs) if (run !== undefined && run.unsettled > 0) yield run
  }

  /** Lets go of a run that has nothing unsettled, and of its batch once that has not. */
  shrank(run: Run): void {
    if (run.unsettled === 0 && run !== this.#last) this.#free(run)
    if (run.tracked.unsettled > 0 || this.#last?.tracked !== run.tracked) return
    this.#free(this.#last)
    this.#last = undefined
  }

  #free(run: Run): void {
    if (this.#runs[run.slot] !== run) return
    this.#runs[run.slot] = undefined
    this.#freeSlots.push(run.slot)
  }
}

/** A writer that settled an entry twice: silent acceptance could acknowledge an input in hand. */
export function settledTooOften(token: number): RangeError {
  return new RangeError(`token ${token} was settled more often than it has entries`)
}
