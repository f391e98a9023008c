import { debianPackageOrSkip, type Prometheus, startPrometheus } from '@sluice/testkit'
import { MetricRegistry } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import { RemoteWriteClient } from '../src/client.ts'
import type { RemoteWriteClientOptions } from '../src/client-options.ts'
import { Harness, until } from './harness.ts'
import { PrometheusSink } from '../src/sink.ts'

const skipped = await debianPackageOrSkip('prometheus', 'prometheus')
const NOW = Math.floor(Date.now() / 1000) * 1000

function open(prometheus: Prometheus, options: Partial<RemoteWriteClientOptions> = {}): RemoteWriteClient {
  return new RemoteWriteClient({ prometheusRemoteWriteUrl: prometheus.remoteWriteUrl, ...options })
}

function metric(metrics: MetricRegistry, name: string): number {
  return metrics.collect().find(({ definition }) => definition.name === name)?.value ?? Number.NaN
}

describe.skipIf(skipped)('a real Prometheus', () => {
  test('gives back by PromQL what was sent, over several lanes and requests', async () => {
    await using prometheus = await startPrometheus()
    const client = open(prometheus, { maxBatchSizeInSamples: 50 })
    const handles = Array.from({ length: 20 }, (_, host) =>
      client.series({ name: 'load', labels: { host: `h${host}`, Zone: 'ü' } }),
    )
    for (let at = 0; at < 30; at++) {
      for (const [host, handle] of handles.entries()) await handle.add(at * 1.1 + host, NOW - 30_000 + at * 1000)
    }
    await client.write({
      metricName: 'odd',
      samples: [Infinity, -0.5, 1e-300].map((value, at) => ({ value, timestamp: NOW - 100 + at })),
    })
    await client.close()
    const stored = await prometheus.samples('load')
    expect(stored).toHaveLength(20)
    for (const { labels, samples } of stored) {
      const host = Number(labels['host']?.slice(1))
      expect(labels).toMatchObject({ Zone: 'ü' })
      expect(samples).toStrictEqual(
        Array.from({ length: 30 }, (_, at) => ({ timestampMs: NOW - 30_000 + at * 1000, value: at * 1.1 + host })),
      )
    }
    const [odd] = await prometheus.samples('odd')
    expect(odd?.samples.map(({ value }) => value)).toStrictEqual([Infinity, -0.5, 1e-300])
  })

  test('keeps the good series beside those that it refuses', async () => {
    await using prometheus = await startPrometheus()
    const metrics = new MetricRegistry()
    const client = open(prometheus, { metrics, orderedLanes: 1 })
    const hosts = Array.from({ length: 40 }, (_, host) => client.series({ name: 'up', labels: { host: `h${host}` } }))
    for (const host of hosts) await host.add(1, NOW)
    await client.flush()
    // Three of them go back in time.
    for (const [index, host] of hosts.entries()) await host.add(2, index % 15 === 7 ? NOW - 5000 : NOW + 1000)
    await client.flush()
    expect(metric(metrics, 'numSamplesNonRetriableDropped')).toBe(3)
    expect(metric(metrics, 'numSamplesOut')).toBe(77)
    expect(await prometheus.query('count(up == 2)', NOW + 1000)).toMatchObject([{ value: 37 }])
    await client.close()
  })

  test('a replay writes what the server does not have, and nothing else', async () => {
    await using prometheus = await startPrometheus()
    const samples = Array.from({ length: 30 }, (_, at) => ({ value: at, timestamp: NOW - 60_000 + at * 1000 }))
    const client = open(prometheus)
    await client.write({ metricName: 'steps', samples: samples.slice(0, 18) })
    await client.close()
    const harness = new Harness()
    harness.settlement.suspects.add(0)
    const sink = new PrometheusSink({ prometheusRemoteWriteUrl: prometheus.remoteWriteUrl })
    const writer = sink.createWriter(harness.context)
    await harness.write(writer, [{ metricName: 'steps', samples }])
    await until('nothing is in hand', () => writer.status().inHand === 0)
    await writer.close(0)
    const [steps] = await prometheus.samples('steps')
    expect(steps?.samples.map(({ value }) => value)).toStrictEqual(samples.map(({ value }) => value))
    // Its newest sample is taken again.
    expect(harness.metric('numSamplesRefusedOnReplay')).toBe(17)
  })

  test('a 500 that no repeat heals costs its series alone', async () => {
    await using prometheus = await startPrometheus()
    const metrics = new MetricRegistry()
    const client = open(prometheus, { metrics, validation: 'off', orderedLanes: 1 })
    const repeated = [
      { name: 'a', value: '1' },
      { name: 'a', value: '2' },
    ]
    await client.write([
      { name: 'good', labels: { host: 'a' }, value: 1, timestamp: NOW },
      { name: 'bad', labels: repeated, value: 1, timestamp: NOW },
      { name: 'good', labels: { host: 'b' }, value: 2, timestamp: NOW },
    ])
    await client.flush()
    expect(metric(metrics, 'numSamplesNonRetriableDropped')).toBe(1)
    expect(await prometheus.samples('good')).toHaveLength(2)
    await client.close()
  })

  test('a backlog that is older than its out-of-order window does not stop what is not', async () => {
    await using prometheus = await startPrometheus({ outOfOrderTimeWindow: '10m' })
    const first = open(prometheus)
    await first.write({ name: 'live', value: 1, timestamp: NOW })
    await first.close()
    const metrics = new MetricRegistry()
    const retryConfiguration = { maxRetryDelayMS: 100 }
    const client = open(prometheus, { metrics, maxBatchSizeInSamples: 2, retryConfiguration })
    for (let minutes = 100; minutes >= 0; minutes -= 5) {
      const samples = [1, 0].map((more) => ({ value: minutes, timestamp: NOW - minutes * 60_000 - more }))
      await client.write({ metricName: 'paused', labels: { host: `h${minutes % 4}` }, samples })
    }
    await client.close()
    const stored = await prometheus.samples('paused')
    const values = stored.flatMap(({ samples }) => samples.map(({ value }) => value))
    expect(values.filter((minutes) => minutes <= 5)).toHaveLength(4)
    expect(metric(metrics, 'numSamplesNonRetriableDropped')).toBeGreaterThan(0)
  })

  test('falls back from 2.0, which this server does not know, and loses nothing', async () => {
    await using prometheus = await startPrometheus()
    const client = open(prometheus, { protocol: 'auto' })
    await client.write({ name: 'up', labels: { host: 'a' }, value: 1, timestamp: NOW })
    await client.close()
    expect(await prometheus.samples('up')).toHaveLength(1)
  })

  test('ends a series with a stale marker', async () => {
    await using prometheus = await startPrometheus()
    const client = open(prometheus, { staleMarkersOnClose: true })
    await client.series({ name: 'up' }).add(1, NOW - 2000)
    await client.flush()
    expect(await prometheus.query('up', NOW - 1000)).toHaveLength(1)
    await client.close()
    const [exact] = await prometheus.exactSamples({ __name__: 'up' })
    expect(exact?.samples).toHaveLength(2)
    const after = Math.max(Date.now(), NOW) + 1000
    expect(await prometheus.query('up', after)).toHaveLength(0)
  })
})
