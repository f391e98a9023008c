import {
  CreateDatabaseCommand,
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  type Table,
  TimestreamWriteClient,
} from '@aws-sdk/client-timestream-write'
import { type JournalRecord, readJournal, startTimestreamLocal, type TimestreamLocal } from '@sluice/timestream-local'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TimestreamSinkOptions } from '../../src/options.ts'
import { TimestreamSink } from '../../src/sink.ts'
import type { EnsureTable } from '../../src/tables/settings.ts'
import { Harness, until } from '../harness.ts'

interface Point {
  readonly host: string
  readonly ageMs?: number
}

let local: TimestreamLocal
let admin: TimestreamWriteClient

beforeAll(async () => {
  local = await startTimestreamLocal()
  admin = new TimestreamWriteClient({
    endpoint: local.endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  await admin.send(new CreateDatabaseCommand({ DatabaseName: 'metrics' }))
})

afterAll(async () => {
  admin.destroy()
  await local.close()
})

async function tableOf(DatabaseName: string, TableName: string): Promise<Table | undefined> {
  return (await admin.send(new DescribeTableCommand({ DatabaseName, TableName }))).Table
}

async function storedHosts(table: string): Promise<readonly unknown[]> {
  const records: JournalRecord[] = []
  for await (const entry of readJournal(local.journalPath)) {
    if (entry.operation === 'WriteRecords' && entry.table === table) records.push(...entry.records)
  }
  return records.filter(({ outcome }) => outcome === 'stored').map(({ dimensions }) => dimensions['host'])
}

async function write(sink: TimestreamSink<Point>, points: readonly Point[]): Promise<Harness> {
  const harness = new Harness()
  const writer = sink.createWriter(harness.context)
  const { settlement, failures } = harness
  await harness.write(writer, points)
  const ended = (): number => settlement.settled.length + settlement.refusals.length
  await until('the outcomes', () => ended() >= points.length || failures.length > 0, 30_000)
  await writer.close(5000)
  return harness
}

describe.each(['sdk', 'direct'] as const)('over the transport %s', (transport) => {
  const named = (table: string): string => `${table}-${transport}`

  function sinkFor(options: Partial<TimestreamSinkOptions<Point>>): TimestreamSink<Point> {
    return new TimestreamSink<Point>({
      databaseName: 'metrics',
      tableName: 'hosts',
      elementConverter: ({ host, ageMs = 0 }) => ({
        Dimensions: [{ Name: 'host', Value: host }],
        MeasureName: 'up',
        MeasureValue: true,
        Time: new Date(Date.now() - ageMs),
      }),
      transport,
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      writeClientConfig: { endpointOverride: local.endpoint, region: 'eu-west-1', maxErrorRetry: 3 },
      retry: { initialDelayMs: 5, maxDelayMs: 20 },
      ...options,
    })
  }

  test('a table that does not exist is created with its database, as the options say', async () => {
    const databaseName = named('new')
    const ensureTable = {
      memoryStoreRetentionHours: 12,
      magneticStoreRetentionDays: 30,
      magneticStoreWrites: true,
      partitionKey: 'host',
      partitionKeyRequired: true,
    }
    const harness = await write(sinkFor({ databaseName, ensureTable }), [{ host: 'a' }])
    expect(harness.failures).toEqual([])
    expect(await tableOf(databaseName, 'hosts')).toMatchObject({
      RetentionProperties: { MemoryStoreRetentionPeriodInHours: 12, MagneticStoreRetentionPeriodInDays: 30 },
      MagneticStoreWriteProperties: { EnableMagneticStoreWrites: true },
      Schema: { CompositePartitionKey: [{ Type: 'DIMENSION', Name: 'host', EnforcementInRecord: 'REQUIRED' }] },
    })
    expect(harness.metric('numRecordsOut')).toBe(1)
    // A second start finds it as it is, and says nothing.
    expect((await write(sinkFor({ databaseName, ensureTable }), [{ host: 'b' }])).lines('ensureTable')).toEqual([])
  })

  test('sinks that start together create each table once', async () => {
    const databaseName = named('together')
    const sinks = Array.from({ length: 5 }, () => sinkFor({ databaseName, ensureTable: true }))
    const all = await Promise.all(sinks.map((sink, index) => write(sink, [{ host: `h${index}` }])))
    expect(all.flatMap(({ failures }) => failures)).toEqual([])
    expect(all.map((harness) => harness.metric('numRecordsOut'))).toEqual([1, 1, 1, 1, 1])
  })

  test('a table that differs is warned of, or changed if the option says so', async () => {
    const tableName = named('differs')
    await admin.send(new CreateTableCommand({ DatabaseName: 'metrics', TableName: tableName }))
    const wanted = { memoryStoreRetentionHours: 24 }
    const warned = await write(sinkFor({ tableName, ensureTable: wanted }), [{ host: 'a' }])
    expect(warned.lines('memoryStoreRetentionHours is 6, wanted is 24. Option: ensureTable.reconcile.')).toHaveLength(1)
    const hours = async (): Promise<number | undefined> =>
      (await tableOf('metrics', tableName))?.RetentionProperties?.MemoryStoreRetentionPeriodInHours
    expect(await hours()).toBe(6)
    await write(sinkFor({ tableName, ensureTable: { ...wanted, reconcile: true } }), [{ host: 'b' }])
    expect(await hours()).toBe(24)
  })

  test('what the options do not name stays as it is in a table that is changed', async () => {
    const tableName = named('kept')
    const location = {
      S3Configuration: { BucketName: 'rejected', ObjectKeyPrefix: 'team-a/', EncryptionOption: 'SSE_S3' as const },
    }
    await admin.send(
      new CreateTableCommand({
        DatabaseName: 'metrics',
        TableName: tableName,
        MagneticStoreWriteProperties: { EnableMagneticStoreWrites: true, MagneticStoreRejectedDataLocation: location },
      }),
    )
    const settings = { memoryStoreRetentionHours: 12, magneticStoreWrites: true, reconcile: true }
    const reconcile = async (more: object): Promise<Table | undefined> => {
      const sink = sinkFor({ tableName, ensureTable: { ...settings, ...more } })
      expect((await write(sink, [{ host: 'a' }])).failures).toEqual([])
      return tableOf('metrics', tableName)
    }
    expect(await reconcile({})).toMatchObject({
      RetentionProperties: { MemoryStoreRetentionPeriodInHours: 12 },
      MagneticStoreWriteProperties: { EnableMagneticStoreWrites: true, MagneticStoreRejectedDataLocation: location },
    })
    expect(await reconcile({ rejectedDataLocation: { bucketName: 'other' } })).toMatchObject({
      MagneticStoreWriteProperties: {
        MagneticStoreRejectedDataLocation: { S3Configuration: { ...location.S3Configuration, BucketName: 'other' } },
      },
    })
  })

  test('whether records need the dimension of the partition key is compared, and changed if the option says so', async () => {
    const tableName = named('key')
    const key = { Type: 'DIMENSION' as const, Name: 'host', EnforcementInRecord: 'OPTIONAL' as const }
    await admin.send(
      new CreateTableCommand({
        DatabaseName: 'metrics',
        TableName: tableName,
        Schema: { CompositePartitionKey: [key] },
      }),
    )
    const enforcement = async (): Promise<string | undefined> =>
      (await tableOf('metrics', tableName))?.Schema?.CompositePartitionKey?.[0]?.EnforcementInRecord
    const wanted = { partitionKey: 'host', partitionKeyRequired: true }
    const ensured = (ensureTable: EnsureTable): Promise<Harness> =>
      write(sinkFor({ tableName, ensureTable }), [{ host: 'a' }])
    const warned = await ensured(wanted)
    expect(warned.lines('partitionKeyRequired is false, wanted is true. Option: ensureTable.reconcile.')).toHaveLength(
      1,
    )
    expect(await enforcement()).toBe('OPTIONAL')
    expect((await ensured({ ...wanted, reconcile: true })).lines('It was changed.')).toHaveLength(1)
    expect(await enforcement()).toBe('REQUIRED')
    expect((await ensured({ partitionKey: 'host' })).lines('ensureTable')).toEqual([])
    const other = await ensured({ partitionKey: 'rack', partitionKeyRequired: false, reconcile: true })
    expect(other.lines('cannot be changed')).toHaveLength(1)
    expect(other.lines('ensureTable says')).toEqual([])
    await ensured({ partitionKey: 'host', partitionKeyRequired: false, reconcile: true })
    expect(await enforcement()).toBe('OPTIONAL')
  })

  test.for([true, false])('a table deleted meanwhile is created by the next attempt: fails %s', async (fails) => {
    const tableName = named(`deleted-${fails}`)
    const failureHandlerConfig = { failProcessingOnErrorDefault: fails }
    const sink = sinkFor({ tableName, ensureTable: true, maxBatchSize: 1, failureHandlerConfig })
    const harness = new Harness()
    const writer = sink.createWriter(harness.context)
    await harness.write(writer, [{ host: 'a' }])
    await until('the first record', () => harness.settlement.settled.length === 1)
    await admin.send(new DeleteTableCommand({ DatabaseName: 'metrics', TableName: tableName }))
    await harness.write(writer, [{ host: 'b' }])
    await until('the failure', () => harness.failures.length > 0)
    await writer.close(0)
    expect(harness.failures[0]).toMatchObject({ code: 'SLUICE_DESTINATION_NOT_FOUND', restartable: true })
    expect(harness.failures[0]?.message).toContain('The next attempt of the job creates it again')
    expect(harness.metric('numRecordsDrop')).toBe(0)
    expect((await write(sink, [{ host: 'b' }])).metric('numRecordsOut')).toBe(1)
  })

  test('every table of a router is created', async () => {
    const sink = sinkFor({ tableName: ({ host }) => named(host), ensureTable: true })
    const harness = await write(sink, [{ host: 'east' }, { host: 'west' }])
    expect(harness.metric('numRecordsOut')).toBe(2)
    expect(await storedHosts(named('west'))).toEqual(['west'])
  })

  test('records outside of the retention of the table are not sent', async () => {
    const tableName = named('window')
    await admin.send(
      new CreateTableCommand({
        DatabaseName: 'metrics',
        TableName: tableName,
        RetentionProperties: { MemoryStoreRetentionPeriodInHours: 2, MagneticStoreRetentionPeriodInDays: 1 },
      }),
    )
    const hour = 3_600_000
    const points = [{ host: 'now' }, { host: 'old', ageMs: 3 * hour }, { host: 'soon', ageMs: -hour }]
    const harness = await write(sinkFor({ tableName, checkRetention: true }), points)
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])).toEqual([
      [1, 'OutsideRetention'],
      [2, 'OutsideRetention'],
    ])
    expect(harness.settlement.refusals[0]?.reason.message).toContain('the table takes 7200 s')
    expect(harness.metric('numOfRejectedRecordsException')).toBe(0)
    expect(await storedHosts(tableName)).toEqual(['now'])
    const ignoring = sinkFor({ tableName, checkRetention: true, rejectionPolicy: { outsideRetention: 'ignore' } })
    expect((await write(ignoring, points)).metric('numRecordsDrop')).toBe(2)
  })

  test('a table that cannot be asked for ends the attempt, and no record is charged', async () => {
    const harness = await write(sinkFor({ tableName: 'nowhere', checkRetention: true }), [{ host: 'a' }])
    expect(harness.failures[0]?.code).toBe('SLUICE_DESTINATION_NOT_FOUND')
    expect(harness.settlement).toMatchObject({ settled: [], refusals: [] })
  })

  test('the control plane may be throttled: it is asked again', async () => {
    local.faults.add({ kind: 'throttle', operation: 'DescribeTable', times: 2 })
    const harness = await write(sinkFor({ tableName: named('throttled'), ensureTable: true }), [{ host: 'a' }])
    expect(harness.metric('numRecordsOut')).toBe(1)
    local.faults.clear()
  })
})
