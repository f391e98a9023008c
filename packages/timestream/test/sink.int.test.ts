import {
  type _Record,
  CreateDatabaseCommand,
  CreateTableCommand,
  TimestreamWriteClient,
  type WriteRecordsRequest,
} from '@aws-sdk/client-timestream-write'
import type { SinkWriter } from '@sluice/core'
import { type JournalRecord, readJournal, startTimestreamLocal, type TimestreamLocal } from '@sluice/timestream-local'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TimestreamSinkOptions } from '../src/options.ts'
import type { TimestreamRecord } from '../src/record/record.ts'
import { TimestreamSink } from '../src/sink.ts'
import { Harness, until } from './harness.ts'

interface Point {
  readonly host: string
  readonly cpu: number
  readonly version?: number
  readonly timeMs?: number
}

const DATABASE = 'metrics'
const NOW = Date.now()

let local: TimestreamLocal
let admin: TimestreamWriteClient
let table = ''
let tables = 0

beforeAll(async () => {
  local = await startTimestreamLocal()
  admin = new TimestreamWriteClient({
    endpoint: local.endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  await admin.send(new CreateDatabaseCommand({ DatabaseName: DATABASE }))
})

afterAll(async () => {
  admin.destroy()
  await local.close()
})

beforeEach(async () => {
  tables++
  table = `hosts${tables}`
  await admin.send(new CreateTableCommand({ DatabaseName: DATABASE, TableName: table }))
  process.env['AWS_ACCESS_KEY_ID'] = 'local'
  process.env['AWS_SECRET_ACCESS_KEY'] = 'local'
})

afterEach(() => {
  local.faults.clear()
})

function toRecord({ host, cpu, version, timeMs = NOW }: Point): TimestreamRecord {
  return {
    Dimensions: [{ Name: 'host', Value: host }],
    MeasureName: 'cpu',
    MeasureValue: String(cpu),
    MeasureValueType: 'DOUBLE',
    Time: String(timeMs),
    ...(version === undefined ? {} : { Version: version }),
  }
}

const points = (count: number): Point[] => Array.from({ length: count }, (_, i) => ({ host: `h${i}`, cpu: i }))

async function journal(): Promise<readonly JournalRecord[]> {
  const records: JournalRecord[] = []
  for await (const entry of readJournal(local.journalPath)) {
    if (entry.operation === 'WriteRecords' && entry.table === table) records.push(...entry.records)
  }
  return records
}

const valuesOf = (records: readonly JournalRecord[], outcome: JournalRecord['outcome']): unknown[] =>
  records
    .filter((record) => record.outcome === outcome)
    .map(({ dimensions, measures }) => [dimensions['host'], measures[0]?.value])

function withCommonAttributes(records: readonly _Record[]): WriteRecordsRequest {
  return {
    DatabaseName: DATABASE,
    TableName: table,
    CommonAttributes: { Dimensions: [{ Name: 'region', Value: 'eu' }], MeasureName: 'cpu', Time: String(NOW) },
    Records: records.map(({ Dimensions, MeasureValue }) => ({
      Dimensions,
      MeasureValue,
      MeasureValueType: 'DOUBLE',
    })),
  }
}

describe.each(['sdk', 'direct'] as const)('over the transport %s', (transport) => {
  function open(
    options: Partial<TimestreamSinkOptions<Point>> = {},
    harness = new Harness(),
  ): { harness: Harness; writer: SinkWriter<Point> } {
    const sink = new TimestreamSink<Point>({
      databaseName: DATABASE,
      tableName: table,
      elementConverter: toRecord,
      transport,
      credentialsProviderType: 'ENV_VAR',
      retry: { initialDelayMs: 5, maxDelayMs: 20 },
      ...options,
      writeClientConfig: {
        endpointOverride: local.endpoint,
        region: 'eu-west-1',
        maxErrorRetry: 0,
        ...options.writeClientConfig,
      },
    })
    return { harness, writer: sink.createWriter(harness.context) }
  }

  /** Writes, and waits until every value is settled or refused. */
  async function writeAll(values: readonly Point[], options?: Partial<TimestreamSinkOptions<Point>>): Promise<Harness> {
    const { harness, writer } = open(options)
    await harness.write(writer, values)
    const { settlement } = harness
    await until('an outcome for all', () => settlement.settled.length + settlement.refusals.length >= values.length)
    await writer.close(5000)
    return harness
  }

  test('every record is stored, in full batches', async () => {
    const harness = await writeAll(points(250))
    expect(valuesOf(await journal(), 'stored')).toHaveLength(250)
    expect(new Set((await journal()).map(({ dimensions }) => dimensions['host'])).size).toBe(250)
    expect(harness.metric('numRecordsSuccess')).toBe(250)
    expect(harness.metric('numWritesSuccess')).toBe(3)
    expect(harness.failures).toEqual([])
  })

  test('the same record again, with the same version, changes nothing', async () => {
    await writeAll([{ host: 'a', cpu: 1 }])
    const harness = await writeAll([{ host: 'a', cpu: 1 }])
    expect((await journal()).map(({ outcome }) => outcome)).toEqual(['stored', 'duplicate'])
    expect(harness.metric('numRecordsSuccess')).toBe(1)
    expect(harness.settlement.refusals).toEqual([])
  })

  test('another value for a stored key is refused with the version that is stored', async () => {
    await writeAll([{ host: 'a', cpu: 1, version: 5 }])
    const harness = await writeAll([{ host: 'a', cpu: 2, version: 4 }])
    expect(harness.settlement.refusals[0]?.reason).toMatchObject({ code: 'RejectedVersion' })
    expect(harness.settlement.refusals[0]?.reason.message).toMatch(/ExistingVersion: 5\.$/)
    expect(harness.metric('numRecordsDuplicate')).toBe(0)
    await writeAll([{ host: 'a', cpu: 2, version: 6 }])
    expect((await journal()).map(({ outcome }) => outcome)).toEqual(['stored', 'rejected', 'updated'])
  })

  test('of a partly rejected request the good records are stored and settled', async () => {
    const old = NOW - 10 * 365 * 24 * 3_600_000
    const values = points(10).map((point, i) => (i % 3 === 1 ? { ...point, timeMs: old } : point))
    const harness = await writeAll(values)
    expect(harness.settlement.refusals.map(({ token }) => token)).toEqual([1, 4, 7])
    expect(harness.settlement.settled).toEqual([0, 2, 3, 5, 6, 8, 9])
    expect(valuesOf(await journal(), 'stored').map((pair) => (pair as unknown[])[0])).toEqual([
      'h0',
      'h2',
      'h3',
      'h5',
      'h6',
      'h8',
      'h9',
    ])
  })

  test('a record that breaks a rule is not sent; the other 99 are, in one request', async () => {
    const harness = await writeAll(points(100), {
      elementConverter: (point) => (point.host === 'h42' ? { ...toRecord(point), Time: 'yesterday' } : toRecord(point)),
    })
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])).toEqual([
      [42, 'InvalidRecord'],
    ])
    expect(valuesOf(await journal(), 'stored')).toHaveLength(99)
    expect(harness.metric('numApiCalls')).toBe(1)
  })

  test('one record that makes a request invalid is found among 100; the other 99 are stored', async () => {
    const harness = await writeAll(points(100), {
      batchConverter: (records) => ({
        DatabaseName: undefined,
        TableName: undefined,
        Records: records.map((record) =>
          record.Dimensions?.[0]?.Value === 'h42' ? { ...record, Time: 'yesterday' } : record,
        ),
      }),
    })
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])).toEqual([
      [42, 'ValidationException'],
    ])
    const stored = valuesOf(await journal(), 'stored')
    expect(stored).toHaveLength(99)
    expect(stored).not.toContainEqual(['h42', 42])
    expect((await journal()).filter(({ outcome }) => outcome === 'duplicate')).toEqual([])
  })

  test('a throttled request is repeated until it is stored', async () => {
    local.faults.add({ kind: 'throttle', operation: 'WriteRecords', times: 3 })
    const harness = await writeAll(points(5))
    expect(valuesOf(await journal(), 'stored')).toHaveLength(5)
    expect(harness.metric('numOfThrottlingException')).toBe(3)
    expect(harness.metric('numWritesNonSDKRetries')).toBe(3)
  })

  test('a request that was applied but not answered is repeated, and stored once', async () => {
    const fault = local.faults.add({ kind: 'cutAfterApply', operation: 'WriteRecords', times: 1 })
    const harness = await writeAll(points(5))
    expect(fault.fired).toBe(1)
    expect(valuesOf(await journal(), 'stored')).toHaveLength(5)
    expect(valuesOf(await journal(), 'duplicate')).toHaveLength(5)
    expect(harness.metric('numRequestsUnknown')).toBe(1)
    expect(harness.metric('numRecordsSuccess')).toBe(5)
    expect(harness.settlement.settled).toEqual([0, 1, 2, 3, 4])
  })

  test('repeats of the SDK itself are no repeats of the sink', async () => {
    if (transport !== 'sdk') return
    local.faults.add({ kind: 'fail', operation: 'WriteRecords', times: 2 })
    const harness = await writeAll(points(5), { writeClientConfig: { maxErrorRetry: 5 } })
    expect(harness.metric('numWritesNonSDKRetries')).toBe(0)
    expect(harness.metric('numOfInternalServerException')).toBe(0)
    expect(valuesOf(await journal(), 'stored')).toHaveLength(5)
  })

  test('a table that does not exist ends the attempt with its name; no record is refused', async () => {
    const { harness, writer } = open({ tableName: 'nowhere' })
    await harness.write(writer, points(3))
    await until('the failure', () => harness.failures.length > 0)
    await writer.close(1000)
    expect(harness.failures[0]?.code).toBe('SLUICE_DESTINATION_NOT_FOUND')
    expect(harness.failures[0]?.message).toContain("no table 'nowhere' in database 'metrics'")
    expect(harness.settlement).toMatchObject({ settled: [], refusals: [] })
    expect(writer.status()).toMatchObject({ accepted: 3, written: 0, abandoned: 3 })
  })

  test('common attributes of a converter are stored with every record', async () => {
    await writeAll(points(2), { batchConverter: withCommonAttributes })
    expect((await journal()).map(({ dimensions, outcome }) => [dimensions, outcome])).toEqual([
      [{ region: 'eu', host: 'h0' }, 'stored'],
      [{ region: 'eu', host: 'h1' }, 'stored'],
    ])
  })

  test('a version beyond 2^53 arrives whole when it is a bigint', async () => {
    await writeAll([{ host: 'a', cpu: 1 }], {
      elementConverter: (point) => ({ ...toRecord(point), Version: 9_007_199_254_740_993n as unknown as number }),
    })
    expect((await journal())[0]?.version).toBe(9_007_199_254_740_993n)
  })

  test('a writer that is closed without a job ends in time, with nothing in flight', async () => {
    local.faults.add({ kind: 'delay', operation: 'WriteRecords', delayMs: 500 })
    const { harness, writer } = open()
    await harness.write(writer, points(3))
    await until('the request', () => writer.status().inFlightRequests === 1)
    await writer.close(2000)
    expect(writer.status()).toMatchObject({ accepted: 3, abandoned: 3, inHand: 0, inFlightRequests: 0 })
    expect(harness.settlement.settled).toEqual([])
  })
})
