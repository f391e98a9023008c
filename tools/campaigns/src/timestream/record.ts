import type { TimestreamRecord } from '@sluice/timestream'
import type { GeneratedRecord } from '../campaign.ts'

/** Measures that carry the ledger through the store. */
export const MEASURES: Readonly<Record<'sequence' | 'hash' | 'payload', string>> = {
  sequence: 'sequence',
  hash: 'hash',
  payload: 'payload',
}

/** A record as the store gets it. */
export function timestreamRecordOf(record: GeneratedRecord): TimestreamRecord {
  return {
    Dimensions: [
      { Name: 'source', Value: record.source },
      { Name: 'key', Value: record.key },
    ],
    MeasureName: 'reading',
    MeasureValueType: 'MULTI',
    MeasureValues: [
      { Name: MEASURES.sequence, Value: String(record.sequence), Type: 'BIGINT' },
      { Name: MEASURES.hash, Value: record.hash, Type: 'VARCHAR' },
      { Name: MEASURES.payload, Value: record.payload, Type: 'VARCHAR' },
    ],
    Time: String(record.timeMs),
    TimeUnit: 'MILLISECONDS',
  }
}
