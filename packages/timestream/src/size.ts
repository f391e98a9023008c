import type { _Record as TimestreamRecord, WriteRecordsRequest } from '@aws-sdk/client-timestream-write'

const TIMESTAMP_BYTES = 8

/**
 * Bytes of a record as Timestream meters them: names and texts in UTF-8, 8 for the time, 8 for a number or a timestamp, 1 for a
 * boolean. Common attributes, units, types and versions do not count. Total: parts of a wrong type count 0.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/metering-and-pricing.writes.html
 */
function recordSizeInBytes(record: TimestreamRecord): number {
  let bytes = textBytes(record.MeasureName) + (record.Time === undefined ? 0 : TIMESTAMP_BYTES)
  for (const dimension of listOf(record.Dimensions)) bytes += textBytes(dimension?.Name) + textBytes(dimension?.Value)
  if (record.MeasureValueType !== 'MULTI') return bytes + valueBytes(record.MeasureValueType, record.MeasureValue)
  for (const value of listOf(record.MeasureValues)) {
    bytes += textBytes(value?.Name) + valueBytes(value?.Type, value?.Value)
  }
  return bytes
}

/** Bytes of a request as Timestream meters them: those of its records, and once those of its common attributes. */
export function requestSizeInBytes({ CommonAttributes, Records }: WriteRecordsRequest): number {
  const type = CommonAttributes?.MeasureValueType
  let bytes = CommonAttributes === undefined ? 0 : recordSizeInBytes(CommonAttributes)
  for (const record of listOf(Records)) {
    bytes += recordSizeInBytes(type === undefined ? record : { MeasureValueType: type, ...record })
  }
  return bytes
}

/** Measures that a request writes: those of every record, times those of its common attributes. */
export function countMeasures(request: WriteRecordsRequest): number {
  const common = request.CommonAttributes === undefined ? 1 : Math.max(1, measuresOf(request.CommonAttributes))
  let measures = 0
  for (const record of listOf(request.Records)) measures += measuresOf(record)
  return measures * common
}

function measuresOf(record: TimestreamRecord): number {
  return record.MeasureValueType === 'MULTI' ? listOf(record.MeasureValues).length : 1
}

function valueBytes(type: string | undefined, value: string | undefined): number {
  // Without a type the service takes a DOUBLE.
  if (value === undefined) return 0
  if (type === 'VARCHAR') return textBytes(value)
  return type === 'BOOLEAN' ? 1 : 8
}

function textBytes(text: unknown): number {
  return typeof text === 'string' ? Buffer.byteLength(text) : 0
}

function listOf<T>(list: readonly T[] | undefined): readonly T[] {
  return Array.isArray(list) ? list : []
}
