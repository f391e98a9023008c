import type { RejectedRecord } from '@aws-sdk/client-timestream-write'
import type { EntryOutcome, Reason } from '@sluice/core'
import type { WriteFailure } from './classify.ts'

const WRITTEN: EntryOutcome = Object.freeze({ kind: 'written' })

/**
 * The outcome of every record of a partly rejected request, in order: the records that the service does not list are stored.
 *
 * Undefined if the list is not certain (no list, an index that is missing, out of range or named twice): then no record may
 * count as stored.
 */
export function rejectionOutcomes(
  rejected: unknown,
  records: number,
  failure: WriteFailure,
  kind: 'refuse' | 'dropped',
): readonly EntryOutcome[] | undefined {
  if (!Array.isArray(rejected) || rejected.length === 0) return undefined
  const outcomes = Array.from<EntryOutcome>({ length: records }).fill(WRITTEN)
  for (const item of rejected as readonly (RejectedRecord | null | undefined)[]) {
    const index = item?.RecordIndex
    if (index === undefined || !Number.isSafeInteger(index) || outcomes[index] !== WRITTEN) return undefined
    outcomes[index] = { kind, reason: rejectionReason(item as RejectedRecord, failure) }
  }
  return outcomes
}

function rejectionReason({ Reason: text, ExistingVersion: version }: RejectedRecord, failure: WriteFailure): Reason {
  const stored = version === undefined ? '' : ` ExistingVersion: ${version}.`
  return {
    code: version === undefined ? 'RejectedRecord' : 'RejectedVersion',
    message: `${text ?? failure.message}${stored}`,
    ...(failure.requestId === undefined ? {} : { requestId: failure.requestId }),
  }
}
