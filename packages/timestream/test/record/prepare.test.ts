import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Entry } from '../../src/record/entry.ts'
import { Preparer } from '../../src/record/prepare.ts'
import type { TimestreamRecord } from '../../src/record/record.ts'
import { series } from '../../src/record/series.ts'

const numbers = { nonFinite: 'refuse', negativeZero: 'zero' } as const

const good: TimestreamRecord = {
  Dimensions: [{ Name: 'host', Value: 'a' }],
  MeasureName: 'cpu',
  MeasureValue: 1.5,
  Time: 1_700_000_000_000,
}

const multi = (values: TimestreamRecord['MeasureValues']): TimestreamRecord => ({
  Dimensions: [{ Name: 'host', Value: 'a' }],
  MeasureName: 'm',
  MeasureValueType: 'MULTI',
  MeasureValues: values,
  Time: '1',
})

function prepare(record: unknown, rules: Partial<ConstructorParameters<typeof Preparer>[0]> = {}): Entry {
  return new Preparer({ numbers, mayLack: false, ...rules }).prepare(record as TimestreamRecord, '', undefined)
}

test('values of JavaScript become those of the service', () => {
  const record = multi([
    { Name: 'cpu', Value: 0.1 },
    { Name: 'count', Value: 9_007_199_254_740_993n },
    { Name: 'up', Value: true },
    { Name: 'note', Value: 'a "quoted"\ntext' },
    { Name: 'at', Value: new Date(5) },
    { Name: 'load', Value: 1n, Type: 'DOUBLE' },
  ])
  expect(prepare({ ...record, Version: 2n ** 60n }).toRecord()).toEqual({
    ...record,
    MeasureValues: [
      { Name: 'cpu', Value: '0.1', Type: 'DOUBLE' },
      { Name: 'count', Value: '9007199254740993', Type: 'BIGINT' },
      { Name: 'up', Value: 'true', Type: 'BOOLEAN' },
      { Name: 'note', Value: 'a "quoted"\ntext', Type: 'VARCHAR' },
      { Name: 'at', Value: '5', Type: 'TIMESTAMP' },
      { Name: 'load', Value: '1', Type: 'DOUBLE' },
    ],
    Version: 2n ** 60n,
  })
})

test("a TIMESTAMP is in the record's unit", () => {
  const record = { ...multi([{ Name: 'at', Value: new Date(1_700_000_000_000) }]), TimeUnit: 'SECONDS' }
  expect(prepare(record).toRecord().MeasureValues).toEqual([{ Name: 'at', Value: '1700000000', Type: 'TIMESTAMP' }])
})

test('a measure that is not finite is left out if the option says so', () => {
  const record = multi([
    { Name: 'cpu', Value: Number.NaN },
    { Name: 'mem', Value: 1 },
  ])
  const omit = { numbers: { ...numbers, nonFinite: 'omit' as const } }
  expect(prepare(record, omit).toRecord().MeasureValues).toEqual([{ Name: 'mem', Value: '1', Type: 'DOUBLE' }])
  expect(prepare(multi([{ Name: 'cpu', Value: Number.NaN }]), omit).problems).toEqual([
    'at least one measure value is required',
  ])
})

const name = (bytes: number): string => 'n'.repeat(bytes)
const withDimensions = (...pairs: readonly (readonly [unknown, unknown])[]): object => ({
  ...good,
  Dimensions: pairs.map(([Name, Value]) => ({ Name, Value })),
})

test.for<readonly [string, object, string]>([
  ['no dimension', { ...good, Dimensions: [] }, 'at least one dimension is required'],
  ['dimensions that are no list', { ...good, Dimensions: 'x' }, 'at least one dimension is required'],
  ['a dimension name of 61 bytes', withDimensions([name(61), 'v']), 'has 61 bytes; allowed are 60'],
  ['an empty dimension value', withDimensions(['d', '']), "the value of dimension 'd' must be a non-empty string"],
  ['a dimension value that is a number', withDimensions(['d', 5]), 'must be a non-empty string, got number'],
  ['a dimension given twice', withDimensions(['d', '1'], ['d', '2']), "the dimension 'd' is given twice"],
  ['a reserved dimension', withDimensions(['time', '1']), "the dimension name 'time' is reserved"],
  ['a dimension with ts_', withDimensions(['ts_a', '1']), "must not start with 'ts_' or 'measure_name'"],
  ['a dimension with a colon', withDimensions(['a:b', '1']), 'contain a colon'],
  ['dimension pairs beyond 2 KB', withDimensions(['d', name(2048)]), 'have 2049 bytes; allowed are 2048'],
  [
    '129 dimensions',
    withDimensions(...Array.from({ length: 129 }, (_, i) => [`d${i}`, 'v'] as const)),
    '129 dimensions; allowed are 128',
  ],
  ['no measure name', { ...good, MeasureName: undefined }, 'a measure name must be a non-empty string'],
  ['a measure name of 257 bytes', { ...good, MeasureName: name(257) }, 'has 257 bytes; allowed are 256'],
  ['no value', { ...good, MeasureValue: undefined }, 'a measure value is required'],
  ['a value that is NaN', { ...good, MeasureValue: Number.NaN }, 'is NaN or infinite'],
  ['a single TIMESTAMP', { ...good, MeasureValue: new Date(5) }, 'allowed in a multi-measure record only'],
  ['an unknown type', { ...good, MeasureValueType: 'FLOAT' }, "and MULTI, got 'FLOAT'"],
  ['an unknown unit', { ...good, TimeUnit: 'HOURS' }, 'TimeUnit must be one of'],
  ['no time', { ...good, Time: undefined }, 'a time is required'],
  ['a time that is none', { ...good, Time: 'now' }, 'Time must be a whole number of MILLISECONDS from 1970'],
  ['version 0', { ...good, Version: 0 }, 'Version must be a whole number from 1 to 2^63 - 1'],
  ['no measures', multi([]), 'at least one measure value is required'],
  [
    'a measure given twice',
    multi([
      { Name: 'a', Value: 1 },
      { Name: 'a', Value: 2 },
    ]),
    "the measure 'a' is given twice",
  ],
  [
    '257 measures',
    multi(Array.from({ length: 257 }, (_, i) => ({ Name: `m${i}`, Value: true }))),
    '257 measures; allowed are 256',
  ],
  [
    'values beyond 2 KB',
    multi([
      { Name: 'a', Value: name(1500) },
      { Name: 'b', Value: name(1500) },
    ]),
    'the measure values have 3000 bytes; allowed are 2048',
  ],
  [
    'both kinds of values',
    { ...multi([{ Name: 'a', Value: 1 }]), MeasureValue: '1' },
    'MeasureValue must not be given',
  ],
])('%s', ([, record, problem]) => {
  expect(prepare(record).problems.join('; ')).toContain(problem)
})

test('all reasons are told at once', () => {
  const { problems } = prepare({ Dimensions: [], MeasureName: 'time', MeasureValue: 'x', Time: -1, Version: 0 })
  expect(problems).toHaveLength(5)
})

test('whatever a converter gives, it is prepared without a throw', () => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true })
  const field = fc.constantFrom(
    'Dimensions',
    'MeasureValueType',
    'TimeUnit',
    'MeasureName',
    'MeasureValue',
    'MeasureValues',
    'Time',
    'Version',
  )
  fc.assert(
    fc.property(fc.dictionary(field, anything), fc.boolean(), (record, mayLack) => {
      const entry = prepare({ ...good, ...record }, { mayLack })
      expect(Array.isArray(entry.problems)).toBe(true)
      expect(entry.sizeInBytes).toBeGreaterThanOrEqual(0)
      expect(() => entry.problems.length > 0 || (JSON.parse(`{${entry.values}}`) as unknown)).not.toThrow()
    }),
    { numRuns: 2000 },
  )
})

test('with a batch converter a record may lack what is a common attribute', () => {
  const { problems } = prepare({ MeasureValue: 'text of any type' }, { mayLack: true })
  expect(problems).toEqual([])
})

test('a series handle is the series of its dimensions; one with a mistake tells it of each record', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const of = (Dimensions: TimestreamRecord['Dimensions']): Entry =>
    preparer.prepare({ ...good, Dimensions }, '', undefined)
  const handle = series({ host: 'a', region: 'eu' })
  expect(Object.isFrozen(handle)).toBe(true)
  expect(of(handle).series).toBe(of(handle).series)
  expect(of(handle).series.identity).toBe(
    of([
      { Name: 'region', Value: 'eu' },
      { Name: 'host', Value: 'a' },
    ]).series.identity,
  )
  expect(of(series({ time: 'x' })).problems).toEqual(["the dimension name 'time' is reserved"])
})

test('a list of dimensions that changes after it was looked at is another series', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const list = [{ Name: 'host', Value: 'a' }]
  const first = preparer.prepare({ ...good, Dimensions: list }, '', undefined)
  ;(list[0] as { Value: string }).Value = 'b'
  const second = preparer.prepare({ ...good, Dimensions: list }, '', undefined)
  expect(first.toRecord().Dimensions).toEqual([{ Name: 'host', Value: 'a' }])
  expect(second.toRecord().Dimensions).toEqual([{ Name: 'host', Value: 'b' }])
})

test('a refused record leaves those before and after it as they are, and only it keeps what was given', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const entries = [2, Number.NaN, 3, undefined, 'text'].map((value) =>
    preparer.prepare(
      multi([
        { Name: 'a', Value: 1 },
        { Name: 'b', Value: value },
      ]),
      '',
      undefined,
    ),
  )
  expect(entries.map(({ problems }) => problems.length)).toEqual([0, 1, 0, 1, 0])
  expect(entries.map((entry) => entry.given === undefined)).toEqual([true, false, true, false, true])
  const values = entries.map((entry) => entry.toRecord().MeasureValues?.[1]?.Value)
  expect(values).toEqual(['2', Number.NaN, '3', undefined, 'text'])
})

test('a record may be changed after it was taken', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const reused = { Name: 'a', Value: 1 }
  const entries = [1, 2, 3].map((value) => {
    reused.Value = value
    return preparer.prepare(multi([reused]), '', undefined)
  })
  expect(entries.map((entry) => entry.toRecord().MeasureValues?.[0]?.Value)).toEqual(['1', '2', '3'])
})

test('so may one that was refused: what becomes a dead letter is what was given', () => {
  class Reused {
    Dimensions = [{ Name: 'host', Value: 'a' }]
    MeasureName = 'm'
    MeasureValues = [{ Name: 'a', Value: Number.NaN }]
    at = new Date(5)
    get Time(): Date {
      return this.at
    }
  }
  const reused = new Reused()
  const entry = prepare(reused)
  const expected = {
    Dimensions: [{ Name: 'host', Value: 'a' }],
    MeasureName: 'm',
    MeasureValues: [{ Name: 'a', Value: Number.NaN }],
    Time: new Date(5),
  }
  reused.MeasureName = 'changed'
  reused.at = new Date(6)
  for (const list of [reused.Dimensions, reused.MeasureValues]) Object.assign(list[0] as object, { Value: 'changed' })
  reused.MeasureValues.length = 0
  expect(entry.problems).toHaveLength(1)
  expect(entry.toRecord()).toMatchObject(expected)
})

test('a Date that is used again is not that of a refused record', () => {
  const at = new Date(5)
  const entry = prepare({ ...multi([{ Name: 'at', Value: at }]), Time: at, MeasureValue: Number.NaN })
  at.setTime(6)
  expect(entry.problems).toHaveLength(1)
  expect(entry.toRecord()).toMatchObject({ Time: new Date(5), MeasureValues: [{ Name: 'at', Value: new Date(5) }] })
})

test('whoever is shown a refused record may change what was shown, and not the record', () => {
  const entry = prepare({ ...good, MeasureValue: Number.NaN })
  const shown = entry.toRecord()
  shown.MeasureValue = '[redacted]'
  Object.assign(shown.Dimensions?.[0] ?? {}, { Value: '[redacted]' })
  expect(entry.toRecord()).toEqual({ ...good, MeasureValue: Number.NaN })
})

test('of many problems of a record the first twenty are told, and how many there are', () => {
  const measures = Array.from({ length: 1000 }, (_, at) => ({ Name: `m${at}`, Value: 'x', Type: 'DOUBLE' as const }))
  const many = prepare(multi(measures)).problems
  expect(many).toHaveLength(21)
  expect(many[0]).toBe("the value of measure 'm0' must be the text of a number")
  expect(many[20]).toBe('and 980 more problems')
  const dimensions = Array.from({ length: 100 }, (_, at) => ({ Name: `d${at}`, Value: '' }))
  expect(prepare({ ...good, Dimensions: dimensions }).problems.at(-1)).toBe('and 80 more problems')
  expect(prepare(multi(measures.slice(0, 20))).problems).toHaveLength(20)
})

test('records of more tables and forms than are remembered are written alike', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const entries = Array.from({ length: 1200 }, (_, at) =>
    preparer.prepare({ ...good, MeasureName: `m${at % 40}`, MeasureValue: at }, `d/t${at % 600}`, undefined),
  )
  for (const [at, entry] of entries.entries()) {
    expect([entry.table, entry.form.measureName, entry.values]).toEqual([
      `d/t${at % 600}`,
      `m${at % 40}`,
      `"MeasureValue":"${at}"`,
    ])
  }
})

const named = (...names: string[]): TimestreamRecord => multi(names.map((Name) => ({ Name, Value: 1 })))

test('a measure that is given twice is found, however many names were seen before and between', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const problemsOf = (record: TimestreamRecord): readonly string[] => preparer.prepare(record, '', undefined).problems
  for (let at = 0; at < 25_000; at++) {
    problemsOf({ ...good, MeasureName: `m${at}` })
    // What is found by its place is not looked up by its name for long; of an empty name nothing is kept.
    if (at % 1000 === 0) problemsOf(named('a', '', 'b'))
  }
  expect(problemsOf(named('a', 'b', 'a'))).toEqual(["the measure 'a' is given twice"])
  expect(problemsOf(named('b', 'new', 'new'))).toEqual(["the measure 'new' is given twice"])
})

test('values of a record that is too large take no more room than those of one that is not', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const large = Array.from({ length: 256 }, (_, at) => ({ Name: `m${at}`, Value: '\u0000'.repeat(2048) }))
  const { problems } = preparer.prepare(multi(large), '', undefined)
  expect(problems).toContain('the measure values have 524288 bytes; allowed are 2048')
  expect(preparer.prepare(good, '', undefined).chunk.length).toBeLessThan(200_000)
})

test('records of any number of tables share memory', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const chunks = new Set<Buffer>()
  for (let at = 0; at < 3000; at++) chunks.add(preparer.prepare(good, `d/t${at % 1000}`, undefined).chunk)
  expect(chunks.size).toBeLessThan(300)
})

test('what a record, its form and its series keep has memory of its own, not a part of a pool', () => {
  const { form, series: own, chunk } = prepare(good)
  const common = { measureName: false, type: false, unit: false }
  for (const bytes of [form.restOf(common), own.restOf(new Set())]) expect(bytes.buffer.byteLength).toBe(bytes.length)
  expect(chunk.buffer.byteLength).toBe(chunk.length)
})

test('forms of many names are found again', () => {
  const preparer = new Preparer({ numbers, mayLack: false })
  const formOf = (at: number): unknown => preparer.prepare({ ...good, MeasureName: `m${at}` }, '', undefined).form
  const forms = Array.from({ length: 500 }, (_, at) => formOf(at))
  for (const [at, form] of forms.entries()) expect(formOf(at)).toBe(form)
})
