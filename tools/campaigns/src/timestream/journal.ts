import { payloadHash } from '@sluice/core/testing'
import type { LedgerEntry } from '@sluice/core/testing'
import { type JournalRecord, type JournalWrite, readJournal } from '@sluice/timestream-local'
import type { Arrival } from '../campaign.ts'
import { ledgerPayload } from '../ledger/generator.ts'
import { MEASURES } from './record.ts'

/** Every WriteRecords request that the store evaluated, in order. */
export async function writesIn(journalPath: string): Promise<readonly JournalWrite[]> {
  const writes: JournalWrite[] = []
  for await (const entry of readJournal(journalPath)) if (entry.operation === 'WriteRecords') writes.push(entry)
  return writes
}

export function arrivalsOf(writes: readonly JournalWrite[]): readonly Arrival[] {
  return writes.flatMap(({ records, requestId, monotonicNs: atNs }) =>
    records.map((record): Arrival => ({
      entry: entryOf(record),
      outcome: record.outcome === 'rejected' ? 'rejected' : 'stored',
      conflict: record.outcome === 'updated' || record.existingVersion !== undefined,
      requestId,
      atNs,
    })),
  )
}

export function entryOf({ dimensions, measures, timeNs }: JournalRecord): LedgerEntry {
  const measure = (name: string): string => String(measures.find((each) => each.name === name)?.value ?? '')
  return ledgerEntryOf({
    source: dimensions['source'] ?? '',
    key: dimensions['key'] ?? '',
    sequence: measure(MEASURES.sequence),
    hash: measure(MEASURES.hash),
    payload: measure(MEASURES.payload),
    timeMs: Number(timeNs / 1_000_000n),
  })
}

/** What is stored of a record, as texts. */
export interface StoredFields {
  readonly source: string
  readonly key: string
  readonly sequence: string
  readonly hash: string
  readonly payload: string
  readonly timeMs: number
}

export function ledgerEntryOf({ source, key, sequence, hash, payload, timeMs }: StoredFields): LedgerEntry {
  const computed = payloadHash(ledgerPayload(payload, timeMs))
  return {
    source,
    key,
    sequence: Number(sequence),
    // What the record says of itself and what it is must agree; if not, it is a record that was never produced.
    hash: computed === hash ? computed : `${computed} instead of ${hash}`,
  }
}
