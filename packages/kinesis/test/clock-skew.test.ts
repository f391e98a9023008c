import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { systemClock } from '@sluice/core'
import { expect, onTestFinished, test } from 'vitest'

import { ClientLease, KinesisApi } from '../src/api.ts'
import { judge } from '../src/classify.ts'
import { resolveOptions } from '../src/options.ts'

const MINUTE_MS = 60_000

let requests = 0

/** A service whose clock is ahead of this machine's, and which may refuse the signature for another reason. */
async function startService(aheadMs: number, refusal?: string): Promise<KinesisApi> {
  requests = 0
  const server = createServer((request, response) => {
    requests++
    request.resume()
    request.on('end', () => {
      const nowMs = Date.now() + aheadMs
      const headers = { 'content-type': 'application/x-amz-json-1.1', date: new Date(nowMs).toUTCString() }
      const skewed = Math.abs(signedMs(String(request.headers['x-amz-date'])) - nowMs) > 5 * MINUTE_MS
      const refused = skewed ? 'InvalidSignatureException' : refusal
      const body = refused === undefined ? { Shards: [] } : { __type: refused, message: 'Signature expired' }
      response.writeHead(refused === undefined ? 200 : 400, headers).end(JSON.stringify(body))
    })
  })
  const { promise: listening, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await listening
  const options = resolveOptions<unknown>({
    streamName: 'orders',
    aws: {
      region: 'eu-west-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    },
  })
  const { sender, release } = new ClientLease(options).acquire()
  onTestFinished(() => {
    release()
    server.closeAllConnections()
    server.close()
  })
  return new KinesisApi(sender, options, systemClock)
}

/** The time of an `x-amz-date` header: 20260101T000000Z. */
function signedMs(header: string): number {
  return Date.parse(header.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/u, '$1-$2-$3:$4:$5'))
}

const { signal } = new AbortController()

test.each([20, -20])('a clock that is off by %i minutes is corrected by the first refusal', async (minutes) => {
  const api = await startService(minutes * MINUTE_MS)
  await expect(api.listShards({}, signal)).resolves.toMatchObject({ output: { Shards: [] } })
  expect(requests).toBe(2)
  await api.listShards({}, signal)
  expect(requests).toBe(3)
})

test.each([
  ['InvalidSignatureException', 0, 2],
  ['AccessDeniedException', 0, 1],
  ['AccessDeniedException', 20, 2],
])('%s for another reason ends the job, clock off by %i minutes: %i requests', async (name, minutes, expected) => {
  const api = await startService(minutes * MINUTE_MS, name)
  const error: unknown = await api.listShards({}, signal).catch((reason: unknown) => reason)
  expect(requests).toBe(expected)
  expect(judge(error, 'running')).toMatchObject({ verdict: 'fatal', failure: { code: name } })
})
