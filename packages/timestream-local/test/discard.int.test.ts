import { ResourceNotFoundException, ValidationException } from '@aws-sdk/client-timestream-write'
import { expect, it } from 'vitest'
import { bench, DB, record, TABLE } from './support.ts'

it('discard takes and counts records, checks requests, and keeps nothing', async () => {
  await using local = await bench({ discard: true })
  await expect(local.write([record()])).rejects.toBeInstanceOf(ResourceNotFoundException)
  await local.createTable()
  const other = record({ MeasureValue: '2' })
  expect(await local.write([record(), other, other])).toEqual({
    ingested: { Total: 3, MemoryStore: 3, MagneticStore: 0 },
  })
  // Rules of single records are not checked: without `discard` this time would be rejected.
  expect(await local.write([record({ Time: '5' })])).toMatchObject({ ingested: { Total: 1 } })
  await expect(local.write([record({ MeasureValue: 'NaN' })])).rejects.toBeInstanceOf(ValidationException)
  expect(local.server.counters).toMatchObject({ writes: 2, discarded: 4, stored: 0, requests: 6 })
  expect(await local.rows(`SELECT count(*) FROM ${DB}.${TABLE}`)).toEqual([['0']])
  expect((await local.journal()).map(({ operation }) => operation)).toEqual(['CreateDatabase', 'CreateTable'])
})

it('discard rejects the records that a fault names, and counts the others', async () => {
  await using local = await bench({
    discard: true,
    faults: [{ kind: 'reject', operation: 'WriteRecords', records: [2, 0, 9], message: 'no' }],
  })
  await local.createTable()
  expect(await local.write([record(), record(), record()])).toEqual({
    rejected: [
      { RecordIndex: 0, Reason: 'no' },
      { RecordIndex: 2, Reason: 'no' },
    ],
  })
  expect(local.server.counters).toMatchObject({ writes: 1, discarded: 1, rejected: 2 })
  expect(local.server.faults.fired.reject).toBe(1)
})
