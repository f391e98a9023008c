import { createHash } from 'node:crypto'

/** What identifies a generated record wherever it ends up. */
export interface LedgerEntry {
  readonly source: string
  readonly key: string
  readonly sequence: number
  /** Of the payload: shows a record that was altered on the way. */
  readonly hash: string
}

export interface LedgerReport {
  readonly produced: number
  /** Distinct produced records among those stored. */
  readonly stored: number
  readonly missing: number
  /** Records stored that were never produced, or not with this payload. */
  readonly corrupted: number
  /** Arrivals beyond the first of each record. */
  readonly duplicates: number
  /** First arrivals that came before one of a lower sequence of the same key. */
  readonly reordered: number
  /** The first few missing records, to look for. */
  readonly examplesMissing: readonly LedgerEntry[]
}

/** The hash of a payload as the ledger writes it. */
export function payloadHash(payload: string): string {
  return createHash('sha256').update(payload).digest('hex').slice(0, 16)
}

const identity = ({ source, key, sequence, hash }: LedgerEntry): string => JSON.stringify([source, key, sequence, hash])

/**
 * Compares what was produced with what arrived, as sets: equal counts prove nothing, because one missing and one duplicate
 * cancel out.
 *
 * @param arrived - in order of arrival at the store, repeats included.
 */
export function compareLedger(produced: Iterable<LedgerEntry>, arrived: Iterable<LedgerEntry>): LedgerReport {
  const wanted = new Map<string, LedgerEntry>()
  for (const entry of produced) wanted.set(identity(entry), entry)
  const seen = new Set<string>()
  const newest = new Map<string, number>()
  let duplicates = 0
  let corrupted = 0
  let reordered = 0
  for (const entry of arrived) {
    const id = identity(entry)
    if (seen.has(id)) {
      duplicates++
      continue
    }
    seen.add(id)
    if (!wanted.has(id)) {
      corrupted++
      continue
    }
    const key = JSON.stringify([entry.source, entry.key])
    const last = newest.get(key) ?? Number.NEGATIVE_INFINITY
    if (entry.sequence < last) reordered++
    else newest.set(key, entry.sequence)
  }
  const missing = [...wanted].filter(([id]) => !seen.has(id)).map(([, entry]) => entry)
  return {
    produced: wanted.size,
    stored: wanted.size - missing.length,
    missing: missing.length,
    corrupted,
    duplicates,
    reordered,
    examplesMissing: missing.slice(0, 5),
  }
}
