import type { _Record } from '@aws-sdk/client-timestream-write'
import type { Form } from './form.ts'
import { copyOf, type TimestreamRecord } from './record.ts'
import type { Series } from './series.ts'
import type { ValueBytes } from './value-bytes.ts'
import { versionOf } from './values.ts'

/** What a sink without a table of its own for each record calls its table. */
export const ONLY_TABLE = ''

/** What was found out about one record: checked, measured and written as JSON once, however often it is sent. */
export interface EntryParts extends ValueBytes {
  /** A copy of the record as it was given, if it has problems. Of a sound one nothing is kept but what is sent. */
  readonly given: TimestreamRecord | undefined
  /** `database/table` where records are routed, else {@link ONLY_TABLE}. */
  readonly table: string
  readonly series: Series
  readonly form: Form
  readonly measures: number
  /** Digits in the unit; '' where there is none. */
  readonly time: string
  readonly version: number | bigint | undefined
  /** As the service meters it, without regard to common attributes. */
  readonly sizeInBytes: number
  /** Every reason for which the service would refuse it; empty when there is none. */
  readonly problems: readonly string[]
}

/** A record on its way. */
export class Entry implements EntryParts {
  readonly given: TimestreamRecord | undefined
  readonly table: string
  readonly series: Series
  readonly form: Form
  readonly chunk: Buffer
  readonly start: number
  readonly end: number
  readonly measures: number
  readonly time: string
  readonly version: number | bigint | undefined
  readonly sizeInBytes: number
  readonly problems: readonly string[]

  constructor(parts: EntryParts) {
    this.given = parts.given
    this.table = parts.table
    this.series = parts.series
    this.form = parts.form
    this.chunk = parts.chunk
    this.start = parts.start
    this.end = parts.end
    this.measures = parts.measures
    this.time = parts.time
    this.version = parts.version
    this.sizeInBytes = parts.sizeInBytes
    this.problems = parts.problems
  }

  /** `"MeasureValue":"1"` or `"MeasureValues":[...]`; '' without a value. */
  get values(): string {
    return this.chunk.toString('utf8', this.start, this.end)
  }

  hasSameValues({ chunk, start, end }: Entry): boolean {
    return end - start === this.end - this.start && this.chunk.compare(chunk, start, end, this.start, this.end) === 0
  }

  /** The record in the form that the AWS SDK takes: values and times as text. An unsound record stays as it was given. A copy. */
  toRecord(): _Record {
    if (this.given !== undefined) return copyOf(this.given) as _Record
    const { series, values, time, version } = this
    const { measureName, type, unit, hasUnit } = this.form
    return {
      ...(series.dimensions.length === 0 ? {} : { Dimensions: series.dimensions.map((one) => ({ ...one })) }),
      ...(measureName === '' ? {} : { MeasureName: measureName }),
      ...(JSON.parse(`{${values}}`) as Pick<_Record, 'MeasureValue' | 'MeasureValues'>),
      ...(type === undefined ? {} : { MeasureValueType: type as NonNullable<_Record['MeasureValueType']> }),
      ...(time === '' ? {} : { Time: time }),
      ...(hasUnit ? { TimeUnit: unit } : {}),
      // The SDK sends a bigint as it is, although its type says number.
      ...(version === undefined ? {} : { Version: version as number }),
    }
  }

  withVersion(version: bigint): Entry {
    const { given, table, series, form, chunk, start, end, measures, time, sizeInBytes, problems } = this
    const rest = { given, table, series, form, chunk, start, end, measures, time, sizeInBytes, problems }
    return new Entry({ ...rest, version: versionOf(version) })
  }

  /** For dead letters and logs: the record, not what was found out about it. */
  toJSON(): unknown {
    const { Version, ...rest } = this.toRecord()
    if (Version === undefined) return rest
    return { ...rest, Version: typeof Version === 'bigint' ? String(Version) : Version }
  }
}
