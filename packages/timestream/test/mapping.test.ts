import { expect, test } from 'vitest'
import type { TimestreamRecord } from '../src/record/record.ts'
import { TimestreamSink } from '../src/sink.ts'
import type { VersionFrom } from '../src/versions.ts'
import type { TimestreamSinkOptions } from '../src/options.ts'
import { type FakeRequest, FakeService, STORED } from './fake-service.ts'
import { Harness, until } from './harness.ts'

interface Value {
  readonly at: Date
  readonly host: { readonly name: string; readonly region?: string }
  readonly cpu: number | null
  readonly requests: bigint
  readonly offset: string
}

const value: Value = {
  at: new Date(1_700_000_000_000),
  host: { name: 'a' },
  cpu: 12.5,
  requests: 9_007_199_254_740_993n,
  offset: '41',
}

const options: TimestreamSinkOptions<Value> = {
  databaseName: 'metrics',
  tableName: 'hosts',
  mapping: {
    time: 'at',
    timeUnit: 'SECONDS',
    dimensions: { host: 'host.name', region: 'host.region', shard: ({ host }) => host.name.length },
    measures: { cpu: 'cpu', requests: { from: 'requests', type: 'BIGINT' }, note: () => undefined },
    measureName: { literal: 'host_metrics' },
  },
  version: { kafkaOffset: ({ offset }) => offset },
}

const expected = {
  Dimensions: [
    { Name: 'host', Value: 'a' },
    { Name: 'shard', Value: '1' },
  ],
  MeasureName: 'host_metrics',
  MeasureValueType: 'MULTI',
  MeasureValues: [
    { Name: 'cpu', Value: '12.5', Type: 'DOUBLE' },
    { Name: 'requests', Value: '9007199254740993', Type: 'BIGINT' },
  ],
  Time: '1700000000',
  TimeUnit: 'SECONDS',
  Version: 42,
}

test('a mapping makes one multi-measure record; what has no value is left out', () => {
  const [entry] = new TimestreamSink(options).explain(value).entries
  expect(entry).toMatchObject({ entry: expected, refusals: [] })
})

test('lists name fields; a measure name may be a field or a function', () => {
  const flat = { host: 'a', cpu: 1, up: true, kind: 'k' }
  const explain = (measureName: 'kind' | ((given: typeof flat) => string)): unknown =>
    new TimestreamSink<typeof flat>({
      databaseName: 'metrics',
      tableName: 'hosts',
      mapping: { time: () => 5n, dimensions: ['host'], measures: ['cpu', 'up'], measureName },
    }).explain(flat).entries[0]?.entry
  expect(explain('kind')).toMatchObject({ MeasureName: 'k', Time: '5' })
  expect(explain(({ kind }) => `${kind}2`)).toMatchObject({
    MeasureName: 'k2',
    MeasureValues: [
      { Name: 'cpu', Value: '1', Type: 'DOUBLE' },
      { Name: 'up', Value: 'true', Type: 'BOOLEAN' },
    ],
  })
})

class Host {
  get name(): string {
    return 'a'
  }
}

class Load {
  readonly at = new Date(5)
  readonly host = new Host()
  readonly #part = 0.5

  get percent(): number {
    return this.#part * 100
  }
}

test('getters and fields of the prototype are fields too, and what every object has is none', () => {
  const sink = new TimestreamSink<Load>({
    databaseName: 'metrics',
    tableName: 'hosts',
    mapping: {
      time: 'at',
      dimensions: { host: 'host.name', kind: 'host.constructor.name', text: 'toString' },
      measures: ['percent'],
      measureName: { literal: 'm' },
    },
    version: 'percent',
  })
  const { entry, refusals } = sink.explain(new Load()).entries[0] ?? {}
  expect(refusals).toEqual([])
  expect(entry).toMatchObject({
    Dimensions: [{ Name: 'host', Value: 'a' }],
    MeasureValues: [{ Name: 'percent', Value: '50' }],
    Version: 50,
  })
  const own = Object.assign(new Load(), { toString: 'own' })
  expect(sink.explain(own as never).entries[0]?.entry).toMatchObject({
    Dimensions: [{}, { Name: 'text', Value: 'own' }],
  })
})

test('a value without what a record needs is refused with every reason', () => {
  const [entry] = new TimestreamSink(options).explain({} as Value & object).entries
  expect(entry).toBeUndefined()
  const empty = { ...value, at: 'never' as never, host: { name: '' }, cpu: null, requests: undefined as never }
  const mapping = { ...options.mapping, dimensions: { host: 'host.name' } } as never
  const [refused] = new TimestreamSink({ ...options, mapping }).explain(empty).entries
  expect(refused?.refusals.map(({ message }) => message)).toEqual([
    'at least one dimension is required',
    "Time must be a whole number of SECONDS from 1970-01-01 to 2262-04-11, got 'never'",
  ])
})

test.for<readonly [string, VersionFrom<Value>, unknown]>([
  ['a field', 'offset', 41],
  ['a function', () => 2n ** 60n, 2n ** 60n],
  ['a Kafka offset', { kafkaOffset: () => 0 }, 1],
  ['a Kafka offset beyond 2^53', { kafkaOffset: () => 2n ** 53n }, 2n ** 53n + 1n],
  ['a Kinesis arrival', { kinesisArrival: () => new Date(1_700_000_000_000) }, 1_700_000_000_000],
  ['a Kinesis arrival with parts of milliseconds', { kinesisArrival: () => 5.7 }, 5],
  ['none', () => undefined, undefined],
])('a version from %s', ([, version, expectedVersion]) => {
  const [entry] = new TimestreamSink({ ...options, version }).explain(value).entries
  expect(Reflect.get(Object(entry?.entry), 'Version')).toBe(expectedVersion)
})

test('a mapping may have the version', () => {
  const { version, mapping, ...rest } = options
  const sink = new TimestreamSink({ ...rest, mapping: { ...mapping, version } as never })
  expect(sink.explain(value).entries[0]?.entry).toEqual(expected)
  expect(() => new TimestreamSink({ ...options, mapping: { ...mapping, version } as never })).toThrow(
    '1 invalid option(s):\n  - version and mapping.version exclude one another: give one of the two',
  )
})

test('the version of a record itself wins', () => {
  const { mapping: _, ...rest } = options
  const [entry] = new TimestreamSink({
    ...rest,
    elementConverter: () => ({ ...expected, MeasureValueType: 'MULTI', Version: 5 }) as TimestreamRecord,
  }).explain(value).entries
  expect(entry?.entry).toMatchObject({ Version: 5 })
})

test.for<readonly [VersionFrom<Value>, string]>([
  [{ kafkaOffset: () => 'x' }, "got 'x'"],
  [{ kafkaOffset: () => undefined as never }, 'got null'],
  [{ kinesisArrival: () => undefined as never }, 'got null'],
  [{ kinesisArrival: () => new Date(Number.NaN) }, 'got NaN'],
])('what is no position is refused as a version: %j', ([version, got]) => {
  const [entry] = new TimestreamSink({ ...options, version }).explain(value).entries
  expect(entry?.refusals[0]?.message).toContain('Version must be a whole number')
  expect(entry?.refusals[0]?.message).toContain(got)
})

async function sentBy(
  router: TimestreamSinkOptions<Value>['tableName'],
  values: readonly Value[],
): Promise<Harness & { readonly seen: readonly FakeRequest[] }> {
  const harness = new Harness()
  const service = new FakeService(() => STORED)
  const sink = new TimestreamSink<Value>({
    ...options,
    ...(router === undefined ? {} : { tableName: router }),
    client: service.client,
  })
  const writer = sink.createWriter(harness.context)
  await harness.write(writer, values)
  await until('the outcomes', () => {
    const { settled, refusals } = harness.settlement
    return settled.length + refusals.length >= values.length
  })
  await writer.close(1000)
  return Object.assign(harness, { seen: service.requests })
}

const router = ({ host }: Value): string | { databaseName: string; tableName: string } =>
  host.name === 'a' ? 'alpha' : { databaseName: 'elsewhere', tableName: 'beta' }

test('a router sends each value to its table, and no request has records of two', async () => {
  const values = ['a', 'b', 'a', 'c'].map((name) => ({ ...value, host: { name } }))
  const { seen } = await sentBy(router, values)
  const sent = seen.map(({ body, records }) => [
    `${body.DatabaseName}/${body.TableName}`,
    records.flatMap(({ Dimensions }) => Dimensions?.find(({ Name }) => Name === 'host')?.Value),
  ])
  expect(sent.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))).toEqual([
    ['elsewhere/beta', ['b', 'c']],
    ['metrics/alpha', ['a']],
  ])
})

test.for([
  [undefined],
  [''],
  ['ab'],
  ['a'.repeat(257)],
  [{ databaseName: 'a b', tableName: 'hosts' }],
  [{ databaseName: 'ab', tableName: 'hosts' }],
  [Promise.resolve('hosts')],
] as const)('a router that gives no table refuses the value: %s', async ([chosen]) => {
  const { settlement, seen } = await sentBy(() => chosen as never, [value])
  expect(settlement.refusals[0]?.reason.message).toContain('tableName must return the name of a table')
  expect(seen).toEqual([])
})

test.for<readonly [object, string]>([
  [{ time: undefined }, 'mapping.time must be'],
  [{ timeUnit: 'HOURS' }, 'mapping.timeUnit must be one of'],
  [{ dimensions: [] }, 'mapping.dimensions must be a list'],
  [{ measures: { a: { from: 'a', type: 'FLOAT' } } }, 'mapping.measures.a must be'],
  [{ dimensions: { a: 5 } }, 'mapping.dimensions.a must be'],
  [{ measureName: { literal: '' } }, 'mapping.measureName must be'],
  [{ version: { sqs: () => 1 } }, 'mapping.version must be the name of a field, a function'],
  [{ fields: 1 }, "unknown option 'mapping.fields'"],
  [{ mesures: 1 }, "unknown option 'mapping.mesures'; did you mean 'mapping.measures'?"],
  [
    { measures: { a: { from: 'a', typ: 'BIGINT' } } },
    "unknown option 'mapping.measures.a.typ'; did you mean 'mapping.measures.a.type'?",
  ],
  [{ measures: { a: { from: 5 } } }, 'mapping.measures.a must be the name of a field or a function, or { from, type }'],
  [{ measureName: { literal: 'm', unit: 's' } }, "unknown option 'mapping.measureName.unit'"],
  [{ measureName: { literal: 'time' } }, "mapping.measureName: the measure name 'time' is reserved"],
  [{ dimensions: { time: 'host' } }, "mapping.dimensions: the dimension name 'time' is reserved"],
  [{ dimensions: ['h', 'h'] }, "mapping.dimensions: the dimension 'h' is given twice"],
  [{ dimensions: ['a:b'] }, "mapping.dimensions: the dimension name 'a:b' must not start"],
  [{ measures: ['ts_a'] }, "mapping.measures: the measure name 'ts_a' must not start with"],
  [{ measures: { '': 'a' } }, 'mapping.measures: a measure name must be a non-empty string'],
  [{ dimensions: ['cpu'], measures: ['cpu'] }, "mapping.measures: 'cpu' is a dimension too"],
])('a mapping with %j is a problem', ([change, problem]) => {
  const mapping = { ...options.mapping, ...change } as never
  expect(() => new TimestreamSink({ ...options, mapping })).toThrow(problem)
})
