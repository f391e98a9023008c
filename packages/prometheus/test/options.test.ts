import { inspect } from 'node:util'
import { Secret, SluiceError } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import { resolveSinkOptions } from '../src/options-sink.ts'
import type { ResolvedSinkOptions } from '../src/options-sink.ts'

const URL_GIVEN = 'https://receiver/api/v1/write?tenant=t0ken'

function resolve(more: object = {}): ResolvedSinkOptions<unknown> {
  return resolveSinkOptions({ prometheusRemoteWriteUrl: URL_GIVEN, ...more })
}

function problems(options: unknown): readonly string[] {
  try {
    resolveSinkOptions(options as never)
  } catch (error) {
    if (!SluiceError.isInstance(error) || error.code !== 'SLUICE_OPTIONS_INVALID') throw error
    return error.facts['problems'] as readonly string[]
  }
  return []
}

function isolating(isolateAfterServerErrors: number, maxRetryCount: number | undefined): object {
  return { prometheusRemoteWriteUrl: URL_GIVEN, isolateAfterServerErrors, retryConfiguration: { maxRetryCount } }
}

describe('defaults', () => {
  test('the address alone suffices', () => {
    const { engine, ...rest } = resolve()
    expect(engine).toMatchObject({
      maxBatchSize: 500,
      maxBatchWeight: 500,
      maxBufferedRequests: 4000,
      maxInFlightRequests: 4,
      maxTimeInBufferMS: 5000,
      requestTimeoutMs: 30_000,
      retry: { initialDelayMs: 30, maxDelayMs: 5000 },
    })
    expect(engine.retry?.maxAttempts).toBeUndefined()
    expect(rest).toMatchObject({
      uid: 'prometheus',
      shownUrl: 'https://receiver/api/v1/write',
      maxRecordSizeInSamples: 500,
      maxRetryCount: 100,
      protocol: '1.0',
      maxIsolationRequests: 200,
      isolateAfterServerErrors: 3,
      metricGroupName: 'Prometheus',
      tenantHeader: 'x-scope-orgid',
      policy: {
        onMaxRetryExceeded: 'FAIL',
        onHttpClientIOFail: 'FAIL',
        onPrometheusNonRetriableError: undefined,
      },
    })
    expect(rest.transport).toMatchObject({ socketTimeoutMs: 5000, connectTimeoutMs: 5000, maxInFlightRequests: 4 })
  })

  test('the user agent has a name and a version', () => {
    expect(resolve().headers['user-agent']).toMatch(/^Sluice-Prometheus\/\d+\.\d+\.\d+/)
    expect(resolve({ httpUserAgent: 'mine/1.0' }).headers['user-agent']).toBe('mine/1.0')
  })

  test('what depends on another option follows it', () => {
    const small = resolve({ maxBatchSizeInSamples: 100 })
    expect(small.maxRecordSizeInSamples).toBe(100)
    expect(small.engine.maxBufferedRequests).toBe(4000)
    expect(resolve({ maxBatchSizeInSamples: 2000 }).engine.maxBufferedRequests).toBe(16_000)
    const wide = resolve({ orderedLanes: 16 })
    expect(wide.engine).toMatchObject({ maxInFlightRequests: 16, maxBufferedRequests: 16_000 })
    expect(problems({ prometheusRemoteWriteUrl: URL_GIVEN, maxInFlightRequests: 1 })).toStrictEqual([])
    expect(problems({ prometheusRemoteWriteUrl: URL_GIVEN, maxBufferedRequests: 501 })).toStrictEqual([])
  })

  test('undefined counts as not given', () => {
    const names = ['maxBatchSizeInSamples', 'retryConfiguration', 'socketTimeoutMs', 'basicAuth', 'headers', 'protocol']
    expect(resolve(Object.fromEntries(names.map((name) => [name, undefined])))).toMatchObject({
      maxRetryCount: 100,
      protocol: '1.0',
    })
    expect(resolve({ retryConfiguration: { maxRetryCount: undefined } }).maxRetryCount).toBe(100)
  })
})

describe('spellings', () => {
  const behavior = { onPrometheusNonRetriableError: 'FAIL', onMaxRetryExceeded: 'DISCARD_AND_CONTINUE' }

  test.each([
    ['the first', { errorHandlingBehaviorConfiguration: behavior }],
    ['the British', { errorHandlingBehaviourConfiguration: behavior }],
    [
      'the later',
      {
        errorHandlingBehaviorConfiguration: {
          onPrometheusNonRetryableError: 'FAIL',
          onMaxRetryExceeded: 'DISCARD_AND_CONTINUE',
        },
      },
    ],
  ])('%s is taken', (_, options) => {
    expect(resolve(options).policy).toStrictEqual({
      onMaxRetryExceeded: 'DISCARD_AND_CONTINUE',
      onHttpClientIOFail: 'FAIL',
      onPrometheusNonRetriableError: 'FAIL',
    })
  })

  test('two spellings of one option are a problem', () => {
    const found = problems({
      prometheusRemoteWriteUrl: URL_GIVEN,
      errorHandlingBehaviorConfiguration: {},
      errorHandlingBehaviourConfiguration: {},
    })
    expect(found).toStrictEqual([expect.stringContaining('are one option')])
    const inner = problems({
      prometheusRemoteWriteUrl: URL_GIVEN,
      errorHandlingBehaviorConfiguration: {
        onPrometheusNonRetriableError: 'FAIL',
        onPrometheusNonRetryableError: 'FAIL',
      },
    })
    expect(inner).toStrictEqual([expect.stringContaining('are one option')])
  })
})

describe('isolateAfterServerErrors', () => {
  test.each([
    [3, 2],
    [1, 0],
    [101, undefined],
    [1000, Number.POSITIVE_INFINITY],
    [Number.POSITIVE_INFINITY, 0],
  ])('%d is possible with maxRetryCount %d', (count, maxRetryCount) => {
    expect(problems(isolating(count, maxRetryCount))).toStrictEqual([])
  })

  test.each([
    [3, 1, 'got 3 and 1'],
    [2, 0, 'got 2 and 0'],
    [102, undefined, 'got 102 and 100'],
  ])('%d would do nothing with maxRetryCount %d', (count, maxRetryCount, got) => {
    expect(problems(isolating(count, maxRetryCount))).toStrictEqual([
      `isolateAfterServerErrors must be at most retryConfiguration.maxRetryCount + 1, ${got}`,
    ])
  })

  test('its default is no problem where there are no repeats', () => {
    expect(resolve({ retryConfiguration: { maxRetryCount: 0 } }).isolateAfterServerErrors).toBe(3)
  })
})

describe('problems', () => {
  test('all of them are told at once', () => {
    const found = problems({
      prometheusRemoteWriteUrl: 'ftp://receiver',
      maxBatchSizeInSample: 5,
      maxRecordSizeInSamples: 600,
      maxBufferedRequests: 500,
      retryConfiguration: { initialRetryDelayMS: 6000, maxRetryCount: -1 },
      protocol: '3.0',
      headers: { 'User-Agent': 'x' },
      errorHandlingBehaviourConfiguration: { onMaxRetryExceeded: 'IGNORE' },
      tls: { rejectUnauthorized: false },
      basicAuth: { username: 'a:b' },
    })
    const wanted = [
      'prometheusRemoteWriteUrl must be an http: or https: address',
      "unknown option 'maxBatchSizeInSample'; did you mean 'maxBatchSizeInSamples'?",
      'maxRecordSizeInSamples must be at most maxBatchSizeInSamples, got 600 and 500',
      'maxBufferedRequests must be greater than maxBatchSizeInSamples, got 500 and 500',
      'retryConfiguration.initialRetryDelayMS must be at most maxRetryDelayMS, got 6000 and 5000',
      'retryConfiguration.maxRetryCount must be an integer from 0',
      'protocol must be one of',
      "headers must not be or have 'User-Agent', which is reserved: see httpUserAgent",
      'errorHandlingBehaviourConfiguration.onMaxRetryExceeded must be one of',
      "unknown option 'tls.rejectUnauthorized'",
      'basicAuth.username must be a non-empty string without a colon',
      'basicAuth.password must be a string or a Secret',
    ]
    for (const each of wanted) expect(found).toContainEqual(expect.stringContaining(each))
    expect(found).toHaveLength(wanted.length)
  })

  test.each<[string, object, string]>([
    ['an address with credentials', { prometheusRemoteWriteUrl: 'https://u:p@h/' }, 'must not have credentials'],
    ['a batch of nothing', { maxBatchSizeInSamples: 0 }, 'maxBatchSizeInSamples must be an integer from 1'],
    [
      'lanes without requests',
      { orderedLanes: 5, maxInFlightRequests: 4 },
      'orderedLanes must be at most maxInFlightRequests',
    ],
    ['lanes without room', { orderedLanes: 4, maxBufferedRequests: 3999 }, '2 x orderedLanes x maxBatchSizeInSamples'],
    [
      'no time for an answer',
      { requestTimeoutMs: 10_000 },
      'must be greater than connectTimeoutMs and socketTimeoutMs',
    ],
    ['no time for a socket', { socketTimeoutMs: 0 }, 'socketTimeoutMs must be an integer from 1'],
    ['two kinds of authentication', { bearerToken: 'a', requestSigner: () => undefined }, 'exclude each other'],
    ['a token with a line end', { bearerToken: 'a\nb' }, 'bearerToken must be a string or Secret'],
    ['a header of the protocol', { headers: { 'X-Prometheus-Remote-Write-Version': '9' } }, 'reserved'],
    ['a header of authentication', { headers: { AUTHORIZATION: 'x' } }, 'see basicAuth, bearerToken and requestSigner'],
    ['a header twice', { headers: { a: '1', A: '2' } }, "headers has 'a' twice"],
    ['a header in two lines', { headers: { a: '1\r\nb: 2' } }, 'headers.a must be a string or a Secret'],
    ['a name that is no header', { headers: { 'a b': '1' } }, 'is not the name of a header'],
    ['the header of the tenant', { headers: { 'x-scope-orgid': 'a' } }, 'see tenant'],
    ['a reserved header for the tenant', { tenantHeader: 'Host' }, 'reserved'],
    ['a tenant in two lines', { tenant: 'a\nb' }, 'tenant must be'],
    ['a key without its certificate', { tls: { key: 'pem' } }, 'tls.key and tls.cert need each other'],
    ['a proxy that is none', { proxyUrl: 'socks5://h' }, 'proxyUrl must be an http: or https: address'],
    ['a proxy with half a character', { proxyUrl: 'http://me:100%@h' }, 'percent-encoded'],
    ['a user agent of nothing', { httpUserAgent: ' ' }, 'httpUserAgent must be visible ASCII text'],
    [
      'a dispatcher and a proxy',
      { dispatcher: { request() {} }, proxyUrl: 'http://h' },
      'dispatcher excludes proxyUrl',
    ],
    ['an interval that is none', { metadataIntervalMs: -1 }, 'metadataIntervalMs must be an integer from 0'],
    ['a policy for malformed series', { validation: 'maybe' }, 'validation must be one of'],
    ['a converter that is none', { elementConverter: 5 }, 'elementConverter must be a function'],
    ['retries that are none', { retryConfiguration: 5 }, 'retryConfiguration must be an object'],
    ['a uid with half a character', { uid: '\uD800' }, 'uid must be a well-formed string'],
  ])('%s', (_, options, wanted) => {
    const found = problems({ prometheusRemoteWriteUrl: URL_GIVEN, ...options })
    expect(found).toStrictEqual([expect.stringContaining(wanted)])
  })

  test.each([
    'maxBatchSizeInSamples',
    'maxRecordSizeInSamples',
    'maxBatchSizeInBytes',
    'maxTimeInBufferMS',
    'maxBufferedRequests',
    'maxBufferedBytes',
    'maxInFlightRequests',
    'orderedLanes',
    'entryTimeoutMs',
    'socketTimeoutMs',
    'connectTimeoutMs',
    'requestTimeoutMs',
    'maxIsolationRequests',
    'isolateAfterServerErrors',
    'metadataIntervalMs',
    'retryConfiguration.initialRetryDelayMS',
    'retryConfiguration.maxRetryDelayMS',
    'retryConfiguration.maxRetryCount',
  ])('a symbol or a bigint as %s is one problem', (name) => {
    const [option = '', inner] = name.split('.')
    for (const value of [Symbol('n'), 1n]) {
      const given = { [option]: inner === undefined ? value : { [inner]: value } }
      expect(problems({ prometheusRemoteWriteUrl: URL_GIVEN, ...given })).toStrictEqual([
        expect.stringContaining(`${name} must be an integer`),
      ])
    }
  })

  test('every reserved header is refused, whatever its case, and all are told at once', () => {
    const reserved = [
      'Content-Encoding',
      'content-length',
      'Content-Type',
      'CONTENT-MD5',
      'X-Prometheus-Remote-Write-Version',
      'x-prometheus-remote-write-samples-written',
      'User-Agent',
      'Authorization',
      'Proxy-Authorization',
      'Host',
      'Connection',
      'Keep-Alive',
      'Transfer-Encoding',
      'TE',
      'Trailer',
      'Upgrade',
      'Expect',
      'X-Amz-Date',
      'x-amz-security-token',
      'X-Amz-Content-Sha256',
    ]
    const headers = Object.fromEntries([...reserved, 'X-Mine', 'x-amzn-trace-id'].map((name) => [name, 'x']))
    const found = problems({ prometheusRemoteWriteUrl: URL_GIVEN, headers, requestSigner: () => undefined })
    expect(found).toStrictEqual(
      reserved.map((name) => expect.stringContaining(`headers must not be or have '${name}', which is reserved`)),
    )
    for (const name of ['x-prometheus-remote-write-version', 'X-Amz-Date', 'content-type']) {
      expect(problems({ prometheusRemoteWriteUrl: URL_GIVEN, tenantHeader: name })).toHaveLength(1)
    }
  })

  test.each([undefined, null, 5, 'https://receiver', []])('options that are %s', (options) => {
    expect(problems(options).length).toBeGreaterThan(0)
  })
})

test('no secret is shown', () => {
  const found = problems({
    prometheusRemoteWriteUrl: 'https://user:s3cret@receiver/?key=s3cret',
    bearerToken: 's3cret s3cret',
    headers: { a: 's3cret\n', b: new Secret('s3cret\n') },
    basicAuth: { username: '', password: { s3cret: 's3cret' } },
    proxyUrl: 's3cret',
    tls: { passphrase: Buffer.from('s3cret') },
  })
  expect(found.length).toBeGreaterThan(6)
  expect(inspect(found)).not.toContain('s3cret')
})
