import { SluiceError } from '@sluice/core'
import type { CheckpointName } from '@sluice/core/internal'

/** Version of the record. A reader refuses a newer one: it must not guess. */
const OWNER_FORMAT = 1

/** The content of `owner.json`. */
export interface OwnerRecord {
  /** Rises by one with every owner. */
  readonly token: number
  /** Tells owners apart that would take the same token. */
  readonly owner: string
  /** Host and process: for people. */
  readonly by: string
  /** Checkpoints stored with this token or a newer one may be loaded... */
  readonly from: number
  /** ...and, of older ones, those with these names, which were there when an owner had looked. */
  readonly admitted: readonly string[]
}

export function encodeOwnerRecord(record: OwnerRecord): Buffer {
  return Buffer.from(`${JSON.stringify({ format: OWNER_FORMAT, ...record })}\n`)
}

/**
 * @param place - names the object in errors.
 * @throws SluiceError `SLUICE_STATE_NEWER` for a newer format, `SLUICE_STATE_CORRUPTED` for what is no record.
 */
export function decodeOwnerRecord(bytes: Buffer, place: string): OwnerRecord {
  const value = parse(bytes)
  if (value === undefined) throw corruptedRecord(place, `holds ${kindOfContent(bytes)}`)
  const format = value['format']
  if (Number.isSafeInteger(format) && (format as number) > OWNER_FORMAT) {
    throw new SluiceError(
      'SLUICE_STATE_NEWER',
      `${place} has format ${String(format)}, this version of @sluice/aws reads up to ${OWNER_FORMAT}: upgrade it`,
      { facts: { place, format, readable: OWNER_FORMAT } },
    )
  }
  const { token, owner, by, from, admitted } = value
  if (
    format !== OWNER_FORMAT ||
    !isToken(token) ||
    !isToken(from) ||
    typeof owner !== 'string' ||
    typeof by !== 'string' ||
    !Array.isArray(admitted) ||
    !admitted.every((name) => typeof name === 'string')
  ) {
    throw corruptedRecord(place, 'is JSON of another kind')
  }
  return { token, owner, by, from, admitted }
}

/** @param what - was found in the place of a record. */
export function corruptedRecord(place: string, what: string): SluiceError {
  return new SluiceError(
    'SLUICE_STATE_CORRUPTED',
    `${place} ${what}, and does not say who owns the checkpoints: stop every process of the job and delete it; the checkpoints beside it are used as they are`,
    { facts: { place } },
  )
}

/** Whether a checkpoint may be loaded by the owners that follow this one. */
export function isAdmitted({ name, token }: CheckpointName, { from, admitted }: OwnerRecord): boolean {
  return token >= from || admitted.includes(name)
}

function isToken(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Undefined for what is no JSON. */
function parse(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    return Object(JSON.parse(bytes.toString('utf8'))) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** Without quoting it. */
function kindOfContent(bytes: Buffer): string {
  if (bytes.length === 0) return 'nothing'
  const isMarkup = bytes.subarray(0, 100).toString('latin1').trimStart().startsWith('<')
  return `${bytes.length} bytes ${isMarkup ? 'of HTML or XML' : 'that are no JSON'}`
}
