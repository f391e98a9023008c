import { debianProgram } from './debian-package.ts'
import { freePort } from './free-port.ts'
import { answerOf, floatOf, wholeWindow, type QueriedSample } from './prometheus-query.ts'
import type { SeriesLabels, StoredSeries, TimeWindow } from './prometheus-query.ts'
import {
  receiverFolder,
  RunningReceiver,
  untilReady,
  type RemoteWriteReceiver,
  type RemoteWriteReceiverOptions,
} from './remote-write-receiver.ts'
import { spawnProgram } from './spawn-program.ts'

/** Without it, a query for about now is answered for a second ago. */
const NO_DELAY = { nocache: '1' }
/** Free ports that are tried, each of which another process may take first. */
const PORT_ATTEMPTS = 5

/**
 * Starts a single VictoriaMetrics as a receiver of remote write 1.0, on 127.0.0.1 only. The program comes from the PATH or from
 * Debian ({@link debianPackage}). The process ends with the caller.
 *
 * Samples are visible at once: each read first tells the server to flush. `samples` gives everything that was stored,
 * exact repeats too, and a stale marker as NaN; the server drops every other NaN, and the sign of a zero. It keeps decimal numbers
 * and not floats, with one exponent for a block of samples of a series: a value loses its last digits, and all of them beside a
 * value that is much larger. Small whole numbers are kept as they are.
 *
 * @throws Error when the program is not to be had, the port is taken, or the server is not ready in time or ends
 *
 * @example
 * ```ts
 * await using metrics = await startVictoriaMetrics()
 * await fetch(metrics.remoteWriteUrl, { method: 'POST', headers, body })
 * await metrics.query('sum(orders)')
 * ```
 * @see https://docs.victoriametrics.com/#how-to-export-data-in-json-line-format
 */
export async function startVictoriaMetrics(options: RemoteWriteReceiverOptions = {}): Promise<RemoteWriteReceiver> {
  const { port = 0, readyDeadlineMs = 30_000 } = options
  for (let attempt = 1; ; attempt += 1) {
    // It cannot choose a port itself and say which.
    const wanted = port === 0 ? await freePort() : port
    try {
      return await start(wanted, readyDeadlineMs, options)
    } catch (error) {
      if (!(error instanceof PortTakenError) || port !== 0 || attempt === PORT_ATTEMPTS) throw error
    }
  }
}

class PortTakenError extends Error {
  override readonly name: string = 'PortTakenError'
}

async function start(
  port: number,
  deadlineMs: number,
  { dataFolder, args = [] }: RemoteWriteReceiverOptions,
): Promise<RemoteWriteReceiver> {
  const program = await debianProgram('victoria-metrics')
  const folder = await receiverFolder(dataFolder)
  const child = await spawnProgram(
    program,
    [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${folder.path}`,
      '-retentionPeriod=100y',
      '-search.latencyOffset=0s',
      '-search.disableCache',
      '-memory.allowedBytes=256MB',
      ...args,
    ],
    { cwd: folder.path, leftover: folder.leftover },
  )
  try {
    const metrics = new RunningVictoriaMetrics(child, folder, port, NO_DELAY)
    // Whatever else has the port answers too, and keeps its data elsewhere.
    const own = `flag{name="storageDataPath", value=${JSON.stringify(folder.path)}`
    await untilReady('victoria-metrics', child, new URL('/metrics', metrics.url), deadlineMs, (body) =>
      body.includes(own),
    )
    return metrics
  } catch (error) {
    await child.stop()
    await folder[Symbol.asyncDispose]()
    if (!child.stderr.some((line) => line.includes('address already in use'))) throw error
    throw new PortTakenError(`victoria-metrics cannot listen on 127.0.0.1:${port}: EADDRINUSE`, { cause: error })
  }
}

interface ExportedSeries {
  readonly metric: SeriesLabels
  readonly values: readonly (number | string | null)[]
  readonly timestamps: readonly number[]
}

class RunningVictoriaMetrics extends RunningReceiver {
  override async query(promql: string, atMs?: number): Promise<readonly QueriedSample[]> {
    await this.#flush()
    return super.query(promql, atMs)
  }

  override async series(selector: string, window?: TimeWindow): Promise<readonly SeriesLabels[]> {
    await this.#flush()
    return super.series(selector, window)
  }

  /** By the export, which shows what a query leaves out: repeats, and samples that end a series. */
  override async samples(selector: string, window: TimeWindow = {}): Promise<readonly StoredSeries[]> {
    await this.#flush()
    const { startMs, endMs } = wholeWindow(window)
    const form = { 'match[]': selector, start: String(startMs / 1000), end: String(endMs / 1000) }
    const lines = (await answerOf(new URL('/api/v1/export', this.url), new URLSearchParams(form))).toString()
    return lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line): ExportedSeries => JSON.parse(asJson(line)))
      .map(({ metric, values, timestamps }) => ({
        labels: metric,
        samples: timestamps.map((timestampMs, index) => ({ timestampMs, value: exported(values[index]) })),
      }))
  }

  async #flush(): Promise<void> {
    await answerOf(new URL('/internal/force_flush', this.url))
  }
}

/** Infinities are exported bare. A label cannot look like the member `values`: its quotes are escaped. */
function asJson(line: string): string {
  return line.replace(/"values":\[[^\]]*\]/, (values) => values.replaceAll(/[+-]Inf/g, '"$&"'))
}

function exported(value: number | string | null | undefined): number {
  if (typeof value === 'string') return floatOf(value)
  return value ?? Number.NaN
}
