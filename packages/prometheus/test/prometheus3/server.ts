import { type Prometheus, startPrometheus } from '@sluice/testkit'
import { RemoteWriteClient } from '../../src/client.ts'
import type { RemoteWriteClientOptions } from '../../src/client-options.ts'
import type { SeriesLike } from '../../src/options-sink.ts'

export const NOW: number = Math.floor(Date.now() / 1000) * 1000

/**
 * Starts the Prometheus that stands first on the PATH.
 *
 * @throws Error when that is not a Prometheus 3
 */
export async function startPrometheus3(...features: readonly string[]): Promise<Prometheus> {
  const prometheus = await startPrometheus({
    args: features.length === 0 ? [] : [`--enable-feature=${features.join(',')}`],
  })
  const [build] = await prometheus.query('1')
  const answer = await fetch(`${prometheus.url}/api/v1/status/buildinfo`, { signal: AbortSignal.timeout(30_000) })
  const { data }: { data: { version: string } } = JSON.parse(await answer.text())
  if (build === undefined || !data.version.startsWith('3.')) {
    await prometheus.close()
    throw new Error(`these tests need a Prometheus 3, and this is ${data.version}: npm run test:prometheus3`)
  }
  return prometheus
}

/** Writes the series by 2.0, and resolves when the receiver has said that it has written all of them. */
export async function send(
  prometheusRemoteWriteUrl: string,
  series: readonly SeriesLike[],
  options: Partial<RemoteWriteClientOptions> = {},
): Promise<void> {
  await using client = new RemoteWriteClient({ prometheusRemoteWriteUrl, protocol: '2.0', ...options })
  await client.write(series)
  await client.close()
}
