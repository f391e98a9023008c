import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { debianProgram } from './debian-package.ts'
import type { SeriesLabels, TimeWindow } from './prometheus-query.ts'
import { remoteRead, type ExactStoredSeries } from './prometheus-remote-read.ts'
import {
  receiverFolder,
  RunningReceiver,
  untilReady,
  type RemoteWriteReceiver,
  type RemoteWriteReceiverOptions,
} from './remote-write-receiver.ts'
import { spawnProgram } from './spawn-program.ts'

/** Options of {@link startPrometheus}. */
export interface PrometheusOptions extends RemoteWriteReceiverOptions {
  /**
   * How far a sample may lie behind the newest one of the server, as a Prometheus duration: `'10m'`. @default none: a sample
   * that is older than the newest of its series is refused
   */
  readonly outOfOrderTimeWindow?: string
}

/** A running Prometheus. */
export interface Prometheus extends RemoteWriteReceiver {
  /**
   * Everything that is stored of the series that have these labels, stale markers and the bits of each NaN too; but
   * a zero has lost its sign.
   *
   * @param labels - `{ __name__: 'orders' }`; a series may have others besides
   */
  exactSamples(labels: SeriesLabels, window?: TimeWindow): Promise<readonly ExactStoredSeries[]>
}

const DURATION = /^\d+(ms|[smhdwy])$/

/**
 * Starts Prometheus as a receiver of remote write 1.0, on 127.0.0.1 only, with nothing to scrape. The program comes from the
 * PATH or from Debian ({@link debianPackage}). The process ends with the caller.
 *
 * `query` and `samples` give floats bit for bit, but the payload of a NaN is lost, and a stale marker is not shown: it ends its
 * series. `exactSamples` shows both. A sample in the far future makes the server refuse current ones from then on: give each test its own.
 *
 * @throws RangeError for a bad duration
 * @throws Error when the program is not to be had, the port is taken, or the server is not ready in time or ends
 *
 * @example
 * ```ts
 * await using prometheus = await startPrometheus({ outOfOrderTimeWindow: '10m' })
 * await fetch(prometheus.remoteWriteUrl, { method: 'POST', headers, body })
 * await prometheus.samples('orders{shop="a"}') // [{ labels, samples: [{ timestampMs, value }] }]
 * ```
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/
 */
export async function startPrometheus(options: PrometheusOptions = {}): Promise<Prometheus> {
  const { port = 0, dataFolder, args = [], readyDeadlineMs = 30_000, outOfOrderTimeWindow } = options
  if (outOfOrderTimeWindow !== undefined && !DURATION.test(outOfOrderTimeWindow)) {
    throw new RangeError(
      `outOfOrderTimeWindow must be a number and one of ms, s, m, h, d, w, y, and is ${JSON.stringify(outOfOrderTimeWindow)}`,
    )
  }
  const startedAt = performance.now()
  const program = await debianProgram('prometheus')
  const folder = await receiverFolder(dataFolder)
  const config = join(folder.path, 'prometheus.yml')
  const data = join(folder.path, 'data')
  await mkdir(data, { recursive: true })
  await writeFile(
    config,
    outOfOrderTimeWindow === undefined
      ? ''
      : `storage: { tsdb: { out_of_order_time_window: ${outOfOrderTimeWindow} } }\n`,
  )
  const child = await spawnProgram(
    program,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=100y',
      '--web.enable-remote-write-receiver',
      `--web.listen-address=127.0.0.1:${port}`,
      ...args,
    ],
    { cwd: folder.path, leftover: folder.leftover },
  )
  try {
    const bound = await child.line(LISTENING, readyDeadlineMs).catch((error: unknown) => {
      const taken = child.stderr.some((line) => line.includes('address already in use'))
      throw taken ? new Error(`prometheus cannot listen on 127.0.0.1:${port}: EADDRINUSE`, { cause: error }) : error
    })
    const prometheus = new RunningPrometheus(child, folder, Number(LISTENING.exec(bound)?.[1]))
    const leftMs = Math.max(1, readyDeadlineMs - (performance.now() - startedAt))
    await untilReady('prometheus', child, new URL('/-/ready', prometheus.url), leftMs, () => true)
    return prometheus
  } catch (error) {
    await child.stop()
    await folder[Symbol.asyncDispose]()
    throw error
  }
}

class RunningPrometheus extends RunningReceiver implements Prometheus {
  exactSamples(labels: SeriesLabels, window: TimeWindow = {}): Promise<readonly ExactStoredSeries[]> {
    return remoteRead(this.url, labels, window)
  }
}

const LISTENING = /Listening on".* address=127\.0\.0\.1:(\d+)/
