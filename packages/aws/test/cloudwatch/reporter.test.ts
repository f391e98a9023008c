import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { type Logger, type MetricDefinition, MetricRegistry, silentLogger } from '@sluice/core'
import { VirtualClock } from '@sluice/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  type CloudWatchMetricsOptions,
  type CloudWatchSender,
  cloudWatchMetrics,
  type MetricDatum,
} from '../../src/cloudwatch.ts'
import { cloudWatchEndpoint } from '../../src/cloudwatch/endpoint.ts'
import { KEYS, LocalServer } from '../json/support.ts'

const definition = (name: string, kind: 'counter' | 'gauge', unit: MetricDefinition['unit']): MetricDefinition => ({
  name,
  kind,
  unit,
  help: 'of a test',
})

const OUT = definition('numRecordsOut', 'counter', 'records')
const BYTES = definition('numBytesOut', 'counter', 'bytes')
const BUFFERED = definition('bufferedRecords', 'gauge', 'records')
const SEND_TIME = definition('currentSendTime', 'gauge', 'milliseconds')

/** A CloudWatch that remembers what it was sent, and fails as often as it is told. */
class Store implements CloudWatchSender {
  readonly requests: { Namespace: string; MetricData: MetricDatum[] }[] = []
  readonly failures: unknown[] = []

  putMetricData(input: { Namespace: string; MetricData: MetricDatum[] }): Promise<unknown> {
    const failure = this.failures.shift()
    if (failure !== undefined) return Promise.reject(failure)
    this.requests.push(input)
    return Promise.resolve({})
  }

  get data(): MetricDatum[] {
    return this.requests.flatMap(({ MetricData }) => MetricData)
  }

  values(name: string): number[] {
    return this.data.filter(({ MetricName }) => MetricName === name).map(({ Value }) => Value)
  }
}

let registry: MetricRegistry
let store: Store
let clock: VirtualClock
let logged: [string, object, string][]

beforeEach(() => {
  registry = new MetricRegistry()
  store = new Store()
  clock = new VirtualClock()
  logged = []
})

const logger: Logger = {
  ...silentLogger,
  warn: (fields, message) => void logged.push(['warn', fields, message]),
  info: (fields, message) => void logged.push(['info', fields, message]),
}

function report(options: CloudWatchMetricsOptions = {}): ReturnType<typeof cloudWatchMetrics> {
  return cloudWatchMetrics(registry, { sender: store, clock, logger, ...options })
}

const group = (): ReturnType<MetricRegistry['group']> => registry.group({ job: 'hosts', sink: 'timestream' })

test('once a minute counters are reported by their growth, gauges as they are, with units and dimensions', async () => {
  const out = group().counter(OUT)
  group().counter(BYTES).value = 12
  let buffered = 7
  group().gauge(BUFFERED, () => buffered)
  group().gauge(SEND_TIME, () => 1.5)
  const reporter = report({ dimensions: { stage: 'prod' }, namespace: 'My/Jobs' })
  out.value = 100
  await clock.advance(59_999)
  expect(store.requests).toEqual([])
  await clock.advance(1)
  const Timestamp = new Date(clock.wallNow())
  const Dimensions = [
    { Name: 'job', Value: 'hosts' },
    { Name: 'sink', Value: 'timestream' },
    { Name: 'stage', Value: 'prod' },
  ]
  expect(store.requests).toEqual([
    {
      Namespace: 'My/Jobs',
      MetricData: [
        { MetricName: 'numRecordsOut', Dimensions, Timestamp, Unit: 'Count', Value: 100 },
        { MetricName: 'numBytesOut', Dimensions, Timestamp, Unit: 'Bytes', Value: 12 },
        { MetricName: 'bufferedRecords', Dimensions, Timestamp, Unit: 'Count', Value: 7 },
        { MetricName: 'currentSendTime', Dimensions, Timestamp, Unit: 'Milliseconds', Value: 1.5 },
      ],
    },
  ])
  out.value = 130
  buffered = 3
  await clock.advance(60_000)
  await clock.advance(60_000)
  expect(store.values('numRecordsOut')).toEqual([100, 30, 0])
  expect(store.values('bufferedRecords')).toEqual([7, 3, 3])
  await reporter.close()
})

test('a close that is over leaves nothing behind, whatever CloudWatch does', async () => {
  group().counter(OUT).value = 1
  let sent = 0
  let given: AbortSignal | undefined
  const silent: CloudWatchSender = {
    putMetricData: (_, { abortSignal }) => {
      sent++
      given = abortSignal
      return new Promise(() => undefined)
    },
  }
  const reporter = report({ sender: silent, timeoutMs: 60_000 })
  let closed = false
  void reporter.close(1000).then(() => (closed = true))
  await clock.advance(999)
  expect(closed).toBe(false)
  await clock.advance(1)
  expect(closed).toBe(true)
  expect(given?.aborted).toBe(true)
  await clock.advance(60_000)
  expect(sent).toBe(1)
  expect(clock.pendingTimers).toBe(0)
})

test('a close that is over while it waits for another try ends the wait', async () => {
  group().counter(OUT).value = 1
  store.failures.push(new Error('1'), new Error('2'), new Error('3'))
  let closed = false
  void report()
    .close(100)
    .then(() => (closed = true))
  await clock.advance(100)
  expect(closed).toBe(true)
  expect(store.failures).toHaveLength(2)
  expect(clock.pendingTimers).toBe(0)
})

test('what has not counted yet, what is no number, and what CloudWatch does not take is left out', async () => {
  group().counter(OUT)
  for (const [i, value] of [Number.NaN, Infinity, -Infinity, 2 ** 361].entries()) {
    registry.gauge(BUFFERED, () => value, { i: `${i}` })
  }
  registry.gauge(BUFFERED, () => -(2 ** 360), { i: 'least' })
  await using reporter = report()
  await reporter.flush()
  expect(store.data).toMatchObject([{ MetricName: 'bufferedRecords', Value: -(2 ** 360) }])
  expect(logged).toEqual([])
})

test('nothing to say is no request', async () => {
  await using reporter = report()
  await reporter.flush()
  expect(store.requests).toEqual([])
})

test('single splits are left out, unless asked for', async () => {
  registry.counter(OUT, { split: 'shard-1' }).value = 1
  await using reporter = report()
  await reporter.flush()
  expect(store.data).toEqual([])
  await using all = report({ select: () => true })
  await all.flush()
  expect(store.data).toHaveLength(1)
})

test('a request has at most 1000 values', async () => {
  for (let i = 0; i < 2001; i++) registry.counter(OUT, { i: `${i}` }).value = i + 1
  await using reporter = report()
  await reporter.flush()
  expect(store.requests.map(({ MetricData }) => MetricData.length)).toEqual([1000, 1000, 1])
  expect(store.values('numRecordsOut').reduce((sum, value) => sum + value)).toBe((2001 * 2002) / 2)
})

test('a request has at most 1 MB', async () => {
  for (let i = 0; i < 999; i++) registry.counter(OUT, { i: `${i}`, a: 'x'.repeat(1024), b: 'y'.repeat(1024) }).value = 1
  await using reporter = report()
  await reporter.flush()
  expect(store.requests.length).toBeGreaterThan(2)
  expect(store.data).toHaveLength(999)
  for (const request of store.requests) expect(JSON.stringify(request).length).toBeLessThan(1_000_000)
})

test('labels become dimensions that CloudWatch takes', async () => {
  registry.counter(OUT, { ':name': 'Größe\n', empty: '', blank: '  ', long: 'x'.repeat(2000) }).value = 1
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`l${i}`, 'v']))
  registry.counter(BYTES, many).value = 1
  await using reporter = report()
  await reporter.flush()
  expect(store.data[0]?.Dimensions).toEqual([
    { Name: 'name', Value: 'Gr??e?' },
    { Name: 'long', Value: 'x'.repeat(1024) },
  ])
  expect(store.data[1]?.Dimensions).toHaveLength(30)
})

const throttled = (): Error =>
  Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException', $metadata: { httpStatusCode: 400 } })

test('a report that fails is logged once, and its counters are in the next', async () => {
  const out = group().counter(OUT)
  out.value = 10
  const reporter = report()
  store.failures.push(throttled(), new Error('socket hang up'))
  await clock.advance(60_000)
  out.value = 15
  await clock.advance(60_000)
  expect(store.requests).toEqual([])
  await clock.advance(60_000)
  expect(store.values('numRecordsOut')).toEqual([15])
  expect(logged.map(([level, , message]) => [level, message])).toEqual([
    ['warn', 'metrics do not reach CloudWatch; counters are in the next report'],
    ['info', 'metrics reach CloudWatch again'],
  ])
  expect(logged[0]?.[1]).toEqual({ code: 'ThrottlingException', reason: 'Rate exceeded' })
  await reporter.close()
})

test('of several requests, what was taken is not reported again', async () => {
  for (let i = 0; i < 1500; i++) registry.counter(OUT, { i: `${i}` }).value = 1
  await using reporter = report()
  store.failures.push(undefined, throttled())
  await reporter.flush()
  expect(store.data).toHaveLength(1000)
  await reporter.flush()
  expect(store.values('numRecordsOut').reduce((sum, value) => sum + value)).toBe(1500)
})

test('values that CloudWatch refuses are dropped, and do not keep others from being reported', async () => {
  for (let i = 0; i < 1500; i++) registry.counter(OUT, { i: `${i}` }).value = 1
  await using reporter = report()
  const refused = { name: 'InvalidParameterValue', $metadata: { httpStatusCode: 400 } }
  store.failures.push(Object.assign(new Error('no'), refused))
  await reporter.flush()
  expect(store.data).toHaveLength(500)
  await reporter.flush()
  expect(store.values('numRecordsOut').reduce((sum, value) => sum + value)).toBe(500)
  expect(logged[0]?.[2]).toBe('CloudWatch refuses 1000 values, which are dropped')
})

test('a missing right is named', async () => {
  group().counter(OUT).value = 1
  await using reporter = report()
  const denied = { name: 'AccessDenied', $metadata: { httpStatusCode: 403, requestId: 'R1' } }
  store.failures.push(Object.assign(new Error('not authorized'), denied))
  await reporter.flush()
  expect(logged[0]).toMatchObject(['warn', { requestId: 'R1' }, expect.stringContaining('cloudwatch:PutMetricData')])
})

test('a gauge that throws does not hurt, nor does a choice that throws', async () => {
  let isBroken = true
  registry.gauge(BUFFERED, () => {
    if (isBroken) throw new Error('gone')
    return 1
  })
  await using reporter = report()
  await reporter.flush()
  expect(logged).toHaveLength(1)
  isBroken = false
  await reporter.flush()
  expect(store.data).toHaveLength(1)
})

test('a sender that ignores its signal does not hold the reports', async () => {
  const hanging: CloudWatchSender = { putMetricData: () => new Promise(() => undefined) }
  group().counter(OUT).value = 1
  const reporter = report({ sender: hanging, timeoutMs: 20 })
  await reporter.flush()
  expect(logged[0]?.[1]).toMatchObject({ code: 'TimeoutError' })
  await Promise.all([reporter.close(), advanceUntilClosed(reporter)])
})

/** Of the pauses between the last tries, on virtual time. */
async function advanceUntilClosed(reporter: ReturnType<typeof cloudWatchMetrics>): Promise<void> {
  const state = { isClosed: false }
  void reporter.close().finally(() => {
    state.isClosed = true
  })
  while (!state.isClosed) {
    await clock.advance(1000)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('close reports what is left, repeats that, and reports nothing more', async () => {
  const out = group().counter(OUT)
  out.value = 5
  const reporter = report()
  store.failures.push(throttled(), throttled())
  await Promise.all([reporter.close(), advanceUntilClosed(reporter)])
  expect(store.values('numRecordsOut')).toEqual([5])
  out.value = 9
  await reporter.flush()
  await reporter.close()
  await clock.advance(600_000)
  expect(store.requests).toHaveLength(1)
})

test('close gives up after three tries', async () => {
  group().counter(OUT).value = 5
  const reporter = report()
  store.failures.push(throttled(), throttled(), throttled())
  await advanceUntilClosed(reporter)
  expect(store.requests).toEqual([])
  expect(store.failures).toEqual([])
})

test('options are checked, all at once', () => {
  const options = {
    namespace: 'AWS/Mine',
    intervalMs: 10,
    dimensions: { ':a': 'x', b: '' },
    select: 1,
    endpoint: 'ftp://x',
  }
  expect(() => cloudWatchMetrics(registry, options as never)).toThrow(
    /client or sender[^]*endpoint[^]*namespace[^]*':a'[^]*'b'[^]*intervalMs[^]*select/,
  )
})

let server: LocalServer | undefined

afterEach(async () => {
  await server?.[Symbol.asyncDispose]()
  server = undefined
})

test('without a client of CloudWatch the values are sent as JSON, signed', async () => {
  server = await LocalServer.start((response) => response.writeHead(200).end())
  group().counter(OUT).value = 3
  const client = new KinesisClient({ region: 'eu-west-1', credentials: KEYS })
  const reporter = cloudWatchMetrics(registry, { client, endpoint: server.endpoint, clock, logger })
  await reporter.flush()
  await reporter.close()
  expect(logged).toEqual([])
  const [first] = server.received
  expect(first?.headers).toMatchObject({
    'x-amz-target': 'GraniteServiceVersion20100801.PutMetricData',
    'content-type': 'application/x-amz-json-1.0',
    authorization: expect.stringContaining('/eu-west-1/monitoring/aws4_request') as unknown,
  })
  expect(JSON.parse(first?.body ?? '')).toEqual({
    Namespace: 'Sluice',
    MetricData: [
      {
        MetricName: 'numRecordsOut',
        Dimensions: [
          { Name: 'job', Value: 'hosts' },
          { Name: 'sink', Value: 'timestream' },
        ],
        Timestamp: clock.wallNow() / 1000,
        Unit: 'Count',
        Value: 3,
      },
    ],
  })
})

test.each([
  ['us-east-1', {}, 'https://monitoring.us-east-1.amazonaws.com'],
  ['us-east-1', { UseFIPS: true }, 'https://monitoring-fips.us-east-1.amazonaws.com'],
  ['us-east-1', { UseDualStack: true }, 'https://monitoring.us-east-1.api.aws'],
  ['us-east-1', { UseFIPS: true, UseDualStack: true }, 'https://monitoring-fips.us-east-1.api.aws'],
  ['ap-southeast-5', {}, 'https://monitoring.ap-southeast-5.amazonaws.com'],
  ['us-gov-west-1', {}, 'https://monitoring.us-gov-west-1.amazonaws.com'],
  ['us-gov-west-1', { UseFIPS: true }, 'https://monitoring.us-gov-west-1.amazonaws.com'],
  ['cn-north-1', {}, 'https://monitoring.cn-north-1.amazonaws.com.cn'],
])('the endpoint of CloudWatch in %s with %j', (Region, flags, endpoint) => {
  expect(cloudWatchEndpoint({ Region, UseFIPS: false, UseDualStack: false, ...flags })).toBe(endpoint)
})

test.each(['us-iso-east-1', 'us-isob-east-1', 'eu-isoe-west-1', 'eusc-de-east-1', 'x.evil.example/'])(
  'in %s the endpoint must be given',
  (Region) => {
    expect(() => cloudWatchEndpoint({ Region })).toThrow(`give endpoint for the region '${Region}'`)
  },
)

test('waiting for the next report does not keep a process alive', async () => {
  const entry = JSON.stringify(new URL('../../src/cloudwatch.ts', import.meta.url).href)
  const script = `
    const { cloudWatchMetrics } = await import(${entry})
    cloudWatchMetrics({ collect: () => [] }, { sender: { putMetricData: () => Promise.resolve() } })
    console.log('started')
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  expect(stdout).toBe('started\n')
})
