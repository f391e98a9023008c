import { type _Record, TimestreamWriteClient, WriteRecordsCommand } from '@aws-sdk/client-timestream-write'
import { parseJson } from '@sluice/aws/json-client'
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type { Entry } from '../../src/record/entry.ts'
import { CommonFinder } from '../../src/request/common.ts'
import { EntriesRequest } from '../../src/request/write-entries.ts'
import { requestSizeInBytes } from '../../src/size.ts'
import { entriesOf, records } from './arbitrary.ts'

interface Body {
  readonly CommonAttributes?: _Record
  readonly Records: readonly _Record[]
}

let sent = ''
/** Serialises as the SDK does; what it would send is kept. */
const client = new TimestreamWriteClient({
  region: 'eu-west-1',
  endpoint: 'http://127.0.0.1:1',
  credentials: { accessKeyId: 'A', secretAccessKey: 's' },
  requestHandler: {
    handle: ({ body }: { body: string | Uint8Array }) => {
      sent = typeof body === 'string' ? body : textOf(body)
      return Promise.resolve({ response: { statusCode: 200, headers: {}, body: Buffer.from('{}') } })
    },
  } as never,
})

afterAll(() => client.destroy())

/** The bytes that the SDK's own serialiser makes, read without losing an integer. */
async function serialisedBySdk(Records: _Record[]): Promise<readonly _Record[]> {
  await client.send(new WriteRecordsCommand({ DatabaseName: 'd', TableName: 't', Records }))
  return (parseJson(sent) as Body).Records
}

const textOf = (body: Uint8Array): string => new TextDecoder('utf-8', { fatal: true }).decode(body)

/** As the service merges them: a dimension in both would be an error. */
function merged({ CommonAttributes: common, Records }: Body): readonly _Record[] {
  return Records.map((record) => ({
    ...common,
    ...record,
    Dimensions: [...(record.Dimensions ?? []), ...(common?.Dimensions ?? [])],
  }))
}

/** The order of dimensions says nothing. */
function canonical(record: _Record): object {
  const Dimensions = (record.Dimensions ?? []).toSorted((a, b) => ((a.Name ?? '') < (b.Name ?? '') ? -1 : 1))
  return { ...record, Dimensions }
}

test('the body says of every record what the serialiser of the SDK says', async () => {
  const finder = new CommonFinder()
  await fc.assert(
    fc.asyncProperty(records, async (given) => {
      const entries = entriesOf(given)
      const { body } = new EntriesRequest('d', 't', entries, finder)
      const ours = parseJson(textOf(body)) as Body & { readonly DatabaseName: string; readonly TableName: string }
      expect([ours.DatabaseName, ours.TableName]).toEqual(['d', 't'])
      const theirs = await serialisedBySdk(entries.map((entry) => entry.toRecord()))
      expect(merged(ours).map(canonical)).toEqual(theirs.map(canonical))
    }),
    { numRuns: 300 },
  )
})

test('what an SDK client is given instead becomes the same request', async () => {
  await fc.assert(
    fc.asyncProperty(records, async (given) => {
      const request = new EntriesRequest('d', 't', entriesOf(given), new CommonFinder())
      await client.send(new WriteRecordsCommand(request.toSdk()))
      expect(parseJson(sent)).toEqual(parseJson(textOf(request.body)))
    }),
    { numRuns: 200 },
  )
})

test('no dimension is common and of a record too; a common attribute is that of every record', () => {
  const finder = new CommonFinder()
  fc.assert(
    fc.property(records, (given) => {
      const { body } = new EntriesRequest('d', 't', entriesOf(given), finder)
      const { CommonAttributes: common, Records } = parseJson(textOf(body)) as Body
      const names = new Set((common?.Dimensions ?? []).map(({ Name }) => Name))
      for (const record of Records) {
        expect((record.Dimensions ?? []).filter(({ Name }) => names.has(Name))).toEqual([])
        const own = Object.keys(record).filter((key) => key !== 'Dimensions')
        expect(own.filter((key) => Object.hasOwn(common ?? {}, key))).toEqual([])
      }
    }),
  )
})

test('the bytes are those that the service meters, common attributes once', () => {
  fc.assert(
    fc.property(records, (given) => {
      const request = new EntriesRequest('d', 't', entriesOf(given), new CommonFinder())
      expect(request.bytes).toBe(requestSizeInBytes(request.toSdk()))
      expect(request.count).toBe(given.length)
    }),
  )
})

const record = (cpu: number): object => ({
  Dimensions: [
    { Name: 'host', Value: 'a' },
    { Name: 'region', Value: 'eu' },
  ],
  MeasureName: 'cpu',
  MeasureValue: cpu,
  Time: 5 + cpu,
  TimeUnit: 'SECONDS',
  Version: 7,
})

test('records of one series have all of it in common', () => {
  const request = new EntriesRequest('d', 't', entriesOf([record(1), record(2)]), new CommonFinder())
  expect(JSON.parse(textOf(request.body))).toEqual({
    DatabaseName: 'd',
    TableName: 't',
    CommonAttributes: {
      Dimensions: [
        { Name: 'host', Value: 'a' },
        { Name: 'region', Value: 'eu' },
      ],
      MeasureName: 'cpu',
      MeasureValueType: 'DOUBLE',
      TimeUnit: 'SECONDS',
      Version: 7,
    },
    Records: [
      { MeasureValue: '1', Time: '6' },
      { MeasureValue: '2', Time: '7' },
    ],
  })
})

const batch = (region: string): readonly Entry[] =>
  entriesOf(
    ['a', 'b'].map((host) => ({
      ...record(1),
      Dimensions: [
        { Name: 'host', Value: host },
        { Name: 'region', Value: region },
      ],
    })),
  )

test('batches whose common dimensions take turns find them again', () => {
  const finder = new CommonFinder()
  const first = ['eu', 'us'].map((region) => finder.of(batch(region)))
  expect(first.map(({ dimensions }) => [...dimensions])).toEqual([
    ['{"Name":"region","Value":"eu"}'],
    ['{"Name":"region","Value":"us"}'],
  ])
  for (const [at, region] of ['eu', 'us'].entries())
    expect(finder.of(batch(region)).dimensions).toBe(first[at]?.dimensions)
  for (let other = 0; other < 40; other++) {
    const { dimensions, dimensionBytes } = finder.of(batch(`region-${other}`))
    expect([[...dimensions], dimensionBytes]).toEqual([
      [`{"Name":"region","Value":"region-${other}"}`],
      14 + `${other}`.length - 1,
    ])
  }
})

test('there is room for the longest that each part of a record and of the request can be', () => {
  const name = 'Données "東京"\n🌊'
  const given = Array.from({ length: 100 }, (_, at) => ({
    Dimensions: [{ Name: `host${at}`, Value: '東'.repeat(100) }],
    MeasureName: `m${at}`,
    MeasureValueType: 'VARCHAR' as const,
    MeasureValue: '\u0000'.repeat(1500),
    Time: 9_223_372_036_854_775_807n - BigInt(at),
    TimeUnit: 'NANOSECONDS' as const,
    Version: 9_223_372_036_854_775_807n - BigInt(at),
  }))
  const { body } = new EntriesRequest(name, name, entriesOf(given), new CommonFinder())
  const read = parseJson(textOf(body)) as Body & { readonly DatabaseName: string; readonly TableName: string }
  expect([read.DatabaseName, read.TableName]).toEqual([name, name])
  expect(merged(read)).toEqual(given.map((each) => ({ ...each, Time: String(each.Time) })))
})
