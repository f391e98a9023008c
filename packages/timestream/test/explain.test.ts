import { describe, expect, test } from 'vitest'
import type { TimestreamSinkOptions } from '../src/options.ts'
import type { TimestreamRecord } from '../src/record/record.ts'
import { TimestreamSink } from '../src/sink.ts'
import { FakeService, STORED } from './fake-service.ts'
import { Harness, until } from './harness.ts'

interface Point {
  readonly host: string
  readonly cpu: number
}

/** 4 + 2 (host), 3 (cpu), 8 (value), 8 (time): 25 bytes for a host of two letters. */
function toRecord({ host, cpu }: Point): TimestreamRecord {
  return {
    Dimensions: [{ Name: 'host', Value: host }],
    MeasureName: 'cpu',
    MeasureValue: String(cpu),
    MeasureValueType: 'DOUBLE',
    Time: '1700000000000',
  }
}

const POINT: Point = { host: 'h1', cpu: 5 }

function sinkWith(options: Partial<TimestreamSinkOptions<Point>> = {}): TimestreamSink<Point> {
  return new TimestreamSink<Point>({
    databaseName: 'metrics',
    tableName: 'hosts',
    elementConverter: toRecord,
    ...options,
  })
}

/** The reasons that the writer gives for refusing the value. */
async function refusedByWriter(options: Partial<TimestreamSinkOptions<Point>>): Promise<readonly unknown[]> {
  const harness = new Harness()
  harness.settlement.delivers = true
  const service = new FakeService(() => STORED)
  const writer = sinkWith({ ...options, client: service.client }).createWriter(harness.context)
  await harness.write(writer, [POINT])
  await until('a refusal', () => harness.settlement.refusals.length > 0)
  await writer.close(0)
  expect(service.requests).toHaveLength(0)
  return harness.settlement.refusals.map(({ reason }) => reason)
}

test('a record as it would be sent, with size, table and cost', () => {
  expect(sinkWith().explain(POINT)).toEqual({
    entries: [
      {
        entry: toRecord(POINT),
        sizeInBytes: 25,
        weight: 1,
        destination: 'metrics/hosts',
        billed: { 'writes of 1 KiB': 1 },
        refusals: [],
      },
    ],
  })
})

test('none, one and many records', () => {
  const sink = sinkWith({
    elementConverter: (point) =>
      point.cpu === 0 ? undefined : [toRecord(point), toRecord({ ...point, host: 'other' })],
  })
  expect(sink.explain({ host: 'a', cpu: 0 })).toEqual({ entries: [] })
  expect(sink.explain(POINT).entries.map(({ entry }) => entry)).toEqual([
    toRecord(POINT),
    toRecord({ ...POINT, host: 'other' }),
  ])
})

test.each([
  [1000, 1],
  [1024, 1],
  [1025, 2],
  [2048, 2],
])('a record of %i bytes costs %i writes', (bytes, writes) => {
  const host = 'x'.repeat(bytes - 23)
  expect(sinkWith().explain({ ...POINT, host }).entries).toMatchObject([
    { sizeInBytes: bytes, billed: { 'writes of 1 KiB': writes } },
  ])
})

test('with a batch converter, the request that it makes of this record, common attributes metered once', () => {
  const common = { Dimensions: [{ Name: 'region', Value: 'x'.repeat(1000) }], MeasureValueType: 'BOOLEAN' as const }
  const sink = sinkWith({
    elementConverter: ({ host }) => ({
      Dimensions: [{ Name: 'host', Value: host }],
      MeasureName: 'up',
      MeasureValue: 'true',
    }),
    batchConverter: (records) => ({
      DatabaseName: undefined,
      TableName: 'others',
      CommonAttributes: common,
      Records: [...records],
    }),
  })
  const record = { Dimensions: [{ Name: 'host', Value: 'h1' }], MeasureName: 'up', MeasureValue: 'true' }
  expect(sink.explain(POINT)).toEqual({
    entries: [
      {
        entry: { DatabaseName: 'metrics', TableName: 'others', CommonAttributes: common, Records: [record] },
        // Before the batch converter, so without the type: as the engine measures it.
        sizeInBytes: 16,
        weight: 1,
        destination: 'metrics/others',
        billed: { 'writes of 1 KiB': 1 },
        refusals: [],
      },
    ],
  })
  // 6 + 1000 in common and 9 for itself, its boolean 1 byte: 1015. Ten bytes more are 1025.
  const [explained] = sink.explain({ ...POINT, host: 'h123456789ab' }).entries
  expect(explained?.billed).toEqual({ 'writes of 1 KiB': 2 })
})

describe('refusals are those of the writer', () => {
  const boom = new Error('boom')
  test.each<[string, Partial<TimestreamSinkOptions<Point>>, string]>([
    [
      'a converter that throws',
      {
        elementConverter: () => {
          throw boom
        },
      },
      'convertThrew',
    ],
    ['a converter that gives a promise', { elementConverter: (() => Promise.resolve({})) as never }, 'convertThrew'],
    ['a converter that gives text', { elementConverter: (() => 'record') as never }, 'convertThrew'],
    ['a list with something else in it', { elementConverter: () => [toRecord(POINT), null] as never }, 'convertThrew'],
    ['a record that is too large', { maxRecordSizeInBytes: 24 }, 'recordTooLarge'],
    [
      'a batch converter that throws',
      {
        batchConverter: () => {
          throw boom
        },
      },
      'batchConverterThrew',
    ],
  ])('%s', async (_, options, code) => {
    const { entries, refusal } = sinkWith(options).explain(POINT)
    const reasons = refusal === undefined ? entries.flatMap(({ refusals }) => refusals) : [refusal]
    expect(reasons).toEqual(await refusedByWriter(options))
    expect(reasons.map((reason) => reason.code)).toEqual([code])
    expect(entries.every(({ billed }) => billed === undefined)).toBe(true)
  })
})

test('a batch converter that is out of step is told, which would fail the job', () => {
  const sink = sinkWith({ batchConverter: (() => Promise.resolve({ Records: [] })) as never })
  expect(sink.explain(POINT).entries).toMatchObject([
    { entry: toRecord(POINT), refusals: [{ code: 'SLUICE_BATCH_CONVERTER_NOT_ALIGNED' }] },
  ])
})

test('no region and no credentials are needed', () => {
  const sink = sinkWith({ credentialsProviderType: 'PROFILE', credentialConfig: { profileName: 'not there' } })
  expect(sink.explain(POINT).entries).toHaveLength(1)
})
