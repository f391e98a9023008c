import { MetricRegistry } from '@sluice/core'
import { debianPackageOrSkip, startPrometheus, startVictoriaMetrics } from '@sluice/testkit'
import { describe, expect, test } from 'vitest'
import { RemoteWriteClient } from '../src/client.ts'

async function tellTo(prometheusRemoteWriteUrl: string): Promise<{ readonly told: number; readonly dropped: number }> {
  const metrics = new MetricRegistry()
  const client = new RemoteWriteClient({ prometheusRemoteWriteUrl, metrics })
  const orders = { type: 'counter', help: 'Orders that were placed.' } as const
  await client.series({ name: 'orders_total', labels: { shop: 'a' }, metadata: orders }).add(1)
  await client.close()
  const valueOf = (name: string): number => metrics.collect().find((each) => each.definition.name === name)?.value ?? -1
  return { told: valueOf('numMetadataOut'), dropped: valueOf('numSamplesDropped') }
}

const withoutPrometheus = await debianPackageOrSkip('prometheus', 'prometheus')
const withoutVictoria = await debianPackageOrSkip('victoriametrics', 'victoria-metrics')

describe('what metrics are, told by 1.0', () => {
  test.skipIf(withoutPrometheus)('is taken by a real Prometheus', async () => {
    await using prometheus = await startPrometheus()
    expect(await tellTo(prometheus.remoteWriteUrl)).toStrictEqual({ told: 1, dropped: 0 })
  })

  test.skipIf(withoutVictoria)('is taken by a real VictoriaMetrics', async () => {
    await using victoria = await startVictoriaMetrics()
    expect(await tellTo(victoria.remoteWriteUrl)).toStrictEqual({ told: 1, dropped: 0 })
  })
})
