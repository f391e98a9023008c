import { expect, test } from 'vitest'
import { toSamples } from '../src/mapping.ts'
import { HOSTS, hostRecord, MEASURES } from '../src/records.ts'

test('a record is one sample for each measure, with the dimensions as labels', () => {
  const record = hostRecord(3, 1_700_000_000)
  const samples = toSamples(record)
  expect(samples).toHaveLength(MEASURES)
  expect(samples[0]).toStrictEqual({
    name: 'host_cpu_user',
    labels: record.dimensions,
    value: record.measures['cpu_user'],
    timestamp: 1_700_000_000_000,
  })
  expect(Object.keys(record.dimensions)).toHaveLength(8)
})

test('no two samples have the same series and time, and those of a series follow each other', () => {
  const seen = new Map<string, number>()
  for (let number = 0; number < 3 * HOSTS; number++) {
    for (const { name, labels, timestamp } of toSamples(hostRecord(number, 1_700_000_000))) {
      const series = `${name} ${JSON.stringify(labels)}`
      expect(timestamp).toBeGreaterThan(seen.get(series) ?? 0)
      seen.set(series, timestamp)
    }
  }
  expect(seen.size).toBe(HOSTS * MEASURES)
})

test('the same number gives the same record: a repeat is recognised as one', () => {
  expect(hostRecord(17, 1_700_000_000)).toStrictEqual(hostRecord(17, 1_700_000_000))
})
