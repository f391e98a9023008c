import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { fixedDelayRestart, MetricRegistry } from '@sluice/core'
import { Counter, Registry } from 'prom-client'
import snappy from 'snappyjs'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RemoteWriteClient } from '../src/client.ts'
import { decodeRemoteWrite } from '../src/decode.ts'
import { pushRegistry } from '../src/push-registry.ts'
import { linesOf } from './writer-stand.ts'
import { Receiver } from './receiver.ts'

/** The bits 7ff0000000000002, as protobuf writes a double. */
const STALE_MARKER = Buffer.from('020000000000f07f', 'hex')

const DEADLINE = { timeout: 30_000 }

let receiver: Receiver
let registry: Registry

beforeEach(async () => {
  receiver = await Receiver.start()
  registry = new Registry()
  new Counter({ name: 'c', help: 'help', labelNames: ['code'], registers: [registry] }).inc({ code: '200' }, 3)
})

afterEach(() => receiver[Symbol.asyncDispose]())

test('what is pushed arrives, and with it the end of its series', async () => {
  const push = pushRegistry(registry, {
    remoteWrite: { prometheusRemoteWriteUrl: receiver.url, httpUserAgent: 'shop/1' },
    labels: { job: 'shop' },
    staleMarkersOnClose: true,
  })
  await vi.waitFor(() => expect(push.status().written).toBe(1))
  await push.close()
  expect(push.status()).toMatchObject({ written: 2, failed: 0, series: 0 })
  const lines = receiver.received.flatMap(linesOf)
  const times = lines.map((line) => Number(/@(\d+)/.exec(line)?.[1]))
  expect(times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0))).toBe(true)
  expect(lines.map((line) => line.replace(/@\d+/, '@T'))).toStrictEqual([
    'c{code=200,job=shop} 3 @T',
    'c{code=200,job=shop} 3 @T',
    'c{code=200,job=shop} NaN @T',
  ])
  const bodies = receiver.received.map(({ body }) => Buffer.from(snappy.uncompress(body)))
  expect(bodies.filter((body) => body.includes(STALE_MARKER))).toHaveLength(1)
  const told = bodies.map((body) => [...decodeRemoteWrite(body, '1.0').metadata]).filter(({ length }) => length > 0)
  expect(told).toStrictEqual([[['c', { type: 'counter', help: 'help', unit: '' }]]])
  expect(receiver.received[0]?.headers['user-agent']).toBe('shop/1')
})

test('a client that has failed is made anew', async () => {
  receiver.script({ status: 403, text: 'no' })
  const push = pushRegistry(registry, { remoteWrite: { prometheusRemoteWriteUrl: receiver.url } })
  await vi.waitFor(() => expect(push.status().failed).toBe(1))
  expect(push.status().lastError).toContain('403')
  await push.close()
  expect(push.status()).toMatchObject({ written: 1, failed: 1 })
  expect(receiver.received.flatMap(linesOf)).toHaveLength(2)
})

test('what the receiver refuses is not written', async () => {
  receiver.decide = () => ({ status: 400, text: 'out of order sample' })
  await using client = new RemoteWriteClient({ prometheusRemoteWriteUrl: receiver.url })
  const push = pushRegistry(registry, { client })
  await push.close()
  expect(push.status()).toMatchObject({ written: 0, failed: 2 })
  expect(push.status().lastError).toMatch(/1 of 1 series were not written/)
})

test('a collection that is wholly written after a restart of the client is not told to be failed, whatever was refused before', async () => {
  // What is refused is lost; the two answers after it end the attempt.
  receiver.script({ status: 400, text: 'out of bounds' }, { status: 503 }, { status: 503 })
  const push = pushRegistry(registry, {
    remoteWrite: {
      prometheusRemoteWriteUrl: receiver.url,
      retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 1, maxRetryCount: 1 },
      restart: fixedDelayRestart({ delayMs: 1 }),
    },
    intervalMs: 100,
  })
  await vi.waitFor(() => expect(push.status().written).toBeGreaterThan(1), DEADLINE)
  await push.close()
  expect(push.status()).toMatchObject({ failed: 1 })
})

test('of a client that is made anew what the one before has lost does not count, though both have one registry of metrics', async () => {
  receiver.script({ status: 400, text: 'out of bounds' }, { status: 403, text: 'no' })
  const push = pushRegistry(registry, {
    remoteWrite: { prometheusRemoteWriteUrl: receiver.url, metrics: new MetricRegistry() },
    intervalMs: 100,
  })
  await vi.waitFor(() => expect(push.status().written).toBeGreaterThan(0), DEADLINE)
  await push.close()
  expect(push.status()).toMatchObject({ failed: 2 })
})

test('a process with nothing else to do ends', async () => {
  const script = `
    import { Counter, Registry } from 'prom-client'
    import { pushRegistry } from ${JSON.stringify(new URL('../src/push-registry.ts', import.meta.url).href)}
    const registry = new Registry()
    new Counter({ name: 'c', help: 'help', registers: [registry] }).inc()
    pushRegistry(registry, { remoteWrite: { prometheusRemoteWriteUrl: ${JSON.stringify(receiver.url)} } })
    process.on('exit', () => console.log('ended'))
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 15_000,
    cwd: import.meta.dirname,
  })
  expect(stdout).toBe('ended\n')
})
