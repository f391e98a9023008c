import type { TimestreamRecord } from '@sluice/timestream'
import type { HostRecord } from './records.ts'

type MeasureValue = NonNullable<TimestreamRecord['MeasureValues']>[number]

/**
 * A host record as one multi-measure Timestream record. The ledger's fields are measures: as dimensions they would make a series
 * of every record.
 */
export function toTimestreamRecord(record: HostRecord): TimestreamRecord {
  const { ledger } = record
  return {
    Dimensions: Object.entries(record.dimensions).map(([Name, Value]) => ({ Name, Value })),
    MeasureName: `${record['@type']}_record`,
    MeasureValueType: 'MULTI',
    MeasureValues: [
      ...Object.entries(record.measures).map(([name, value]) => measure(name, value)),
      { Name: 'ledger_source', Value: ledger.source, Type: 'VARCHAR' },
      { Name: 'ledger_key', Value: ledger.key, Type: 'VARCHAR' },
      { Name: 'ledger_sequence', Value: String(ledger.sequence), Type: 'BIGINT' },
      { Name: 'ledger_hash', Value: ledger.hash, Type: 'VARCHAR' },
    ],
    Time: String(record.time),
    TimeUnit: 'SECONDS',
  }
}

function measure(name: string, value: number | string): MeasureValue {
  if (typeof value === 'string') return { Name: name, Value: value, Type: 'VARCHAR' }
  if (name === 'task_completed') return { Name: name, Value: String(value), Type: 'BIGINT' }
  return { Name: name, Value: String(value), Type: 'DOUBLE' }
}
