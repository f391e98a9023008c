import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { debianPackageOrSkip, startPrometheus } from '@sluice/testkit'
import { Counter, Histogram, Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { RemoteWriteMetricExporter } from '../src/opentelemetry.ts'
import { pushRegistry } from '../src/push-registry.ts'

const skipped = await debianPackageOrSkip('prometheus', 'prometheus')

describe.skipIf(skipped)('a real Prometheus', () => {
  test('has what was pushed of a registry, until its series end', async () => {
    await using prometheus = await startPrometheus()
    const registry = new Registry()
    const orders = new Counter({ name: 'orders_total', help: 'O.', labelNames: ['shop'], registers: [registry] })
    const latency = new Histogram({ name: 'latency_seconds', help: 'L.', buckets: [1, 2, 4], registers: [registry] })
    orders.inc({ shop: 'a' }, 3)
    for (const value of [0.5, 1.5, 1.5, 3]) latency.observe(value)
    const push = pushRegistry(registry, {
      remoteWrite: { prometheusRemoteWriteUrl: prometheus.remoteWriteUrl },
      labels: { job: 'shop', instance: 'a:1' },
      staleMarkersOnClose: true,
    })
    orders.inc({ shop: 'a' }, 4)
    await push.close()
    expect(push.status()).toMatchObject({ written: 2, failed: 0 })
    const [stored] = await prometheus.exactSamples({ __name__: 'orders_total' })
    expect(stored?.labels).toStrictEqual({ __name__: 'orders_total', instance: 'a:1', job: 'shop', shop: 'a' })
    const values = stored?.samples.map(({ value }) => value)
    expect(values?.slice(1, 2)).toStrictEqual([7])
    expect(values).toHaveLength(3)
    const last = stored?.samples[1]?.timestampMs ?? 0
    expect(
      await prometheus.query('latency_seconds_bucket{le="2"} / ignoring(le) latency_seconds_count', last),
    ).toMatchObject([{ value: 0.75 }])
    expect(await prometheus.query('orders_total', last + 1000)).toStrictEqual([])
  })

  test('reads exponential histograms of OpenTelemetry as native ones, bucket for bucket', async () => {
    await using prometheus = await startPrometheus({ args: ['--enable-feature=native-histograms'] })
    const exporter = new RemoteWriteMetricExporter({
      remoteWrite: { prometheusRemoteWriteUrl: prometheus.remoteWriteUrl },
    })
    const provider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter })],
      views: [{ instrumentName: 'latency', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
    })
    const histogram = provider.getMeter('shop').createHistogram('latency', { unit: 's' })
    const values = [0, 0.25, 0.5, 1, 1, 1.1, 2, 3, 4, 500]
    for (const value of values) histogram.record(value)
    await provider.forceFlush()
    expect(exporter.status()).toMatchObject({ written: 1, failed: 0, leftOutPoints: 0 })
    const ask = async (promql: string): Promise<number | undefined> =>
      (await prometheus.query(promql, Date.now()))[0]?.value
    expect(await ask('histogram_count(latency_seconds)')).toBe(10)
    expect(await ask('histogram_sum(latency_seconds)')).toBeCloseTo(512.85, 9)
    // Powers of two are bounds of buckets at every resolution, and belong to the bucket below.
    for (const bound of [0.25, 0.5, 1, 2, 4, 512]) {
      const share = values.filter((value) => value <= bound).length / values.length
      expect(await ask(`histogram_fraction(-1, ${bound}, latency_seconds)`)).toBeCloseTo(share, 9)
    }
    await provider.shutdown()
  })
})
