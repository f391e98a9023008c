import type { _Record, Dimension, MeasureValue } from '@aws-sdk/client-timestream-write'
import type { ValueInput } from './values.ts'

/** One measure of a multi-measure record. */
export interface TimestreamMeasure extends Omit<MeasureValue, 'Value' | 'Type'> {
  readonly Value: ValueInput | undefined
  /** @default that of the value: number DOUBLE, bigint BIGINT, boolean BOOLEAN, Date TIMESTAMP, text VARCHAR */
  readonly Type?: MeasureValue['Type']
}

/**
 * One record, in the form that the AWS SDK takes. Values may also be given as values of JavaScript: a number is sent in the
 * shortest form that reads back as the same double, a bigint with all of its digits, a Date in the record's `TimeUnit`.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/API_Record.html
 */
export interface TimestreamRecord extends Omit<
  _Record,
  'Dimensions' | 'MeasureValue' | 'MeasureValues' | 'Time' | 'Version'
> {
  /** Dimensions; those of `series()` are neither looked up nor checked again. */
  readonly Dimensions?: readonly Dimension[] | undefined
  /** The value of a single-measure record. */
  readonly MeasureValue?: ValueInput | undefined
  readonly MeasureValues?: readonly TimestreamMeasure[] | undefined
  /** In `TimeUnit` where it is not a Date. */
  readonly Time?: string | number | bigint | Date | undefined
  /** 1 to 2^63 - 1; beyond 2^53 a bigint. @default the sink's `version`, else what the service takes, 1 */
  readonly Version?: number | bigint | undefined
}

/** A copy of what is refused: a converter may use its objects again, a Date among them. */
export function copyOf(given: TimestreamRecord): TimestreamRecord {
  const copy: Record<string, unknown> = { ...given }
  for (const name of FIELDS) {
    const value: unknown = given[name]
    // What a class gives is not the object's own.
    if (value !== undefined) copy[name] = Array.isArray(value) ? Array.from(value, copyOfItem) : copyOfDate(value)
  }
  return copy
}

const FIELDS = [
  'Dimensions',
  'MeasureName',
  'MeasureValue',
  'MeasureValueType',
  'MeasureValues',
  'Time',
  'TimeUnit',
  'Version',
] as const satisfies readonly (keyof TimestreamRecord)[]

function copyOfItem(item: unknown): unknown {
  if (typeof item !== 'object' || item === null) return item
  return Object.fromEntries(Object.entries(item).map(([name, value]) => [name, copyOfDate(value)]))
}

function copyOfDate(value: unknown): unknown {
  return value instanceof Date ? new Date(value) : value
}
