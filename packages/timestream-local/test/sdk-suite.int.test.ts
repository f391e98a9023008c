import {
  CreateDatabaseCommand,
  CreateTableCommand,
  DeleteDatabaseCommand,
  DeleteTableCommand,
  DescribeDatabaseCommand,
  DescribeTableCommand,
  paginateListDatabases,
  paginateListTables,
  RejectedRecordsException,
  ResourceNotFoundException,
  TimestreamWriteClient,
  UpdateTableCommand,
  WriteRecordsCommand,
} from '@aws-sdk/client-timestream-write'
import { paginateQuery, QueryCommand, TimestreamQueryClient } from '@aws-sdk/client-timestream-query'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startTimestreamLocal, type TimestreamLocal } from '../src/index.ts'
import { multi, record, textRows } from './support.ts'

// The official clients with their own defaults: signatures, discovery, repeats.
const KEYS = { accessKeyId: 'AKIASUITE', secretAccessKey: 'suite-secret', sessionToken: 'suite-session' }
const DATABASE = 'suite'
const TABLE = 'readings'
const names = { DatabaseName: DATABASE, TableName: TABLE }
const now = Date.now()

let server: TimestreamLocal
let writer: TimestreamWriteClient
let reader: TimestreamQueryClient

beforeAll(async () => {
  server = await startTimestreamLocal({ credentials: [KEYS], requireDiscovery: true })
  vi.stubEnv('AWS_ENDPOINT_URL_TIMESTREAM_WRITE', server.endpoint)
  vi.stubEnv('AWS_ENDPOINT_URL_TIMESTREAM_QUERY', server.endpoint)
  const config = { region: 'eu-central-1', credentials: KEYS }
  writer = new TimestreamWriteClient(config)
  reader = new TimestreamQueryClient(config)
})
afterAll(async () => {
  writer.destroy()
  reader.destroy()
  vi.unstubAllEnvs()
  await server.close()
})

const asked = async (sql: string): Promise<(string | null)[][]> => {
  const rows: (string | null)[][] = []
  for await (const page of paginateQuery({ client: reader, pageSize: 7 }, { QueryString: sql })) {
    rows.push(...textRows(page))
  }
  return rows
}

describe('the official clients with their defaults', () => {
  it('make a database and a table, change them, and list them', async () => {
    await writer.send(new CreateDatabaseCommand({ DatabaseName: DATABASE, Tags: [{ Key: 'team', Value: 'a' }] }))
    await writer.send(
      new CreateTableCommand({
        ...names,
        RetentionProperties: { MemoryStoreRetentionPeriodInHours: 1, MagneticStoreRetentionPeriodInDays: 1 },
      }),
    )
    const retention = { MemoryStoreRetentionPeriodInHours: 24, MagneticStoreRetentionPeriodInDays: 7 }
    await writer.send(new UpdateTableCommand({ ...names, RetentionProperties: retention }))
    const { Table: table } = await writer.send(new DescribeTableCommand(names))
    expect(table).toMatchObject({ TableStatus: 'ACTIVE', RetentionProperties: retention })
    expect(table?.CreationTime).toBeInstanceOf(Date)
    const listed: (string | undefined)[] = []
    for await (const { Databases: page = [] } of paginateListDatabases({ client: writer }, {})) {
      listed.push(...page.map(({ DatabaseName: name }) => name))
    }
    for await (const { Tables: page = [] } of paginateListTables({ client: writer }, { DatabaseName: DATABASE })) {
      listed.push(...page.map(({ TableName: name }) => name))
    }
    expect(listed).toEqual([DATABASE, TABLE])
  })

  it('write single and multi-measure records with common attributes, and read each type back, page by page', async () => {
    const common = { Dimensions: [{ Name: 'host', Value: 'a' }], TimeUnit: 'MILLISECONDS' as const }
    const single = Array.from({ length: 20 }, (_, n) => ({
      MeasureName: 'cpu',
      MeasureValue: String(n / 4),
      Time: String(now - n),
    }))
    const answer = await writer.send(new WriteRecordsCommand({ ...names, CommonAttributes: common, Records: single }))
    expect(answer.RecordsIngested).toEqual({ Total: 20, MemoryStore: 20, MagneticStore: 0 })
    const values = [
      { Name: 'count', Value: '9007199254740993', Type: 'BIGINT' as const },
      { Name: 'up', Value: 'true', Type: 'BOOLEAN' as const },
      { Name: 'note', Value: 'ü "q"', Type: 'VARCHAR' as const },
    ]
    await writer.send(new WriteRecordsCommand({ ...names, Records: [multi(values, { Time: String(now) })] }))
    const cpu = await asked(
      `SELECT measure_value::double FROM "${DATABASE}"."${TABLE}" WHERE measure_name = 'cpu' ORDER BY time DESC`,
    )
    expect(cpu.flat().map(Number)).toEqual(Array.from({ length: 20 }, (_, n) => n / 4))
    const typed = await asked(`SELECT count, up, note FROM "${DATABASE}"."${TABLE}" WHERE measure_name = 'metrics'`)
    expect(typed).toEqual([['9007199254740993', 'true', 'ü "q"']])
  })

  it('get typed exceptions with their fields', async () => {
    const conflict = { MeasureName: 'cpu', MeasureValue: '99', Time: String(now) }
    const request = new WriteRecordsCommand({
      ...names,
      Records: [record(conflict), record({ Time: String(now + 1) })],
    })
    const rejected = await writer.send(request).catch((error: unknown) => error)
    expect(rejected).toBeInstanceOf(RejectedRecordsException)
    expect(rejected).toMatchObject({ RejectedRecords: [{ RecordIndex: 0, ExistingVersion: 1 }] })
    const missing = new DescribeDatabaseCommand({ DatabaseName: 'absent' })
    await expect(writer.send(missing)).rejects.toBeInstanceOf(ResourceNotFoundException)
  })

  it('repeat by themselves what was throttled, failed, or not answered, and a row is there once', async () => {
    const faults = [
      server.faults.add({ kind: 'throttle', operation: 'WriteRecords', times: 1 }),
      server.faults.add({ kind: 'cutAfterApply', operation: 'WriteRecords', times: 1 }),
      server.faults.add({ kind: 'fail', operation: 'Query', times: 2 }),
    ]
    const repeated = record({ Dimensions: [{ Name: 'host', Value: 'repeated' }], Time: String(now) })
    const answer = await writer.send(new WriteRecordsCommand({ ...names, Records: [repeated] }))
    expect(answer.$metadata.attempts).toBe(3)
    const sql = `SELECT count(*) FROM "${DATABASE}"."${TABLE}" WHERE host = 'repeated'`
    const counted = await reader.send(new QueryCommand({ QueryString: sql }))
    expect(textRows(counted)).toEqual([['1']])
    expect(counted.$metadata.attempts).toBe(3)
    expect(faults.map(({ fired }) => fired)).toEqual([1, 1, 2])
  })

  it('delete what they made', async () => {
    await writer.send(new DeleteTableCommand(names))
    await writer.send(new DeleteDatabaseCommand({ DatabaseName: DATABASE }))
    const described = writer.send(new DescribeDatabaseCommand({ DatabaseName: DATABASE }))
    await expect(described).rejects.toBeInstanceOf(ResourceNotFoundException)
  })
})
