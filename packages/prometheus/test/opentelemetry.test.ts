import { type HrTime, ValueType } from '@opentelemetry/api'
import {
  AggregationTemporality,
  AggregationType,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import type { Logger } from '@sluice/core'
import { VirtualClock } from '@sluice/core/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RemoteWriteClient } from '../src/client.ts'
import { RemoteWriteMetricExporter, type RemoteWriteMetricExporterOptions } from '../src/opentelemetry.ts'
import { Receiver } from './receiver.ts'
import { ScriptedClient } from './scripted-client.ts'
import { linesOf } from './writer-stand.ts'

const START = Date.UTC(2026, 0, 1)
const NOW = START + 60_000

let clock = new VirtualClock(NOW)
let client: ScriptedClient
let warnings: string[]

beforeEach(() => {
  clock = new VirtualClock(NOW)
  client = new ScriptedClient()
  warnings = []
})

afterEach(() => {
  if (clock.pendingTimers > 0) throw new Error(`${clock.pendingTimers} timers are left`)
})

const ignore: Logger['info'] = () => undefined

function exporterTo(more: Partial<RemoteWriteMetricExporterOptions> = {}): RemoteWriteMetricExporter {
  const logger = {
    debug: ignore,
    info: ignore,
    warn: (_: object, text: string) => void warnings.push(text),
    error: ignore,
  }
  return new RemoteWriteMetricExporter({
    client: client as unknown as RemoteWriteClient,
    clock,
    logger,
    scopeLabels: false,
    ...more,
  })
}

function time(ms: number): HrTime {
  return [Math.floor(ms / 1000), (ms % 1000) * 1e6]
}

type Told = Readonly<{ code: number; error?: Error }>

function exported(exporter: RemoteWriteMetricExporter, metrics: ResourceMetrics): Promise<Told> {
  return new Promise((resolve) => exporter.export(metrics, resolve))
}

const CUMULATIVE = AggregationTemporality.CUMULATIVE

function descriptor(name: string, unit = '') {
  return { name, unit, description: `about ${name}`, valueType: ValueType.DOUBLE }
}

function points<T>(
  ...values: readonly (readonly [attributes: Record<string, string | number | boolean | string[]>, value: T])[]
) {
  const endTime = time(clock.wallNow())
  return values.map(([attributes, value]) => ({ attributes, value, startTime: time(START), endTime }))
}

function sum(
  name: string,
  value: number,
  more: Readonly<{ unit?: string; isMonotonic?: boolean; aggregationTemporality?: AggregationTemporality }> = {},
): MetricData {
  const { unit, isMonotonic = true, aggregationTemporality = CUMULATIVE } = more
  return {
    descriptor: descriptor(name, unit),
    aggregationTemporality,
    dataPointType: DataPointType.SUM,
    isMonotonic,
    dataPoints: points([{}, value]),
  }
}

function gauge(name: string, value: number, unit = '', attributes = {}): MetricData {
  return {
    descriptor: descriptor(name, unit),
    aggregationTemporality: CUMULATIVE,
    dataPointType: DataPointType.GAUGE,
    dataPoints: points([attributes, value]),
  }
}

/** Of a time of its own, so long ago. */
function reported(name: string, ageMs: number): MetricData {
  const endTime = time(clock.wallNow() - ageMs)
  return { ...gauge(name, 1), dataPoints: points([{}, 1]).map((point) => ({ ...point, endTime })) } as MetricData
}

function jobs(...ids: string[]): MetricData {
  return {
    descriptor: descriptor('jobs'),
    aggregationTemporality: CUMULATIVE,
    dataPointType: DataPointType.GAUGE,
    dataPoints: points(...ids.map((id) => [{ id }, 1] as const)),
  }
}

function exponential(scale: number): MetricData {
  return {
    descriptor: descriptor(`h${scale < 0 ? 'coarse' : 'fine'}`),
    aggregationTemporality: CUMULATIVE,
    dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
    dataPoints: points([
      {},
      {
        count: 10,
        sum: 1,
        scale,
        zeroCount: 0,
        positive: { offset: -3, bucketCounts: [1, 2, 0, 3, 4] },
        negative: { offset: 0, bucketCounts: [] },
      },
    ]),
  }
}

function collected(
  metrics: MetricData[],
  attributes: Record<string, string> = {},
  scope = { name: 'lib', version: '1.2' },
): ResourceMetrics {
  return {
    resource: {
      attributes,
      merge: () => ({}) as ResourceMetrics['resource'],
      getRawAttributes: () => [],
    },
    scopeMetrics: [{ scope, metrics }],
  }
}

/** Each series of `c`, `g`, `hfine` and the resource, so many milliseconds after now. */
const allAt = (ms: number): unknown => ['c_total', 'g', 'hfine', 'target_info'].map((name) => [name, [ms]])

describe('names', () => {
  test.each<[string, MetricData]>([
    ['http_server_requests_total', sum('http.server.requests', 1)],
    ['http_server_requests_total', sum('http.server.requests', 1, { unit: '{request}' })],
    ['bytes_sent_total', sum('bytes.total.sent', 1, { unit: 'By' })],
    ['disk_io_bytes_per_second_total', sum('disk.io', 1, { unit: 'By/s' })],
    ['cpu_time_seconds_total', sum('cpu.time.total', 1, { unit: 's' })],
    ['queue_length', sum('queue.length', 1, { unit: '1', isMonotonic: false })],
    ['cpu_utilization_ratio', gauge('cpu.utilization', 1, '1')],
    ['temp_celsius', gauge('temp', 1, 'Cel')],
    ['requests_rate_per_second', gauge('requests.rate', 1, '{request}/s')],
    ['_4xx_share_percent', gauge('4xx--share', 1, '%')],
    ['speed_furlong', gauge('speed', 1, 'furlong')],
    ['sizes_tebibytes', gauge('sizes', 1, 'TiBy')],
  ])('%s', async (name, metric) => {
    await exported(exporterTo(), collected([metric]))
    expect(client.samples(0).map(([given]) => given)).toStrictEqual([name])
  })

  test('attributes become labels; those that meet are joined; none is the name of the metric', async () => {
    const attributes = {
      'http.method': 'GET',
      http_method: 'POST',
      '1st': true,
      _own: 2,
      __name__: 'x',
      list: ['a', 'b'],
      none: '',
    }
    await exported(exporterTo(), collected([gauge('g', 1, '', attributes)]))
    expect(client.samples(0)).toStrictEqual([
      ['g', { http_method: 'GET;POST', key_1st: 'true', key_own: '2', key__name__: 'x', list: '["a","b"]' }, 1, NOW],
    ])
  })

  test('the scope is told by labels', async () => {
    await exported(exporterTo({ scopeLabels: true }), collected([gauge('g', 1)]))
    expect(client.samples(0)).toStrictEqual([['g', { otel_scope_name: 'lib', otel_scope_version: '1.2' }, 1, NOW]])
  })

  test('the resource gives job and instance, and the labels of target_info', async () => {
    const resource = {
      'service.name': 'shop',
      'service.namespace': 'eu',
      'service.instance.id': 'a:1',
      'host.name': 'h',
    }
    await exported(exporterTo(), collected([gauge('g', 1, '', { job: 'other' })], resource))
    const identity = { job: 'eu/shop', instance: 'a:1' }
    expect(client.samples(0)).toStrictEqual([
      ['g', identity, 1, NOW],
      ['target_info', { ...identity, host_name: 'h' }, 1, NOW],
    ])
  })
})

describe('values', () => {
  test('a counter has a start, a gauge has none', async () => {
    await exported(exporterTo(), collected([sum('c', 5), sum('u', 3, { isMonotonic: false }), gauge('g', 1.5)]))
    expect(client.writes[0]?.map(({ samples, metadata }) => [samples, metadata?.type])).toStrictEqual([
      [[{ value: 5, timestamp: NOW, startTimestamp: START }], 'counter'],
      [[{ value: 3, timestamp: NOW }], 'gauge'],
      [[{ value: 1.5, timestamp: NOW }], 'gauge'],
    ])
    expect(client.writes[0]?.[0]?.metadata).toStrictEqual({ type: 'counter', help: 'about c', unit: '' })
  })

  test('a histogram with bounds becomes cumulative buckets, sum and count', async () => {
    const metric: MetricData = {
      descriptor: descriptor('latency', 's'),
      aggregationTemporality: CUMULATIVE,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: points(
        [{ path: '/' }, { buckets: { boundaries: [0.1, 1], counts: [2, 0, 3] }, sum: 9.5, count: 5 }],
        [{ path: '/x' }, { buckets: { boundaries: [], counts: [1] }, count: 1 }],
      ),
    }
    await exported(exporterTo(), collected([metric]))
    expect(client.samples(0)).toStrictEqual([
      ['latency_seconds_bucket', { le: '0.1', path: '/' }, 2, NOW],
      ['latency_seconds_bucket', { le: '1', path: '/' }, 2, NOW],
      ['latency_seconds_bucket', { le: '+Inf', path: '/' }, 5, NOW],
      ['latency_seconds_sum', { path: '/' }, 9.5, NOW],
      ['latency_seconds_count', { path: '/' }, 5, NOW],
      ['latency_seconds_bucket', { le: '+Inf', path: '/x' }, 1, NOW],
      ['latency_seconds_count', { path: '/x' }, 1, NOW],
    ])
  })

  test('an exponential histogram becomes a native one with the same buckets', async () => {
    const values = [0, 0.001, 0.5, 1, 1.5, 2, 2, 1000, -4]
    for (const maxSize of [160, 4]) {
      const { histogram, scale } = await exponentialOf(values, maxSize)
      const schema = Math.min(scale, 8)
      const base = 2 ** (2 ** -schema)
      const expected = new Map<number, number>()
      for (const value of values.filter((each) => each > 0)) {
        // The bucket i of Prometheus holds what is above base^(i-1) and up to base^i.
        const index = Math.ceil(Math.log(value) / Math.log(base) - 1e-9)
        expected.set(index, (expected.get(index) ?? 0) + 1)
      }
      expect(histogram).toMatchObject({
        kind: 'int',
        schema,
        count: 9,
        zeroCount: 1,
        timestamp: NOW,
        startTimestamp: START,
      })
      expect(bucketsOf(histogram?.positiveSpans, histogram?.positiveDeltas)).toStrictEqual(expected)
      expect([...bucketsOf(histogram?.negativeSpans, histogram?.negativeDeltas).values()]).toStrictEqual([1])
    }
  })

  test('one of a finer scale than Prometheus has is merged, one of a coarser is left out', async () => {
    const exporter = exporterTo()
    expect(await exported(exporter, collected([exponential(9), exponential(-5)]))).toMatchObject({ code: 0 })
    const [series] = client.writes[0] ?? []
    const [histogram] = series?.histograms ?? []
    expect(histogram?.schema).toBe(8)
    // At scale 9 the indexes -3 to 1; halved -2, -1, -1, 0, 0; by upper bound one more.
    const deltas = histogram?.kind === 'int' ? histogram.positiveDeltas : undefined
    expect(bucketsOf(histogram?.positiveSpans, deltas)).toStrictEqual(
      new Map([
        [-1, 1],
        [0, 2],
        [1, 7],
      ]),
    )
    expect(client.writes[0]).toHaveLength(1)
    expect(exporter.status().leftOutPoints).toBe(1)
    expect(warnings).toStrictEqual(['Data points of "hcoarse" are left out: native histograms have no scale below -4'])
  })
})

describe('what is left out', () => {
  test('delta temporality and second series of the same labels, told once for each metric', async () => {
    const exporter = exporterTo()
    const metrics = collected([
      sum('d', 1, { aggregationTemporality: AggregationTemporality.DELTA }),
      gauge('a.b', 1),
      gauge('a-b', 2),
      gauge('--', 3),
    ])
    expect(await exported(exporter, metrics)).toStrictEqual({ code: 0 })
    await exported(exporter, metrics)
    expect(client.samples(1)).toStrictEqual([['a_b', {}, 1, NOW + 1]])
    expect(exporter.status()).toStrictEqual({ written: 2, failed: 0, leftOutPoints: 6 })
    expect(warnings).toStrictEqual([
      'Data points of "d" are left out: remote write needs cumulative temporality, and they have delta',
      'Data points of "a-b" are left out: another data point of the export has the same name and labels',
      'Data points of "--" are left out: their name has no character that Prometheus knows',
    ])
  })
})

describe('results', () => {
  test('come when the receiver has confirmed, and not before', async () => {
    const answer = Promise.withResolvers<void>()
    client.decide = () => answer.promise
    const exporter = exporterTo()
    let told: Told | undefined
    exporter.export(collected([gauge('g', 1)]), (result) => (told = result))
    await clock.flush()
    expect(told).toBeUndefined()
    let flushed = false
    const flush = exporter.forceFlush().then(() => (flushed = true))
    await clock.flush()
    expect(flushed).toBe(false)
    answer.resolve()
    await flush
    expect(told).toStrictEqual({ code: 0 })
  })

  test('are failures when the client fails, drops, or is busy with the export before', async () => {
    const exporter = exporterTo()
    client.decide = () => Promise.reject(new Error('no answer'))
    expect(await exported(exporter, collected([gauge('g', 1)]))).toMatchObject({
      code: 1,
      error: { message: 'no answer' },
    })
    client.decide = () => void client.dropped++
    expect(await exported(exporter, collected([gauge('g', 1)]))).toMatchObject({
      code: 1,
      error: { code: 'SLUICE_SINK_FAILED' },
    })
    const answer = Promise.withResolvers<void>()
    client.decide = () => answer.promise
    const first = exported(exporter, collected([gauge('g', 1)]))
    expect(await exported(exporter, collected([gauge('g', 2)]))).toMatchObject({
      code: 1,
      error: { message: expect.stringContaining('not over') as string },
    })
    answer.resolve()
    expect(await first).toStrictEqual({ code: 0 })
    expect(client.writes).toHaveLength(3)
    expect(exporter.status()).toMatchObject({ written: 1, failed: 3 })
  })

  test('a series that a whole collection did not have ends with a stale marker, once it is confirmed', async () => {
    const exporter = exporterTo({ staleMarkersOnShutdown: true })
    const next = async (...ids: string[]): Promise<void> => {
      await exported(exporter, collected(ids.length === 0 ? [] : [jobs(...ids)]))
      await clock.advance(1000)
    }
    await next('a', 'b')
    await next('b')
    expect(client.samples(1)).toStrictEqual([['jobs', { id: 'b' }, 1, NOW + 1000]])
    client.decide = () => Promise.reject(new Error('no answer'))
    await next('b')
    client.decide = () => undefined
    await next('b')
    await next('b')
    expect(client.samples(2)).toContainEqual(['jobs', { id: 'a' }, 'stale', NOW + 2000])
    expect(client.samples(3)).toContainEqual(['jobs', { id: 'a' }, 'stale', NOW + 3000])
    expect(client.samples(4)).toStrictEqual([['jobs', { id: 'b' }, 1, NOW + 4000]])
    for (let collections = 0; collections < 3; collections++) await next('c')
    expect(client.samples(6)).toStrictEqual([['jobs', { id: 'c' }, 1, NOW + 6000]])
    expect(client.samples(7)).toStrictEqual([
      ['jobs', { id: 'c' }, 1, NOW + 7000],
      ['jobs', { id: 'b' }, 'stale', NOW + 7000],
    ])
    await exporter.shutdown()
    expect(client.samples(8)).toStrictEqual([['jobs', { id: 'c' }, 'stale', NOW + 8000]])
  })

  test('exports of one collection do not end the series of one another', async () => {
    const exporter = exporterTo()
    const provider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter, maxExportBatchSize: 1 })],
    })
    const meter = provider.getMeter('m')
    for (const name of ['a', 'b', 'c']) meter.createCounter(name).add(1)
    for (let collections = 0; collections < 3; collections++) await provider.forceFlush()
    expect(client.writes).toHaveLength(9)
    const written = client.writes.flatMap((_, write) => client.samples(write))
    expect(written.filter(([, , value]) => value === 'stale')).toStrictEqual([])
    await provider.shutdown()
  })

  test('nor do those whose data points have times of their own', async () => {
    const exporter = exporterTo()
    const collection = async (...parts: MetricData[][]): Promise<string[]> => {
      const from = client.writes.length
      for (const part of parts) {
        await exported(exporter, collected(part, { 'service.name': 'shop', 'host.name': 'h' }))
        await clock.advance(10)
      }
      await clock.advance(1000)
      const written = client.writes.slice(from).flatMap((_, write) => client.samples(from + write))
      return written.filter(([, , value]) => value === 'stale').map(([name]) => name)
    }
    for (let collections = 0; collections < 4; collections++) {
      const parts = [[gauge('a', 1)], [gauge('b', 1), reported('c', 700)], [reported('d', 300), reported('e', 20)]]
      expect(await collection(...parts)).toStrictEqual([])
    }
    for (const ended of [[], ['b', 'd'], []]) {
      const parts = [[gauge('a', 1)], [gauge('new', 1)], [reported('c', 700), reported('e', 20)]]
      expect(await collection(...parts)).toStrictEqual(ended)
    }
  })

  test('nor do two data points of one series in different exports of one collection', async () => {
    const exporter = exporterTo()
    for (let collections = 0; collections < 3; collections++) {
      for (const part of [gauge('a', 1), gauge('x.y', 1), gauge('x-y', 1), gauge('z', 1)]) {
        await exported(exporter, collected([part]))
      }
      await clock.advance(1000)
    }
    const written = client.writes.flatMap((_, write) => client.samples(write))
    expect(written.filter(([, , value]) => value === 'stale')).toStrictEqual([])
  })

  test('series that never come again are forgotten', async () => {
    const exporter = exporterTo({ staleMarkersOnShutdown: true })
    for (let minutes = 0; minutes < 60; minutes++) {
      await exported(exporter, collected([jobs(`job-${minutes}`)]))
      await clock.advance(60_000)
    }
    await exporter.shutdown()
    // Those of the last collection and of the one before it, each of which is taken for at most five minutes.
    expect(client.samples(60).length).toBeLessThan(15)
  })

  test('timestamps of a series go on from the last, also when the clock is set back', async () => {
    const exporter = exporterTo()
    const resource = { 'service.name': 'shop', 'host.name': 'h' }
    const at = (ms: number, ...metrics: MetricData[]): ResourceMetrics =>
      collected(
        metrics.map(
          (metric) =>
            ({
              ...metric,
              dataPoints: metric.dataPoints.map((point) => ({ ...point, endTime: time(ms) })),
            }) as MetricData,
        ),
        resource,
      )
    const times = (write: number): unknown =>
      client.writes[write]?.map(({ metricName, samples = [], histograms = [] }) => [
        metricName,
        [...samples, ...histograms].map(({ timestamp }) => timestamp - NOW),
      ])
    const all = [sum('c', 1), gauge('g', 1), exponential(2)]
    await exported(exporter, at(NOW, ...all))
    expect(times(0)).toStrictEqual(allAt(0))
    await exported(exporter, at(NOW - 5000, ...all))
    expect(times(1)).toStrictEqual(allAt(1))
    await exported(exporter, at(NOW - 4500, gauge('other', 1)))
    await exported(exporter, at(NOW - 4000, gauge('other', 1)))
    client.decide = () => Promise.reject(new Error('no answer'))
    await exported(exporter, at(NOW - 3500, gauge('other', 1)))
    expect(times(4)).toContainEqual(['c_total', [2]])
    client.decide = () => undefined
    // Its end may have been stored.
    await exported(exporter, at(NOW - 3000, ...all))
    expect(times(5)).toContainEqual(['c_total', [3]])
    await exported(exporter, at(NOW + 5000, ...all))
    expect(times(6)).toContainEqual(['c_total', [5000]])
  })

  test('after shutdown every export fails; the client that was given stays open', async () => {
    const exporter = exporterTo({ staleMarkersOnShutdown: true })
    await exported(exporter, collected([gauge('g', 1), gauge('h', 1)]))
    await Promise.all([exporter.shutdown(), exporter.shutdown()])
    expect(client.samples(1)).toStrictEqual([
      ['g', {}, 'stale', NOW + 1],
      ['h', {}, 'stale', NOW + 1],
    ])
    expect(await exported(exporter, collected([gauge('g', 1)]))).toMatchObject({
      code: 1,
      error: { code: 'SLUICE_CLOSED' },
    })
    expect(client.writes).toHaveLength(2)
    expect(client.closed).toBe(0)
  })

  test('shutdown ends at its deadline', async () => {
    const answer = Promise.withResolvers<void>()
    client.decide = () => answer.promise
    const exporter = exporterTo({ shutdownDeadlineMs: 2000, staleMarkersOnShutdown: true })
    const told = exported(exporter, collected([gauge('g', 1)]))
    const ended = exporter.shutdown().then(
      () => 'ended',
      (error: unknown) => error,
    )
    await clock.advance(2000)
    expect(await ended).toMatchObject({ code: 'SLUICE_DEADLINE_EXCEEDED' })
    answer.resolve()
    expect(await told).toMatchObject({ code: 1, error: { code: 'SLUICE_CLOSED' } })
    await clock.flush()
    expect(client.writes).toHaveLength(1)
  })

  test('says everything that is wrong with the options', () => {
    const remoteWrite = { restart: 1 }
    expect(() => new RemoteWriteMetricExporter({ scopeLabels: 1, remoteWrite, logger: 2, clock: 3 } as never)).toThrow(
      /5 invalid[^]*scopeLabels[^]*logger[^]*clock[^]*remoteWrite\.restart[^]*remoteWrite\.prometheusRemoteWriteUrl/,
    )
    expect(() => new RemoteWriteMetricExporter({ scopeLabels: 1, shutdownDeadlineMs: 0, clint: 1 } as never)).toThrow(
      /4 invalid[^]*clint[^]*client or remoteWrite[^]*scopeLabels[^]*shutdownDeadlineMs/,
    )
  })
})

test('the SDK writes through it to a receiver', async () => {
  await using receiver = await Receiver.start()
  const exporter = new RemoteWriteMetricExporter({
    remoteWrite: { prometheusRemoteWriteUrl: receiver.url },
    staleMarkersOnShutdown: true,
  })
  const provider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
  const meter = provider.getMeter('shop', '2.0')
  meter.createCounter('orders', { unit: '{order}' }).add(3, { country: 'DE' })
  meter.createHistogram('latency', { unit: 'ms', advice: { explicitBucketBoundaries: [10] } }).record(4)
  await provider.forceFlush()
  await provider.shutdown()
  const lines = receiver.received.flatMap(linesOf).map((line) => line.replace(/ @\d+$/, ''))
  const job = `job=${String(/job=([^,}]*)/.exec(lines[0] ?? '')?.[1])}`
  expect(job).toMatch(/^job=unknown_service:/)
  const scope = 'otel_scope_name=shop,otel_scope_version=2.0'
  const series = [
    [`latency_milliseconds_bucket{${job},le=+Inf,${scope}}`, 1],
    [`latency_milliseconds_bucket{${job},le=10,${scope}}`, 1],
    [`latency_milliseconds_count{${job},${scope}}`, 1],
    [`latency_milliseconds_sum{${job},${scope}}`, 4],
    [`orders_total{country=DE,${job},${scope}}`, 3],
  ] as const
  // The flush and the shutdown each collect once.
  const own = lines.filter((line) => !line.startsWith('target_info')).toSorted()
  expect(own).toStrictEqual(
    series.flatMap(([name, value]) => [`${name} ${value}`, `${name} ${value}`, `${name} NaN`]).toSorted(),
  )
  const info = lines.filter((line) => line.startsWith('target_info'))
  expect(info).toHaveLength(3)
  expect(info[0]).toMatch(/telemetry_sdk_language=nodejs.* 1$/)
  expect(exporter.status()).toMatchObject({ failed: 0, leftOutPoints: 0 })
})

/** As the SDK makes it of values. */
async function exponentialOf(values: readonly number[], maxSize: number) {
  const memory = new InMemoryMetricExporter(CUMULATIVE)
  const provider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: memory })],
    views: [
      { instrumentName: 'h', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize } } },
    ],
  })
  // The SDK refuses negative values: their bucket is added by hand.
  const histogram = provider.getMeter('m').createHistogram('h')
  for (const value of values) if (value >= 0) histogram.record(value)
  await provider.forceFlush()
  const metric = memory.getMetrics()[0]?.scopeMetrics[0]?.metrics[0]
  if (metric?.dataPointType !== DataPointType.EXPONENTIAL_HISTOGRAM) throw new Error('no exponential histogram')
  await provider.shutdown()
  const [point] = metric.dataPoints
  if (point === undefined) throw new Error('no data point')
  const value = { ...point.value, count: values.length, negative: { offset: 3, bucketCounts: [1] } }
  const own = new ScriptedClient()
  await exported(
    exporterTo({ client: own as unknown as RemoteWriteClient }),
    collected([{ ...metric, dataPoints: points([{}, value]) }]),
  )
  const made = own.writes[0]?.[0]?.histograms?.[0]
  return { histogram: made?.kind === 'int' ? made : undefined, scale: value.scale }
}

/** Counts by index, as Prometheus reads spans and deltas; empty buckets are left out. */
function bucketsOf(
  spans: readonly { readonly offset: number; readonly length: number }[] = [],
  deltas: readonly (number | bigint)[] = [],
): Map<number, number> {
  const buckets = new Map<number, number>()
  let index = 0
  let count = 0
  let at = 0
  for (const { offset, length } of spans) {
    index += offset
    for (let each = 0; each < length; each++, index++) {
      count += Number(deltas[at++])
      if (count !== 0) buckets.set(index, count)
    }
  }
  expect(at).toBe(deltas.length)
  return buckets
}
