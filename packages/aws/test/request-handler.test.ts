import { type Agent, createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KinesisClient, ListStreamsCommand } from '@aws-sdk/client-kinesis'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { afterEach, expect, test } from 'vitest'
import { classifyAwsError } from '../src/classify.ts'
import { awsClientConfig } from '../src/client-config.ts'
import { awsRequestHandler, type RequestHandlerOptions } from '../src/request-handler.ts'
import { until } from './json/support.ts'

const cleanups: (() => void)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

async function clientOf(listener: RequestListener, options?: RequestHandlerOptions): Promise<KinesisClient> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new KinesisClient({
    ...awsClientConfig({
      region: 'eu-west-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      credentials: { accessKeyId: 'AKIA', secretAccessKey: 's' },
      maxAttempts: 1,
    }),
    requestHandler: awsRequestHandler(options),
  })
  cleanups.push(() => {
    client.destroy()
    server.closeAllConnections()
    server.close()
  })
  return client
}

const list = (client: KinesisClient): Promise<unknown> => client.send(new ListStreamsCommand({}))

test('a Kinesis client speaks HTTP/1.1 to a server on plain http', async () => {
  const versions: string[] = []
  const client = await clientOf((request, response) => {
    versions.push(request.httpVersion)
    response.end('{"StreamNames":["hosts"]}')
  })
  expect(await list(client)).toMatchObject({ StreamNames: ['hosts'] })
  expect(versions).toEqual(['1.1'])
})

test('as many requests are under way as there are sockets', async () => {
  const waiting: (() => void)[] = []
  const { promise: three, resolve } = Promise.withResolvers<void>()
  const client = await clientOf(
    (_, response) => {
      waiting.push(() => response.end('{}'))
      if (waiting.length === 3) resolve()
    },
    { maxSockets: 3 },
  )
  const answers = Array.from({ length: 4 }, () => list(client))
  await three
  expect(waiting).toHaveLength(3)
  for (const answer of waiting.splice(0)) answer()
  await Promise.race(answers)
  const fourth = answers[3]
  while (waiting.length === 0) await new Promise(setImmediate)
  waiting[0]?.()
  await fourth
})

test('a request without an answer is rejected at its timeout, as unknown', async () => {
  const client = await clientOf(() => undefined, { requestTimeoutMs: 30 })
  const error: unknown = await list(client).catch((thrown: unknown) => thrown)
  expect(classifyAwsError(error)).toMatchObject({ kind: 'unknown' })
})

test('an answer whose body does not end is rejected at the timeout of its request, as unknown', async () => {
  const client = await clientOf(
    (_, response) => void response.writeHead(200, { 'content-length': 100 }).write('{"StreamNames":'),
    { requestTimeoutMs: 100 },
  )
  const error: unknown = await list(client).catch((thrown: unknown) => thrown)
  expect(classifyAwsError(error)).toMatchObject({ kind: 'unknown', code: 'ETIMEDOUT' })
})

test('a client that is destroyed keeps no connection, also where requests waited for one', async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  const client = await clientOf(() => resolve(), { maxSockets: 1 })
  const handler = client.config.requestHandler as NodeHttpHandler
  const ended = new AbortController()
  const answers = Array.from({ length: 3 }, () =>
    client.send(new ListStreamsCommand({}), { abortSignal: ended.signal }).catch(() => undefined),
  )
  await asked
  const { httpAgent } = handler.httpHandlerConfigs() as { readonly httpAgent: Agent }
  const open = (): number =>
    [httpAgent.sockets, httpAgent.freeSockets].flatMap((sockets) => Object.values(sockets)).length
  await until(() => Object.values(httpAgent.requests).flat().length === 2)
  ended.abort()
  client.destroy()
  await Promise.all(answers)
  await until(() => open() === 0)
  expect(open()).toBe(0)
})

test('a server that is not there is transient', async () => {
  const client = await clientOf(() => undefined)
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup()
  const error: unknown = await list(client).catch((thrown: unknown) => thrown)
  expect(classifyAwsError(error)).toMatchObject({ kind: 'transient', code: 'ECONNREFUSED' })
})

test('options are checked', () => {
  expect(() => awsRequestHandler({ maxSockets: 0, requestTimeoutMs: 1.5 })).toThrow(/maxSockets[^]*requestTimeoutMs/)
})
