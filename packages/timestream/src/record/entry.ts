import type { _Record } from '@aws-sdk/client-timestream-write'
import type { TimestreamRecord } from './record.ts'
import type { Series } from './series.ts'
import { type TimeUnit, versionOf } from './values.ts'

/** What a sink without a table of its own for each record calls its table. */
export const ONLY_TABLE = ''

/** What was found out about one record: checked, measured and written as JSON once, however often it is sent. */
export interface EntryParts {
  readonly given: TimestreamRecord
  /** `database/table` where records are routed, else {@link ONLY_TABLE}. */
  readonly table: string
  readonly series: Series
  readonly measureName: string
  /** As it is sent; undefined leaves it to the common attributes of a `batchConverter`, or to the service. */
  readonly type: string | undefined
  /** `"MeasureValue":"1"` or `"MeasureValues":[...]`; '' without a value. */
  readonly values: string
  readonly measures: number
  /** Digits in the unit; '' where there is none. */
  readonly time: string
  readonly unit: TimeUnit
  readonly hasUnit: boolean
  readonly version: number | bigint | undefined
  /** As the service meters it, without regard to common attributes. */
  readonly sizeInBytes: number
  /** Every reason for which the service would refuse it; empty when there is none. */
  readonly problems: readonly string[]
}

/** A record on its way. */
export class Entry implements EntryParts {
  readonly given: TimestreamRecord
  readonly table: string
  readonly series: Series
  readonly measureName: string
  readonly type: string | undefined
  readonly values: string
  readonly measures: number
  readonly time: string
  readonly unit: TimeUnit
  readonly hasUnit: boolean
  readonly version: number | bigint | undefined
  readonly sizeInBytes: number
  readonly problems: readonly string[]

  constructor(parts: EntryParts) {
    this.given = parts.given
    this.table = parts.table
    this.series = parts.series
    this.measureName = parts.measureName
    this.type = parts.type
    this.values = parts.values
    this.measures = parts.measures
    this.time = parts.time
    this.unit = parts.unit
    this.hasUnit = parts.hasUnit
    this.version = parts.version
    this.sizeInBytes = parts.sizeInBytes
    this.problems = parts.problems
  }

  /** The record in the form that the AWS SDK takes: values and times as text. An unsound record stays as it was given. */
  toRecord(): _Record {
    if (this.problems.length > 0) return this.given as _Record
    const { series, measureName, type, values, time, unit, hasUnit, version } = this
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
    const { given, table, series, measureName, type, values, measures, time, unit, hasUnit, sizeInBytes, problems } =
      this
    const rest = {
      given,
      table,
      series,
      measureName,
      type,
      values,
      measures,
      time,
      unit,
      hasUnit,
      sizeInBytes,
      problems,
    }
    return new Entry({ ...rest, version: versionOf(version) })
  }

  /** For dead letters and logs: the record, not what was found out about it. */
  toJSON(): unknown {
    const { Version, ...rest } = this.toRecord()
    if (Version === undefined) return rest
    return { ...rest, Version: typeof Version === 'bigint' ? String(Version) : Version }
  }
}
