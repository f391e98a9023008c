import { createServer, type ServerResponse } from 'node:http'
import { messageOf, SluiceError } from '../errors.ts'
import type { JobStatus } from '../job/status.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import type { AdminOptions } from '../job/options.ts'
import { prometheusText } from '../metrics/prometheus-text.ts'

export interface AdminServer {
  readonly url: string
  close(): Promise<void>
}

/** A job is unhealthy when records are in hand and no checkpoint was completed for this many intervals. */
const STALE_INTERVALS = 3
const REQUEST_TIMEOUT_MS = 10_000

/** What the server shows: a job. */
export interface Administered {
  readonly metrics: MetricRegistry
  status(): JobStatus
}

/**
 * Serves `/healthz`, `/readyz`, `/status` (JSON) and `/metrics` (Prometheus text).
 *
 * @throws SluiceError `SLUICE_ADMIN_SERVER` when the port is in use or may not be bound.
 */
export async function startAdminServer(
  options: AdminOptions,
  job: Administered,
  intervalMs: number,
): Promise<AdminServer> {
  const { port, host = '127.0.0.1' } = options
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'text/plain', 'only GET\n')
    void answer(request.url ?? '/', response, job, intervalMs)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : messageOf(error)
      reject(
        new SluiceError(
          'SLUICE_ADMIN_SERVER',
          `admin server cannot listen on ${host}:${port}: ${why} (option admin.port)`,
          {
            cause: error,
            facts: { host, port },
          },
        ),
      )
    })
    server.listen(port, host, resolve)
  })
  // A failed accept, for want of file descriptors, must not end the process that the pages are about.
  server.on('error', () => {})
  const address = server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(url: string, response: ServerResponse, job: Administered, intervalMs: number): Promise<void> {
  try {
    const path = url.split('?', 1)[0]
    if (path === '/status')
      return send(response, 200, 'application/json', `${JSON.stringify(job.status(), undefined, 2)}\n`)
    if (path === '/healthz') {
      const problem = healthProblem(job.status(), intervalMs)
      return send(response, problem === undefined ? 200 : 503, 'text/plain', `${problem ?? 'ok'}\n`)
    }
    if (path === '/readyz') {
      const problem = readinessProblem(job.status())
      return send(response, problem === undefined ? 200 : 503, 'text/plain', `${problem ?? 'ok'}\n`)
    }
    if (path === '/metrics') {
      const text = await prometheusText(job.metrics)
      if (text !== undefined) return send(response, 200, text.contentType, text.body)
      return send(response, 404, 'text/plain', 'metrics need the package prom-client: npm install prom-client\n')
    }
    return send(response, 404, 'text/plain', 'there are /healthz, /readyz, /status and /metrics\n')
  } catch (error) {
    return send(response, 500, 'text/plain', `${messageOf(error)}\n`)
  }
}

/** What makes the job unhealthy, or undefined. That it is asked and answers shows that the event loop lives. */
export function healthProblem(status: JobStatus, intervalMs: number): string | undefined {
  if (status.state === 'failed') return `failed: ${status.lastError?.message ?? 'unknown'}`
  if (status.unsettled === 0) return undefined
  // Not the age of the open one: with a short timeout there is always a young one.
  const ageMs = status.checkpoints?.sinceCompletedMs ?? 0
  if (ageMs <= STALE_INTERVALS * intervalMs) return undefined
  const [oldest] = Object.values(status.sinks)
    .flatMap((sink) => sink.oldest ?? [])
    .toSorted((a, b) => b.ageMs - a.ageMs)
  return `no checkpoint was completed for ${Math.round(ageMs)} ms; the oldest record: ${oldest?.reason ?? 'not yet in a sink'}`
}

function readinessProblem(status: JobStatus): string | undefined {
  if (status.state !== 'running') return `the job is ${status.state}`
  if (!status.readers.some((reader) => reader.splits.length > 0)) return 'no split is assigned'
  const unreached = Object.entries(status.sinks).filter(
    ([, sink]) => sink.written + sink.duplicate + sink.dropped === 0,
  )
  return unreached.length === 0 ? undefined : `sinks not reached yet: ${unreached.map(([uid]) => uid).join(', ')}`
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type.includes('charset') ? type : `${type}; charset=utf-8` })
  response.end(body)
}
