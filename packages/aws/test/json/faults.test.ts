import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { classifyAwsError } from '../../src/classify.ts'
import { JsonClient } from '../../src/json-client.ts'
import { sdkClient, TIMESTREAM, until } from './support.ts'

/** A TCP server that answers each request, once its body has come, with bytes of the test's choice. */
class RawServer {
  readonly #server: Server
  readonly sockets = new Set<Socket>()
  answering: (socket: Socket, body: string) => void = (socket) => socket.destroy()

  constructor() {
    this.#server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => undefined)
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
        const end = text.indexOf('\r\n\r\n')
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
        if (end < 0 || text.length < end + 4 + length) return
        const body = text.slice(end + 4)
        text = ''
        this.answering(socket, body)
      })
    }).listen(0, '127.0.0.1')
  }

  async client(maxConnections: number): Promise<JsonClient> {
    if (!this.#server.listening) await once(this.#server, 'listening')
    const client = sdkClient({ endpoint: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` })
    return new JsonClient({ client, service: TIMESTREAM, maxConnections, timeoutMs: 30_000, maxResponseBytes: 1000 })
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.#server.close()
  }
}

let server: RawServer

beforeEach(() => {
  server = new RawServer()
})

afterEach(() => server.close())

const head = (status: number, length: number, more = ''): string =>
  `HTTP/1.1 ${status} X\r\ncontent-length: ${length}\r\n${more}\r\n`

test('whatever a server says, a call ends, and its error has a kind', async () => {
  const kinds = new Map<string, number>()
  const client = await server.client(1)
  await fc.assert(
    fc.asyncProperty(answers, async (bytes) => {
      server.answering = (socket) => socket.end(Buffer.from(bytes, 'latin1'))
      const outcome = await client.call('WriteRecords', '{}').then(
        () => 'success',
        (error: unknown) => (error instanceof Error ? classifyAwsError(error).kind : 'no error'),
      )
      expect(outcome).not.toBe('no error')
      kinds.set(outcome, (kinds.get(outcome) ?? 0) + 1)
    }),
    { numRuns: 300 },
  )
  await client.close()
  for (const outcome of ['success', 'unknown', 'transient', 'throttled']) expect(kinds.get(outcome)).toBeGreaterThan(3)
})

const statuses = fc.constantFrom(200, 200, 204, 301, 400, 403, 404, 419, 429, 500, 503)
const bodies = fc.oneof(
  fc.constantFrom(
    '{}',
    '',
    '{"a":',
    '[1',
    'null',
    '{"__type":"ThrottlingException"}',
    '{"__type":{"a":1},"message":5}',
  ),
  fc.json().filter((text) => text.length < 900),
  fc.string({ maxLength: 1200, unit: 'binary' }),
)
const extra = fc.constantFrom(
  '',
  'connection: close\r\n',
  'content-encoding: gzip\r\n',
  'x-amzn-errortype: \r\n',
  'x-amzn-errortype: ThrottlingException:\r\n',
  'date: never\r\n',
  'transfer-encoding: chunked\r\n',
)
const answers = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(statuses, bodies, extra).map(([status, body, more]) => whole(status, body, more)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(statuses, bodies, fc.nat(200))
      .map(([status, body, length]) => whole(status, body, '').slice(0, length)),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 60, unit: 'binary-ascii' }) },
)

function whole(status: number, body: string, more: string): string {
  const bytes = Buffer.from(body).toString('latin1')
  return `${head(status, bytes.length, more)}${bytes}`
}

test('connections that the server ends after an answer are made anew', async () => {
  server.answering = (socket) => socket.end(`${head(200, 2, 'connection: close\r\n')}{}`)
  const client = await server.client(3)
  for (let i = 0; i < 5; i++) await client.call('WriteRecords', '{}')
  const many = await Promise.all(Array.from({ length: 20 }, () => client.call('WriteRecords', '{}')))
  expect(many).toHaveLength(20)
  // Without saying so: the client learns it when it sends again, or before.
  server.answering = (socket) => socket.end(`${head(200, 2)}{}`)
  for (let i = 0; i < 5; i++) {
    await client.call('WriteRecords', '{}')
    await until(() => server.sockets.size === 0)
  }
  await client.close()
})

test('of many calls among faults each ends once, with its own answer, and no connection is left', async () => {
  let most = 0
  server.answering = (socket, body) => {
    most = Math.max(most, server.sockets.size)
    const { n } = JSON.parse(body) as { readonly n: number }
    const answer = JSON.stringify({ n })
    if (n % 5 === 0) socket.destroy()
    else if (n % 5 === 1) socket.end(`${head(200, answer.length)}${answer.slice(0, 2)}`)
    else if (n % 5 === 2) socket.write(`${head(500, 2)}{}`)
    else setImmediate(() => socket.write(`${head(200, answer.length)}${answer}`))
  }
  const client = await server.client(8)
  const calls = await Promise.allSettled(
    Array.from({ length: 300 }, (_, n) => client.call('WriteRecords', JSON.stringify({ n }))),
  )
  const told = calls.map((call) => (call.status === 'fulfilled' ? call.value.body : classifyAwsError(call.reason).kind))
  expect(told).toEqual(calls.map((_, n) => ['unknown', 'unknown', 'transient', { n }, { n }][n % 5]))
  expect(most).toBeLessThanOrEqual(8)
  await client.close()
  await until(() => server.sockets.size === 0)
})
