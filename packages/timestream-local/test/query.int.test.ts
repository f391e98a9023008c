import { CreateTableCommand, WriteRecordsCommand } from '@aws-sdk/client-timestream-write'
import {
  CancelQueryCommand,
  paginateQuery,
  ValidationException,
  type QueryResponse,
} from '@aws-sdk/client-timestream-query'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bench, DB, multi, post, record, TABLE, textRows, type Bench } from './support.ts'

let local: Bench
const time = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000

beforeAll(async () => {
  local = await bench()
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

/** Of the record that has nanoseconds. */
const stamp = `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')}.000123456`

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
    expect(textRows(answer)).toEqual([
      ['a', 'metrics', stamp, '0.1', '9223372036854775807', 'ü "q" \n', 'true', '2023-11-14 22:13:20.123456789', null],
      ['a', 'cpu', stamp.replace('123456', '000000'), null, null, null, null, null, '2.0'],
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

const dimensionList = (...names: string[]): object => ({
  ArrayValue: names.map((name) => ({
    RowValue: { Data: [{ ScalarValue: name }, { ScalarValue: 'varchar' }] },
  })),
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
    ['SELECT 7 / 2, 7 / 2.0', [['3', '3.5']]],
    ["SELECT date_trunc('hour', TIMESTAMP '2024-01-01 10:17:30')", [['2024-01-01 10:00:00.000000000']]],
    ["SELECT date_add('hour', 3, TIMESTAMP '2024-01-01 23:00:00')", [['2024-01-02 02:00:00.000000000']]],
    ["SELECT date_add('Month', 1, DATE '2024-01-31')", [['2024-02-29 00:00:00.000000000']]],
    ["SELECT date_add('nanosecond', -1, from_nanoseconds(1700000000000000001))", [['2023-11-14 22:13:20.000000000']]],
    [
      "SELECT date_add('year', 1, TIMESTAMP '2024-02-29 00:00:00.000000001'), date_add('quarter', -1, from_nanoseconds(999))",
      [['2025-02-28 00:00:00.000000001', '1969-10-01 00:00:00.000000999']],
    ],
    [
      "SELECT date_diff('millisecond', from_nanoseconds(999), from_nanoseconds(1000000)), date_diff('Week', DATE '1677-10-01', DATE '2262-01-01')",
      [['0', '30484']],
    ],
    [
      'SELECT to_unixtime(from_milliseconds(1795351742801)), to_unixtime(from_milliseconds(-1500))',
      [['1.795351742801E9', '-1.5']],
    ],
    [
      "SELECT date_diff('day', DATE '1500-01-01', DATE '2026-01-01'), date_diff('second', DATE '2024-01-01', '2300-01-01'), date_diff('Hour', now()::TIMESTAMP, NULL)",
      [['192118', '8709724800', null]],
    ],
    [
      "SELECT date_diff('minute', x, y), date_diff('millisecond', y, x) FROM (VALUES (DATE '1500-01-01'::TIMESTAMP, DATE '1500-01-02'), (DATE '2024-01-01', DATE '2024-01-02')) t(x, y)",
      [
        ['1440', '-86400000'],
        ['1440', '-86400000'],
      ],
    ],
    ["SELECT date_diff('day', TIMESTAMP '2024-01-01 23:00:00', TIMESTAMP '2024-01-03 01:00:00')", [['1']]],
    [`SELECT count(*) FROM ${DB}.${TABLE} WHERE time BETWEEN now() - 3h AND now() + 15m`, [['2']]],
    [`SELECT count(*) FROM ${DB}.${TABLE} WHERE time > '2024-01-01 00:00:00.000000000'`, [['2']]],
    ["SELECT TIMESTAMP '2024-01-01' + 2d - (1h + 30m) * 2", [['2024-01-02 21:00:00.000000000']]],
    ["SELECT INTERVAL '12' HOUR = 12h, parse_duration('1.5h')", [['true', '0 01:30:00.000000000']]],
    [
      "SELECT from_iso8601_timestamp('2022-06-17T08:04:05.000000000+05:00'), from_iso8601_date('2022-06-17')",
      [['2022-06-17 03:04:05.000000000', '2022-06-17']],
    ],
    ['SELECT to_iso8601(from_nanoseconds(1700000000000000001))', [['2023-11-14T22:13:20.000000001Z']]],
    [
      "SELECT to_iso8601(TIMESTAMP '1969-12-31 23:59:59.5'), to_iso8601(from_nanoseconds(-1)), to_iso8601(DATE '1969-12-31')",
      [['1969-12-31T23:59:59.500000000Z', '1969-12-31T23:59:59.999999999Z', '1969-12-31T00:00:00.000000000Z']],
    ],
    [
      "SELECT millisecond(TIMESTAMP '1969-12-31 23:58:58.123'), millisecond(TIMESTAMP '1969-12-31 23:59:59.9999'), millisecond(DATE '1500-01-01')",
      [['123', '999', '0']],
    ],
    [
      'SELECT from_unixtime(1700000000), to_unixtime(from_unixtime(1700000000))',
      [['2023-11-14 22:13:20.000000000', '1.7E9']],
    ],
    [
      "SELECT date_format(TIMESTAMP '2024-12-30 21:07:01.5', '%a %b %c %d %e %f %h %I %j %k %l %p %r %S %T %v %x %W %y %%')",
      [['Mon Dec 12 30 30 500000 09 09 365 21 9 PM 09:07:01 PM 01 21:07:01 01 2025 Monday 24 %']],
    ],
    [
      "SELECT date_diff('nanosecond', from_nanoseconds(1), from_nanoseconds(1000000002)), date_diff('microsecond', from_nanoseconds(0), from_nanoseconds(2500)), date_diff('quarter', DATE '2024-01-31', DATE '2024-07-31')",
      [['1000000001', '2', '2']],
    ],
    ["SELECT date_format(TIMESTAMP '2024-03-05 09:07:01', '%Y-%m-%d %H:%i:%s %M')", [['2024-03-05 09:07:01 March']]],
    [
      "SELECT year(t), month(t), day(t), hour(t), minute(t), second(t), millisecond(t), day_of_week(t), quarter(t) FROM (SELECT TIMESTAMP '2024-03-10 09:07:01.250' AS t)",
      [['2024', '3', '10', '9', '7', '1', '250', '7', '1']],
    ],
    [
      "SELECT approx_distinct(x), approx_percentile(x, 0.5), max_by(x, -x), regexp_like('ab', 'b$') FROM (VALUES (1), (2), (3)) v(x)",
      [['3', '2', '1', 'true']],
    ],
    [
      "SELECT element_at([4, 5], 2), CASE WHEN current_timestamp > ago(1m) AND current_date > DATE '2024-01-01' THEN 1 END",
      [['5', '1']],
    ],
    [
      "SELECT TIMESTAMP '1677-09-22', TIMESTAMP '2262-04-11'",
      [['1677-09-22 00:00:00.000000000', '2262-04-11 00:00:00.000000000']],
    ],
    ['SHOW DATABASES', [[DB]]],
    ["SHOW DATABASES LIKE 'm%s'", [[DB]]],
    ["SHOW DATABASES LIKE 'metric_'", [[DB]]],
    ["SHOW DATABASES LIKE 'm_s'", []],
    [`SHOW TABLES FROM "${DB}"`, [[TABLE]]],
    ['SHOW TABLES', [[TABLE]]],
    [`SHOW TABLES FROM ${DB} LIKE 'x%'`, []],
    ['WITH x AS (SELECT 1 AS one) SELECT one FROM x;', [['1']]],
  ])('%s', async (sql, rows) => {
    expect(await local.rows(sql)).toEqual(rows)
  })

  it.each([
    `time = '${stamp}'`,
    `time = timestamp '${stamp}'`,
    `time <= timestamp '${stamp}' AND time > TIMESTAMP '${stamp.replace('456', '455')}'`,
    `time BETWEEN timestamp '${stamp}' AND timestamp '${stamp}'`,
    `time = cast('${stamp}' AS timestamp)`,
    `time IN (try_cast('${stamp}' AS TIMESTAMP))`,
    `time = from_iso8601_timestamp('${stamp.replace(' ', 'T')}Z')`,
    `time = from_iso8601_timestamp('${new Date(time + 19_800_000).toISOString().slice(0, 19)}.000123456+05:30')`,
    `time = date_add('month', -1, date_add('month', 1, cast('${stamp}' AS timestamp)))`,
  ])('finds a time by its nanoseconds: %s', async (condition) => {
    expect(await local.rows(`SELECT to_iso8601(time) FROM ${DB}.${TABLE} WHERE host = 'a' AND ${condition}`)).toEqual([
      [`${stamp.replace(' ', 'T')}Z`],
    ])
  })

  it('names columns without a name as the service does', async () => {
    const answer = await local.query(`SELECT count(*), 1 + 1 AS two, host, max(time) FROM ${DB}.${TABLE} GROUP BY host`)
    expect(answer.ColumnInfo?.map(({ Name }) => Name)).toEqual(['_col0', 'two', 'host', '_col3'])
    const union = await local.query('SELECT 1, 2 AS b UNION SELECT 3, 4')
    expect(union.ColumnInfo?.map(({ Name }) => Name)).toEqual(['_col0', 'b'])
  })

  it('shows the measures of a table with their types and dimensions', async () => {
    const dimensions = [
      { Name: 'host', Value: 'm' },
      { Name: 'disk', Value: 'm' },
    ]
    const TableName = 'measured'
    await local.writer.send(new CreateTableCommand({ DatabaseName: DB, TableName }))
    const Records = [
      record({ MeasureName: 'shown', MeasureValueType: 'BIGINT', MeasureValue: '1', Dimensions: dimensions }),
      multi([{ Name: 'ratio', Value: '0.5', Type: 'DOUBLE' }], { MeasureName: 'shown too' }),
      record({ MeasureName: 'other' }),
    ]
    await local.writer.send(new WriteRecordsCommand({ DatabaseName: DB, TableName, Records }))
    const answer = await local.query(`SHOW MEASURES FROM "${DB}"."${TableName}" LIKE 'shown%'`)
    expect(answer.ColumnInfo?.map(({ Name }) => Name)).toEqual(['measure_name', 'data_type', 'dimensions'])
    expect(answer.Rows?.map(({ Data }) => Data)).toEqual([
      [{ ScalarValue: 'shown' }, { ScalarValue: 'bigint' }, dimensionList('host', 'disk')],
      [{ ScalarValue: 'shown too' }, { ScalarValue: 'multi' }, dimensionList('host')],
    ])

    await expect(local.query('SHOW MEASURES FROM nowhere.none')).rejects.toThrow(/nowhere does not exist/)
  })

  it.each([
    ['SELECT interpolate_linear(1, 2)', /does not have the function interpolate_linear/],
    ['SELECT CREATE_TIME_SERIES(time, 1) FROM metrics.hosts', /does not have the function create_time_series/i],
    ['SELECT ago(5ns)', /5ns is finer/],
    ["SELECT date_add('fortnight', 1, now())", /unit fortnight is not known/],
    ["SELECT TIMESTAMP '1600-01-01'", /'1600-01-01' to BIGINT, or to a TIMESTAMP from 1677-09-22 to 2262-04-11/],
    ["SELECT cast('abc' as bigint)", /'abc' to BIGINT\n/],
    ['SHOW MEASURES', /SHOW MEASURES FROM database.table/],
    ['DESCRIBE hosts', /DESCRIBE database.table/],
    ["UNLOAD (SELECT 1) TO 's3://x'", /single SELECT/],
  ])('says clearly that it does not have %s', async (sql, message) => {
    expect((await refusal(sql)).message).toMatch(message)
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

const start = (rows: number): Promise<QueryResponse> =>
  local.query(`SELECT * FROM range(${rows}) t(id)`, { MaxRows: 1 })
const next = (rows: number, { NextToken }: QueryResponse): Promise<string | undefined> =>
  local.query(`SELECT * FROM range(${rows}) t(id)`, { NextToken, MaxRows: 1 }).then(
    (page) => textRows(page)[0]?.[0] ?? undefined,
    (error: unknown) => (error as Error).message,
  )

describe('results that are kept for further pages', () => {
  it('go when newer ones need the room, the oldest first; the newest stays however large it is', async () => {
    const small = await start(10)
    const first = await start(4_000_000)
    const second = await start(4_000_000)
    expect(await next(10, small)).toBe('1')
    expect(await next(4_000_000, first)).toBe('1')
    // The order of use is now: second, small, first.
    const third = await start(4_000_000)
    expect(await next(4_000_000, second)).toMatch(/NextToken is not valid/)
    expect(await next(10, small)).toBe('1')
    const huge = await start(11_000_000)
    expect(await next(10, small)).toMatch(/NextToken is not valid/)
    expect(await next(4_000_000, third)).toMatch(/NextToken is not valid/)
    expect(await next(11_000_000, huge)).toBe('1')
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
    ['SELECT row(1, 2)', /row whose fields have no names/],
    ['SELECT array[row(1, 2)]', /row whose fields have no names/],
    ["SELECT * FROM glob('/etc/*')", /disabled by configuration/],
  ])('%s', async (sql, message) => {
    expect((await refusal(sql)).message).toMatch(message)
    expect(existsSync(outside)).toBe(false)
    expect(await local.rows(`SELECT count(*) FROM ${DB}.${TABLE}`)).toEqual([['2']])
  })

  it('runs longer than the time limit', async () => {
    await using impatient = await bench({ queryTimeoutMs: 1000 })
    const error: unknown = await impatient
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
