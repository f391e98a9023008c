import { CancelQueryCommand, paginateQuery, ValidationException } from '@aws-sdk/client-timestream-query'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bench, DB, multi, post, record, TABLE, textRows, type Bench } from './support.ts'

let local: Bench
const time = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000

beforeAll(async () => {
  local = await bench({ queryTimeoutMs: 1000 })
  await local.createTable()
  await local.write([
    multi(
      [
        { Name: 'ratio', Value: '0.1', Type: 'DOUBLE' },
        { Name: 'count', Value: '9223372036854775807', Type: 'BIGINT' },
        { Name: 'note', Value: 'ü "q" \n', Type: 'VARCHAR' },
        { Name: 'up', Value: 'TRUE', Type: 'BOOLEAN' },
        { Name: 'seen', Value: '1700000000123456789', Type: 'TIMESTAMP' },
      ],
      { Time: `${time}123456`, TimeUnit: 'NANOSECONDS' },
    ),
    record({ Time: String(time), MeasureValue: '2' }),
  ])
})
afterAll(async () => {
  await local[Symbol.asyncDispose]()
})

const refusal = async (sql: string): Promise<ValidationException> => {
  const error: unknown = await local.query(sql).catch((failure: unknown) => failure)
  expect(error).toBeInstanceOf(ValidationException)
  return error as ValidationException
}

describe('typed rows', () => {
  it('has dimensions, measure name, time and measures as typed columns', async () => {
    const answer = await local.query(`SELECT * FROM "${DB}"."${TABLE}" ORDER BY measure_name DESC`)
    expect(answer.ColumnInfo?.map(({ Name, Type }) => [Name, Type?.ScalarType])).toEqual([
      ['host', 'VARCHAR'],
      ['measure_name', 'VARCHAR'],
      ['time', 'TIMESTAMP'],
      ['ratio', 'DOUBLE'],
      ['count', 'BIGINT'],
      ['note', 'VARCHAR'],
      ['up', 'BOOLEAN'],
      ['seen', 'TIMESTAMP'],
      ['measure_value::double', 'DOUBLE'],
    ])
    const day = new Date(time).toISOString().slice(0, 19).replace('T', ' ')
    expect(textRows(answer)).toEqual([
      [
        'a',
        'metrics',
        `${day}.000123456`,
        '0.1',
        '9223372036854775807',
        'ü "q" \n',
        'true',
        '2023-11-14 22:13:20.123456789',
        null,
      ],
      ['a', 'cpu', `${day}.000000000`, null, null, null, null, null, '2.0'],
    ])
    expect(answer.Rows?.[1]?.Data?.[3]).toEqual({ NullValue: true })
    expect(answer.QueryId).toMatch(/^[0-9A-F]{40}$/)
    expect(answer.QueryStatus).toMatchObject({ ProgressPercentage: 100 })
  })

  it('prints other types as the service does', async () => {
    const answer = await local.query(
      "SELECT 1, 1.5, 1e7, 1e-4::DOUBLE, DATE '2024-02-29', TIME '01:02:03', 15m, 36h, [1, 2], {a: 'x'}, NULL, sum(x) FROM (VALUES (9007199254740993)) t(x)",
    )
    expect(answer.ColumnInfo?.map(({ Type }) => Type?.ScalarType ?? Object.keys(Type ?? {})[0])).toEqual([
      'INTEGER',
      'DOUBLE',
      'DOUBLE',
      'DOUBLE',
      'DATE',
      'TIME',
      'INTERVAL_DAY_TO_SECOND',
      'INTERVAL_DAY_TO_SECOND',
      'ArrayColumnInfo',
      'RowColumnInfo',
      'INTEGER',
      'BIGINT',
    ])
    const data = answer.Rows?.[0]?.Data ?? []
    expect(data.map(({ ScalarValue }) => ScalarValue)).toEqual([
      '1',
      '1.5',
      '1.0E7',
      '1.0E-4',
      '2024-02-29',
      '01:02:03.000000000',
      '0 00:15:00.000000000',
      '1 12:00:00.000000000',
      undefined,
      undefined,
      undefined,
      '9007199254740993',
    ])
    expect(data[8]?.ArrayValue).toEqual([{ ScalarValue: '1' }, { ScalarValue: '2' }])
    expect(data[9]?.RowValue).toEqual({ Data: [{ ScalarValue: 'x' }] })
  })
})

describe("Timestream's SQL", () => {
  it.each([
    [`SELECT measure_value::double FROM ${DB}.${TABLE} WHERE measure_name = 'cpu' AND time > ago(1d)`, [['2.0']]],
    [
      `SELECT t.measure_value::double FROM ${DB}.${TABLE} t WHERE time BETWEEN ago(3h) AND now() AND measure_name = 'cpu'`,
      [['2.0']],
    ],
    [`SELECT count(*) FROM ${DB}.${TABLE} WHERE time > ago(1s)`, [['0']]],
    ["SELECT bin(TIMESTAMP '2024-01-01 10:17:30', 5m)", [['2024-01-01 10:15:00.000000000']]],
    ['SELECT \'15m\', "15m" FROM (SELECT 1 AS "15m") -- 15m', [['15m', '1']]],
    ['SELECT to_milliseconds(from_milliseconds(1700000000123))', [['1700000000123']]],
    ['SHOW DATABASES', [[DB]]],
    [`SHOW TABLES FROM "${DB}"`, [[TABLE]]],
    ['WITH x AS (SELECT 1 AS one) SELECT one FROM x;', [['1']]],
  ])('%s', async (sql, rows) => {
    expect(await local.rows(sql)).toEqual(rows)
  })

  it('describes a table', async () => {
    const rows = await local.rows(`DESCRIBE ${DB}.${TABLE}`)
    expect(rows).toContainEqual(['host', 'varchar', 'DIMENSION'])
    expect(rows).toContainEqual(['count', 'bigint', 'MULTI'])
    expect(rows).toContainEqual(['measure_value::double', 'double', 'MEASURE_VALUE'])
  })
})

describe('paging', () => {
  it('gives every row once over the pages of the SDK', async () => {
    const sql = 'SELECT range FROM range(25) ORDER BY 1'
    const sizes: number[] = []
    const values: (string | null | undefined)[] = []
    for await (const page of paginateQuery({ client: local.reader, pageSize: 10 }, { QueryString: sql })) {
      sizes.push(page.Rows?.length ?? 0)
      values.push(...textRows(page).map(([value]) => value))
    }
    expect(sizes).toEqual([10, 10, 5])
    expect(values).toEqual(Array.from({ length: 25 }, (_, i) => String(i)))
  })

  it('ends a page after about a megabyte, and answers the same page again', async () => {
    const sql = "SELECT repeat('x', 100000) FROM range(15)"
    const first = await local.query(sql)
    expect(first.Rows).toHaveLength(10)
    const again = { NextToken: first.NextToken }
    expect((await local.query(sql, again)).Rows).toHaveLength(5)
    expect((await local.query(sql, again)).Rows).toHaveLength(5)
  })

  it('refuses a token that is wrong, belongs to another query, or was cancelled', async () => {
    const sql = 'SELECT * FROM range(5)'
    const { NextToken, QueryId } = await local.query(sql, { MaxRows: 2 })
    await expect(local.query('SELECT 1', { NextToken })).rejects.toThrow(/another QueryString/)
    await expect(local.query(sql, { NextToken: 'x' })).rejects.toThrow(/NextToken is not valid/)
    await local.reader.send(new CancelQueryCommand({ QueryId }))
    await expect(local.query(sql, { NextToken })).rejects.toThrow(/NextToken is not valid/)
    await expect(local.reader.send(new CancelQueryCommand({ QueryId }))).rejects.toThrow(/is not running/)
    await expect(local.query(sql, { MaxRows: 1001 })).rejects.toThrow(/less than or equal to 1000/)
  })
})

describe('what a query must not do', () => {
  const outside = join(import.meta.dirname, 'written-by-a-query.csv')

  it.each([
    ['SELECT nope', /nope/],
    ['SELEC 1', /single SELECT/],
    ['', /single SELECT/],
    ['SELECT 1; SELECT 2', /single statement/],
    [`SELECT 1; DROP VIEW ${DB}.${TABLE}`, /single statement/],
    [`DROP VIEW ${DB}.${TABLE}`, /single SELECT/],
    [`WITH x AS (SELECT 1) INSERT INTO sluice_store_data.s1 SELECT 1`, /./],
    ['PRAGMA database_list', /single SELECT/],
    ['SET threads = 1', /single SELECT/],
    ["ATTACH 'x.db'", /single SELECT/],
    [`COPY (SELECT 1) TO '${outside}'`, /single SELECT/],
    ["SELECT * FROM read_text('/etc/hostname')", /disabled by configuration/],
    ["SELECT * FROM read_csv('/etc/passwd')", /disabled by configuration/],
    ["SELECT * FROM '/etc/passwd'", /does not exist|disabled/],
    ["SELECT * FROM glob('/etc/*')", /disabled by configuration/],
  ])('%s', async (sql, message) => {
    expect((await refusal(sql)).message).toMatch(message)
    expect(existsSync(outside)).toBe(false)
    expect(await local.rows(`SELECT count(*) FROM ${DB}.${TABLE}`)).toEqual([['2']])
  })

  it('runs longer than the time limit', async () => {
    const error: unknown = await local
      .query('SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range % 7 = b.range % 5')
      .catch((failure: unknown) => failure)
    expect(error).toMatchObject({
      name: 'QueryExecutionException',
      message: expect.stringMatching(/longer than 1000 ms/) as string,
    })
  })
})

describe('reading what was written', () => {
  it('sees every write that was answered before the query', async () => {
    for (let i = 1; i <= 20; i++) {
      await local.write([record({ Dimensions: [{ Name: 'host', Value: 'ryw' }], Time: String(time + i) })])
      expect(await local.rows(`SELECT count(*) FROM ${DB}.${TABLE} WHERE host = 'ryw'`)).toEqual([[String(i)]])
    }
  })

  it('loses nothing under concurrent writes with new columns, series, updates and queries', async () => {
    const writes = Array.from({ length: 40 }, (_, w) =>
      local.write(
        Array.from({ length: 50 }, (_unused, r) =>
          multi([{ Name: `c${w % 7}`, Value: String(w), Type: 'DOUBLE' }], {
            Dimensions: [
              { Name: 'writer', Value: `w${w}` },
              { Name: `extra${w % 5}`, Value: 'x' },
            ],
            Time: String(time + (r % 25)),
            Version: r < 25 ? 1 : 2,
          }),
        ),
      ),
    )
    const reads = Array.from({ length: 10 }, () => local.rows(`SELECT count(*) FROM ${DB}.${TABLE}`))
    const answers = await Promise.all(writes)
    await Promise.all(reads)
    expect(answers.every(({ ingested }) => ingested?.Total === 50)).toBe(true)
    expect(
      await local.rows(`SELECT count(*), count(DISTINCT writer) FROM ${DB}.${TABLE} WHERE writer LIKE 'w%'`),
    ).toEqual([['1000', '40']])
  })

  it('keeps columns apart whose names differ by case only', async () => {
    await local.write([
      multi(
        [
          { Name: 'Load', Value: '1', Type: 'DOUBLE' },
          { Name: 'load', Value: '2', Type: 'DOUBLE' },
        ],
        {
          Dimensions: [{ Name: 'host', Value: 'case' }],
        },
      ),
    ])
    expect(await local.rows(`SELECT "Load", load_2 FROM ${DB}.${TABLE} WHERE host = 'case'`)).toEqual([['1.0', '2.0']])
  })

  it('answers SQL over plain HTTP, too', async () => {
    const answer = await post(local.server.endpoint, 'Query', JSON.stringify({ QueryString: 'SELECT 1 AS one' }))
    expect(answer.body['Rows']).toEqual([{ Data: [{ ScalarValue: '1' }] }])
  })
})
