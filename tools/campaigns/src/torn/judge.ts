import type { LedgerEntry } from '@sluice/core/testing'
import { identityOf } from '../ledger/repeats.ts'

/** A start on damaged state, as the journal and the process show it. */
export interface Start {
  /** What was done to the state, in words. */
  readonly fault: string
  /** Of the error that it was refused with. */
  readonly code: string | undefined
  /** What it stored. */
  readonly stored: readonly LedgerEntry[]
}

export interface Verdict {
  readonly outcome: 'resumed' | 'refused' | 'wrong'
  /** Records that neither the checkpoint before covers nor the start has stored. */
  readonly missing: number
  readonly failure?: string
}

/** @param before - records that the checkpoint before the damaged one covers, in the order of `produced`. */
export function judge({ fault, code, stored }: Start, produced: readonly LedgerEntry[], before: number): Verdict {
  if (code !== undefined) {
    if (code.startsWith('SLUICE_STATE_') && stored.length === 0) return { outcome: 'refused', missing: 0 }
    return { outcome: 'wrong', missing: 0, failure: `${fault}: it ended with ${code}, ${stored.length} records stored` }
  }
  const seen = new Set(stored.map(identityOf))
  const missing = produced.slice(before).filter((record) => !seen.has(identityOf(record))).length
  const early = produced.slice(0, before).filter((record) => seen.has(identityOf(record))).length
  if (missing === 0 && early === 0) return { outcome: 'resumed', missing }
  const failure = `${fault}: not resumed from the checkpoint before: ${missing} records missing, ${early} from before it`
  return { outcome: 'wrong', missing, failure }
}
