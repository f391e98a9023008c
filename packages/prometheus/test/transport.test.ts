import { Secret } from '@sluice/core'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { authorizationOf, type BearerToken } from '../src/auth.ts'
import { classifyError } from '../src/classify.ts'
import { proxySecrets } from '../src/options-transport.ts'
import type { TransportOptions } from '../src/options.ts'
import { CredentialsError, Transport } from '../src/transport.ts'
import { Receiver } from './receiver.ts'

let receiver: Receiver
let transport: Transport | undefined

beforeEach(async () => {
  receiver = await Receiver.start()
})

afterEach(async () => {
  await transport?.close()
  await receiver[Symbol.asyncDispose]()
})

function open(more: Partial<TransportOptions> = {}): Transport {
  transport = new Transport({
    url: receiver.url,
    socketTimeoutMs: 5000,
    connectTimeoutMs: 5000,
    maxInFlightRequests: 2,
    requestSigner: undefined,
    authorization: undefined,
    secrets: [],
    tls: undefined,
    proxyUrl: undefined,
    dispatcher: undefined,
    ...more,
  })
  return transport
}

const BODY = new Uint8Array([1, 2, 3])

function request(headers: Readonly<Record<string, string>> = {}, signal = new AbortController().signal) {
  return { body: BODY, headers: { 'content-type': 'application/x-protobuf', ...headers }, signal }
}

describe('Transport', () => {
  test('posts the bytes to the path and the query of the address', async () => {
    const answer = await open({ url: `${receiver.url}?token=1` }).post(request())
    expect(answer).toMatchObject({ status: 204, text: '' })
    const [received] = receiver.received
    expect(received).toMatchObject({ method: 'POST', path: '/api/v1/write?token=1' })
    expect(received?.body).toStrictEqual(Buffer.from(BODY))
    expect(received?.headers).toMatchObject({ 'content-length': '3', 'content-type': 'application/x-protobuf' })
  })

  test('uses connections again, also after an error with a body', async () => {
    receiver.script({ status: 400, text: 'no' }, { status: 200, text: 'yes'.repeat(50) })
    const posting = open()
    for (let count = 0; count < 20; count++) await posting.post(request())
    expect(receiver.connections).toBeLessThan(4)
  })

  test('gives the beginning of an error in one line, however long it is', async () => {
    receiver.script({ status: 400, text: `out of\r\norder \u001b[31m${'x'.repeat(1_000_000)}` })
    const { text } = await open().post(request())
    expect(text).toMatch(/^out of order \[31mx+\.\.\.$/)
    expect(text.length).toBeLessThan(1100)
  })

  test('takes out what one request was signed with, too', async () => {
    let count = 0
    receiver.decide = ({ headers }) => ({ status: 403, text: `got ${JSON.stringify(headers)}` })
    const posting = open({
      requestSigner: (headers) => {
        count++
        headers['authorization'] = `Scheme the-signature-${count}`
        headers['X-Session-Token'] = `the-session-${count}`
      },
    })
    for (let turn = 1; turn <= 2; turn++) {
      const { text } = await posting.post(request({ 'x-extra': 'shown' }))
      expect(text).toContain('"x-extra":"shown"')
      expect(text).toContain('"content-type":"application/x-protobuf"')
      expect(text).not.toContain('the-signature')
      expect(text).not.toContain('the-session')
    }
  })

  test('takes out a token that a function gave, with its scheme or without', async () => {
    receiver.decide = ({ headers }) => ({
      status: 401,
      text: `${headers.authorization} or ${headers.authorization?.slice('Bearer '.length)}`,
    })
    const authorization = authorizationOf(undefined, () => Promise.resolve('t0ken-of-now'))
    const { text } = await open({ authorization }).post(request())
    expect(text).toBe('[secret] or [secret]')
  })

  test('leaves nothing of a secret that begins with another one', async () => {
    receiver.script({ status: 403, text: 'key1-and-more, key1' })
    const { text } = await open({ secrets: ['key1', 'key1-and-more'] }).post(request())
    expect(text).toBe('[secret], [secret]')
  })

  test('takes out the query of the address', async () => {
    const url = `${receiver.url}?api_key=a%2Fsecret%20key&a=secret&short=1`
    receiver.decide = ({ path }) => ({ status: 404, text: `no ${path}, key 'a/secret key', 'a%2Fsecret%20key', 1` })
    const { text } = await open({ url }).post(request())
    expect(text).toBe("no /api/v1/write[secret], key '[secret]', '[secret]', 1")
  })

  test('takes secrets out of what a receiver says', async () => {
    receiver.script({ status: 401, text: 'bad token s3cr3t-token, bad key k3y-value' })
    const authorization = authorizationOf(undefined, new Secret('s3cr3t-token'))
    const { text } = await open({ authorization, secrets: ['k3y-value'] }).post(request())
    expect(text).toBe('bad token [secret], bad key [secret]')
  })

  test('does not repeat what failed, and follows no redirect', async () => {
    receiver.script({ status: 307, headers: { location: receiver.url } })
    expect((await open().post(request())).status).toBe(307)
    receiver.script('cut')
    await expect(open().post(request())).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' })
    expect(receiver.received).toHaveLength(2)
  })

  test('gives up a receiver that does not answer in time', async () => {
    receiver.script('silent')
    const error: unknown = await open({ socketTimeoutMs: 50 })
      .post(request())
      .catch((thrown: unknown) => thrown)
    expect(classifyError(error, '', (text) => text)).toMatchObject({
      kind: 'cut',
      reason: { code: 'UND_ERR_HEADERS_TIMEOUT' },
    })
  })

  test('ends with its signal', async () => {
    receiver.script('silent')
    const abort = new AbortController()
    const posted = open().post(request({}, abort.signal))
    abort.abort(new Error('enough'))
    await expect(posted).rejects.toThrow('enough')
  })

  test('a port that nobody listens on is not reached', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const error: unknown = await open({ url: `http://127.0.0.1:${port}/` })
      .post(request())
      .catch((thrown: unknown) => thrown)
    expect(classifyError(error, '', (text) => text).kind).toBe('unreachable')
  })
})

describe('authentication', () => {
  test('basic', async () => {
    const authorization = authorizationOf({ username: 'me', password: new Secret('pa:ss') }, undefined)
    await open({ authorization }).post(request())
    const expected = `Basic ${Buffer.from('me:pa:ss').toString('base64')}`
    expect(receiver.received[0]?.headers.authorization).toBe(expected)
  })

  test('bearer, asked for anew for each attempt', async () => {
    let count = 0
    const authorization = authorizationOf(undefined, () => Promise.resolve(new Secret(`token-${++count}`)))
    const posting = open({ authorization })
    await posting.post(request())
    await posting.post(request())
    expect(receiver.received.map(({ headers }) => headers.authorization)).toStrictEqual([
      'Bearer token-1',
      'Bearer token-2',
    ])
  })

  test.each<[string, BearerToken]>([
    ['that throws', () => Promise.reject(new Error('no token today'))],
    ['that gives no text', () => undefined as unknown as string],
    ['that gives two lines', () => 'one\ntwo'],
  ])('a token %s sends nothing', async (_, token) => {
    const posted = open({ authorization: authorizationOf(undefined, token) }).post(request())
    await expect(posted).rejects.toBeInstanceOf(CredentialsError)
    expect(receiver.received).toHaveLength(0)
  })
})

describe('requestSigner', () => {
  test('signs each attempt: what is sent, for where it is sent', async () => {
    const seen: unknown[] = []
    const posting = open({
      requestSigner: (headers, body, url) => {
        seen.push({ ...headers }, Buffer.from(body), url.href)
        headers['X-Signature'] = `of ${body.byteLength} bytes, ${seen.length}`
      },
    })
    await posting.post(request())
    await posting.post(request())
    expect(seen.slice(0, 3)).toStrictEqual([
      { 'content-type': 'application/x-protobuf' },
      Buffer.from(BODY),
      receiver.url,
    ])
    expect(receiver.received.map(({ headers }) => headers['x-signature'])).toStrictEqual([
      'of 3 bytes, 3',
      'of 3 bytes, 6',
    ])
  })

  test('may be asynchronous, and cannot change how the body is to be read', async () => {
    const posting = open({
      requestSigner: async (headers) => {
        await Promise.resolve()
        headers['Content-Type'] = 'text/plain'
        headers['content-type'] = 'text/html'
        headers['authorization'] = 'mine'
      },
    })
    await posting.post(request())
    const [received] = receiver.received
    expect(received?.headers).toMatchObject({ 'content-type': 'application/x-protobuf', authorization: 'mine' })
    expect(received?.rawHeaders.filter((name) => name.toLowerCase() === 'content-type')).toHaveLength(1)
  })

  test('that does not end is given up with its request', async () => {
    const abort = new AbortController()
    const posted = open({ requestSigner: () => new Promise(() => undefined) }).post(request({}, abort.signal))
    abort.abort(new Error('enough'))
    await expect(posted).rejects.toThrow('enough')
  })
})

describe('proxyUrl', () => {
  test('goes through the proxy with its credentials, which no error shows', async () => {
    await withProxy(400, 'me:pr0xy-pass is unknown', async (port, asked) => {
      const proxyUrl = `http://me:pr0xy-pass@127.0.0.1:${port}`
      const answer = await open({ proxyUrl, secrets: proxySecrets(proxyUrl) }).post(request())
      expect(answer).toMatchObject({ status: 400, text: 'me:[secret] is unknown' })
      expect(asked[0]?.url).toBe(receiver.url)
      const wanted = `Basic ${Buffer.from('me:pr0xy-pass').toString('base64')}`
      expect(asked[0]?.headers['proxy-authorization']).toBe(wanted)
    })
  })

  test('a proxy that does not know the caller is the caller’s affair', async () => {
    await withProxy(407, '', async (port) => {
      const posted = open({ proxyUrl: `http://127.0.0.1:${port}` }).post(request())
      const error: unknown = await posted.catch((thrown: unknown) => thrown)
      const { kind, outcome } = classifyError(error, 'http://receiver', (text) => text)
      expect(kind).toBe('caller')
      expect('fail' in outcome && outcome.fail.code).toBe('SLUICE_ACCESS_DENIED')
    })
  })
})

/** A proxy that answers by itself. */
async function withProxy(status: number, text: string, run: (port: number, asked: IncomingMessage[]) => Promise<void>) {
  const asked: IncomingMessage[] = []
  const proxy = createServer((incoming, response) => {
    asked.push(incoming)
    incoming.resume()
    response.writeHead(status).end(text)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  try {
    await run((proxy.address() as AddressInfo).port, asked)
  } finally {
    await transport?.close()
    proxy.closeAllConnections()
    proxy.close()
  }
}
