import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRecords, type ParsedRecord } from '../src/records.ts'
import { RequestScanner } from '../src/scan-request.ts'
import { isObject, parseBody } from '../src/wire.ts'

const HEAD = '{"DatabaseName":"d","TableName":"t",'

function scan(by: RequestScanner, rest: string): readonly ParsedRecord[] | undefined {
  const body = Buffer.from(HEAD + rest)
  return by.scan(body.toString('utf8'), HEAD.length, body)
}
function parse(rest: string): readonly ParsedRecord[] | undefined {
  try {
    const request = parseBody(HEAD + rest)
    return isObject(request) ? parseRecords(request, new Map()) : undefined
  } catch {
    return undefined
  }
}
function scanner(): RequestScanner {
  const known = new Map()
  return new RequestScanner(() => known)
}

const text = fc.oneof(
  fc.constantFrom('a', 'host', 'b]c', 'ü', 'x}', '', 'time', 'ts_x', '"', '\\', '\n', '\u0001', 'x'.repeat(300)),
  fc.string({ unit: 'binary', maxLength: 4 }),
)
const number = fc.oneof(
  fc.double({ noNaN: true }).map(String),
  fc.integer().map(String),
  fc.constantFrom(
    '0.1',
    '-0.0',
    '-0',
    '1.',
    '.5',
    '1e3',
    '-1.25',
    '00012.50',
    '123456789012345.6',
    '0.000000000000001',
    '1.2.3',
    '-',
    '',
    '+1',
    'NaN',
    '9007199254740993',
    '99999999999999.9',
  ),
)
const type = fc.constantFrom('DOUBLE', 'BIGINT', 'VARCHAR', 'BOOLEAN', 'TIMESTAMP', 'MULTI', 'FLOAT')
const value = fc.oneof({ weight: 4, arbitrary: number }, fc.constantFrom('true', 'FALSE', '12', '1700000000'), text)
const lists = fc.array(fc.record({ Name: text, Value: text }), { maxLength: 3 })
const measures = fc.array(fc.record({ Name: fc.constantFrom('m', 'n', 'ö', 'time'), Value: value, Type: type }), {
  maxLength: 4,
})
const fields = {
  Dimensions: lists,
  MeasureName: text,
  MeasureValue: value,
  MeasureValueType: type,
  MeasureValues: measures,
  Time: fc.constantFrom('1700000000', '1700000000000', '1700000000123456789', 'x', ''),
  TimeUnit: fc.constantFrom('SECONDS', 'MILLISECONDS', 'MICROSECONDS', 'NANOSECONDS', 'DAYS'),
  Version: fc.constantFrom(1, 2, 0, 1.5, -3, 123_456_789),
}
const anyRecord = fc.record(fields, { requiredKeys: [] })
const good = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: -999, max: 999 }).map((n) => String(n / 8 + 0.0625)) },
  number,
)
const goodMeasure = fc.oneof(
  fc.record({ Value: good, Type: fc.constant('DOUBLE') }),
  fc.record({ Value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String), Type: fc.constant('BIGINT') }),
  fc.record({ Value: fc.constantFrom('ü', 'a b', '{}', '1'), Type: fc.constant('VARCHAR') }),
  fc.record({ Value: fc.constantFrom('true', 'False'), Type: fc.constant('BOOLEAN') }),
  fc.record({ Value: fc.constant('1700000000'), Type: fc.constant('TIMESTAMP') }),
)
const goodMulti = fc.array(goodMeasure, { minLength: 1, maxLength: 4 }).map((list) => ({
  Dimensions: [{ Name: 'host', Value: 'a' }],
  MeasureName: 'metrics',
  MeasureValueType: 'MULTI',
  MeasureValues: list.map((measure, m) => ({ Name: `m${m}`, ...measure })),
  Time: '1700000000000',
}))
const goodSingle = fc.record({
  Dimensions: fc.constantFrom(
    [{ Name: 'host', Value: 'a' }],
    [{ Name: 'host', Value: 'b', DimensionValueType: 'VARCHAR' }],
  ),
  MeasureName: fc.constantFrom('cpu', 'größe'),
  MeasureValue: good,
  Time: fc.constantFrom('1700000000000', '1700000000001'),
  Version: fc.constantFrom(1, 5),
})

describe('scanning a request', () => {
  it('finds what parsing finds, or leaves it to parsing', () => {
    let scanned = 0
    const records = fc.array(
      fc.oneof(
        { weight: 8, arbitrary: goodMulti },
        { weight: 8, arbitrary: goodSingle },
        { weight: 1, arbitrary: anyRecord },
      ),
      { maxLength: 4 },
    )
    const common = fc.option(fc.record(fields, { requiredKeys: [] }), { nil: undefined, freq: 1 })
    const one = scanner()
    fc.assert(
      fc.property(records, common, fc.boolean(), (Records, CommonAttributes, isLast) => {
        const both = isLast ? { Records, CommonAttributes } : { CommonAttributes, Records }
        const rest = JSON.stringify(both).slice(1)
        const found = scan(one, rest)
        if (found === undefined) return
        scanned++
        expect(found.map(plain)).toEqual(parse(rest)?.map(plain))
      }),
      { numRuns: 3000 },
    )
    expect(scanned).toBeGreaterThan(300)
  })

  it('never takes text that was changed into something that is no request', () => {
    expect(scan(scanner(), '"Records":[{}]}')).toBeUndefined()
    const one = scanner()
    const whole = fc.array(fc.oneof(goodMulti, goodSingle), { minLength: 1, maxLength: 2 })
    const edit = fc.record({
      at: fc.nat({ max: 600 }),
      cut: fc.nat({ max: 2 }),
      put: fc.constantFrom('', '"', ',', '{', '}', '[', ']', ':', '\u0001', ' ', '0', '-', 'x', '.', '\\'),
    })
    fc.assert(
      fc.property(whole, edit, fc.option(fc.constant({ TimeUnit: 'MICROSECONDS' })), (Records, edited, common) => {
        const { at, cut, put } = edited
        const rest = JSON.stringify({ Records, ...(common === null ? {} : { CommonAttributes: common }) }).slice(1)
        const place = at % rest.length
        const changed = rest.slice(0, place) + put + rest.slice(place + cut)
        const found = scan(one, changed)
        const wanted = parse(changed)?.map(plain)
        expect(found === undefined ? wanted : found.map(plain)).toEqual(wanted)
      }),
      { numRuns: 5000 },
    )
  })

  it.each([
    ['single-measure records', { Records: [single({}), single({ Time: '1700000000001', MeasureValue: '-12.75' })] }],
    ['without a type', { Records: [single({ MeasureValueType: undefined })] }],
    ['multi-measure records of two kinds', { Records: [multiple(['a', 'b']), multiple(['c']), multiple(['a', 'b'])] }],
    [
      'common attributes',
      {
        CommonAttributes: { Dimensions: [{ Name: 'region', Value: 'eu' }], MeasureName: 'm', TimeUnit: 'SECONDS' },
        Records: [single({ MeasureName: undefined, Time: '1700000000' }), single({ Dimensions: undefined, Time: '1' })],
      },
    ],
    [
      'common attributes behind the records, as the SDK for JavaScript writes them',
      {
        Records: [single({ MeasureName: undefined, Time: '1700000000' }), single({ Dimensions: undefined, Time: '1' })],
        CommonAttributes: { Dimensions: [{ Name: 'region', Value: 'eu' }], MeasureName: 'm', TimeUnit: 'SECONDS' },
      },
    ],
    [
      'a common version and time',
      {
        CommonAttributes: { Version: 9, Time: '1700000000002' },
        Records: [single({ Time: undefined }), single({ Version: 3 })],
      },
    ],
    ['versions', { Records: [single({ Version: 7 }), single({ Version: 9_007_199_254_740_991 })] }],
  ])('takes %s', (_, request) => {
    const rest = JSON.stringify(request).slice(1)
    const found = scan(scanner(), rest)
    expect(found?.map(plain)).toEqual(parse(rest)?.map(plain))
    expect(found).toHaveLength(request.Records.length)
  })

  it('reads versions beyond 2^53 exactly', () => {
    const rest = JSON.stringify({ Records: [single({ Version: 7 })] })
      .slice(1)
      .replace(':7', ':9223372036854775807')
    expect(scan(scanner(), rest)?.[0]?.version).toBe(9_223_372_036_854_775_807n)
    expect(scan(scanner(), rest.replace('775807', '775808'))).toBeUndefined()
    const common = `"CommonAttributes":{"Version":9223372036854775807},${JSON.stringify({ Records: [single({})] }).slice(1)}`
    expect(scan(scanner(), common)?.[0]?.version).toBe(9_223_372_036_854_775_807n)
    expect(scan(scanner(), common.replace('775807', '775808'))).toBeUndefined()
  })

  it('leaves members that come twice to parsing', () => {
    const rest = JSON.stringify({ Records: [multiple(['a'])] }).slice(1)
    const one = scanner()
    expect(scan(one, rest)).toHaveLength(1)
    expect(scan(one, rest.replace('"MeasureValues":', '"MeasureValues":oops],"MeasureValues":'))).toBeUndefined()
  })

  it('leaves common attributes that come twice, or are not those of the request, to parsing', () => {
    const records = `"Records":[${JSON.stringify(single({}))}`
    const common = '"CommonAttributes":{"TimeUnit":"MICROSECONDS"}'
    expect(scan(scanner(), `${records}],${common}}`)).toHaveLength(1)
    for (const rest of [
      `${common},${records}],${common}}`,
      `${records}],${common},${common}}`,
      `${records},{${common}}]}`,
      `${records}],"x":{"y":1,${common}}`,
      `${records}],${common}`,
      `${records}],"CommonAttributes":{"a":1}},"b":{}}`,
    ]) {
      expect(scan(scanner(), rest)).toBeUndefined()
    }
  })

  it.each([
    ['escapes', { Records: [single({ MeasureName: 'a"b' })] }],
    ['a bad value', { Records: [single({ MeasureValue: 'NaN' })] }],
    [
      'a dimension that is also common',
      { CommonAttributes: { Dimensions: [{ Name: 'host', Value: 'b' }] }, Records: [single({})] },
    ],
    ['a long record', { Records: [single({ MeasureValue: 'x'.repeat(2040), MeasureValueType: 'VARCHAR' })] }],
    ['101 records', { Records: Array.from({ length: 101 }, () => single({})) }],
    ['an unknown member', { Records: [single({ Colour: 'red' })] }],
  ])('leaves %s to parsing', (_, request) => {
    expect(scan(scanner(), JSON.stringify(request).slice(1))).toBeUndefined()
  })
})

function single(more: object): object {
  return {
    Dimensions: [{ Name: 'host', Value: 'a' }],
    MeasureName: 'cpu',
    MeasureValue: '1.5',
    MeasureValueType: 'DOUBLE',
    Time: '1700000000000',
    ...more,
  }
}

function multiple(names: readonly string[]): object {
  return {
    ...single({ MeasureValue: undefined, MeasureValueType: 'MULTI' }),
    MeasureValues: names.map((Name, i) => ({ Name, Value: String(i / 4), Type: 'DOUBLE' })),
  }
}

/** A record without what two readings may do differently: the order of keys and who holds what. */
function plain({ dimensions, ...record }: ParsedRecord): object {
  const { names, values, bytes, limitProblem } = dimensions
  return { ...record, dimensions: { names, values, bytes, limitProblem } }
}
