import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import * as sdk from '@aws-sdk/client-timestream-write'
import { VirtualClock } from '@sluice/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { classifyAwsError } from '../../src/classify.ts'
import { JsonClient } from '../../src/json-client.ts'
import { jsonClient, KEYS, LocalServer, sdkClient, thrownBy, TIMESTREAM, until } from './support.ts'

let server: LocalServer

beforeEach(async () => {
  server = await LocalServer.start()
})

afterEach(() => server[Symbol.asyncDispose]())

/** A client on virtual time: its deadlines pass when the test says. */
function timed(timeoutMs = 1000): { clock: VirtualClock; client: JsonClient } {
  const clock = new VirtualClock(Date.now())
  return { clock, client: jsonClient(server, { clock, timeoutMs }) }
}

test('an answer has its JSON and its metadata', async () => {
  server.answering = (response) => {
    response.writeHead(200, { 'x-amzn-RequestId': 'R1', 'x-amz-id-2': 'E1', 'x-amz-cf-id': 'C1' })
    response.end('{"RecordsIngested":{"Total":9007199254740993}}')
  }
  await using client = jsonClient(server)
  expect(await client.call('WriteRecords', '{}')).toEqual({
    body: { RecordsIngested: { Total: 9007199254740993n } },
    metadata: {
      httpStatusCode: 200,
      requestId: 'R1',
      extendedRequestId: 'E1',
      cfId: 'C1',
      attempts: 1,
      totalRetryDelay: 0,
    },
  })
})

test('an empty answer is an empty object; the request id has three names', async () => {
  await using client = jsonClient(server)
  for (const name of ['x-amzn-requestid', 'x-amzn-request-id', 'x-amz-request-id']) {
    server.answering = (response) => response.writeHead(200, { [name]: 'R2' }).end()
    expect(await client.call('WriteRecords', '{}')).toMatchObject({ body: {}, metadata: { requestId: 'R2' } })
  }
})

test('no more connections than maxConnections; further requests wait for one, and connections are kept', async () => {
  const waiting: (() => void)[] = []
  server.answering = (response) => waiting.push(() => response.end('{}'))
  await using client = jsonClient(server, { maxConnections: 3 })
  const calls = Array.from({ length: 5 }, () => client.call('WriteRecords', '{}'))
  await until(() => waiting.length === 3)
  expect(await server.connections()).toBe(3)
  for (const answer of waiting.splice(0)) answer()
  await until(() => waiting.length === 2)
  expect(await server.connections()).toBe(3)
  for (const answer of waiting.splice(0)) answer()
  await Promise.all(calls)
})

test('a failed request is not repeated', async () => {
  server.answering = (response) => response.writeHead(500).end('{"__type":"InternalServerException"}')
  await using client = jsonClient(server)
  await expect(client.call('WriteRecords', '{}')).rejects.toBeInstanceOf(sdk.InternalServerException)
  expect(server.received).toHaveLength(1)
})

test('a request without an answer ends in its time, as unknown', async () => {
  server.answering = () => undefined
  const { clock, client } = timed()
  const call = thrownBy(client.call('WriteRecords', '{}'))
  await until(() => server.received.length === 1)
  await clock.advance(1000)
  const error = await call
  expect(error).toMatchObject({ name: 'TimeoutError', code: 'ETIMEDOUT', isSent: true })
  expect(error.message).toBe('no whole answer within timeoutMs (1000)')
  expect(classifyAwsError(error)).toMatchObject({ kind: 'unknown' })
  await until(async () => (await server.connections()) === 0)
  await client.close()
})

test('the time covers the body of the answer; a call may have its own', async () => {
  let begun = false
  server.answering = (response) => {
    response.writeHead(200).write('{"RecordsIngested":')
    begun = true
  }
  const { clock, client } = timed(60_000)
  const call = thrownBy(client.call('WriteRecords', '{}', { timeoutMs: 500 }))
  await until(() => begun)
  await clock.advance(500)
  expect(classifyAwsError(await call)).toMatchObject({ kind: 'unknown', code: 'ETIMEDOUT' })
  await client.close()
})

test('the time covers the credentials; what was not sent is no unknown outcome', async () => {
  const clock = new VirtualClock()
  const peer = sdkClient({ endpoint: server.endpoint, credentials: () => new Promise(() => undefined) })
  const client = jsonClient(server, { client: peer, clock, timeoutMs: 1000 })
  const call = thrownBy(client.call('WriteRecords', '{}'))
  await clock.advance(1000)
  const error = await call
  expect(error).toMatchObject({ name: 'TimeoutError', isSent: false })
  expect(classifyAwsError(error)).toMatchObject({ kind: 'transient' })
  await client.close()
})

test('a request that waits for a connection when its time is over is never sent', async () => {
  const waiting: (() => void)[] = []
  server.answering = (response) => waiting.push(() => response.end('{}'))
  const clock = new VirtualClock(Date.now())
  const client = jsonClient(server, { clock, maxConnections: 1, timeoutMs: 10_000 })
  const first = client.call('WriteRecords', '{"n":1}')
  await until(() => server.received.length === 1)
  const second = thrownBy(client.call('WriteRecords', '{"n":2}', { timeoutMs: 1000 }))
  await clock.advance(1000)
  expect(await second).toMatchObject({ name: 'TimeoutError', isSent: false })
  waiting[0]?.()
  await first
  server.answering = (response) => response.end('{}')
  await client.call('WriteRecords', '{"n":3}')
  expect(server.received.map(({ body }) => body)).toEqual(['{"n":1}', '{"n":3}'])
  await client.close()
})

test('a signal ends a request, before it is sent and after', async () => {
  server.answering = () => undefined
  await using client = jsonClient(server)
  const done = new AbortController()
  const call = thrownBy(client.call('WriteRecords', '{}', { signal: done.signal }))
  await until(() => server.received.length === 1)
  done.abort(new Error('the writer is closed'))
  const sent = await call
  expect(sent).toMatchObject({ name: 'AbortError', isSent: true, message: 'aborted: the writer is closed' })
  expect(classifyAwsError(sent)).toMatchObject({ kind: 'unknown' })
  const unsent = await thrownBy(client.call('WriteRecords', '{}', { signal: done.signal }))
  expect(unsent).toMatchObject({ name: 'AbortError', isSent: false, cause: done.signal.reason as unknown })
  expect(classifyAwsError(unsent)).toMatchObject({ kind: 'transient' })
  expect(server.received).toHaveLength(1)
})

test.each([
  ['with its length', (size: number) => ({ 'content-length': String(size) })],
  ['without', () => ({})],
])('an answer of more than maxResponseBytes ends, %s', async (_, headers) => {
  const body = `{"a":"${'x'.repeat(1000)}"}`
  server.answering = (response) => {
    response.writeHead(200, { 'x-amzn-requestid': 'R1', ...headers(body.length) })
    response.write(body.slice(0, 500))
    response.end(body.slice(500))
  }
  await using enough = jsonClient(server, { maxResponseBytes: body.length })
  expect(await enough.call('WriteRecords', '{}')).toMatchObject({ body: { a: 'x'.repeat(1000) } })
  await using client = jsonClient(server, { maxResponseBytes: body.length - 1 })
  const error = await thrownBy(client.call('WriteRecords', '{}'))
  expect(error).toMatchObject({ name: 'AnswerTooLargeError', $metadata: { httpStatusCode: 200, requestId: 'R1' } })
  expect(error.message).toContain(`maxResponseBytes (${body.length - 1})`)
  expect(classifyAwsError(error)).toMatchObject({ kind: 'unknown' })
})

test.each([
  ['that is not JSON', {}, '<html>secret page</html>'],
  ['that is cut within JSON', {}, '{"RecordsIngested":'],
  ['in an encoding that was not asked for', { 'content-encoding': 'gzip' }, '{}'],
])('a success %s is no success', async (_, headers, body) => {
  server.answering = (response) => response.writeHead(200, headers).end(body)
  await using client = jsonClient(server)
  const error = await thrownBy(client.call('WriteRecords', '{}'))
  expect(error).toMatchObject({ name: 'AnswerUnreadableError', isSent: true, $metadata: { httpStatusCode: 200 } })
  expect(classifyAwsError(error)).toMatchObject({ kind: 'unknown', httpStatus: 200 })
  expect(inspect(error)).not.toContain('secret page')
})

test.each([
  ['before an answer', (socket: Socket) => socket.destroy(), 'UND_ERR_SOCKET'],
  ['with a reset', (socket: Socket) => socket.resetAndDestroy(), 'ECONNRESET'],
  ['within the answer', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"a"'), undefined],
  ['after what is not HTTP', (socket: Socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'), undefined],
])('a connection that ends %s is unknown', async (_, end, code) => {
  const raw = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => end(socket))
  })
  raw.listen(0, '127.0.0.1')
  await once(raw, 'listening')
  const endpoint = new URL(`http://127.0.0.1:${(raw.address() as AddressInfo).port}`)
  const client = jsonClient(server)
  const error = await thrownBy(client.call('WriteRecords', '{}', { endpoint }))
  expect(error).toMatchObject({ name: 'ConnectionError', isSent: true, ...(code === undefined ? {} : { code }) })
  expect(classifyAwsError(error)).toMatchObject({ kind: 'unknown' })
  expect(inspect(error, { depth: 9 })).not.toContain(KEYS.sessionToken)
  await client.close()
  raw.close()
})

test('a server that is not there keeps the code of its error', async () => {
  await using gone = await LocalServer.start()
  const endpoint = new URL(gone.endpoint)
  await gone[Symbol.asyncDispose]()
  await using client = jsonClient(server)
  const error = await thrownBy(client.call('WriteRecords', '{}', { endpoint }))
  expect(error).toMatchObject({ name: 'ConnectionError', code: 'ECONNREFUSED', isSent: false })
  expect(classifyAwsError(error)).toMatchObject({ kind: 'transient', code: 'ECONNREFUSED' })
})

test('an interim answer is passed over', async () => {
  server.answering = (response) => {
    response.writeEarlyHints({ link: '</x>; rel=preload' })
    response.end('{"a":1}')
  }
  await using client = jsonClient(server)
  expect(await client.call('WriteRecords', '{}')).toMatchObject({ body: { a: 1 }, metadata: { httpStatusCode: 200 } })
})

test('an expired token is fetched anew for the next request', async () => {
  let keys = 0
  const peer = sdkClient({
    endpoint: server.endpoint,
    credentials: () => Promise.resolve({ accessKeyId: `AKID${++keys}`, secretAccessKey: 's', sessionToken: 't' }),
  })
  await using client = jsonClient(server, { client: peer })
  server.answering = (response, { headers }) => {
    const isOld = headers.authorization?.includes('=AKID1/') === true
    response.writeHead(isOld ? 403 : 200).end(isOld ? '{"__type":"ExpiredTokenException","message":"expired"}' : '{}')
  }
  const error = await thrownBy(client.call('WriteRecords', '{}'))
  expect(classifyAwsError(error)).toMatchObject({ kind: 'accessDenied', renewable: true })
  expect(server.received).toHaveLength(1)
  await client.call('WriteRecords', '{}')
  await client.call('WriteRecords', '{}')
  expect(keys).toBe(2)
})

/** Refuses signatures whose time differs from its own by more than five minutes. */
function strictAbout(serverTimeMs: () => number, name: string): void {
  server.answering = (response, { headers }) => {
    const [, year, month, day, hour, minute, second] = /^(\d{4})(..)(..)T(..)(..)(..)Z$/.exec(
      String(headers['x-amz-date']),
    ) as unknown as string[]
    const signedMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
    const isRefused = Math.abs(signedMs - serverTimeMs()) > 300_000
    response.writeHead(isRefused ? 403 : 200, { date: new Date(serverTimeMs()).toUTCString() })
    response.end(isRefused ? `{"__type":"${name}","message":"refused"}` : '{}')
  }
}

test.each(['InvalidSignatureException', 'RequestTimeTooSkewed', 'SignatureDoesNotMatch', 'RequestExpired'])(
  'a clock that is off is corrected for the next request: %s',
  async (name) => {
    for (const offsetMs of [3_600_000, -86_400_000]) {
      const { clock, client } = timed(30_000)
      strictAbout(() => clock.wallNow() + offsetMs, name)
      // Both were signed with the old time, so both may be repeated.
      const errors = await Promise.all([0, 1].map(() => thrownBy(client.call('WriteRecords', '{}'))))
      for (const error of errors) {
        expect(error).toMatchObject({
          name,
          $metadata: { httpStatusCode: 403, clockSkewCorrected: true },
          $retryable: { throttling: false },
        })
        expect(classifyAwsError(error)).toMatchObject({ kind: 'accessDenied', renewable: true })
      }
      expect(await client.call('WriteRecords', '{}')).toMatchObject({ metadata: { httpStatusCode: 200 } })
      await client.close()
    }
  },
)

test('a clock that was set right meanwhile is corrected back', async () => {
  const { clock, client } = timed(30_000)
  strictAbout(() => clock.wallNow() + 3_600_000, 'RequestTimeTooSkewed')
  await thrownBy(client.call('WriteRecords', '{}'))
  await client.call('WriteRecords', '{}')
  strictAbout(() => clock.wallNow(), 'RequestTimeTooSkewed')
  const error = await thrownBy(client.call('WriteRecords', '{}'))
  expect(error['$metadata']).toMatchObject({ clockSkewCorrected: true })
  await client.call('WriteRecords', '{}')
  await client.close()
})

test.each([
  ['a wrong secret', 'InvalidSignatureException', (now: number) => ({ date: new Date(now + 60_000).toUTCString() })],
  ['another error', 'ThrottlingException', (now: number) => ({ date: new Date(now + 7_200_000).toUTCString() })],
  ['a date that is none', 'RequestTimeTooSkewed', () => ({ date: 'yesterday' })],
])('%s says nothing about the clock', async (_, name, headers) => {
  const { clock, client } = timed(30_000)
  server.answering = (response) => {
    response.writeHead(400, headers(clock.wallNow())).end(`{"__type":"${name}","message":"m"}`)
  }
  const error = await thrownBy(client.call('WriteRecords', '{}'))
  expect(error['$metadata']).not.toHaveProperty('clockSkewCorrected')
  await thrownBy(client.call('WriteRecords', '{}'))
  const [first, second] = server.received.map(({ headers: sent }) => sent['x-amz-date'])
  expect(second).toBe(first)
  await client.close()
})

test('close waits for what is under way, refuses what comes after, and ends the connections', async () => {
  const waiting: (() => void)[] = []
  server.answering = (response) => waiting.push(() => response.end('{}'))
  const client = jsonClient(server)
  const call = client.call('WriteRecords', '{}')
  await until(() => server.received.length === 1)
  const closed: string[] = []
  const closing = client.close().finally(() => closed.push('closed'))
  await expect(client.call('WriteRecords', '{}')).rejects.toMatchObject({ code: 'SLUICE_CLOSED' })
  await new Promise(setImmediate)
  expect(closed).toEqual([])
  waiting[0]?.()
  await call
  await closing
  await client.close()
  await until(async () => (await server.connections()) === 0)
})

test('neither a client nor its errors show a secret', async () => {
  server.answering = (response) => response.destroy()
  await using client = jsonClient(server)
  const error = await thrownBy(client.call('WriteRecords', '{}'))
  for (const shown of [inspect(client, { depth: 20 }), inspect(error, { depth: 20 }), JSON.stringify(error)]) {
    expect(shown).not.toContain(KEYS.secretAccessKey)
    expect(shown).not.toContain(KEYS.sessionToken)
  }
})

test('the SDK client is only asked: nothing is sent through it, and it lives on', async () => {
  const peer = sdkClient({ endpoint: server.endpoint })
  const client = new JsonClient({ client: peer, service: TIMESTREAM, maxConnections: 1, timeoutMs: 30_000 })
  await client.call('WriteRecords', '{}')
  expect(server.received[0]?.headers['user-agent']).toMatch(/^sluice-aws /)
  await client.close()
  await peer.send(new sdk.DescribeEndpointsCommand({}))
  peer.destroy()
})
