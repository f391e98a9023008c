import {
  CreateDatabaseCommand,
  CreateTableCommand,
  DeleteDatabaseCommand,
  DeleteTableCommand,
  DescribeDatabaseCommand,
  DescribeEndpointsCommand,
  DescribeTableCommand,
  ListDatabasesCommand,
  ListTablesCommand,
  paginateListTables,
  TimestreamWriteClient,
  UpdateDatabaseCommand,
  UpdateTableCommand,
  WriteRecordsCommand,
} from '@aws-sdk/client-timestream-write'
import { QueryCommand, TimestreamQueryClient } from '@aws-sdk/client-timestream-query'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { bench, clientConfig, DB, post, rawRequest, record, TABLE, type Bench } from './support.ts'

let local: Bench

beforeAll(async () => {
  local = await bench()
  await local.createTable()
})
afterAll(async () => {
  await local[Symbol.asyncDispose]()
})

describe('databases and tables', () => {
  it('describes a table with its defaults, and takes updates', async () => {
    const name = { DatabaseName: DB, TableName: TABLE }
    const { Table: before } = await local.writer.send(new DescribeTableCommand(name))
    expect(before).toMatchObject({
      ...name,
      TableStatus: 'ACTIVE',
      RetentionProperties: { MemoryStoreRetentionPeriodInHours: 6, MagneticStoreRetentionPeriodInDays: 73_000 },
      MagneticStoreWriteProperties: { EnableMagneticStoreWrites: false },
    })
    expect(before?.CreationTime).toBeInstanceOf(Date)
    await local.writer.send(
      new UpdateTableCommand({
        ...name,
        RetentionProperties: { MemoryStoreRetentionPeriodInHours: 8, MagneticStoreRetentionPeriodInDays: 9 },
      }),
    )
    const { Table: after } = await local.writer.send(new DescribeTableCommand(name))
    expect(after?.RetentionProperties).toEqual({
      MemoryStoreRetentionPeriodInHours: 8,
      MagneticStoreRetentionPeriodInDays: 9,
    })
    expect(after?.MagneticStoreWriteProperties).toEqual(before?.MagneticStoreWriteProperties)
  })

  it('lists in pages', async () => {
    await local.writer.send(new CreateDatabaseCommand({ DatabaseName: 'many' }))
    for (let i = 0; i < 25; i++) {
      await local.writer.send(new CreateTableCommand({ DatabaseName: 'many', TableName: `table${i}` }))
    }
    const names: (string | undefined)[] = []
    for await (const page of paginateListTables({ client: local.writer, pageSize: 10 }, { DatabaseName: 'many' })) {
      names.push(...(page.Tables ?? []).map(({ TableName }) => TableName))
    }
    expect(names).toEqual(Array.from({ length: 25 }, (_, i) => `table${i}`))
    const { Databases } = await local.writer.send(new ListDatabasesCommand({}))
    expect(Databases?.map(({ DatabaseName, TableCount }) => [DatabaseName, TableCount])).toEqual([
      [DB, 1],
      ['many', 25],
    ])
  })

  it.each(['', 'x', '1e3', '-1', ' 1'])('refuses the token %j of a list', async (NextToken) => {
    const { status, body } = await post(local.server.endpoint, 'ListDatabases', JSON.stringify({ NextToken }))
    expect({ status, message: body['message'] }).toEqual({ status: 400, message: 'Invalid pagination token.' })
  })

  it.each([
    ['RetentionProperties', { MemoryStoreRetentionPeriodInHours: 5 }, 'magneticStoreRetentionPeriodInDays'],
    ['RetentionProperties', { MagneticStoreRetentionPeriodInDays: 5 }, 'memoryStoreRetentionPeriodInHours'],
    ['MagneticStoreWriteProperties', {}, 'enableMagneticStoreWrites'],
  ])('refuses %s without a member that the service requires', async (name, value, absent) => {
    for (const operation of ['CreateTable', 'UpdateTable']) {
      const request = { DatabaseName: DB, TableName: operation === 'CreateTable' ? 'other' : TABLE, [name]: value }
      const { status, body } = await post(local.server.endpoint, operation, JSON.stringify(request))
      expect({ status, type: String(body['__type']).split('#')[1] }).toEqual({
        status: 400,
        type: 'ValidationException',
      })
      expect(body['message']).toContain(`${absent}' failed to satisfy constraint: Member must not be null`)
    }
  })

  it('takes requests of web pages of this machine, not of others', async () => {
    const { endpoint } = local.server
    const list = (origin: string, host: string): Promise<{ status: number | undefined; text: string }> =>
      rawRequest(endpoint, 'POST', '/', { origin, host, 'x-amz-target': 'Timestream_20181101.ListDatabases' }, '{}')
    for (const origin of ['http://evil.example:8086', 'http://localhost.evil.example', 'null']) {
      const { status, text } = await list(origin, 'evil.example:8086')
      expect([status, text]).toEqual([403, expect.stringContaining('AccessDeniedException')])
    }
    for (const origin of ['http://localhost:5173', 'http://127.0.0.1:5173', 'http://[::1]:5173']) {
      expect(await list(origin, 'localhost')).toMatchObject({ status: 200 })
    }
  })

  it('deletes a table with its data, and a database only when it is empty', async () => {
    const name = { DatabaseName: 'gone', TableName: 'table' }
    const { DatabaseName } = name
    await local.writer.send(new CreateDatabaseCommand({ DatabaseName }))
    for (let round = 0; round < 2; round++) {
      await local.writer.send(new CreateTableCommand(name))
      await local.writer.send(new WriteRecordsCommand({ ...name, Records: [record({ MeasureValue: String(round) })] }))
      expect(await local.rows('SELECT measure_value::double FROM gone.table')).toEqual([[`${round}.0`]])
      await expect(local.writer.send(new DeleteDatabaseCommand({ DatabaseName }))).rejects.toThrow(/has 1 tables/)
      await local.writer.send(new DeleteTableCommand(name))
    }
    await local.writer.send(new UpdateDatabaseCommand({ DatabaseName, KmsKeyId: 'key' }))
    expect((await local.writer.send(new DescribeDatabaseCommand({ DatabaseName }))).Database?.KmsKeyId).toBe('key')
    await local.writer.send(new DeleteDatabaseCommand({ DatabaseName }))
    await expect(local.writer.send(new DescribeDatabaseCommand({ DatabaseName }))).rejects.toThrow(
      'The database gone does not exist.',
    )
    await expect(local.rows('SELECT * FROM gone.table')).rejects.toThrow(/does not exist/)
  })

  it.each([
    ['a database that exists', new CreateDatabaseCommand({ DatabaseName: DB }), 'ConflictException', 409],
    ['a table that exists', new CreateTableCommand({ DatabaseName: DB, TableName: TABLE }), 'ConflictException', 409],
    ['a name with a space', new CreateDatabaseCommand({ DatabaseName: 'a b c' }), 'ValidationException', 400],
    ['a short name', new CreateDatabaseCommand({ DatabaseName: 'ab' }), 'ValidationException', 400],
    [
      'a long name',
      new CreateTableCommand({ DatabaseName: DB, TableName: 'x'.repeat(257) }),
      'ValidationException',
      400,
    ],
    [
      'a name that differs by case',
      new CreateDatabaseCommand({ DatabaseName: DB.toUpperCase() }),
      'ValidationException',
      400,
    ],
    ['a name of DuckDB', new CreateDatabaseCommand({ DatabaseName: 'information_schema' }), 'ValidationException', 400],
    [
      'a table of a missing database',
      new CreateTableCommand({ DatabaseName: 'absent', TableName: 'table' }),
      'ResourceNotFoundException',
      404,
    ],
    [
      'retention above the limit',
      new CreateTableCommand({
        DatabaseName: DB,
        TableName: 'other',
        RetentionProperties: { MemoryStoreRetentionPeriodInHours: 8767, MagneticStoreRetentionPeriodInDays: 1 },
      }),
      'ValidationException',
      400,
    ],
    [
      'a list of a missing database',
      new ListTablesCommand({ DatabaseName: 'absent' }),
      'ResourceNotFoundException',
      404,
    ],
    ['a wrong page token', new ListDatabasesCommand({ NextToken: 'x' }), 'ValidationException', 400],
  ])('refuses %s', async (_, command, name, httpStatusCode) => {
    await expect(local.writer.send(command as ListDatabasesCommand)).rejects.toMatchObject({
      name,
      $metadata: { httpStatusCode },
    })
  })

  it('takes every allowed name, also those that SQL must quote', async () => {
    for (const name of ['main', 'Select', '1-a.b_c', 'a.b']) {
      const names = {
        DatabaseName: name === 'a.b' ? 'x.y' : name,
        TableName: name === 'main' ? 'order' : name.repeat(3),
      }
      await local.writer.send(new CreateDatabaseCommand({ DatabaseName: names.DatabaseName }))
      await local.writer.send(new CreateTableCommand(names))
      await local.writer.send(new WriteRecordsCommand({ ...names, Records: [record()] }))
      expect(await local.rows(`SELECT host FROM "${names.DatabaseName}"."${names.TableName}"`)).toEqual([['a']])
    }
  })
})

describe('protocol', () => {
  it('answers an unknown operation with 404', async () => {
    const answer = await post(local.server.endpoint, 'CreateBatchLoadTask', '{}')
    expect(answer.status).toBe(404)
    expect(answer.body['__type']).toBe('com.amazonaws.timestream.v20181101#UnknownOperationException')
    expect(answer.body['message']).toBe('timestream-local does not implement CreateBatchLoadTask.')
    const unknown = await post(local.server.endpoint, 'Explode', '{}')
    expect([unknown.status, unknown.body['message']]).toEqual([404, 'The operation is not known: Explode.'])
    expect((await fetch(local.server.endpoint)).status).toBe(404)
  })

  it('limits the size of a request body, announced or not', async () => {
    await using small = await bench({ maxRequestBytes: 2000 })
    await small.createTable()
    const body = JSON.stringify({ DatabaseName: 'x'.repeat(200_000) })
    const announced = await post(small.server.endpoint, 'ListTables', body)
    expect([announced.status, announced.headers.get('x-amzn-errortype')]).toEqual([
      413,
      'RequestEntityTooLargeException',
    ])
    const streamed = await fetch(small.server.endpoint, {
      method: 'POST',
      headers: { 'x-amz-target': 'Timestream_20181101.ListTables' },
      body: new Blob([body]).stream(),
      duplex: 'half',
    })
    expect(streamed.status).toBe(413)
    expect((await small.write([record()])).ingested?.Total).toBe(1)
  })

  it('is found by endpoint discovery of both clients', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_TIMESTREAM_WRITE', local.server.endpoint)
    vi.stubEnv('AWS_ENDPOINT_URL_TIMESTREAM_QUERY', local.server.endpoint)
    // A delay of 0 ms changes nothing and counts the calls.
    const asked = local.server.faults.add({ kind: 'delay', operation: 'DescribeEndpoints', delayMs: 0 })
    const { endpoint: _, ...config } = clientConfig('')
    const writer = new TimestreamWriteClient(config)
    const reader = new TimestreamQueryClient(config)
    const write = new WriteRecordsCommand({ DatabaseName: DB, TableName: TABLE, Records: [record()] })
    expect((await writer.send(write)).RecordsIngested?.Total).toBe(1)
    expect(asked.fired).toBe(1)
    expect((await reader.send(new QueryCommand({ QueryString: 'SELECT 1' }))).Rows).toHaveLength(1)
    expect(asked.fired).toBe(2)
    await local.write([record()])
    expect(asked.fired).toBe(2)
    vi.unstubAllEnvs()
    writer.destroy()
    reader.destroy()
  })

  it('names itself in DescribeEndpoints as the client reached it', async () => {
    const { Endpoints } = await local.writer.send(new DescribeEndpointsCommand({}))
    expect(Endpoints).toEqual([{ Address: '127.0.0.1', CachePeriodInMinutes: 1440 }])
  })
})
