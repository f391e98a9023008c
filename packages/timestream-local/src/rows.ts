import {
  DuckDBArrayType,
  DuckDBDateValue,
  DuckDBIntervalValue,
  DuckDBListType,
  DuckDBStructType,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  DuckDBTypeId,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api'
import { validationError } from './errors.ts'

/** `Type` of the Query API: https://docs.aws.amazon.com/timestream/latest/developerguide/API_query_Type.html */
export interface ColumnType {
  readonly ScalarType?: string
  readonly ArrayColumnInfo?: ColumnInfo
  readonly RowColumnInfo?: readonly ColumnInfo[]
}

export interface ColumnInfo {
  readonly Name?: string
  readonly Type: ColumnType
}

/** `Datum` of the Query API. */
export interface Datum {
  readonly ScalarValue?: string
  readonly NullValue?: boolean
  readonly ArrayValue?: readonly Datum[]
  readonly RowValue?: { readonly Data: readonly Datum[] }
}

const SCALARS = new Map<DuckDBTypeId, string>([
  [DuckDBTypeId.BOOLEAN, 'BOOLEAN'],
  [DuckDBTypeId.TINYINT, 'INTEGER'],
  [DuckDBTypeId.SMALLINT, 'INTEGER'],
  [DuckDBTypeId.INTEGER, 'INTEGER'],
  [DuckDBTypeId.UTINYINT, 'INTEGER'],
  [DuckDBTypeId.USMALLINT, 'INTEGER'],
  [DuckDBTypeId.UINTEGER, 'BIGINT'],
  [DuckDBTypeId.BIGINT, 'BIGINT'],
  [DuckDBTypeId.UBIGINT, 'BIGINT'],
  [DuckDBTypeId.HUGEINT, 'BIGINT'],
  [DuckDBTypeId.UHUGEINT, 'BIGINT'],
  [DuckDBTypeId.FLOAT, 'DOUBLE'],
  [DuckDBTypeId.DOUBLE, 'DOUBLE'],
  [DuckDBTypeId.DECIMAL, 'DOUBLE'],
  [DuckDBTypeId.TIMESTAMP, 'TIMESTAMP'],
  [DuckDBTypeId.TIMESTAMP_S, 'TIMESTAMP'],
  [DuckDBTypeId.TIMESTAMP_MS, 'TIMESTAMP'],
  [DuckDBTypeId.TIMESTAMP_NS, 'TIMESTAMP'],
  [DuckDBTypeId.TIMESTAMP_TZ, 'TIMESTAMP'],
  [DuckDBTypeId.DATE, 'DATE'],
  [DuckDBTypeId.TIME, 'TIME'],
  [DuckDBTypeId.INTERVAL, 'INTERVAL_DAY_TO_SECOND'],
  [DuckDBTypeId.SQLNULL, 'UNKNOWN'],
])

export function columnType(type: DuckDBType): ColumnType {
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) {
    return { ArrayColumnInfo: { Type: columnType(type.valueType) } }
  }
  if (type instanceof DuckDBStructType) {
    // DuckDB hands over the values of a row by the names of its fields.
    if (new Set(type.entryNames).size < type.entryNames.length) {
      throw validationError(
        'timestream-local cannot show a row whose fields have no names; name them, as in struct_pack(a := 1, b := 2).',
      )
    }
    return {
      RowColumnInfo: type.entryNames.map((name, index) => {
        const entry = type.entryTypes[index]
        return { Name: name, Type: entry === undefined ? { ScalarType: 'UNKNOWN' } : columnType(entry) }
      }),
    }
  }
  return { ScalarType: SCALARS.get(type.typeId) ?? 'VARCHAR' }
}

export function datum(value: DuckDBValue, type: DuckDBType): Datum {
  if (value === null) return { NullValue: true }
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) {
    const items = (value as { readonly items: readonly DuckDBValue[] }).items
    return { ArrayValue: items.map((item) => datum(item, type.valueType)) }
  }
  if (type instanceof DuckDBStructType && value instanceof DuckDBStructValue) {
    const entries = value.entries
    return {
      RowValue: {
        Data: type.entryNames.map((name, index) => {
          const entry = type.entryTypes[index]
          return entry === undefined ? { NullValue: true } : datum(entries[name] ?? null, entry)
        }),
      },
    }
  }
  return { ScalarValue: scalar(value, type) }
}

function scalar(value: Exclude<DuckDBValue, null>, type: DuckDBType): string {
  if (typeof value === 'number') return SCALARS.get(type.typeId) === 'DOUBLE' ? doubleText(value) : String(value)
  if (value instanceof DuckDBTimestampNanosecondsValue) return timestampText(value.nanos)
  if (value instanceof DuckDBTimestampValue) return timestampText(value.micros * 1000n)
  if (value instanceof DuckDBTimestampTZValue) return timestampText(value.micros * 1000n)
  if (value instanceof DuckDBTimestampMillisecondsValue) return timestampText(value.millis * 1_000_000n)
  if (value instanceof DuckDBTimestampSecondsValue) return timestampText(value.seconds * 1_000_000_000n)
  if (value instanceof DuckDBDateValue) return new Date(value.days * 86_400_000).toISOString().slice(0, 10)
  if (value instanceof DuckDBTimeValue) return timestampText(value.micros * 1000n).slice(11)
  if (value instanceof DuckDBIntervalValue) return intervalText(value)
  const text = String(value)
  return type.typeId === DuckDBTypeId.DECIMAL ? doubleText(Number(text)) : text
}

/** `2024-01-01 00:00:00.000000000`, as Timestream prints a TIMESTAMP. */
function timestampText(nanos: bigint): string {
  const fraction = ((nanos % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  const seconds = Number((nanos - fraction) / 1_000_000_000n)
  const date = new Date(seconds * 1000)
  // Beyond JavaScript's dates (infinity, years far off) the seconds are all that can be shown.
  if (Number.isNaN(date.getTime())) return `${seconds} seconds since 1970-01-01`
  return `${date.toISOString().slice(0, -5).replace('T', ' ')}.${fraction.toString().padStart(9, '0')}`
}

/** `1 02:03:04.000000000`, days first; a month counts as 30 days, as DuckDB compares it. */
function intervalText({ months, days, micros }: DuckDBIntervalValue): string {
  const total = (BigInt(months) * 30n + BigInt(days)) * 86_400_000_000n + micros
  const sign = total < 0n ? '-' : ''
  const rest = total < 0n ? -total : total
  return `${sign}${rest / 86_400_000_000n} ${timestampText((rest % 86_400_000_000n) * 1000n).slice(11)}`
}

/** A DOUBLE in Java's notation, which Timestream prints: `1.0`, `1.0E7`, `1.5E-4`. */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  if (Object.is(value, -0)) return '-0.0'
  const magnitude = Math.abs(value)
  if (magnitude === 0 || (magnitude >= 1e-3 && magnitude < 1e7)) {
    return Number.isInteger(value) ? `${value}.0` : String(value)
  }
  const [digits = '', exponent = '0'] = value.toExponential().split('e')
  return `${digits.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`
}
