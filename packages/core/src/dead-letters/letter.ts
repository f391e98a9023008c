import { SluiceError } from '../errors.ts'

/** Where in the pipeline a record was refused. */
export type RefusalStage = 'decode' | 'operator' | 'convert' | 'store'

/** In the order of the pipeline. */
export const REFUSAL_STAGES: readonly RefusalStage[] = ['decode', 'operator', 'convert', 'store']

const VERSION = 1

/**
 * A refused record, version 1 of the format: plain JSON, one object a line. It holds the record's content: treat it with the care
 * that the stream itself needs.
 */
export interface DeadLetter {
  readonly v: 1
  /**
   * 32 hexadecimal digits made of job, source, split, position, sink and the refused entry: the same whenever the same refusal is
   * repeated after a restart, so that repeats can be recognised.
   */
  readonly id: string
  readonly job: string
  /** The sink whose converter or store refused; null for `decode` and `operator`. */
  readonly sink: string | null
  readonly stage: RefusalStage
  readonly reason: { readonly code: string; readonly message: string }
  readonly origin: DeadLetterOrigin
  /** The record's raw bytes in base64; null when the source has no raw form of its values. */
  readonly raw: string | null
  /** What was to be converted, and the entry that was refused: for people, shortened, with what JSON has not written as text. */
  readonly value?: unknown
  readonly entry?: unknown
  /** Tries that were made; 0 for a record that was never sent. */
  readonly attempts: number
  /** ISO 8601, UTC. */
  readonly firstFailedAt: string
  /** What the store called the request that ended in the refusal. */
  readonly requestId?: string
}

/** Where the record came from, as its source names it. */
export interface DeadLetterOrigin {
  readonly source: string
  readonly split: string
  /** Sequence number, offset: as the service writes it. Null when the source has no raw form of its values. */
  readonly position: string | null
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly timestampMs?: number
}

/** One line of JSON, without a line break at its end. */
export function encodeDeadLetter(letter: DeadLetter): string {
  return JSON.stringify(letter)
}

/**
 * Reads what {@link encodeDeadLetter} wrote.
 *
 * @throws SluiceError `SLUICE_DEAD_LETTER_INVALID` naming the field that is wrong, or the version when a newer release wrote it;
 * never the content.
 */
export function parseDeadLetter(line: string): DeadLetter {
  let given: unknown
  try {
    given = JSON.parse(line)
  } catch {
    // Not as the cause: the words of JSON.parse quote the line.
    throw invalid('it is not JSON')
  }
  if (!isObject(given)) throw invalid('it is not a JSON object')
  const version = given['v']
  if (typeof version === 'number' && Number.isSafeInteger(version) && version > VERSION) {
    throw new SluiceError(
      'SLUICE_DEAD_LETTER_INVALID',
      `the dead letter has format version ${version} and this version of @sluice/core reads up to ${VERSION}: update @sluice/core`,
      { facts: { version, newest: VERSION } },
    )
  }
  const wrong = FIELDS.find(([, isRight, path]) => !isRight(at(given, path)))
  if (wrong !== undefined) throw invalid(`${wrong[2].join('.')} must be ${wrong[0]}`)
  return given as unknown as DeadLetter
}

type Field = readonly [says: string, isRight: (value: unknown) => boolean, path: readonly string[]]

const isString = (value: unknown): boolean => typeof value === 'string'
const isStringOrNull = (value: unknown): boolean => value === null || typeof value === 'string'
const isNumber = (value: unknown): boolean => typeof value === 'number'
const isBase64OrNull = (value: unknown): boolean =>
  value === null || (typeof value === 'string' && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value))
const isTime = (value: unknown): boolean => typeof value === 'string' && !Number.isNaN(Date.parse(value))
const orAbsent =
  (isRight: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === undefined || isRight(value)
const isStrings = (value: unknown): boolean => isObject(value) && Object.values(value).every(isString)

const FIELDS: readonly Field[] = [
  [String(VERSION), (value) => value === VERSION, ['v']],
  ['a non-empty string', (value) => isString(value) && value !== '', ['id']],
  ['a string', isString, ['job']],
  ['a string or null', isStringOrNull, ['sink']],
  [`one of ${REFUSAL_STAGES.join(', ')}`, (value) => REFUSAL_STAGES.some((stage) => stage === value), ['stage']],
  ['a string', isString, ['reason', 'code']],
  ['a string', isString, ['reason', 'message']],
  ['a string', isString, ['origin', 'source']],
  ['a string', isString, ['origin', 'split']],
  ['a string or null', isStringOrNull, ['origin', 'position']],
  ['a string or absent', orAbsent(isString), ['origin', 'key']],
  ['an object of strings or absent', orAbsent(isStrings), ['origin', 'headers']],
  ['a number or absent', orAbsent(isNumber), ['origin', 'timestampMs']],
  ['base64 or null', isBase64OrNull, ['raw']],
  ['a number', isNumber, ['attempts']],
  ['an ISO 8601 time', isTime, ['firstFailedAt']],
  ['a string or absent', orAbsent(isString), ['requestId']],
]

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(why: string): SluiceError {
  return new SluiceError('SLUICE_DEAD_LETTER_INVALID', `not a dead letter: ${why}`)
}
