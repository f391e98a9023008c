import { KinesisClient } from '@aws-sdk/client-kinesis'
import * as sdk from '@aws-sdk/client-timestream-write'
import * as fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { JsonClient, parseJson, stringifyJson } from '../../src/json-client.ts'
import { resolveEndpoint } from '../../src/json/sdk-client.ts'
import { jsonClient, KEYS, LocalServer, type Received, sdkClient, TIMESTREAM } from './support.ts'

const NOW = Date.UTC(2026, 4, 6, 7, 8, 9)

let server: LocalServer

beforeAll(async () => {
  server = await LocalServer.start()
})

afterAll(() => server[Symbol.asyncDispose]())

beforeEach(() => {
  server.received.length = 0
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

test('what arrives of random requests is what the SDK sends: method, path, headers, body, signature', async () => {
  // The signatures of both are made at one time.
  vi.useFakeTimers({ toFake: ['Date'], now: NOW })
  let beyondNumbers = 0
  await fc.assert(
    fc.asyncProperty(requests, paths, fc.boolean(), async (request, path, isTemporary) => {
      const { sessionToken: _, ...lasting } = KEYS
      const credentials = isTemporary ? KEYS : lasting
      const peer = sdkClient({ endpoint: `${server.endpoint}${path}`, credentials })
      await using client = jsonClient(server, { client: peer })
      server.received.length = 0
      // Of the headers that only the SDK sends, none is signed here, so that the signatures can be compared.
      peer.middlewareStack.addRelativeTo(onlyOurs as never, {
        relation: 'before',
        toMiddleware: 'httpSigningMiddleware',
      })
      await peer.send(new sdk.WriteRecordsCommand(request as unknown as sdk.WriteRecordsCommandInput))
      await client.call('WriteRecords', stringifyJson(request))
      await client.call('WriteRecords', server.received[0]?.body ?? '')
      const [theirs, ours, same] = server.received.map(essence)
      // Every digit of a body counts; spaces and the order of fields do not.
      expect(ours?.values).toEqual(theirs?.values)
      // Of the same bytes, everything is the same, also the signature.
      expect(same).toEqual(theirs)
      if (/\d{17}/.test(stringifyJson(request.Records))) beyondNumbers++
      peer.destroy()
    }),
    { numRuns: 60 },
  )
  expect(beyondNumbers).toBeGreaterThan(10)
})

type SdkMiddleware = (
  next: (args: { readonly request: unknown }) => Promise<unknown>,
) => (args: { readonly request: unknown }) => Promise<unknown>

const SDK_ONLY = /^(?:amz-sdk-.*|x-amz-user-agent|user-agent)$/

const onlyOurs: SdkMiddleware = (next) => (args) => {
  const { headers } = args.request as { headers: Record<string, string> }
  for (const name of Object.keys(headers)) if (SDK_ONLY.test(name)) delete headers[name]
  return next(args)
}

function essence({ method, path, headers, body }: Received): {
  readonly values: object
  readonly body: string
  readonly signature: readonly unknown[]
} {
  const { connection: _, 'user-agent': __, ...signed } = headers
  const { authorization, 'content-length': length, 'x-amz-content-sha256': bodyHash, ...rest } = signed
  expect(Number(length)).toBe(Buffer.byteLength(body))
  return { values: { method, path, headers: rest, body: parseJson(body) }, body, signature: [bodyHash, authorization] }
}

const texts = fc.string({ minLength: 1, maxLength: 12, unit: 'binary' }).filter((text) => text.isWellFormed())
const records = fc.record(
  {
    Dimensions: fc.array(fc.record({ Name: texts, Value: texts }, { noNullPrototype: true }), {
      minLength: 1,
      maxLength: 3,
    }),
    MeasureName: texts,
    MeasureValue: fc.oneof(fc.double().map(String), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String)),
    MeasureValueType: fc.constantFrom('DOUBLE', 'BIGINT', 'VARCHAR', 'BOOLEAN'),
    Time: fc.nat().map(String),
    TimeUnit: fc.constantFrom('MILLISECONDS', 'NANOSECONDS'),
    Version: fc.oneof(fc.integer({ min: 1 }), fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n })),
  },
  { requiredKeys: ['Dimensions', 'Time'], noNullPrototype: true },
)
const requests = fc.record(
  {
    DatabaseName: texts,
    TableName: texts,
    CommonAttributes: records,
    Records: fc.array(records, { minLength: 1, maxLength: 5 }),
  },
  { requiredKeys: ['DatabaseName', 'TableName', 'Records'], noNullPrototype: true },
)
const paths = fc.constantFrom('', '/', '/stage', '/stage/', '/a%20b/c', '/ü/', '/%C3%BC', '/v1/~x(1)')

test('every header is signed except user-agent, and nothing else is sent', async () => {
  await using client = jsonClient(server)
  await client.call('WriteRecords', '{"é":1}')
  const { headers, rawNames } = { headers: server.received[0]?.headers ?? {}, rawNames: NAMES }
  expect(Object.keys(headers).toSorted()).toEqual([...rawNames, 'authorization', 'connection', 'user-agent'].toSorted())
  expect(headers.authorization).toContain(`SignedHeaders=${rawNames.join(';')}, `)
  expect(headers).toMatchObject({
    'content-length': '8',
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': 'Timestream_20181101.WriteRecords',
    'x-amz-security-token': KEYS.sessionToken,
    host: new URL(server.endpoint).host,
  })
})

const NAMES = [
  'content-length',
  'content-type',
  'host',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-target',
]

test('bytes are sent as they are', async () => {
  await using client = jsonClient(server)
  await client.call('WriteRecords', Buffer.from('[{"a": 1}]').subarray(1, 9))
  expect(server.received[0]?.body).toBe('{"a": 1}')
})

test('a call may name its endpoint, with port and path', async () => {
  const client = new JsonClient({ client: sdkClient(), service: TIMESTREAM, maxConnections: 1, timeoutMs: 30_000 })
  await using other = await LocalServer.start()
  for (const url of [`${server.endpoint}/cell1`, `${other.endpoint}/`, `${server.endpoint}/cell1`]) {
    await client.call('WriteRecords', '{}', { endpoint: new URL(url) })
  }
  expect(server.received.map(({ path, headers }) => [path, headers.host])).toEqual([
    ['/cell1/', new URL(server.endpoint).host],
    ['/cell1/', new URL(server.endpoint).host],
  ])
  expect(other.received).toHaveLength(1)
  await client.close()
})

/** Where the SDK itself would send, without sending. */
async function whereTheSdkSends(config: sdk.TimestreamWriteClientConfig = {}): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const client = sdkClient(config)
  client.config.requestHandler.handle = ({ protocol, hostname, port, path }) => {
    resolve(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`)
    return Promise.reject(new Error('not sent'))
  }
  await client.send(new sdk.DescribeEndpointsCommand({})).catch(() => undefined)
  return await promise
}

test.each([
  [{}, false],
  [{ region: 'us-gov-west-1' }, false],
  [{ region: 'cn-north-1' }, false],
  [{ useFipsEndpoint: true }, false],
  [{ useDualstackEndpoint: true }, false],
  [{ useFipsEndpoint: true, useDualstackEndpoint: true }, false],
  [{ region: 'fips-us-east-1' }, false],
  [{ endpoint: 'https://vpce-1.example:8443/stage/' }, true],
  [{ endpoint: 'http://127.0.0.1:8080' }, true],
])('the endpoint for %j is that of the SDK', async (config: sdk.TimestreamWriteClientConfig, isCustom) => {
  const { url, isCustom: named, scope } = await resolveEndpoint(sdkClient(config), 'timestream')
  expect(url.href).toBe(await whereTheSdkSends(config))
  expect(named).toBe(isCustom)
  const region = config.region === 'fips-us-east-1' ? 'us-east-1' : (config.region ?? 'eu-west-1')
  expect(scope).toEqual({ region, service: 'timestream' })
})

test('an endpoint of the environment is that of the SDK, unless it is to be ignored', async () => {
  vi.stubEnv('AWS_ENDPOINT_URL_TIMESTREAM_WRITE', 'http://127.0.0.1:8080/env')
  const { url, isCustom } = await resolveEndpoint(sdkClient(), 'timestream')
  expect(url.href).toBe('http://127.0.0.1:8080/env')
  expect(isCustom).toBe(true)
  expect(await whereTheSdkSends()).toBe('http://127.0.0.1:8080/env/')
  const ignoring = sdkClient({ ignoreConfiguredEndpointUrls: true })
  expect((await resolveEndpoint(ignoring, 'timestream')).isCustom).toBe(false)
})

test('other clients of the SDK are understood', async () => {
  const { url, scope } = await resolveEndpoint(new KinesisClient({ region: 'eu-central-1' }), 'kinesis')
  expect(url.href).toBe('https://kinesis.eu-central-1.amazonaws.com/')
  expect(scope).toEqual({ region: 'eu-central-1', service: 'kinesis' })
})

test('a missing region is the error of the SDK, and is asked for again', async () => {
  let region: string | undefined
  const peer = sdkClient({
    endpoint: server.endpoint,
    region: async () => {
      if (region === undefined) throw new Error('Region is missing')
      return await Promise.resolve(region)
    },
  })
  await using client = jsonClient(server, { client: peer })
  await expect(client.call('WriteRecords', '{}')).rejects.toThrow('Region is missing')
  region = 'eu-west-2'
  await client.call('WriteRecords', '{}')
  expect(server.received[0]?.headers.authorization).toContain('/eu-west-2/timestream/')
})

test('endpoint() says where requests go', async () => {
  await using client = jsonClient(server)
  expect(await client.endpoint()).toEqual({ url: new URL(server.endpoint), isCustom: true })
})

test.each([
  ['ftp://127.0.0.1/', 'must be an http or https URL'],
  ['http://user:pass-word@127.0.0.1/', 'must be a URL without user name and password'],
])('the endpoint %s is refused', async (href, problem) => {
  await using client = jsonClient(server)
  const call = client.call('WriteRecords', '{}', { endpoint: new URL(href) })
  await expect(call).rejects.toMatchObject({ code: 'SLUICE_OPTIONS_INVALID' })
  await expect(call).rejects.toThrow(problem)
  await expect(call).rejects.not.toThrow('pass-word')
})

test('options are checked, all at once', () => {
  const options = { client: {}, service: { exceptions: 1, targetPrefix: 'a\r\nb' }, maxConnections: 0, timeoutMs: 1e9 }
  expect(() => new JsonClient(options as never)).toThrow(
    /config has no region[^]*signingName[^]*targetPrefix[^]*contentType[^]*exceptions[^]*maxConnections[^]*timeoutMs/,
  )
})

test('an operation is a name', async () => {
  await using client = jsonClient(server)
  for (const [operation, timeoutMs] of [
    ['Write\r\nx: y', 10],
    ['', 10],
    ['WriteRecords', 0],
    ['WriteRecords', Number.NaN],
  ] as const) {
    await expect(client.call(operation, '{}', { timeoutMs })).rejects.toMatchObject({ code: 'SLUICE_OPTIONS_INVALID' })
  }
  expect(server.received).toEqual([])
})
