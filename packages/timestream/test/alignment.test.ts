import type { _Record } from '@aws-sdk/client-timestream-write'
import { expect, test } from 'vitest'
import { keepingOrder } from '../src/alignment.ts'
import type { BatchConverter } from '../src/options.ts'

const dimensions = (host: string): NonNullable<_Record['Dimensions']> => [{ Name: 'host', Value: host }]

const RECORDS: readonly _Record[] = [
  { Dimensions: dimensions('b'), MeasureName: 'cpu', MeasureValue: '1', Time: '20' },
  { Dimensions: dimensions('a'), MeasureName: 'cpu', MeasureValue: '1', Time: '10' },
  { Dimensions: dimensions('c'), MeasureName: 'cpu', MeasureValue: '2', Time: '20' },
]

const to = (convert: (records: readonly _Record[]) => unknown): BatchConverter =>
  keepingOrder((records) => ({ DatabaseName: 'd', TableName: 't', Records: convert(records) as _Record[] }))

const byTime = (a: _Record, b: _Record): number => Number(a.Time) - Number(b.Time)
const byHost = (a: _Record, b: _Record): number =>
  `${a.Dimensions?.[0]?.Value}` < `${b.Dimensions?.[0]?.Value}` ? -1 : 1
const SAME = RECORDS.map((record) => ({ ...record, MeasureValue: '1', Time: '5' }))

test.for<readonly [string, readonly _Record[], (records: readonly _Record[]) => unknown, RegExp]>([
  [
    'a sorted copy',
    RECORDS,
    (records) => records.toSorted(byTime),
    /Records\[0\] is not made of records\[0\].* identity/,
  ],
  ['the given list, sorted', RECORDS, (records) => (records as _Record[]).sort(byTime), /Records\[0\]/],
  [
    'sorted copies of records',
    RECORDS,
    (records) => records.map((record) => ({ ...record })).sort(byTime),
    /Time shows/,
  ],
  [
    'sorted, with common attributes left out',
    SAME,
    (records) => records.toSorted(byHost).map(({ Dimensions }) => ({ Dimensions })),
    /Dimensions shows/,
  ],
  [
    'sorted, with nothing but a value left',
    RECORDS,
    (records) => records.toReversed().map(({ MeasureValue }) => ({ MeasureValue })),
    /MeasureValue shows/,
  ],
  [
    'one object for all',
    RECORDS,
    (records) => {
      const scratch = {}
      return records.map((record) => Object.assign(scratch, record))
    },
    /Records\[1\] is not made of records\[1\].* identity/,
  ],
  [
    'the first of the given records, written over for each',
    RECORDS.slice(0, 2),
    (records) => records.map((record) => Object.assign(records[0] ?? {}, record)),
    /Records\[1\].* identity/,
  ],
  ['one of the given records for all', RECORDS, (records) => records.map(() => records[0]), /Records\[1\].* identity/],
  [
    'another one of the given records, beside new ones',
    RECORDS,
    (records) => [records[1], { ...records[1] }, { ...records[2] }],
    /Records\[0\].* identity/,
  ],
  [
    'sorted, with dimensions that are built anew',
    SAME,
    (records) => records.toSorted(byHost).map(({ Dimensions = [] }) => ({ Dimensions: [...Dimensions] })),
    /Dimensions shows/,
  ],
])('a converter that moves records is told: %s', ([, records, convert, text]) => {
  const act = (): unknown => to(convert)(records.map((record) => ({ ...record })))
  expect(act).toThrow(expect.objectContaining({ code: 'SLUICE_BATCH_CONVERTER_NOT_ALIGNED' }))
  expect(act).toThrow(text)
})

test.for<readonly [string, (records: readonly _Record[]) => unknown]>([
  ['as they are', (records) => records],
  ['copied', (records) => structuredClone(records)],
  ['without what is common', (records) => records.map((record) => ({ ...record, MeasureName: undefined }))],
  ['with other times', (records) => records.map((record) => ({ ...record, Time: `${record.Time}000` }))],
  [
    'with values that happen to have changed places',
    (records) => records.map((record, i) => ({ ...record, MeasureValue: ['2', '1', '1'][i] })),
  ],
  ['with the same time', (records) => records.map((record) => ({ ...record, Time: '20' }))],
  ['with versions', (records) => records.map((record, i) => ({ ...record, Version: i + 1 }))],
  ['fewer, which is told elsewhere', (records) => records.slice(1)],
  ['none, which is told elsewhere', () => undefined],
  ['what are no records, which the service tells', () => [undefined, null, 5]],
])('a converter may return them %s', ([, convert]) => {
  expect(() => to(convert)(RECORDS)).not.toThrow()
})

test.for([[undefined], [null], ['text']])('what is no request is told elsewhere: %s', ([made]) => {
  expect(keepingOrder(() => made as never)(RECORDS)).toBe(made)
})

const down = ({ Dimensions, MeasureValue, Time }: _Record): _Record => ({
  Dimensions: structuredClone(Dimensions),
  MeasureName: 'down',
  MeasureValue: `${MeasureValue !== 'true'}`,
  Time,
})

test('a converter may turn values into those of another record, and build dimensions anew', () => {
  const flags = [true, false].map((isUp, at): _Record => ({
    Dimensions: dimensions(`h${at}`),
    MeasureName: 'up',
    MeasureValue: `${isUp}`,
    Time: '5',
  }))
  expect(() => to((records) => records.map(down))(flags)).not.toThrow()
})

/** Only host and time together tell them apart. */
const FLAGS = [
  ['a', '1', 'true'],
  ['a', '2', 'false'],
  ['b', '1', 'false'],
  ['b', '2', 'true'],
].map(([host = '', Time, MeasureValue]): _Record => ({
  Dimensions: dimensions(host),
  MeasureName: 'up',
  MeasureValue,
  Time,
}))

test('records are told apart by all fields together that stay', () => {
  expect(() => to((records) => records.map(down))(FLAGS)).not.toThrow()
  expect(() => to((records) => records.toReversed().map(down))(FLAGS)).toThrow(/Records\[0\].* Time shows/)
  const moved = to((records) => records.toSorted(byTime).map(down))
  expect(() => moved(FLAGS)).toThrow(/Records\[1\].* Time shows/)
})

test('of records that say the same one may stand for the other', () => {
  const twice = [...RECORDS.slice(0, 2), ...RECORDS.slice(0, 1)].map((record) => ({ ...record }))
  const known = new Map<string, _Record>()
  const once = (record: _Record): _Record | undefined => {
    const key = JSON.stringify(record)
    if (!known.has(key)) known.set(key, { ...record })
    return known.get(key)
  }
  expect(() => to((records) => records.map(once))(twice)).not.toThrow()
  expect(() => to(([first, second]) => [first, second, first])(twice)).not.toThrow()
  expect(() => to(([first, second, third]) => [third, second, first])(twice)).not.toThrow()
})
