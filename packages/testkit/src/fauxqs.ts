import { fileURLToPath } from 'node:url'

import { isListenReport, type ListenReport } from './listen-report.ts'
import { lastOutput, LOOPBACK_PRELOAD, spawnReporting, type NodeChild } from './spawn-node.ts'
import { waitFor } from './wait.ts'

/** Options of {@link startFauxqs}. */
export interface FauxqsOptions {
  /** Port of the endpoint; 0 takes a free one. @default 0 */
  readonly port?: number
  /** Milliseconds until the server must listen. @default 30_000 */
  readonly readyDeadlineMs?: number
}

/** A running emulator of SQS and S3. */
export interface Fauxqs extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, of all services. */
  readonly endpoint: string
  readonly port: number
  readonly pid: number
  /** Creates an S3 bucket. */
  createBucket(name: string): Promise<void>
  /** Stops the process: SIGTERM, then SIGKILL. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts fauxqs, an emulator of SQS and S3, in a process of its own, on 127.0.0.1 only, with an empty memory store. It checks no
 * signature: any credentials do. The process ends with the caller.
 *
 * It is no copy of AWS: its S3 ignores the conditions of a put and sends no events; its SQS confirms the deletion of messages
 * with a made-up handle and receives one message of a FIFO group at a time.
 *
 * @throws Error when the port is taken, or when the server does not listen in time or ends; with its last output
 *
 * @example
 * ```ts
 * await using fauxqs = await startFauxqs()
 * await fauxqs.createBucket('state')
 * const s3 = new S3Client({ endpoint: fauxqs.endpoint, ... })
 * ```
 * @see https://github.com/kibertoad/fauxqs
 */
export async function startFauxqs(options: FauxqsOptions = {}): Promise<Fauxqs> {
  const { port = 0, readyDeadlineMs = 30_000 } = options
  const reports: ListenReport[] = []
  const child = await spawnReporting(
    fileURLToPath(new URL('./server.js', import.meta.resolve('fauxqs'))),
    [],
    {
      execArgv: ['--import', LOOPBACK_PRELOAD],
      env: { PATH: process.env['PATH'], FAUXQS_PORT: String(port) },
    },
    (message) => {
      if (isListenReport(message)) reports.push(message)
    },
  )
  try {
    return new RunningFauxqs(child, await boundPort(child, reports, port, readyDeadlineMs))
  } catch (error) {
    await child.stop()
    throw error
  }
}

async function boundPort(
  child: NodeChild,
  reports: readonly ListenReport[],
  wanted: number,
  deadlineMs: number,
): Promise<number> {
  let ended: string | undefined
  void child.exit.then(({ code, signal }) => (ended = signal ?? `code ${code}`))
  const report = await waitFor(() => reports[0] ?? ended, {
    what: `fauxqs to listen (process ${child.pid})`,
    deadlineMs,
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; ${lastOutput(child)}`, { cause: error })
  })
  if (typeof report === 'string') throw new Error(`fauxqs ended (${report}) before it listened; ${lastOutput(child)}`)
  if (report.port === undefined) {
    throw new Error(`fauxqs cannot listen on 127.0.0.1:${wanted}: ${report.failed ?? 'unknown error'}`)
  }
  return report.port
}

class RunningFauxqs implements Fauxqs {
  readonly endpoint: string
  readonly port: number
  readonly #child: NodeChild

  constructor(child: NodeChild, port: number) {
    this.#child = child
    this.port = port
    this.endpoint = `http://127.0.0.1:${port}`
  }

  get pid(): number {
    return this.#child.pid
  }

  async createBucket(name: string): Promise<void> {
    const answer = await fetch(`${this.endpoint}/${name}`, { method: 'PUT', signal: AbortSignal.timeout(10_000) })
    if (!answer.ok) throw new Error(`fauxqs did not create the bucket ${name}: ${answer.status} ${await answer.text()}`)
    await answer.body?.cancel()
  }

  async close(): Promise<void> {
    await this.#child.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
