import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { TimestreamSink } from '../../src/sink.ts'
import { Harness, until } from '../harness.ts'
import { type Answer, exception, STORED, FakeService } from '../fake-service.ts'

const record = { Dimensions: [{ Name: 'd', Value: 'v' }], MeasureName: 'm', MeasureValue: '1', Time: '1' }
const minimal = {
  databaseName: 'metrics',
  tableName: 'hosts',
  elementConverter: () => record,
  retry: { initialDelayMs: 1, maxDelayMs: 1 },
} as const

const cleanups: (() => void)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

interface Seen {
  readonly operation: string
  readonly authorization: string
}

/** A server that speaks enough of the protocol for one client, on plain http. */
async function serve(
  answer: (seen: Seen, index: number) => Answer | undefined,
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const server: Server = createServer((request, response) => {
    const operation = String(request.headers['x-amz-target']).split('.')[1] ?? ''
    const entry = { operation, authorization: String(request.headers.authorization) }
    seen.push(entry)
    request.resume().on('end', () => {
      const given = answer(entry, seen.length - 1)
      if (given === undefined) return
      if ('error' in given) {
        response.destroy()
        return
      }
      const body = JSON.stringify({ ...given.body, ...(given.type === undefined ? {} : { __type: given.type }) })
      response.writeHead(given.status, { 'content-type': 'application/x-amz-json-1.0' }).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const endpoints: Answer = { status: 200, body: { Endpoints: [{ Address: '127.0.0.1', CachePeriodInMinutes: 1440 }] } }

function useEnvironment(url: string): void {
  vi.stubEnv('AWS_ENDPOINT_URL_TIMESTREAM_WRITE', url)
  vi.stubEnv('AWS_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', `AKIA${url.replace(/\D/g, '')}`)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
}

describe.each(['sdk', 'direct'] as const)('over the transport %s', (transport) => {
  const options = { ...minimal, transport }

  test('region, endpoint and credentials come from the environment; the endpoint is discovered', async () => {
    const { url, seen } = await serve(({ operation }) => (operation === 'DescribeEndpoints' ? endpoints : STORED))
    useEnvironment(url)
    const harness = new Harness()
    const writer = new TimestreamSink(options).createWriter(harness.context)
    await harness.write(writer, [1, 2])
    await until('settled', () => harness.settlement.settled.length === 2)
    await writer.close(1000)
    expect(seen.map(({ operation }) => operation)).toEqual(['DescribeEndpoints', 'WriteRecords'])
    expect(seen[1]?.authorization).toContain('/eu-west-1/timestream/aws4_request')
  })

  test('an endpoint that is no longer valid is discovered anew', async () => {
    const { url, seen } = await serve(({ operation }, index) => {
      if (operation === 'DescribeEndpoints') return endpoints
      return index === 1 ? exception('InvalidEndpointException', 421, 'moved') : STORED
    })
    useEnvironment(url)
    const harness = new Harness()
    const writer = new TimestreamSink(options).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('settled', () => harness.settlement.settled.length === 1)
    await writer.close(1000)
    expect(seen.map(({ operation }) => operation)).toEqual([
      'DescribeEndpoints',
      'WriteRecords',
      'DescribeEndpoints',
      'WriteRecords',
    ])
    expect(harness.metric('numOfInvalidEndpointException')).toBe(1)
  })

  test('endpoints that are refused again and again end the attempt', async () => {
    const { url, seen } = await serve(({ operation }) =>
      operation === 'DescribeEndpoints' ? endpoints : exception('InvalidEndpointException', 421, 'moved'),
    )
    useEnvironment(url)
    const harness = new Harness()
    const writer = new TimestreamSink(options).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('the failure', () => harness.failures.length > 0)
    await writer.close(1000)
    expect(harness.failures[0]).toMatchObject({ code: 'SLUICE_SINK_FAILED', restartable: true })
    expect(seen.length).toBeLessThanOrEqual(12)
    expect(harness.settlement.settled).toEqual([])
  })

  test('a table that was asked for where the service no longer answers is asked for anew', async () => {
    const asked: string[] = []
    const { url } = await serve(({ operation }) => {
      asked.push(operation)
      if (operation === 'DescribeEndpoints') return endpoints
      const isFirst = asked.filter((name) => name === 'DescribeTable').length === 1
      if (isFirst && operation === 'DescribeTable') return exception('InvalidEndpointException', 421, 'moved')
      return operation === 'DescribeTable' ? { status: 200, body: { Table: { TableStatus: 'ACTIVE' } } } : STORED
    })
    useEnvironment(url)
    const harness = new Harness()
    const writer = new TimestreamSink({ ...options, ensureTable: true }).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('the outcome', () => harness.settlement.settled.length === 1 || harness.failures.length > 0)
    await writer.close(1000)
    expect(harness.failures).toEqual([])
    const first = asked.indexOf('DescribeTable')
    expect(asked.slice(first + 1, first + 3)).toEqual(['DescribeEndpoints', 'DescribeTable'])
  })

  test('a table that cannot be asked for by the last try ends the attempt, restartable', async () => {
    const { url } = await serve(({ operation }) =>
      operation === 'DescribeEndpoints' ? endpoints : exception('InternalServerException', 500, 'later'),
    )
    useEnvironment(url)
    const harness = new Harness()
    const retry = { initialDelayMs: 1, maxDelayMs: 1, maxAttempts: 2 }
    const writeClientConfig = { maxErrorRetry: 0 }
    const given = { ...options, retry, writeClientConfig, ensureTable: true }
    const writer = new TimestreamSink(given).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('the failure', () => harness.failures.length > 0)
    await writer.close(1000)
    expect(harness.failures[0]).toMatchObject({ code: 'SLUICE_SINK_FAILED', restartable: true })
    expect(harness.failures[0]?.message).toContain('Asking Timestream for the table failed')
    expect(harness.settlement).toMatchObject({ settled: [], refusals: [] })
  })

  test('a close while a table is asked for ends at once, and tells of no failure', async () => {
    const asked: string[] = []
    const { url } = await serve(({ operation }) => {
      asked.push(operation)
      return operation === 'DescribeEndpoints' ? endpoints : undefined
    })
    useEnvironment(url)
    const harness = new Harness()
    const writer = new TimestreamSink({ ...options, ensureTable: true }).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('the question', () => asked.includes('DescribeTable'))
    await writer.close(60_000)
    expect(harness.log).toEqual([])
    expect(harness.failures).toEqual([])
    expect(writer.status()).toMatchObject({ abandoned: 1, inHand: 0 })
  })

  test('a right that is missing to ask for a table is not told as one to write', async () => {
    const { url } = await serve(({ operation }) =>
      operation === 'DescribeEndpoints' ? endpoints : exception('AccessDeniedException', 400, 'no'),
    )
    useEnvironment(url)
    const harness = new Harness()
    const writer = new TimestreamSink({ ...options, checkRetention: true }).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('the failure', () => harness.failures.length > 0)
    await writer.close(1000)
    expect(harness.failures[0]).toMatchObject({ code: 'SLUICE_ACCESS_DENIED' })
    expect(harness.failures[0]?.message).toContain('timestream:DescribeTable')
    expect(harness.failures[0]?.message).not.toContain('timestream:WriteRecords')
  })

  test('an account that the closed service does not take is told so', async () => {
    const message =
      'Only existing Timestream for LiveAnalytics customers can access the service. Reach out to AWS support, for more information.'
    const { url } = await serve(() => exception('AccessDeniedException', 403, message))
    useEnvironment(url)
    const harness = new Harness()
    const writer = new TimestreamSink(options).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('the failure', () => harness.failures.length > 0)
    await writer.close(1000)
    expect(harness.failures[0]?.code).toBe('SLUICE_ACCESS_DENIED')
    expect(harness.failures[0]?.message).toContain('takes no new customers since 2025-06-20')
    expect(harness.failures[0]?.message).toContain(message)
  })

  test('ENV_VAR without keys ends the attempt with an error that names the variables', async () => {
    useEnvironment('http://127.0.0.1:9')
    vi.stubEnv('AWS_ACCESS_KEY_ID', '')
    const harness = new Harness()
    const writer = new TimestreamSink({ ...options, credentialsProviderType: 'ENV_VAR' }).createWriter(harness.context)
    await harness.write(writer, [1])
    await until('the failure', () => harness.failures.length > 0)
    await writer.close(1000)
    expect(harness.failures[0]?.code).toBe('SLUICE_ACCESS_DENIED')
    expect(harness.failures[0]?.message).toContain('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')
  })

  test('close ends connections of its own client', async () => {
    const { url, seen } = await serve(() => undefined)
    const harness = new Harness()
    useEnvironment(url)
    const writer = new TimestreamSink({ ...options, writeClientConfig: { endpointOverride: url } }).createWriter(
      harness.context,
    )
    await harness.write(writer, [1])
    await until('the request', () => seen.length === 1)
    await writer.close(5000)
    expect(writer.status()).toMatchObject({ written: 0, abandoned: 1, inFlightRequests: 0 })
  })
})

test('an injected client discovers its endpoint anew too', async () => {
  const service = new FakeService(
    ({ operation }, index) =>
      operation === 'DescribeEndpoints'
        ? { status: 200, body: { Endpoints: [{ Address: `cell${index}`, CachePeriodInMinutes: 60 }] } }
        : index === 1
          ? exception('InvalidEndpointException', 421, 'moved')
          : STORED,
    {},
  )
  const harness = new Harness()
  const writer = new TimestreamSink({ ...minimal, client: service.client }).createWriter(harness.context)
  await harness.write(writer, [1])
  await until('settled', () => harness.settlement.settled.length === 1)
  expect(service.requests.map(({ host }) => host)).toEqual([
    'ingest.timestream.eu-west-1.amazonaws.com',
    'cell0',
    'ingest.timestream.eu-west-1.amazonaws.com',
    'cell2',
  ])
})

test('a request without an answer ends at requestTimeout, repeated by the SDK maxErrorRetry times, then by the sink', async () => {
  const { url, seen } = await serve((_, index) => (index < 3 ? undefined : STORED))
  useEnvironment(url)
  const harness = new Harness()
  const writer = new TimestreamSink({
    ...minimal,
    transport: 'sdk',
    writeClientConfig: { endpointOverride: url, maxErrorRetry: 1, requestTimeout: 50 },
  }).createWriter(harness.context)
  await harness.write(writer, [1])
  await until('settled', () => harness.settlement.settled.length === 1)
  await writer.close(1000)
  expect(seen.map(({ operation }) => operation)).toEqual(Array.from({ length: 4 }).fill('WriteRecords'))
  expect(harness.metric('numRequestsUnknown')).toBe(1)
  expect(harness.metric('numWritesNonSDKRetries')).toBe(1)
  expect(harness.lines('Option: writeClientConfig.requestTimeout')).toHaveLength(1)
})

test('over the transport direct every try is one of the sink, also without an answer', async () => {
  const { url, seen } = await serve((_, index) => (index < 3 ? undefined : STORED))
  useEnvironment(url)
  const harness = new Harness()
  const writer = new TimestreamSink({
    ...minimal,
    writeClientConfig: { endpointOverride: url, maxErrorRetry: 10, requestTimeout: 50 },
  }).createWriter(harness.context)
  await harness.write(writer, [1])
  await until('settled', () => harness.settlement.settled.length === 1)
  await writer.close(1000)
  expect(seen.map(({ operation }) => operation)).toEqual(Array.from({ length: 4 }).fill('WriteRecords'))
  expect(harness.metric('numRequestsUnknown')).toBe(3)
  expect(harness.metric('numApiCalls')).toBe(4)
})

const failed = exception('InternalServerException', 500, 'down')

/** Timers that keep the process alive, also a few of the test runner. */
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

test.for([
  ['WriteRecords', 1, 30],
  ['DescribeEndpoints', 30, 1],
] as const)(
  'after close no pause between two tries of %s keeps the process alive: %i sinks with %i requests',
  async ([operation, sinks, requests]) => {
    const { url, seen } = await serve(() => failed)
    const options = {
      ...minimal,
      transport: 'sdk' as const,
      maxBatchSize: 1,
      ...(operation === 'WriteRecords' ? { writeClientConfig: { endpointOverride: url } } : {}),
    }
    useEnvironment(url)
    // Every pause is of 20 s, longer than this test waits.
    const random = vi.spyOn(Math, 'random').mockReturnValue(400)
    const warned = vi.spyOn(process, 'emitWarning')
    const before = timers()
    const writers = Array.from({ length: sinks }, () => {
      const harness = new Harness()
      return { harness, writer: new TimestreamSink(options).createWriter(harness.context) }
    })
    const records = Array.from({ length: requests }).fill(1)
    await Promise.all(writers.map(({ harness, writer }) => harness.write(writer, records)))
    await until('the pauses', () => random.mock.calls.length === 30)
    await Promise.all(writers.map(({ writer }) => writer.close(5000)))
    await until('no timer', () => timers() < before + 10)
    expect(seen.map((entry) => entry.operation)).toEqual(Array.from({ length: 30 }).fill(operation))
    expect(warned).not.toHaveBeenCalled()
    for (const { writer } of writers) expect(writer.status()).toMatchObject({ written: 0, abandoned: requests })
  },
)
