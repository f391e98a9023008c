import type { _Record } from '@aws-sdk/client-timestream-write'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bench, DB, multi, record, TABLE, type Bench } from './support.ts'

let local: Bench

beforeAll(async () => {
  local = await bench()
  await local.createTable()
})
afterAll(async () => {
  await local[Symbol.asyncDispose]()
})

let keys = 0
/** A record of a key that no other test has. */
function fresh(): (more?: _Record) => _Record {
  const own = { Dimensions: [{ Name: 'host', Value: `v${++keys}` }], Time: String(Date.now()) }
  return (more = {}) => record({ ...own, ...more })
}
const versioned = (text: string, version: number | bigint): _Record => ({
  MeasureValue: text,
  Version: version as number,
})

describe('version rules', () => {
  it('accepts the same value again', async () => {
    const key = fresh()
    expect((await local.write([key()])).ingested?.Total).toBe(1)
    expect((await local.write([key()])).ingested?.Total).toBe(1)
    expect((await local.write([key({ MeasureValue: '1.50' })])).ingested?.Total).toBe(1)
  })

  it('rejects another value without a higher version and says which version is held', async () => {
    const key = fresh()
    await local.write([key({ Version: 5 })])
    for (const version of [5, undefined, 4]) {
      const { rejected } = await local.write([
        key({ MeasureValue: '2', ...(version === undefined ? {} : { Version: version }) }),
      ])
      expect(rejected).toEqual([
        {
          RecordIndex: 0,
          ExistingVersion: 5,
          Reason: expect.stringMatching(
            version === 5 ? /already exists with the same time/ : /is lower than the existing version 5/,
          ) as string,
        },
      ])
    }
  })

  it('rejects an equal value of a lower version', async () => {
    const key = fresh()
    await local.write([key({ Version: 200 })])
    const { rejected } = await local.write([key({ Version: 2 })])
    expect(rejected?.[0]?.Reason).toBe(
      'The record version 2 is lower than the existing version 200. A higher version is required to update the measure value.',
    )
  })

  it('overwrites with a higher version, and raises the version of an equal value', async () => {
    const key = fresh()
    await local.write([key(versioned('1', 1))])
    await local.write([key(versioned('2', 2))])
    await local.write([key(versioned('2', 9))])
    const { rejected } = await local.write([key(versioned('3', 8))])
    expect(rejected?.[0]?.ExistingVersion).toBe(9)
    expect(await local.rows(`SELECT measure_value::double FROM ${DB}.${TABLE} WHERE host = 'v${keys}'`)).toEqual([
      ['2.0'],
    ])
  })

  it('keeps versions beyond 2^53 exact', async () => {
    const key = fresh()
    const version = 9_007_199_254_740_993n
    await local.write([key(versioned('1', version))])
    expect((await local.write([key(versioned('1', version))])).ingested?.Total).toBe(1)
    const { rejected } = await local.write([key(versioned('2', version - 1n))])
    expect(rejected?.[0]?.ExistingVersion).toBe(version)
    expect((await local.write([key(versioned('3', 9_223_372_036_854_775_807n))])).ingested?.Total).toBe(1)
    await expect(local.write([key(versioned('4', 9_223_372_036_854_775_808n))])).rejects.toThrow(
      /Version must be from 1/,
    )
  })

  it('judges records of one request in their order', async () => {
    const key = fresh()
    const { rejected } = await local.write([
      key(versioned('1', 1)),
      key(versioned('2', 1)),
      key(versioned('3', 2)),
      key(versioned('3', 2)),
    ])
    expect(rejected?.map(({ RecordIndex }) => RecordIndex)).toEqual([1])
    expect(await local.rows(`SELECT measure_value::double FROM ${DB}.${TABLE} WHERE host = 'v${keys}'`)).toEqual([
      ['3.0'],
    ])
  })

  it('tells keys apart by dimensions, measure name and time to the nanosecond, not by the order of dimensions', async () => {
    const nanos = BigInt(Date.now()) * 1_000_000n
    const at = (more: _Record): _Record =>
      record({
        Dimensions: [
          { Name: 'host', Value: 'k' },
          { Name: 'disk', Value: 'k' },
        ],
        Time: String(nanos),
        TimeUnit: 'NANOSECONDS',
        ...more,
      })
    const { ingested } = await local.write([
      at({ MeasureValue: '1' }),
      at({ MeasureValue: '2', Time: String(nanos + 1n) }),
      at({ MeasureValue: '3', MeasureName: 'other' }),
      at({ MeasureValue: '4', Dimensions: [{ Name: 'host', Value: 'k' }] }),
      at({ MeasureValue: '5', Time: String(nanos + 1000n) }),
    ])
    expect(ingested?.Total).toBe(5)
    const reordered = at({
      MeasureValue: '6',
      Dimensions: [
        { Name: 'disk', Value: 'k' },
        { Name: 'host', Value: 'k' },
      ],
    })
    expect((await local.write([reordered])).rejected?.[0]?.ExistingVersion).toBe(1)
    const inMillis = at({ MeasureValue: '7', Time: String(nanos / 1_000_000n), TimeUnit: 'MILLISECONDS' })
    expect((await local.write([inMillis])).rejected?.[0]?.ExistingVersion).toBe(1)
    const inMicros = at({ MeasureValue: '8', Time: String(nanos / 1000n + 1n), TimeUnit: 'MICROSECONDS' })
    expect((await local.write([inMicros])).rejected?.[0]?.ExistingVersion).toBe(1)
  })

  it('compares multi-measure values whatever their order, and sees a missing one', async () => {
    const time = String(Date.now())
    const a = { Name: 'a', Value: '1', Type: 'DOUBLE' } as const
    const b = { Name: 'b', Value: 'x', Type: 'VARCHAR' } as const
    const of = (values: _Record['MeasureValues']): _Record => multi(values ?? [], { Time: time })
    await local.write([of([a, b])])
    expect((await local.write([of([b, a])])).ingested?.Total).toBe(1)
    expect((await local.write([of([a])])).rejected).toHaveLength(1)
    expect((await local.write([of([a, { ...b, Value: 'y' }])])).rejected).toHaveLength(1)
  })
})

describe('records of several kinds in one table', () => {
  it('are told from their duplicates, whichever kinds came between', async () => {
    const time = Date.now() - 60_000
    const kind = (name: string, at: number): _Record =>
      multi([{ Name: name, Value: String(at), Type: 'DOUBLE' }], {
        Dimensions: [{ Name: 'host', Value: `kind ${name}` }],
        Time: String(time + at),
      })
    expect(await local.write([kind('kb', 1)])).toMatchObject({ ingested: { Total: 1 } })
    expect(await local.write([kind('ka', 1), kind('kb', 1), kind('ka', 2)])).toMatchObject({ ingested: { Total: 3 } })
    expect(await local.write([kind('kc', 1), kind('ka', 3), kind('ka', 2)])).toMatchObject({ ingested: { Total: 3 } })
    const outcomes = (await local.journal())
      .slice(-2)
      .map((entry) => (entry.operation === 'WriteRecords' ? entry.records.map(({ outcome }) => outcome) : []))
    expect(outcomes).toEqual([
      ['stored', 'duplicate', 'stored'],
      ['stored', 'stored', 'duplicate'],
    ])
  })
})

describe('random writes', () => {
  it('agree with a model of the rules, in answers, journal and query', async () => {
    const write = fc.record({
      key: fc.integer({ min: 0, max: 3 }),
      value: fc.integer({ min: 1, max: 3 }),
      version: fc.constantFrom(1n, 2n, 3n, 9_007_199_254_740_992n, 9_007_199_254_740_993n),
    })
    const requests = fc.array(fc.array(write, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 12 })
    const time = Date.now()
    let run = 0
    await fc.assert(
      fc.asyncProperty(requests, async (batches) => {
        const prefix = `p${++run}-`
        const seqBefore = (await local.journal()).length
        const held = new Map<number, { value: number; version: bigint }>()
        const expectedOutcomes: string[][] = []
        for (const batch of batches) {
          const outcomes = batch.map(({ key, value, version }) => {
            const before = held.get(key)
            if (before !== undefined && version < before.version) return 'rejected'
            if (before !== undefined && version === before.version)
              return before.value === value ? 'duplicate' : 'rejected'
            held.set(key, { value, version })
            return before === undefined ? 'stored' : 'updated'
          })
          expectedOutcomes.push(outcomes)
          const { rejected = [] } = await local.write(
            batch.map(({ key, value, version }) =>
              record({
                Dimensions: [{ Name: 'host', Value: `${prefix}${key}` }],
                Time: String(time),
                ...versioned(String(value), version),
              }),
            ),
          )
          expect(rejected.map(({ RecordIndex }) => RecordIndex)).toEqual(
            outcomes.flatMap((outcome, index) => (outcome === 'rejected' ? [index] : [])),
          )
        }
        const journalled = (await local.journal()).slice(seqBefore)
        expect(
          journalled.map((entry) =>
            entry.operation === 'WriteRecords' ? entry.records.map(({ outcome }) => outcome) : [],
          ),
        ).toEqual(expectedOutcomes)
        const rows = await local.rows(
          `SELECT host, measure_value::double FROM ${DB}.${TABLE} WHERE host LIKE '${prefix}%' ORDER BY host`,
        )
        expect(rows).toEqual(
          [...held].sort(([a], [b]) => a - b).map(([key, { value }]) => [`${prefix}${key}`, `${value}.0`]),
        )
      }),
      { numRuns: 30 },
    )
  })
})
