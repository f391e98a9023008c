import type { RejectedRecord } from '@aws-sdk/client-timestream-write'
import type { Reason } from '@sluice/core'
import type { WriteFailure } from './classify.ts'
import type { RejectionKind } from './policy.ts'
import { versionOf } from './record/values.ts'

/** A record that the service rejected. */
export interface Rejection {
  readonly kind: RejectionKind
  readonly reason: Reason
  readonly existingVersion: number | bigint | undefined
}

const OUTSIDE = /outside the time range|outside of the time range|retention|timestamp is outside|ingestion window/i
const EXISTS = /record already exists/i
const LOWER = /lower than the existing version/i

/**
 * What the service says of every record of a partly rejected request, in order: undefined for those that it does not list, which
 * are stored.
 *
 * Undefined as a whole if the list is not certain (no list, an index that is missing, out of range or named twice): then no record may
 * count as stored.
 *
 * @param versions - the version with which each record was sent.
 */
export function rejectionsOf(
  rejected: unknown,
  versions: readonly (number | bigint | undefined)[],
  failure: WriteFailure,
): readonly (Rejection | undefined)[] | undefined {
  if (!Array.isArray(rejected) || rejected.length === 0) return undefined
  const found = Array.from<Rejection | undefined>({ length: versions.length }).fill(undefined)
  for (const item of rejected as readonly (RejectedRecord | null | undefined)[]) {
    const index = item?.RecordIndex
    if (index === undefined || !Number.isSafeInteger(index) || index < 0 || index >= found.length) return undefined
    if (found[index] !== undefined) return undefined
    found[index] = rejectionOf(item as RejectedRecord, versions[index] ?? 1, failure)
  }
  return found
}

function rejectionOf(
  { Reason: text, ExistingVersion: given }: RejectedRecord,
  version: number | bigint,
  failure: WriteFailure,
): Rejection {
  const existingVersion = versionOf(given)
  const message = text ?? failure.message
  const stored = existingVersion === undefined ? '' : ` ExistingVersion: ${existingVersion}.`
  const kind = kindOf(message, version, existingVersion)
  return {
    kind,
    existingVersion,
    reason: {
      code: kind === 'conflict' || kind === 'olderVersion' ? 'RejectedVersion' : 'RejectedRecord',
      message: `${message}${stored}`,
      ...(failure.requestId === undefined ? {} : { requestId: failure.requestId }),
    },
  }
}

/** The stored version decides; without one, what the service says. */
function kindOf(message: string, version: number | bigint, existing: number | bigint | undefined): RejectionKind {
  if (existing !== undefined) return existing > version ? 'olderVersion' : 'conflict'
  if (LOWER.test(message)) return 'olderVersion'
  if (EXISTS.test(message)) return 'conflict'
  return OUTSIDE.test(message) ? 'outsideRetention' : 'other'
}
