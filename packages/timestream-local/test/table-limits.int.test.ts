import { describe, expect, it } from 'vitest'
import { bench, multi, record } from './support.ts'

describe('limits of a table', () => {
  it('takes 8192 measure names, rejects records with another one, and goes on with those it has', async () => {
    await using local = await bench()
    await local.createTable()
    const limit = 8192
    for (let from = 0; from < limit; from += 100) {
      const count = Math.min(100, limit - from)
      const Records = Array.from({ length: count }, (_, i) => record({ MeasureName: `m${from + i}` }))
      expect(await local.write(Records)).toMatchObject({ ingested: { Total: count } })
    }
    const other = [{ Name: 'host', Value: 'b' }]
    const names = ['m0', 'one_more', 'm8191', 'two_more']
    expect(await local.write(names.map((MeasureName) => record({ MeasureName, Dimensions: other })))).toEqual({
      rejected: [1, 3].map((RecordIndex) => ({
        RecordIndex,
        Reason: 'The table would have more than 8192 measure names.',
      })),
    })
    expect(local.server.counters).toMatchObject({ stored: limit + 2, rejected: 2 })
  })

  it('takes 1024 measures of multi-measure records, and measure names of single ones beside them', async () => {
    await using local = await bench()
    await local.createTable()
    for (let from = 0; from < 1024; from += 256) {
      expect(await local.write([multi(measures(from, 256), { MeasureName: `kind${from}` })])).toMatchObject({
        ingested: { Total: 1 },
      })
    }
    const Records = [multi(measures(1023, 2)), multi(measures(1000, 24)), record()]
    expect(await local.write(Records)).toEqual({
      rejected: [{ RecordIndex: 0, Reason: 'The table would have more than 1024 measures in multi-measure records.' }],
    })
    expect(local.server.counters).toMatchObject({ stored: 6, rejected: 1 })
  })
})

function measures(from: number, count: number): Parameters<typeof multi>[0] {
  return Array.from({ length: count }, (_, i) => ({ Name: `m${from + i}`, Value: 'true', Type: 'BOOLEAN' }))
}
