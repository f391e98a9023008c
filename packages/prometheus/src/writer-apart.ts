import type { EntryOutcome, SubmitOutcome } from '@sluice/core'
import { InvalidEntry } from './entry-invalid.ts'
import type { Entry } from './series.ts'

/** What is sent of a batch, and what is not. */
export interface SetApart {
  readonly rest: readonly Entry[]
  /** They break the rules, and are dropped. */
  readonly invalid: readonly InvalidEntry[]
  /** The version of the protocol that the destination takes has no way to say them. */
  readonly unfit: readonly Entry[]
  /** This process saw them confirmed. */
  readonly confirmed: readonly Entry[]
}

export interface ApartRules {
  /** False where none of the entries breaks the rules. */
  readonly hasInvalid: boolean
  /** Undefined where everything fits. */
  readonly fits: ((entry: Entry) => boolean) | undefined
  /** Undefined where nothing of the batch may be a repeat. */
  readonly isConfirmed: ((entry: Entry) => boolean) | undefined
}

/** Undefined when all of them are to be sent, which is nearly always. */
export function setApart(
  entries: readonly Entry[],
  { hasInvalid, fits, isConfirmed }: ApartRules,
): SetApart | undefined {
  if (!hasInvalid && fits === undefined && isConfirmed === undefined) return undefined
  const apart = { rest: [] as Entry[], invalid: [] as InvalidEntry[], unfit: [] as Entry[], confirmed: [] as Entry[] }
  for (const entry of entries) {
    if (isInvalid(entry)) apart.invalid.push(entry)
    else if (isConfirmed?.(entry) === true) apart.confirmed.push(entry)
    else if (fits?.(entry) === false) apart.unfit.push(entry)
    else apart.rest.push(entry)
  }
  return apart.rest.length === entries.length ? undefined : apart
}

/**
 * The outcome of a batch whose rest was sent by itself. What is to be looked for or halved is sent once more instead: then nothing is
 * set apart any more.
 *
 * @param outcome - of the rest, which is neither `fail` nor `retryAll`.
 */
export function joined(
  entries: readonly Entry[],
  outcome: Joinable,
  decided: ReadonlyMap<Entry, EntryOutcome>,
): SubmitOutcome {
  let sent = 0
  return { entries: entries.map((entry) => decided.get(entry) ?? outcomeOf(outcome, sent++)) }
}

function outcomeOf(outcome: Joinable, index: number): EntryOutcome {
  if ('allWritten' in outcome) return { kind: 'written' }
  if ('entries' in outcome) return outcome.entries[index] as EntryOutcome
  if ('isolate' in outcome) return { kind: 'retry', reason: outcome.isolate, afterMs: 0 }
  return { kind: 'retry', reason: outcome.tooLarge, afterMs: 0 }
}

type Joinable = Exclude<SubmitOutcome, { readonly fail: unknown } | { readonly retryAll: unknown }>

function isInvalid(entry: Entry): entry is InvalidEntry {
  return entry instanceof InvalidEntry
}
