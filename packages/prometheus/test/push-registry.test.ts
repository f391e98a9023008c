import type { Logger } from '@sluice/core'
import { VirtualClock } from '@sluice/core/testing'
import { Counter, Gauge, Histogram, type OpenMetricsContentType, Registry, Summary } from 'prom-client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RemoteWriteClient } from '../src/client.ts'
import type { MetricsRegistry } from '../src/push-collection.ts'
import { pushRegistry, type RegistryPush } from '../src/push-registry.ts'
import type { PushRegistryOptions } from '../src/push-options.ts'
import { ScriptedClient } from './scripted-client.ts'

const START = Date.UTC(2026, 0, 1)
const INTERVAL = 15_000

let clock: VirtualClock
let registry: Registry
let client: ScriptedClient
let push: RegistryPush | undefined
let logged: { level: string; message: string }[]

const at =
  (level: string): Logger['info'] =>
  (_, message) =>
    void logged.push({ level, message })

beforeEach(() => {
  clock = new VirtualClock(START)
  registry = new Registry()
  client = new ScriptedClient()
  push = undefined
  logged = []
})

afterEach(async () => {
  client.decide = () => undefined
  const closing = push?.close()
  await clock.advance(20_000)
  await closing
  if (clock.pendingTimers > 0) throw new Error(`${clock.pendingTimers} timers are left`)
})

function start(more: Partial<PushRegistryOptions> = {}, collected: MetricsRegistry = registry): RegistryPush {
  push = pushRegistry(collected, {
    client: client as unknown as RemoteWriteClient,
    clock,
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    ...more,
  })
  return push
}

function counter(name: string): Counter {
  return new Counter({ name, help: `help of ${name}`, registers: [registry] })
}

describe('what is collected', () => {
  test('every kind of metric, with the labels of the push where a series has none of that name', async () => {
    const requests = new Counter({
      name: 'requests_total',
      help: 'Requests.',
      labelNames: ['code', 'job'],
      registers: [registry],
    })
    requests.inc({ code: 200 }, 3)
    requests.inc({ code: '500', job: 'own' })
    new Gauge({ name: 'temperature', help: 'T.', registers: [registry] }).set(-1.5)
    const latency = new Histogram({
      name: 'latency_seconds',
      help: 'L.',
      labelNames: ['path'],
      buckets: [0.1, 1],
      registers: [registry],
    })
    latency.observe({ path: '/' }, 0.05)
    latency.observe({ path: '/' }, 5)
    new Summary({ name: 'size_bytes', help: 'S.', percentiles: [0.5], registers: [registry] }).observe(10)
    start({ labels: { job: 'shop', instance: 'a:1' } })
    await clock.flush()
    const added = { instance: 'a:1', job: 'shop' }
    expect(client.samples(0)).toStrictEqual([
      ['requests_total', { code: '200', ...added }, 3, START],
      ['requests_total', { code: '500', instance: 'a:1', job: 'own' }, 1, START],
      ['temperature', added, -1.5, START],
      ['latency_seconds_bucket', { ...added, le: '0.1', path: '/' }, 1, START],
      ['latency_seconds_bucket', { ...added, le: '1', path: '/' }, 1, START],
      ['latency_seconds_bucket', { ...added, le: '+Inf', path: '/' }, 2, START],
      ['latency_seconds_sum', { ...added, path: '/' }, 5.05, START],
      ['latency_seconds_count', { ...added, path: '/' }, 2, START],
      ['size_bytes', { ...added, quantile: '0.5' }, 10, START],
      ['size_bytes_sum', added, 10, START],
      ['size_bytes_count', added, 1, START],
    ])
    expect(client.writes[0]?.map(({ metadata }) => metadata?.type)).toStrictEqual([
      'counter',
      'counter',
      'gauge',
      ...Array.from({ length: 5 }, () => 'histogram'),
      ...Array.from({ length: 3 }, () => 'summary'),
    ])
  })

  test('default labels of the registry win over those of the push', async () => {
    counter('c').inc()
    registry.setDefaultLabels({ job: 'default' })
    start({ labels: { job: 'shop' } })
    await clock.flush()
    expect(client.samples(0)).toStrictEqual([['c', { job: 'default' }, 1, START]])
  })

  test('an exemplar is sent once', async () => {
    const openMetrics = new Registry<OpenMetricsContentType>()
    openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const traced = new Counter({ name: 'traced', help: 'x', enableExemplars: true, registers: [openMetrics] })
    traced.inc({ value: 2, exemplarLabels: { trace_id: 'abc' } })
    start({}, openMetrics)
    await clock.advance(INTERVAL)
    expect(client.writes.map(([series]) => series?.exemplars)).toMatchObject([
      [{ labels: { trace_id: 'abc' }, value: 2, timestamp: expect.any(Number) as number }],
      undefined as never,
    ])
    expect(Number.isInteger(client.writes[0]?.[0]?.exemplars?.[0]?.timestamp)).toBe(true)
  })

  test('an exemplar of a collection that failed is sent with the next', async () => {
    const openMetrics = new Registry<OpenMetricsContentType>()
    openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const traced = new Counter({ name: 'traced', help: 'x', enableExemplars: true, registers: [openMetrics] })
    traced.inc({ value: 2, exemplarLabels: { trace_id: 'abc' } })
    client.decide = (number) => (number === 0 ? Promise.reject(new Error('denied')) : undefined)
    start({}, openMetrics)
    await clock.advance(2 * INTERVAL)
    expect(client.writes.map(([series]) => series?.exemplars?.length)).toStrictEqual([1, 1, undefined])
  })

  test('counters of an OpenMetrics registry have the names that a scrape shows, before one and after', async () => {
    const openMetrics = new Registry<OpenMetricsContentType>()
    openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    new Counter({ name: 'orders_total', help: 'x', registers: [openMetrics] }).inc(2)
    new Counter({ name: 'plain', help: 'x', registers: [openMetrics] }).inc()
    new Gauge({ name: 'size', help: 'x', registers: [openMetrics] }).set(3)
    start({}, openMetrics)
    await clock.flush()
    const scraped = await openMetrics.metrics()
    await clock.advance(INTERVAL)
    for (const write of [0, 1]) {
      const pushed = client.samples(write).map(([name, , value]) => `${name} ${String(value)}`)
      expect(pushed).toStrictEqual(['orders_total 2', 'plain_total 1', 'size 3'])
      expect(scraped.split('\n').filter((line) => !line.startsWith('#') && line !== '')).toStrictEqual(pushed)
    }
  })

  test('a value whose label no receiver takes, or whose series is there already, is left out and told once; all others are written', async () => {
    counter('good').inc()
    const histogram = new Histogram({ name: 'x', help: 'x', buckets: [1], registers: [registry] })
    histogram.observe(1)
    counter('x_count').inc(9)
    const bad = { name: 'bad', help: '', type: 'gauge', values: [{ value: 1, labels: { 'a-b': 'x' } }] }
    push = pushRegistry(
      { getMetricsAsJSON: async () => [bad, ...(await registry.getMetricsAsJSON())] },
      {
        client: client as unknown as RemoteWriteClient,
        clock,
        logger: { debug: at('d'), info: at('i'), warn: at('warn'), error: at('e') },
      },
    )
    await clock.advance(INTERVAL)
    expect(client.samples(1).map(([name, , value]) => [name, value])).toStrictEqual([
      ['good', 1],
      ['x_bucket', 1],
      ['x_bucket', 1],
      ['x_sum', 1],
      ['x_count', 1],
    ])
    expect(logged).toStrictEqual([
      {
        level: 'warn',
        message:
          'Values with labels that no receiver takes, or that another metric has too, are left out: bad, x_count',
      },
    ])
  })

  test('labels of a series are the same objects at every collection', async () => {
    counter('c').inc()
    start({ labels: { job: 'shop' } })
    await clock.advance(INTERVAL)
    expect(client.writes[1]?.[0]?.labels).toBe(client.writes[0]?.[0]?.labels)
  })
})

describe('when it is collected', () => {
  test('at once, and then at each interval, with one timestamp a collection', async () => {
    const one = counter('one')
    counter('two').inc(7)
    start()
    await clock.flush()
    one.inc()
    await clock.advance(2 * INTERVAL)
    expect([0, 1, 2].flatMap((index) => client.samples(index))).toStrictEqual([
      ['one', {}, 0, START],
      ['two', {}, 7, START],
      ['one', {}, 1, START + INTERVAL],
      ['two', {}, 7, START + INTERVAL],
      ['one', {}, 1, START + 2 * INTERVAL],
      ['two', {}, 7, START + 2 * INTERVAL],
    ])
    expect(push?.status()).toStrictEqual({
      written: 3,
      failed: 0,
      skipped: 0,
      series: 2,
      lastWrittenAtMs: START + 2 * INTERVAL,
    })
  })

  test('a collection is skipped and counted while the one before is being written', async () => {
    counter('c').inc()
    const slow = Promise.withResolvers<void>()
    client.decide = (number) => (number === 0 ? slow.promise : undefined)
    start()
    await clock.advance(3 * INTERVAL)
    expect(client.writes).toHaveLength(1)
    expect(push?.status()).toMatchObject({ written: 0, skipped: 3 })
    slow.resolve()
    await clock.advance(INTERVAL)
    expect(client.writes).toHaveLength(2)
    expect(push?.status()).toMatchObject({ written: 2, skipped: 3 })
    expect(client.samples(1)[0]?.[3]).toBe(START + 4 * INTERVAL)
  })

  test('later collections have later timestamps, also when the clock is set back', async () => {
    counter('c').inc()
    let back = 0
    start({
      clock: {
        now: () => clock.now(),
        wallNow: () => clock.wallNow() - back,
        after: (ms, call) => clock.after(ms, call),
        afterPoll: (call) => clock.afterPoll(call),
      },
    })
    await clock.flush()
    back = 3_600_000
    await clock.advance(2 * INTERVAL)
    expect([0, 1, 2].map((index) => client.samples(index)[0]?.[3])).toStrictEqual([START, START + 1, START + 2])
  })

  test('a registry that does not answer is given up, and collected again', async () => {
    counter('c').inc()
    let calls = 0
    push = pushRegistry(
      { getMetricsAsJSON: () => (calls++ === 0 ? new Promise(() => undefined) : registry.getMetricsAsJSON()) },
      { client: client as unknown as RemoteWriteClient, clock, collectTimeoutMs: 2000 },
    )
    await clock.advance(2000)
    expect(push.status()).toMatchObject({ failed: 1, lastError: expect.stringContaining('collectTimeoutMs') as string })
    await clock.advance(INTERVAL)
    expect(push.status()).toMatchObject({ written: 1, skipped: 0 })
  })
})

describe('what fails', () => {
  test('is counted, logged ever more seldom, and never thrown; a success is told', async () => {
    counter('c').inc()
    client.decide = (number) => (number < 5 ? Promise.reject(new Error(`down ${number}`)) : undefined)
    start()
    await clock.advance(4 * INTERVAL)
    expect(push?.status()).toMatchObject({ written: 0, failed: 5, lastError: 'down 4' })
    await clock.advance(INTERVAL)
    expect(push?.status()).not.toHaveProperty('lastError')
    expect(logged).toStrictEqual([
      { level: 'warn', message: 'A collection was not written: down 0' },
      { level: 'warn', message: 'A collection was not written: down 1' },
      { level: 'warn', message: 'A collection was not written: down 3' },
      { level: 'info', message: 'Collections are written again.' },
    ])
  })

  test('what the client drops is not written', async () => {
    counter('c').inc()
    client.decide = () => void client.dropped++
    start()
    await clock.flush()
    expect(push?.status()).toMatchObject({
      written: 0,
      failed: 1,
      lastError: expect.stringMatching(/^1 of 1 series were not written/) as string,
    })
  })

  test('what was dropped before is not told again, over restarts of the client too', async () => {
    counter('c').inc()
    client.decide = (number) => {
      if (number === 0) client.dropped = 2
      client.isStarting = false
    }
    start()
    await clock.flush()
    expect(push?.status()).toMatchObject({ written: 0, failed: 1 })
    await clock.advance(INTERVAL)
    expect(push?.status()).toMatchObject({ written: 1, failed: 1 })
    client.isStarting = true
    await clock.advance(INTERVAL)
    expect(push?.status()).toMatchObject({ written: 2, failed: 1 })
  })

  test('a collect function that throws does not end the push', async () => {
    let fails = true
    const gauge = new Gauge({
      name: 'g',
      help: 'x',
      registers: [registry],
      collect() {
        if (fails) throw new Error('collect failed')
        this.set(4)
      },
    })
    expect(registry.getSingleMetric('g')).toBe(gauge)
    start()
    await clock.flush()
    expect(push?.status()).toMatchObject({ failed: 1, lastError: 'collect failed' })
    fails = false
    await clock.advance(INTERVAL)
    expect(client.samples(0)).toStrictEqual([['g', {}, 4, START + INTERVAL]])
  })
})

describe('what ends', () => {
  test('a series that is gone ends with a stale marker, once, and may come back', async () => {
    const requests = new Counter({
      name: 'requests_total',
      help: 'R.',
      labelNames: ['code', 'path'],
      registers: [registry],
    })
    requests.inc({ code: '200', path: '/' })
    requests.inc({ code: '500', path: '/' })
    start()
    await clock.flush()
    requests.remove({ code: '500', path: '/' })
    await clock.advance(2 * INTERVAL)
    const gone = { code: '500', path: '/' }
    expect(client.samples(1)).toStrictEqual([
      ['requests_total', { code: '200', path: '/' }, 1, START + INTERVAL],
      ['requests_total', gone, 'stale', START + INTERVAL],
    ])
    expect(client.samples(2)).toHaveLength(1)
    requests.inc({ path: '/', code: '500' })
    await clock.advance(INTERVAL)
    expect(client.samples(3)).toContainEqual(['requests_total', gone, 1, START + 3 * INTERVAL])
  })

  test('a marker that was not confirmed is sent again, as long as a receiver would show the last value', async () => {
    const up = new Gauge({ name: 'up', help: 'U.', labelNames: ['pod'], registers: [registry] })
    for (const pod of 'abc') up.set({ pod }, 1)
    start()
    await clock.flush()
    client.decide = () => Promise.reject(new Error('denied'))
    up.remove({ pod: 'b' })
    up.remove({ pod: 'c' })
    await clock.advance(INTERVAL)
    expect(client.samples(1).filter(([, , value]) => value === 'stale')).toHaveLength(2)
    up.set({ pod: 'c' }, 1)
    client.decide = () => undefined
    await clock.advance(2 * INTERVAL)
    const ended = (write: number): unknown => client.samples(write).filter(([, , value]) => value === 'stale')
    expect(ended(2)).toStrictEqual([['up', { pod: 'b' }, 'stale', START + 2 * INTERVAL]])
    expect(ended(3)).toStrictEqual([])
    expect(push?.status()).toMatchObject({ series: 2 })
    client.decide = () => Promise.reject(new Error('denied'))
    up.remove({ pod: 'c' })
    await clock.advance(18 * INTERVAL)
    expect(push?.status()).toMatchObject({ series: 2 })
    await clock.advance(5 * INTERVAL)
    expect(push?.status()).toMatchObject({ series: 1 })
  })

  test('a series that was taken out and put back between two collections goes on, whatever the order of its labels', async () => {
    const requests = new Counter({
      name: 'requests_total',
      help: 'R.',
      labelNames: ['code', 'path'],
      registers: [registry],
    })
    requests.inc({ code: '500', path: '/' })
    start()
    await clock.flush()
    requests.remove({ code: '500', path: '/' })
    requests.inc({ path: '/', code: '500' }, 7)
    await clock.advance(INTERVAL)
    expect(client.samples(1)).toStrictEqual([['requests_total', { code: '500', path: '/' }, 7, START + INTERVAL]])
  })

  test('close makes a last collection, and leaves a client that was given open', async () => {
    const c = counter('c')
    start()
    await clock.advance(1000)
    c.inc(5)
    await push?.close()
    expect(client.samples(1)).toStrictEqual([['c', {}, 5, START + 1000]])
    expect(client.writes).toHaveLength(2)
    await clock.advance(3 * INTERVAL)
    expect(client.writes).toHaveLength(2)
    expect(client.closed).toBe(0)
  })

  test('close ends all series where that was asked for, later than their last samples', async () => {
    counter('a').inc()
    counter('b').inc()
    start({ staleMarkersOnClose: true })
    await clock.advance(1000)
    await Promise.all([push?.close(), push?.close()])
    expect(client.writes).toHaveLength(3)
    expect(client.samples(2)).toStrictEqual([
      ['a', {}, 'stale', START + 1001],
      ['b', {}, 'stale', START + 1001],
    ])
    expect(push?.status()).toMatchObject({ written: 2, failed: 0, series: 0 })
  })

  test('close waits for the collection under way, and for its deadline at most', async () => {
    counter('c').inc()
    client.decide = () => new Promise(() => undefined)
    start({ closeDeadlineMs: 3000 })
    await clock.flush()
    let closed = false
    void push?.close().then(() => (closed = true))
    await clock.advance(2999)
    expect(closed).toBe(false)
    await clock.advance(1)
    expect(closed).toBe(true)
    expect(push?.status()).toMatchObject({
      written: 0,
      failed: 1,
      lastError: expect.stringContaining('closeDeadlineMs') as string,
    })
  })

  test.each([
    ['fails', () => Promise.reject(new Error('too late'))],
    ['succeeds', () => Promise.resolve()],
  ])('what %s after close gave up changes nothing, and nothing more is written', async (_, late) => {
    counter('c').inc()
    const answer = Promise.withResolvers<void>()
    client.decide = () => answer.promise
    start({ closeDeadlineMs: 3000, staleMarkersOnClose: true })
    await clock.flush()
    const closing = push?.close()
    await clock.advance(3000)
    await closing
    const ended = push?.status()
    const told = logged.length
    client.decide = () => undefined
    answer.resolve(late())
    await clock.advance(INTERVAL)
    expect(push?.status()).toStrictEqual(ended)
    expect(client.writes).toHaveLength(1)
    expect(logged).toHaveLength(told)
  })
})

test('says everything that is wrong with the options', () => {
  const bad = { intervalMs: 5, labels: { 'a-b': 'x', __name__: 'y', job: '' }, staleMarkersOnClose: 1, interval: 3 }
  expect(() => pushRegistry({} as never, bad as never)).toThrow(
    /8 invalid[^]*interval'[^]*Registry of prom-client[^]*client or remoteWrite[^]*intervalMs[^]*staleMarkers[^]*"a-b"[^]*"__name__"[^]*labels\.job/,
  )
})

test('says with them everything that is wrong with the options of the client that it is to make', () => {
  const remoteWrite = { quite: 1, protocl: '2.0', maxBatchSizeInSamples: 0, closeDeadlineMs: -1, metrics: 2 }
  let thrown: unknown
  try {
    pushRegistry(registry, { remoteWrite, intervalMs: 5, logger: 3, clock: {} } as never)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toMatchObject({
    code: 'SLUICE_OPTIONS_INVALID',
    facts: {
      problems: [
        'intervalMs must be an integer from 100 to 2147483647, got 5 (number)',
        expect.stringMatching(/^logger must/),
        expect.stringMatching(/^clock must/),
        "unknown option 'remoteWrite.quite'",
        "unknown option 'remoteWrite.protocl'; did you mean 'remoteWrite.protocol'?",
        'remoteWrite.closeDeadlineMs must be an integer from 0 up, got -1 (number)',
        expect.stringMatching(/^remoteWrite\.metrics must/),
        expect.stringMatching(/^remoteWrite\.maxBatchSizeInSamples must/),
        expect.stringMatching(/^remoteWrite\.prometheusRemoteWriteUrl must/),
      ],
    },
  })
  expect(() => pushRegistry(registry, { remoteWrite: 5 } as never)).toThrow('remoteWrite must be an object, got 5')
})
