import { expect, test } from 'vitest'
import { toTimestreamRecord } from '../src/mapping.ts'
import { collidesAt, hostRecord } from '../src/records.ts'

const NOW = 1_800_000_000

/** What Timestream takes for the identity of a record. */
function key(sequence: number, collides = false): string {
  const { Dimensions, MeasureName, Time } = toTimestreamRecord(hostRecord('run', sequence, NOW, collides))
  return JSON.stringify([Dimensions, MeasureName, Time])
}

test('no two records have the same dimensions, measure name and time', () => {
  const keys = new Set(Array.from({ length: 5000 }, (_, sequence) => key(sequence)))
  expect(keys.size).toBe(5000)
})

test('exactly as many records collide as were asked for, each with a record that does not', () => {
  for (const records of [1, 2, 3, 4, 5, 6, 7, 100, 401, 2000]) {
    const most = Math.floor(records / 4) * 2
    for (const collisions of new Set([0, Math.min(1, most), Math.floor(most / 3), most])) {
      const keys = Array.from({ length: records }, (_, sequence) =>
        key(sequence, collidesAt(sequence, records, collisions)),
      )
      expect(records - new Set(keys).size, `${collisions} of ${records}`).toBe(collisions)
    }
  }
})

test('the same number gives the same record: a replay is recognised as one', () => {
  expect(hostRecord('run', 17, NOW)).toEqual(hostRecord('run', 17, NOW))
})

test('metrics have 8 dimensions and 20 measures, events 8 and 5; the ledger travels as measures', () => {
  const ledger = ['ledger_source', 'ledger_key', 'ledger_sequence', 'ledger_hash']
  for (const [sequence, name, measures] of [
    [0, 'metrics_record', 20],
    [1, 'events_record', 5],
  ] as const) {
    const record = toTimestreamRecord(hostRecord('run', sequence, NOW))
    expect(record.MeasureName).toBe(name)
    expect(record.Dimensions).toHaveLength(8)
    expect(record.MeasureValues).toHaveLength(measures + ledger.length)
    expect(record.MeasureValues?.slice(-4).map((measure) => measure.Name)).toEqual(ledger)
    expect(record.TimeUnit).toBe('SECONDS')
  }
})
