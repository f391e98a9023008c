import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  MetricReader,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { describe, expect, test } from 'vitest'
import { fromIterable, type MetricDefinition, MetricRegistry, stream } from '../../src/index.ts'
import { JOB_METRICS } from '../../src/metrics/job-metrics.ts'
import { SINK_METRICS } from '../../src/metrics/sink-metrics.ts'
import { SOURCE_METRICS } from '../../src/metrics/source-metrics.ts'
import { exportToOpenTelemetry, type OpenTelemetryOptions } from '../../src/opentelemetry.ts'
import { InMemorySink } from '../../src/testing.ts'

class Reader extends MetricReader {
  constructor(temporality: AggregationTemporality) {
    super({ aggregationTemporalitySelector: () => temporality })
  }

  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}

interface Bench {
  readonly registry: MetricRegistry
  readonly meterProvider: MeterProvider
  readonly exported: Disposable
  /** One collection: every series as `name{attributes} value`. */
  readonly collect: () => Promise<readonly string[]>
  readonly data: () => Promise<readonly MetricData[]>
}

function bench(
  temporality: AggregationTemporality = AggregationTemporality.CUMULATIVE,
  options: Partial<OpenTelemetryOptions> = {},
): Bench {
  const reader = new Reader(temporality)
  const meterProvider = new MeterProvider({ readers: [reader] })
  const registry = new MetricRegistry()
  const exported = exportToOpenTelemetry(registry, { meterProvider, ...options })
  const data = async (): Promise<readonly MetricData[]> => {
    const { resourceMetrics, errors } = await reader.collect()
    expect(errors).toEqual([])
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
  }
  return { registry, meterProvider, exported, data, collect: async () => (await data()).flatMap(seriesOf) }
}

function seriesOf({ descriptor, dataPoints }: MetricData): readonly string[] {
  return dataPoints.map(({ attributes, value }) => {
    const labels = Object.entries(attributes).map(([name, of]) => `${name}=${String(of)}`)
    return `${descriptor.name}{${labels.join(',')}} ${JSON.stringify(value)}`
  })
}

describe('a collection', () => {
  test('has every metric, with name, unit, kind, description and labels', async () => {
    const { registry, data } = bench()
    const group = registry.group({ job: 'orders', sink: 'hosts' })
    group.counter(SINK_METRICS.numRecordsOut).value = 42
    group.counter(SINK_METRICS.numBytesOut).value = 1000
    group.gauge(SINK_METRICS.currentSendTime, () => 1.5)
    const metrics = await data()
    expect(
      metrics.map(({ descriptor, dataPointType, dataPoints }) => ({
        ...descriptor,
        dataPointType,
        points: dataPoints.map(({ attributes, value }) => ({ attributes, value })),
      })),
    ).toMatchObject([
      {
        name: 'sluice.num_records_out',
        unit: '{record}',
        description: SINK_METRICS.numRecordsOut.help,
        dataPointType: DataPointType.SUM,
        points: [{ attributes: { job: 'orders', sink: 'hosts' }, value: 42 }],
      },
      { name: 'sluice.num_bytes_out', unit: 'By', points: [{ value: 1000 }] },
      { name: 'sluice.current_send_time', unit: 'ms', dataPointType: DataPointType.GAUGE, points: [{ value: 1.5 }] },
    ])
    expect(metrics[0]).toMatchObject({ isMonotonic: true, aggregationTemporality: AggregationTemporality.CUMULATIVE })
  })

  test('is of this moment', async () => {
    const { registry, collect } = bench()
    const counter = registry.counter(SINK_METRICS.numRecordsOut)
    counter.value = 1
    expect(await collect()).toEqual(['sluice.num_records_out{} 1'])
    counter.value = 5
    expect(await collect()).toEqual(['sluice.num_records_out{} 5'])
  })

  test('finds metrics and series that appeared since the one before', async () => {
    const { registry, collect } = bench()
    expect(await collect()).toEqual([])
    registry.group({ sink: 'a' }).counter(SINK_METRICS.numRecordsOut).value = 1
    expect(await collect()).toEqual(['sluice.num_records_out{sink=a} 1'])
    registry.group({ sink: 'b' }).counter(SINK_METRICS.numRecordsOut).value = 2
    registry.gauge(SOURCE_METRICS.millisBehindLatest, () => 3, { split: '0' })
    expect(await collect()).toEqual([
      'sluice.num_records_out{sink=a} 1',
      'sluice.num_records_out{sink=b} 2',
      'sluice.millis_behind_latest{split=0} 3',
    ])
  })

  test('has a counter that goes on where the attempt before left it', async () => {
    const { registry, collect } = bench(AggregationTemporality.DELTA)
    const attempt = (): { value: number } => registry.group({ job: 'j' }).counter(SINK_METRICS.numRecordsOut)
    attempt().value += 5
    expect(await collect()).toEqual(['sluice.num_records_out{job=j} 5'])
    attempt().value += 2
    expect(await collect()).toEqual(['sluice.num_records_out{job=j} 2'])
  })

  test('has no gauge without a value, and none that was taken out', async () => {
    const { registry, collect } = bench(AggregationTemporality.DELTA)
    let lag = Number.NaN
    const takeOut = registry.gauge(SOURCE_METRICS.millisBehindLatest, () => lag, { split: '0' })
    registry.gauge(SOURCE_METRICS.millisBehindLatest, () => 1, { split: '1' })
    expect(await collect()).toEqual(['sluice.millis_behind_latest{split=1} 1'])
    lag = 7
    expect(await collect()).toContain('sluice.millis_behind_latest{split=0} 7')
    takeOut()
    expect(await collect()).toEqual(['sluice.millis_behind_latest{split=1} 1'])
  })

  test('asks each gauge twice: to find new metrics, and for its value', async () => {
    const { registry, collect } = bench()
    let reads = 0
    registry.gauge(SINK_METRICS.inHand, () => ++reads)
    await collect()
    expect(reads).toBe(2)
  })
})

test('two registries share a meter', async () => {
  const { registry, meterProvider, collect } = bench()
  const other = new MetricRegistry()
  exportToOpenTelemetry(other, { meter: meterProvider.getMeter('@sluice/core') })
  registry.counter(SINK_METRICS.numRecordsOut, { job: 'a' }).value = 1
  other.counter(SINK_METRICS.numRecordsOut, { job: 'b' }).value = 2
  expect(await collect()).toEqual(['sluice.num_records_out{job=a} 1', 'sluice.num_records_out{job=b} 2'])
})

test('two definitions that spell one name are one metric', async () => {
  const { registry, data } = bench()
  registry.counter({ ...SINK_METRICS.numRecordsOut, name: 'numUNKNOWN' }, { a: '1' }).value = 1
  registry.counter({ ...SINK_METRICS.numRecordsOut, name: 'numUnknown', help: 'Other.' }, { a: '2' }).value = 2
  const metrics = await data()
  expect(metrics.flatMap(seriesOf)).toEqual(['sluice.num_unknown{a=1} 1', 'sluice.num_unknown{a=2} 2'])
})

test('a prefix of your own', async () => {
  const { registry, collect } = bench(undefined, { prefix: 'acme.etl' })
  registry.counter(SINK_METRICS.numRecordsOut).value = 1
  expect(await collect()).toEqual(['acme.etl.num_records_out{} 1'])
})

test('disposing ends it, also twice', async () => {
  const { registry, exported, collect } = bench(AggregationTemporality.DELTA)
  let reads = 0
  registry.gauge(SINK_METRICS.inHand, () => ++reads)
  expect(await collect()).toHaveLength(1)
  const before = reads
  exported[Symbol.dispose]()
  exported[Symbol.dispose]()
  registry.counter(SINK_METRICS.numRecordsOut).value = 1
  expect(await collect()).toEqual([])
  expect(reads).toBe(before)
})

test('a job is exported from its first metric to its last figures', async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  const sink = new InMemorySink<number>()
  const job = stream(fromIterable([1, 2, 3]))
    .sinkTo(sink)
    .start({ name: 'orders' })
  using _exported = exportToOpenTelemetry(job.metrics, { meterProvider })
  await job.done
  await meterProvider.forceFlush()
  const series = exporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap(({ scope, metrics }) => metrics.flatMap(seriesOf).map((line) => `${scope.name} ${line}`))
  expect(series).toContain('@sluice/core sluice.num_records_out{job=orders,sink=memory} 3')
  // Registered with the first request, long after the export began.
  expect(series.join('\n')).toMatch(/sluice\.num_batches\{job=orders,sink=memory,trigger=\w+\} 1/)
  await meterProvider.shutdown()
})

test('every unit is one that the exporter knows', async () => {
  const { registry, data } = bench()
  const definitions: MetricDefinition[] = Object.values({ ...SINK_METRICS, ...SOURCE_METRICS, ...JOB_METRICS })
  for (const definition of definitions) {
    if (definition.kind === 'counter') registry.counter(definition)
    else registry.gauge(definition, () => 0)
  }
  const metrics = await data()
  expect(metrics).toHaveLength(definitions.length)
  for (const { descriptor } of metrics) expect(descriptor.unit).toMatch(/^(By|ms|1|\{[a-z]+\})$/)
})

const start = (options: unknown) => () => exportToOpenTelemetry(new MetricRegistry(), options as OpenTelemetryOptions)

test('all problems of the options are reported at once', () => {
  expect(start({ meter: 5, prefix: '1x', metre: 1 })).toThrow(
    /3 invalid option.*unknown option 'metre'.*prefix must be.*got '1x' \(string\).*meter must be a Meter/s,
  )
  expect(start({})).toThrow(/give either meter or meterProvider/)
  const meterProvider = new MeterProvider()
  expect(start({ meterProvider, meter: meterProvider.getMeter('x') })).toThrow(/give either meter or meterProvider/)
  expect(start(undefined)).toThrow(/options must be an object/)
})
