import { VirtualClock } from '@sluice/core/testing'
import snappy from 'snappyjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { WriteVerdict } from '../src/classify.ts'
import { RemoteWriteClient } from '../src/client.ts'
import { decodeRemoteWrite } from '../src/decode.ts'
import { recordEntry } from '../src/entries.ts'
import { FailureLog } from '../src/errors-log.ts'
import type { MetricMetadata } from '../src/model.ts'
import type { SeriesLike } from '../src/options-sink.ts'
import { SeriesTable } from '../src/series-table.ts'
import type { Entry } from '../src/series.ts'
import { MetadataSender } from '../src/writer-metadata.ts'
import { Harness, until } from './harness.ts'
import type { Received } from './receiver.ts'
import { T, WriterStand } from './writer-stand.ts'

const COUNTER: MetricMetadata = { type: 'counter', help: 'Requests.', unit: '' }
const GAUGE: MetricMetadata = { type: 'gauge', help: 'Memory.', unit: 'bytes' }

let stand: WriterStand

beforeEach(async () => {
  stand = await WriterStand.start()
})

afterEach(async () => {
  await stand[Symbol.asyncDispose]()
})

function toldIn(request: Received): ReadonlyMap<string, MetricMetadata> {
  return decodeRemoteWrite(snappy.uncompress(request.body), '1.0').metadata
}

/** Requests that tell what metrics are. */
function told(): readonly ReadonlyMap<string, MetricMetadata>[] {
  return stand.receiver.received
    .filter(({ headers }) => headers['x-prometheus-remote-write-version'] === '0.1.0')
    .map(toldIn)
    .filter(({ size }) => size > 0)
}

function sample(name: string, metadata?: MetricMetadata, at = 0): SeriesLike {
  return { name, value: 1, timestamp: T + at, ...(metadata === undefined ? {} : { metadata }) }
}

function tenantOf(value: SeriesLike): string {
  return 'name' in value && value.name === 'hits' ? 'one' : 'two'
}

describe('remote write 1.0', () => {
  test('tells what metrics are once their samples are written, in a request of its own', async () => {
    await stand.write([sample('hits', COUNTER), sample('mem', GAUGE), sample('plain')], { orderedLanes: 1 })
    await until('it was told', () => told().length > 0)
    expect(told()).toStrictEqual([
      new Map([
        ['hits', COUNTER],
        ['mem', GAUGE],
      ]),
    ])
    const [samples, metadata] = stand.receiver.received
    expect(stand.receiver.received).toHaveLength(2)
    expect(samples === undefined ? -1 : toldIn(samples).size).toBe(0)
    expect(metadata?.headers).toMatchObject({
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'x-prometheus-remote-write-version': '0.1.0',
    })
    await until('it was counted', () => stand.harness.metric('numMetadataOut') === 2)
    expect(stand.harness.metric('numWriteRequestsOut')).toBe(1)
    expect(stand.harness.metric('numSamplesOut')).toBe(3)
  })

  test('does not when it is switched off', async () => {
    await stand.write([sample('hits', COUNTER)], { metadataIntervalMs: 0 })
    await stand.writer.close(1000)
    expect(stand.receiver.received).toHaveLength(1)
  })

  test('a receiver that does not want it costs no sample, and is told of in one line', async () => {
    stand.receiver.decide = (request) => ({ status: toldIn(request).size > 0 ? 400 : 204 })
    await stand.write([sample('hits', COUNTER)])
    await until('it was refused', () => stand.harness.lines('could not be told').length > 0)
    await stand.write([sample('hits', COUNTER, 1)])
    await stand.writer.close(1000)
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 0 })
    expect(stand.harness.failures).toStrictEqual([])
    expect(told()).toHaveLength(1)
    expect(stand.harness.lines('could not be told')).toMatchObject([{ level: 'warn', fields: { code: 'http400' } }])
    expect(stand.harness.metric('numMetadataOut')).toBe(0)
  })

  test('each tenant is told', async () => {
    await stand.write([sample('hits', COUNTER), sample('mem', GAUGE)], { tenant: tenantOf })
    await until('both were told', () => told().length === 2)
    const tenants = stand.receiver.received
      .filter((request) => toldIn(request).size > 0)
      .map((request) => [request.headers['x-scope-orgid'], ...toldIn(request).keys()].join(' '))
    expect(new Set(tenants)).toStrictEqual(new Set(['one hits', 'two mem']))
  })

  test('a fallback from 2.0 tells it too', async () => {
    stand.receiver.decide = ({ headers }) => ({ status: headers['content-type']?.includes('v2') === true ? 415 : 204 })
    await stand.write([sample('hits', COUNTER)], { protocol: 'auto' })
    await until('it was told', () => told().length > 0)
    expect(told()).toStrictEqual([new Map([['hits', COUNTER]])])
  })

  test('a client that is closed has told what its handles said', async () => {
    const { receiver } = stand
    const client = new RemoteWriteClient({ prometheusRemoteWriteUrl: receiver.url })
    await client.series({ name: 'hits', metadata: COUNTER }).add(1, T)
    await client.close()
    expect(told()).toStrictEqual([new Map([['hits', COUNTER]])])
  })

  test('a receiver that does not answer does not keep a client from closing', async () => {
    stand.receiver.decide = (request) => (toldIn(request).size > 0 ? 'silent' : { status: 204 })
    const client = new RemoteWriteClient({ prometheusRemoteWriteUrl: stand.receiver.url, socketTimeoutMs: 200 })
    await client.series({ name: 'hits', metadata: COUNTER }).add(1, T)
    await client.close()
    await expect(client.done).resolves.toBeUndefined()
    expect(stand.receiver.received).toHaveLength(2)
  })
})

test('remote write 2.0 has it in the request itself', async () => {
  stand.receiver.decide = () => ({ status: 204, headers: { 'X-Prometheus-Remote-Write-Samples-Written': '2' } })
  await stand.write([sample('hits', COUNTER), sample('plain')], { protocol: '2.0', orderedLanes: 1 })
  await stand.writer.close(1000)
  const [request] = stand.receiver.received
  expect(stand.receiver.received).toHaveLength(1)
  const { timeSeries } = decodeRemoteWrite(snappy.uncompress(request?.body ?? Buffer.alloc(0)), '2.0')
  expect(timeSeries.map(({ metadata }) => metadata)).toStrictEqual([COUNTER, undefined])
})

describe('what is told when', () => {
  const table = new SeriesTable({ validation: 'normalise', protocol: '1.0' })
  const clock = new VirtualClock()
  let requests: string[]
  let outcome: WriteVerdict['kind']
  let sender: MetadataSender

  beforeEach(() => {
    requests = []
    outcome = 'written'
    sender = new MetadataSender({
      intervalMs: 1000,
      timeoutMs: 500,
      clock,
      log: new FailureLog(new Harness(clock).context.logger, 'url'),
      send: (metrics, destination) => {
        requests.push(`${destination}:${[...metrics].map(([name, { help }]) => `${name} ${help ?? ''}`).join()}`)
        const reason = { code: outcome, message: outcome }
        return Promise.resolve({ kind: outcome, reason, outcome: { retryAll: reason } })
      },
    })
  })

  function entry(name: string, metadata?: MetricMetadata): Entry {
    return recordEntry(table, { name, value: 1, timestamp: T, ...(metadata === undefined ? {} : { metadata }) })
  }

  async function written(...entries: readonly Entry[]): Promise<void> {
    sender.written(entries, '')
    await new Promise(setImmediate)
  }

  test('what was told is told again after the interval, not before', async () => {
    await written(entry('a', COUNTER))
    await clock.advance(999)
    await written(entry('a', { ...COUNTER }))
    expect(requests).toStrictEqual([':a Requests.'])
    await clock.advance(1)
    await written(entry('a', COUNTER))
    expect(requests).toHaveLength(2)
  })

  test('what has changed is told at once', async () => {
    await written(entry('b', COUNTER))
    await written(entry('b', { ...COUNTER, help: 'Hits.' }))
    expect(requests).toStrictEqual([':b Requests.', ':b Hits.'])
  })

  test('what could not be told is told after the interval', async () => {
    outcome = 'busy'
    await written(entry('c', COUNTER))
    await written(entry('c', COUNTER))
    expect(requests).toHaveLength(1)
    outcome = 'written'
    await clock.advance(1000)
    await written(entry('c', COUNTER))
    expect(requests).toHaveLength(2)
  })

  test('while a request is under way what is new waits for it', async () => {
    sender.written([entry('d1', COUNTER)], '')
    sender.written([entry('d2', COUNTER), entry('d3', GAUGE)], '')
    await written()
    expect(requests).toStrictEqual([':d1 Requests.', ':d2 Requests.,d3 Memory.'])
  })

  test('the series of a histogram or a summary are one metric', async () => {
    const names = ['h_bucket', 'h_sum', 'h_count'].map((name) => entry(name, { type: 'histogram', help: 'H' }))
    const summary = ['s', 's_sum', 's_count'].map((name) => entry(name, { type: 'summary', help: 'S' }))
    const gauge = ['g_gsum', 'g_gcount'].map((name) => entry(name, { type: 'gaugehistogram', help: 'G' }))
    await written(...names, ...summary, ...gauge, entry('count_sum', { type: 'gauge', help: 'N' }))
    expect(requests).toStrictEqual([':h H,s S,g G,count_sum N'])
  })

  test('many are several requests', async () => {
    await written(...Array.from({ length: 1100 }, (_, at) => entry(`m${at}`, GAUGE)))
    expect(requests.map((request) => request.split(',').length)).toStrictEqual([500, 500, 100])
  })

  test('beyond ten thousand all are forgotten, and told again', async () => {
    await written(...Array.from({ length: 10_001 }, (_, at) => entry(`n${at}`, GAUGE)))
    const before = requests.length
    await written(entry('n0', GAUGE))
    expect(requests).toHaveLength(before + 1)
  })

  test('after the end nothing is told', async () => {
    await sender.close(0)
    await written(entry('e', COUNTER))
    expect(requests).toStrictEqual([])
  })
})
