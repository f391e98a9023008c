import {
  ResourceNotFoundException,
  ValidationException,
  WriteRecordsCommand,
  type _Record,
} from '@aws-sdk/client-timestream-write'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bench, DB, multi, post, record, TABLE, type Bench } from './support.ts'

let local: Bench

beforeAll(async () => {
  local = await bench()
  await local.createTable({
    RetentionProperties: { MemoryStoreRetentionPeriodInHours: 24, MagneticStoreRetentionPeriodInDays: 30 },
  })
  await local.write([record()])
})
afterAll(async () => {
  await local[Symbol.asyncDispose]()
})

const host = (value: string): _Record => ({ Dimensions: [{ Name: 'host', Value: value }] })
const hosts = (count: number): _Record['Dimensions'] =>
  Array.from({ length: count }, (_, i) => ({ Name: `d${i}`, Value: 'v' }))
const value = (text: string, type: 'DOUBLE' | 'BIGINT' | 'VARCHAR' | 'BOOLEAN'): _Record => ({
  MeasureValue: text,
  MeasureValueType: type,
})

describe('requests that are refused as a whole', () => {
  const cases: [string, _Record[], RegExp, _Record?][] = [
    ['no records', [], /'records'.*greater than or equal to 1/],
    ['101 records', Array.from({ length: 101 }, () => record()), /'records'.*less than or equal to 100/],
    ['a dimension in record and common attributes', [record()], /dimension 'host' is given twice/, host('b')],
    [
      'a dimension twice',
      [record({ Dimensions: [...(host('a').Dimensions ?? []), ...(host('b').Dimensions ?? [])] })],
      /given twice/,
    ],
    ['no dimension', [record({ Dimensions: [] })], /At least one dimension is required/],
    ['129 dimensions', [record({ Dimensions: hosts(129) })], /129 dimensions; the limit is 128/],
    ['an empty dimension value', [record(host(''))], /dimension 'host' is empty/],
    ['no measure name', [record({ MeasureName: undefined })], /measure name is required/],
    ['no measure value', [record({ MeasureValue: undefined })], /measure value is required/],
    ['an empty measure value', [record({ MeasureValue: '' })], /is empty/],
    ['a long measure value', [record(value('x'.repeat(2049), 'VARCHAR'))], /2049 characters; the limit is 2048/],
    ['no time', [record({ Time: undefined })], /Invalid time for record/],
    ['a time that is no number', [record({ Time: '2024-01-01' })], /Invalid time for record/],
    ['a negative time', [record({ Time: '-1' })], /Invalid time for record/],
    ['a time beyond 2262', [record({ Time: '9223372036855' })], /Invalid time for record/],
    ['NaN', [record({ MeasureValue: 'NaN' })], /not a finite DOUBLE/],
    ['Infinity', [record({ MeasureValue: '-Infinity' })], /not a finite DOUBLE/],
    ['a double that overflows', [record({ MeasureValue: '1e309' })], /not a finite DOUBLE/],
    ['a hexadecimal double', [record({ MeasureValue: '0x10' })], /not a finite DOUBLE/],
    ['negative zero', [record({ MeasureValue: '-0.0' })], /negative zero/],
    ['a BIGINT with a fraction', [record(value('1.5', 'BIGINT'))], /not a BIGINT/],
    ['a BIGINT above int64', [record(value('9223372036854775808', 'BIGINT'))], /range of BIGINT/],
    ['a BIGINT below int64', [record(value('-9223372036854775809', 'BIGINT'))], /range of BIGINT/],
    ['a BOOLEAN that is neither', [record(value('yes', 'BOOLEAN'))], /not a BOOLEAN/],
    ['a single TIMESTAMP', [record({ MeasureValueType: 'TIMESTAMP' })], /inside MULTI only/],
    ['an unknown type', [record({ MeasureValueType: 'FLOAT' as 'DOUBLE' })], /enum value set/],
    ['an unknown unit', [record({ TimeUnit: 'DAYS' as 'SECONDS' })], /enum value set/],
    ['MULTI without values', [multi([])], /at least one value/],
    [
      'MULTI with MeasureValue',
      [multi([{ Name: 'm', Value: '1', Type: 'DOUBLE' }], { MeasureValue: '1' })],
      /must not be given/,
    ],
    [
      'MeasureValues without MULTI',
      [record({ MeasureValues: [{ Name: 'm', Value: '1', Type: 'DOUBLE' }] })],
      /needs MeasureValueType MULTI/,
    ],
    [
      'a measure twice',
      [
        multi([
          { Name: 'm', Value: '1', Type: 'DOUBLE' },
          { Name: 'm', Value: '2', Type: 'DOUBLE' },
        ]),
      ],
      /'m' is given twice/,
    ],
    ['a TIMESTAMP that is no number', [multi([{ Name: 'm', Value: 'now', Type: 'TIMESTAMP' }])], /not a TIMESTAMP/],
    ['version 0', [record({ Version: 0 })], /Version must be from 1/],
    ...['time', 'measure_value', 'ts_x', 'measure_name', 'ts_non_existent_col', 'a:b', 'measure_value_x'].map(
      (name): [string, _Record[], RegExp] => [
        `the dimension name ${name}`,
        [record({ Dimensions: [{ Name: name, Value: 'x' }] })],
        /reserved|not allowed/,
      ],
    ),
    ...['time', 'measure_value', 'ts_x', 'measure_name'].map((name): [string, _Record[], RegExp] => [
      `the measure name ${name}`,
      [multi([{ Name: name, Value: '1', Type: 'DOUBLE' }])],
      /reserved|not allowed/,
    ]),
  ]

  it.each(cases)('%s', async (_, records, message, common) => {
    const good = record({ ...host('whole-request'), Time: String(Date.now() + 1) })
    const sent = records.length === 0 || records.length > 100 ? records : [good, ...records]
    const failure = await local.write(sent, common).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ValidationException)
    expect((failure as ValidationException).message).toMatch(message)
    expect((failure as ValidationException).$metadata.httpStatusCode).toBe(400)
    expect(await local.rows(`SELECT count(*) FROM ${DB}.${TABLE} WHERE host = 'whole-request'`)).toEqual([['0']])
  })
})

describe('records that are rejected one by one', () => {
  const hour = 3_600_000
  const cases: [string, () => _Record, RegExp][] = [
    [
      'older than the memory store',
      () => record({ Time: String(Date.now() - 24 * hour - 5000) }),
      /outside the time range \[.*\) of the memory store/,
    ],
    [
      'more than 15 minutes ahead',
      () => record({ Time: String(Date.now() + 15 * 60_000 + 60_000) }),
      /outside the time range/,
    ],
    [
      'a dimension name of 61 bytes',
      () => record({ Dimensions: [{ Name: 'é'.repeat(30) + 'x', Value: 'v' }] }),
      /61 bytes; the limit is 60/,
    ],
    ['a measure name of 257 bytes', () => record({ MeasureName: 'm'.repeat(257) }), /257 bytes; the limit is 256/],
    ['dimensions above 2 KB', () => record(host('x'.repeat(2045))), /2049 bytes; the limit is 2048/],
    [
      'a record above 2 KB',
      () => record(value('x'.repeat(2040), 'VARCHAR')),
      /record has \d+ bytes; the limit is 2048/,
    ],
    [
      '257 measures',
      () => multi(Array.from({ length: 257 }, (_, i) => ({ Name: `m${i}`, Value: 'true', Type: 'BOOLEAN' }))),
      /257 measures; the limit is 256/,
    ],
    [
      'values of a multi-measure record above 2048 bytes',
      () =>
        multi([
          { Name: 'a', Value: 'x'.repeat(1025), Type: 'VARCHAR' },
          { Name: 'b', Value: 'x'.repeat(1024), Type: 'VARCHAR' },
        ]),
      /2049 bytes; the limit is 2048/,
    ],
    [
      'a dimension named as a measure',
      () => multi([{ Name: 'host', Value: '1', Type: 'DOUBLE' }]),
      /'host' is used for a dimension and for a measure/,
    ],
    [
      'a measure of another type',
      () => multi([{ Name: 'typed', Value: '1', Type: 'BIGINT' }]),
      /'typed' has type DOUBLE/,
    ],
  ]

  it.each(cases)('%s', async (_, make, reason) => {
    const now = Date.now()
    await local.write([multi([{ Name: 'typed', Value: '1', Type: 'DOUBLE' }], { ...host('typed') })])
    const kept = [
      record({ ...host('kept'), MeasureValue: '1', Time: String(now) }),
      record({ ...host('kept'), Time: String(now + 1) }),
    ]
    const { rejected } = await local.write([kept[0] ?? {}, make(), kept[1] ?? {}])
    expect(rejected).toEqual([{ RecordIndex: 1, Reason: expect.stringMatching(reason) as string }])
    expect(
      await local.rows(
        `SELECT count(*) FROM ${DB}.${TABLE} WHERE host = 'kept' AND time >= from_milliseconds(${now}) AND time <= from_milliseconds(${now + 1})`,
      ),
    ).toEqual([['2']])
  })

  it('takes what is exactly at a limit', async () => {
    const answers = [
      await local.write([record({ Dimensions: [{ Name: 'é'.repeat(30), Value: 'v' }], MeasureName: 'm'.repeat(256) })]),
      await local.write([record({ Dimensions: hosts(100), MeasureName: 'wide' })]),
      await local.write([record({ Time: String(Date.now() + 14 * 60_000) })]),
      await local.write([record({ Time: String(Date.now() - 23 * hour) })]),
      await local.write([record(value('-9223372036854775808', 'BIGINT'))]),
      await local.write(Array.from({ length: 100 }, (_, i) => record(host(`h${i}`)))),
    ]
    expect(answers.map(({ ingested }) => ingested?.Total)).toEqual([1, 1, 1, 1, 1, 100])
  })

  it('refuses a 129th dimension of a table', async () => {
    const more = Array.from({ length: 40 }, (_, i) => ({ Name: `extra${i}`, Value: 'v' }))
    const { rejected } = await local.write([record({ Dimensions: more })])
    expect(rejected?.[0]?.Reason).toMatch(/more than 128 dimensions/)
  })
})

it('a value that is wrong is named as its writer names it', async () => {
  await expect(local.write([record({ MeasureName: 'load', MeasureValue: 'high' })])).rejects.toThrow(
    `Record 0: the value of measure 'load' is not a finite DOUBLE: "high".`,
  )
})

describe('common attributes', () => {
  it('are merged into every record, whose own values win', async () => {
    const time = Date.now()
    const { ingested } = await local.write(
      [
        { Dimensions: [{ Name: 'disk', Value: 'sda' }], MeasureValue: '7' },
        { Dimensions: [{ Name: 'disk', Value: 'sdb' }], MeasureName: 'writes', MeasureValue: '8' },
      ],
      {
        ...host('common'),
        MeasureName: 'reads',
        MeasureValueType: 'BIGINT',
        Time: String(Math.floor(time / 1000)),
        TimeUnit: 'SECONDS',
      },
    )
    expect(ingested).toEqual({ Total: 2, MemoryStore: 2, MagneticStore: 0 })
    expect(
      await local.rows(
        `SELECT disk, measure_name, measure_value::bigint, to_milliseconds(time) FROM ${DB}.${TABLE} WHERE host = 'common' ORDER BY disk`,
      ),
    ).toEqual([
      ['sda', 'reads', '7', String(Math.floor(time / 1000) * 1000)],
      ['sdb', 'writes', '8', String(Math.floor(time / 1000) * 1000)],
    ])
  })
})

describe('stores', () => {
  it('sends late records to the magnetic store once it takes writes', async () => {
    await using other = await bench()
    await other.createTable({
      RetentionProperties: { MemoryStoreRetentionPeriodInHours: 1, MagneticStoreRetentionPeriodInDays: 10 },
      MagneticStoreWriteProperties: { EnableMagneticStoreWrites: true },
    })
    const late = record({ Time: String(Date.now() - 9 * 86_400_000) })
    expect(await other.write([late, record()])).toEqual({ ingested: { Total: 2, MemoryStore: 1, MagneticStore: 1 } })
    const { rejected } = await other.write([record({ Time: String(Date.now() - 11 * 86_400_000) })])
    expect(rejected?.[0]?.Reason).toMatch(/of the magnetic store/)
  })
})

const send = (DatabaseName: string, TableName: string): Promise<unknown> =>
  local.writer
    .send(new WriteRecordsCommand({ DatabaseName, TableName, Records: [record()] }))
    .catch((error: unknown) => error)

describe('missing destinations and malformed bodies', () => {
  it('names the database or the table that does not exist', async () => {
    const noDatabase = await send('absent', TABLE)
    const noTable = await send(DB, 'absent')
    expect(noDatabase).toBeInstanceOf(ResourceNotFoundException)
    expect(noDatabase).toMatchObject({
      message: 'The database absent does not exist.',
      $metadata: { httpStatusCode: 404 },
    })
    expect(noTable).toMatchObject({ name: 'ResourceNotFoundException', message: 'The table absent does not exist.' })
  })

  it.each([
    ['no JSON', '{"DatabaseName":', 'SerializationException'],
    ['an array', '[]', 'SerializationException'],
    [
      'a number as value',
      JSON.stringify({ DatabaseName: DB, TableName: TABLE, Records: [{ ...record(), MeasureValue: 1 }] }),
      'SerializationException',
    ],
    [
      'a fraction as version',
      JSON.stringify({ DatabaseName: DB, TableName: TABLE, Records: [{ ...record(), Version: 1.5 }] }),
      'SerializationException',
    ],
    ['no table name', JSON.stringify({ DatabaseName: DB, Records: [record()] }), 'ValidationException'],
    ['null records', JSON.stringify({ DatabaseName: DB, TableName: TABLE, Records: null }), 'ValidationException'],
  ])('refuses %s', async (_, body, type) => {
    const answer = await post(local.server.endpoint, 'WriteRecords', body)
    expect(answer.status).toBe(400)
    expect(answer.body['__type']).toBe(`com.amazonaws.timestream.v20181101#${type}`)
    expect(answer.headers.get('x-amzn-errortype')).toBe(type)
    expect(answer.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/)
  })
})
