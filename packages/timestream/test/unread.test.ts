import { afterEach, beforeEach, expect, test } from 'vitest'
import type { _Record, WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import { keepingOrder } from '../src/alignment.ts'
import { ask } from '../src/handler.ts'
import type { TimestreamSinkOptions } from '../src/options.ts'
import type { FailedWrite } from '../src/policy.ts'
import type { TimestreamRecord } from '../src/record/record.ts'
import { convertBatch } from '../src/request/write-converted.ts'
import { TimestreamSink } from '../src/sink.ts'

let unhandled: unknown[]
const note = (reason: unknown): void => {
  unhandled.push(reason)
}

beforeEach(() => {
  unhandled = []
  process.on('unhandledRejection', note)
})

afterEach(() => {
  process.off('unhandledRejection', note)
})

/** What is not read by then, Node tells. */
async function afterMicrotasks(): Promise<readonly unknown[]> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
  return unhandled
}

const rejecting = (): never => Promise.reject(new Error('asynchronous')) as never

const record: TimestreamRecord = {
  Dimensions: [{ Name: 'host', Value: 'a' }],
  MeasureName: 'm',
  MeasureValue: 1,
  Time: 5,
}
const mapping = {
  time: () => 5,
  dimensions: { host: () => 'a' },
  measures: { cpu: () => 1 },
  measureName: { literal: 'm' },
}
const multi = (value: unknown): TimestreamRecord => ({
  ...record,
  MeasureValue: undefined,
  MeasureValueType: 'MULTI',
  MeasureValues: [{ Name: 'cpu', Value: value as number }],
})

const throwing = (): never => {
  throw new Error('at once')
}

const converting = (batchConverter: (records: _Record[]) => Partial<WriteRecordsRequest>): Options => ({
  elementConverter: () => record,
  batchConverter: (records) =>
    ({ DatabaseName: 'metrics', TableName: 'hosts', ...batchConverter([...records]) }) as never,
})

type Options = Partial<TimestreamSinkOptions<number>>

test.for<readonly [string, Options]>([
  ['elementConverter', { elementConverter: rejecting }],
  ['elementConverter, within a list', { elementConverter: () => [record, rejecting(), rejecting()] }],
  ['elementConverter, of a measure', { elementConverter: () => multi(rejecting()) }],
  [
    'elementConverter, of a measure that is one',
    { elementConverter: () => ({ ...multi(1), MeasureValues: [rejecting()] }) },
  ],
  ['elementConverter, of a version', { elementConverter: () => ({ ...record, Version: rejecting() }) }],
  ['tableName', { elementConverter: () => record, tableName: rejecting }],
  ['tableName, of a name', { elementConverter: () => record, tableName: () => ({ tableName: rejecting() }) }],
  [
    'tableName, of a database',
    { elementConverter: () => record, tableName: () => ({ databaseName: rejecting(), tableName: 'hosts' }) },
  ],
  ['version', { elementConverter: () => record, version: rejecting }],
  ['version, beside that of the record', { elementConverter: () => ({ ...record, Version: 1 }), version: rejecting }],
  ['version.kafkaOffset', { elementConverter: () => record, version: { kafkaOffset: rejecting } }],
  ['version.kinesisArrival', { elementConverter: () => record, version: { kinesisArrival: rejecting } }],
  ['mapping.time', { mapping: { ...mapping, time: rejecting } }],
  ['mapping.dimensions', { mapping: { ...mapping, dimensions: { host: rejecting } } }],
  ['mapping.measures', { mapping: { ...mapping, measures: { cpu: rejecting } } }],
  ['mapping.measureName', { mapping: { ...mapping, measureName: rejecting } }],
  ['mapping.time and tableName', { mapping: { ...mapping, time: rejecting }, tableName: rejecting }],
  [
    'elementConverter, of measures, and tableName',
    { elementConverter: () => [multi(rejecting()), multi(rejecting())], tableName: rejecting },
  ],
  [
    'elementConverter, before something that is no record',
    { elementConverter: () => [multi(rejecting()), 5 as never] },
  ],
  ['elementConverter, where tableName throws', { elementConverter: () => multi(rejecting()), tableName: throwing }],
  ['elementConverter, where version throws', { elementConverter: () => [multi(rejecting())], version: throwing }],
  [
    'mapping.dimensions, where a measure throws',
    { mapping: { ...mapping, dimensions: { host: rejecting }, measures: { cpu: throwing } } },
  ],
  [
    'mapping.measures, where another one throws',
    { mapping: { ...mapping, measures: { cpu: rejecting, count: throwing } } },
  ],
  ['mapping.measureName, where time throws', { mapping: { ...mapping, measureName: rejecting, time: throwing } }],
  ['mapping.version', { mapping: { ...mapping, version: rejecting } }],
  ['batchConverter', { elementConverter: () => record, batchConverter: rejecting }],
  [
    'batchConverter, of a record',
    {
      elementConverter: () => record,
      batchConverter: (records) => ({ DatabaseName: 'metrics', TableName: 'hosts', Records: records.map(rejecting) }),
    },
  ],
  [
    'batchConverter, of a value',
    converting((Records) => ({ Records: Records.map(() => multi(rejecting()) as never) })),
  ],
  ['batchConverter, of a table', converting((Records) => ({ Records, TableName: rejecting() }))],
  ['batchConverter, of what is common', converting((Records) => ({ Records, CommonAttributes: rejecting() }))],
  [
    'batchConverter, of common dimensions',
    converting((Records) => ({ Records, CommonAttributes: { Dimensions: [{ Name: 'rack', Value: rejecting() }] } })),
  ],
  [
    'batchConverter, of a value in too many records',
    converting((Records) => ({ Records: [...Records, multi(rejecting()) as never] })),
  ],
])('a promise that rejects is refused, and does not end the process: %s', async ([place, options]) => {
  const sink = new TimestreamSink<number>({ databaseName: 'metrics', tableName: 'hosts', ...options })
  const explained = JSON.stringify(sink.explain(1))
  expect(explained.includes('"message"')).toBe(place !== 'version, beside that of the record')
  expect(await afterMicrotasks()).toEqual([])
})

test.for<readonly [string, () => unknown]>([
  ['a record', () => ({ Records: [Promise.resolve(record)] })],
  ['a value', () => ({ Records: [{ ...record, MeasureValue: Promise.resolve('1') }] })],
])('promises of a batchConverter are not sent: %s', ([, convert]) => {
  expect(() => convertBatch([record as never], convert as never, 'metrics', 'hosts')).toThrow(
    expect.objectContaining({
      code: 'SLUICE_BATCH_CONVERTER_NOT_ALIGNED',
      message: expect.stringContaining('promise') as string,
    }),
  )
})

test('a promise in records that have changed places does not end the process', async () => {
  const records = ['1', '2'].map((Time) => ({ ...record, Time }) as _Record)
  const convert = keepingOrder((given) => ({
    DatabaseName: 'metrics',
    TableName: 'hosts',
    Records: [...given].toReversed().map((each) => ({ ...each, MeasureValue: rejecting() })),
  }))
  expect(() => convert(records)).toThrow(/Records\[0\]/)
  expect(await afterMicrotasks()).toEqual([])
})

test('a handler that is asynchronous fails the job, and does not end the process', async () => {
  const decision = ask({ onWriteError: rejecting }, {} as FailedWrite)
  expect(decision).toMatchObject({ fail: { code: 'SLUICE_SINK_FAILED' } })
  expect(await afterMicrotasks()).toEqual([])
})
