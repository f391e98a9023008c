import { payloadHash } from '@sluice/core/testing'
import type { TimestreamRecord } from '@sluice/timestream'
import type { GeneratedRecord } from '../campaign.ts'
import { ledgerPayload } from '../ledger/generator.ts'
import { MEASURES, timestreamRecordOf } from './record.ts'

const MARK = 'poison '
/** The store before which the campaigns stand refuses a request with this in it as a whole, and does not say which record it is. */
export const UNSPEAKABLE = 'unspeakable'
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MANY_DIMENSIONS = 129
const LONG_VALUE = 2049

/** One kind of bad record: what is made of it, and what its dead letter has to say. */
interface Defect {
  make(record: GeneratedRecord): TimestreamRecord
  readonly code: string
  readonly message: RegExp
}

const sinkRefuses = (message: RegExp): Omit<Defect, 'make'> => ({ code: 'InvalidRecord', message })
const storeRejects = (message: RegExp): Omit<Defect, 'make'> => ({ code: 'RejectedRecord', message })
const storeHasAnother = (message: RegExp): Omit<Defect, 'make'> => ({ code: 'RejectedVersion', message })

const DEFECTS = {
  throws: {
    make: () => {
      throw new RangeError('a payload that cannot be read')
    },
    code: 'convertThrew',
    message: /a payload that cannot be read/,
  },
  noDimension: { make: (record) => ({ ...timestreamRecordOf(record), Dimensions: [] }), ...sinkRefuses(/dimension/) },
  noMeasure: { make: (record) => ({ ...timestreamRecordOf(record), MeasureValues: [] }), ...sinkRefuses(/measure/) },
  notANumber: { make: (record) => withMeasure(record, Number.NaN), ...sinkRefuses(/NaN or infinite/) },
  infinite: { make: (record) => withMeasure(record, Number.POSITIVE_INFINITY), ...sinkRefuses(/NaN or infinite/) },
  inexact: { make: (record) => withMeasure(record, 2 ** 60, 'BIGINT'), ...sinkRefuses(/bigint/i) },
  longValue: { make: (record) => withMeasure(record, 'x'.repeat(LONG_VALUE)), ...sinkRefuses(/2049 bytes/) },
  manyDimensions: {
    make: (record) => ({
      ...timestreamRecordOf(record),
      Dimensions: Array.from({ length: MANY_DIMENSIONS }, (_, n) => ({ Name: `d${n}`, Value: 'v' })),
    }),
    ...sinkRefuses(/129 dimensions/),
  },
  halfACharacter: { make: (record) => withMeasure(record, '\ud83d'), ...sinkRefuses(/well-formed/) },
  reservedName: { make: (record) => withMeasure(record, 1, 'DOUBLE', 'time'), ...sinkRefuses(/reserved/) },
  nameTwice: { make: (record) => withMeasure(record, 'again', 'VARCHAR', MEASURES.payload), ...sinkRefuses(/payload/) },
  versionZero: { make: (record) => ({ ...timestreamRecordOf(record), Version: 0 }), ...sinkRefuses(/[Vv]ersion/) },
  future: { make: (record) => at(record, record.timeMs + HOUR_MS), ...storeRejects(/time/) },
  tooOld: { make: (record) => at(record, record.timeMs - 30 * DAY_MS), ...storeRejects(/time/) },
  otherType: { make: (record) => withMeasure(record, 'text', 'VARCHAR', 'other'), ...storeRejects(/type/) },
  conflict: { make: timestreamRecordOf, ...storeHasAnother(/already exists/) },
  olderVersion: { make: timestreamRecordOf, ...storeHasAnother(/lower than the existing version/) },
  unspeakable: {
    make: (record) => withMeasure(record, UNSPEAKABLE),
    code: 'ValidationException',
    message: /unspeakable/,
  },
} as const satisfies Readonly<Record<string, Defect>>

export type Poison = keyof typeof DEFECTS

export const POISON_KINDS: readonly Poison[] = Object.keys(DEFECTS).filter(isPoison)

/** The hash of what is in the store before a campaign: no record has it. */
export const BEFORE = 'before'

/** What the store holds under the keys of records that conflict, and their versions. */
export const HELD_VERSIONS: Readonly<Partial<Record<Poison, number>>> = { conflict: 1, olderVersion: 5 }

/** The record, made bad in one way. */
export function poisoned(record: GeneratedRecord, kind: Poison): GeneratedRecord {
  const payload = `${MARK}${kind} ${record.payload}`
  return { ...record, payload, hash: payloadHash(ledgerPayload(payload, record.timeMs)) }
}

/** What is wrong with it; undefined where nothing is. */
export function poisonOf({ payload }: Pick<GeneratedRecord, 'payload'>): Poison | undefined {
  const kind = payload.startsWith(MARK) ? payload.slice(MARK.length).split(' ')[0] : undefined
  return kind !== undefined && isPoison(kind) ? kind : undefined
}

/** Whether a dead letter says why the record was refused. */
export function explains(
  kind: Poison,
  { code, message }: { readonly code: string; readonly message: string },
): boolean {
  const defect: Defect = DEFECTS[kind]
  return defect.code === code && defect.message.test(message)
}

/** The subject's converter. */
export function convert(record: GeneratedRecord): TimestreamRecord {
  const kind = poisonOf(record)
  if (kind === undefined) return timestreamRecordOf(record)
  const defect: Defect = DEFECTS[kind]
  return defect.make(record)
}

/** What is put into the store beforehand under the key of the record. */
export function heldBefore(record: GeneratedRecord, version: number): TimestreamRecord {
  return { ...withMeasure({ ...record, hash: BEFORE, payload: BEFORE }, '1.5', 'DOUBLE', 'other'), Version: version }
}

function withMeasure(
  record: GeneratedRecord,
  value: number | string,
  type: 'DOUBLE' | 'BIGINT' | 'VARCHAR' = typeof value === 'number' ? 'DOUBLE' : 'VARCHAR',
  name = 'defect',
): TimestreamRecord {
  const sound = timestreamRecordOf(record)
  return { ...sound, MeasureValues: [...(sound.MeasureValues ?? []), { Name: name, Value: value, Type: type }] }
}

function at(record: GeneratedRecord, timeMs: number): TimestreamRecord {
  return { ...timestreamRecordOf(record), Time: String(timeMs) }
}

function isPoison(kind: string): kind is Poison {
  return Object.hasOwn(DEFECTS, kind)
}
