import { createRequire } from 'node:module'
import { dirname } from 'node:path'

import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  ListStreamsCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'

import { isListenReport, type ListenReport } from './listen-report.ts'
import { lastOutput, LOOPBACK_PRELOAD, spawnReporting, type NodeChild } from './spawn-node.ts'
import { waitFor } from './wait.ts'

/** Options of {@link startKinesisLocal}. */
export interface KinesisLocalOptions {
  /** Port of the plain HTTP endpoint; 0 takes a free one. @default 0 */
  readonly port?: number
  /** Open shards that all streams together may have. @default 50 */
  readonly shardLimit?: number
  /** What the server logs; its last lines are part of start errors. @default 'ERROR' */
  readonly logLevel?: 'ERROR' | 'WARN' | 'INFO' | 'DEBUG' | 'TRACE'
  /** Milliseconds until the server must answer. @default 30_000 */
  readonly readyDeadlineMs?: number
}

/** A running Kinesis emulator. */
export interface KinesisLocal extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string
  readonly port: number
  readonly pid: number
  /**
   * A new client for this endpoint: HTTP/1.1 (the SDK's default, HTTP/2, fails against it), dummy credentials, region
   * us-east-1. `close` destroys it.
   *
   * @param endpoint - where it connects: a proxy in front of this server. Default: the server itself
   */
  client(endpoint?: string): KinesisClient
  /** Creates a stream and resolves when it is ACTIVE. @throws Error when it is not within 10 s */
  createStream(name: string, shards: number): Promise<void>
  /** Stops the process: SIGTERM, then SIGKILL. Idempotent. */
  close(): Promise<void>
}

const require = createRequire(import.meta.url)

// The numbers that the server is told; the loopback preload turns them into what is really bound.
const TLS_PORT = 4567
const PLAIN_PORT = 4568

const TRANSITION = '100ms'
const TRANSITIONS = [
  'CREATE_STREAM',
  'DELETE_STREAM',
  'REGISTER_STREAM_CONSUMER',
  'DEREGISTER_STREAM_CONSUMER',
  'START_STREAM_ENCRYPTION',
  'STOP_STREAM_ENCRYPTION',
  'MERGE_SHARDS',
  'SPLIT_SHARD',
  'UPDATE_SHARD_COUNT',
  'UPDATE_STREAM_MODE',
]

/**
 * Starts kinesis-local (kinesis-mock for Node) in a process of its own, on 127.0.0.1 only, with an empty memory store.
 * Streams, shards and consumers change state within about 100 ms. The process ends with the caller.
 *
 * It is no copy of AWS: it accepts more than 500 records in a PutRecords, and answers a bad iterator with a 500.
 *
 * @throws Error when the port is taken, or when the server does not answer in time or ends; with its last output
 *
 * @example
 * ```ts
 * await using kinesis = await startKinesisLocal()
 * await kinesis.createStream('orders', 2)
 * await kinesis.client().send(new PutRecordCommand({ StreamName: 'orders', ... }))
 * ```
 * @see https://github.com/etspaceman/kinesis-mock
 */
export async function startKinesisLocal(options: KinesisLocalOptions = {}): Promise<KinesisLocal> {
  const { port = 0, shardLimit = 50, logLevel = 'ERROR', readyDeadlineMs = 30_000 } = options
  const entry = require.resolve('kinesis-local')
  const reports: ListenReport[] = []
  const child = await spawnReporting(
    entry,
    [],
    {
      // It reads its certificate, server.json, from the working folder.
      cwd: dirname(entry),
      execArgv: ['--import', LOOPBACK_PRELOAD],
      env: {
        PATH: process.env['PATH'],
        KINESIS_MOCK_TLS_PORT: String(TLS_PORT),
        KINESIS_MOCK_PLAIN_PORT: String(PLAIN_PORT),
        SLUICE_TESTKIT_PORTS: `${TLS_PORT}:0,${PLAIN_PORT}:${port}`,
        SHARD_LIMIT: String(shardLimit),
        LOG_LEVEL: logLevel,
        ...Object.fromEntries(TRANSITIONS.map((name) => [`${name}_DURATION`, TRANSITION])),
      },
    },
    (message) => {
      if (isListenReport(message)) reports.push(message)
    },
  )
  try {
    const bound = await boundPort(child, reports, port, readyDeadlineMs)
    const kinesis = new RunningKinesis(child, bound)
    await kinesis.answers(readyDeadlineMs)
    return kinesis
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
  const plain = await waitFor(() => reports.find(({ requested }) => requested === PLAIN_PORT) ?? ended, {
    what: `kinesis-local to listen (process ${child.pid})`,
    deadlineMs,
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; ${lastOutput(child)}`, { cause: error })
  })
  if (typeof plain === 'string') {
    throw new Error(`kinesis-local ended (${plain}) before it listened; ${lastOutput(child)}`)
  }
  if (plain.port === undefined) {
    throw new Error(`kinesis-local cannot listen on 127.0.0.1:${wanted}: ${plain.failed ?? 'unknown error'}`)
  }
  return plain.port
}

class RunningKinesis implements KinesisLocal {
  readonly endpoint: string
  readonly port: number
  readonly #child: NodeChild
  readonly #clients: KinesisClient[] = []

  constructor(child: NodeChild, port: number) {
    this.#child = child
    this.port = port
    this.endpoint = `http://127.0.0.1:${port}`
  }

  get pid(): number {
    return this.#child.pid
  }

  client(endpoint: string = this.endpoint): KinesisClient {
    const client = new KinesisClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      // Nothing of what the environment sets for AWS.
      useFipsEndpoint: false,
      useDualstackEndpoint: false,
      defaultsMode: 'standard',
      requestHandler: new NodeHttpHandler({ connectionTimeout: 2_000, requestTimeout: 30_000 }),
    })
    this.#clients.push(client)
    return client
  }

  async createStream(name: string, shards: number): Promise<void> {
    const client = this.client()
    await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards }))
    await waitFor(
      async () => {
        const answer = await client.send(new DescribeStreamSummaryCommand({ StreamName: name }))
        const status = answer.StreamDescriptionSummary?.StreamStatus
        if (status !== 'ACTIVE') throw new Error(`status ${status}`)
        return true
      },
      { what: `stream ${name} to be ACTIVE` },
    )
  }

  async answers(deadlineMs: number): Promise<void> {
    const client = this.client()
    await waitFor(() => client.send(new ListStreamsCommand({})), {
      what: `kinesis-local to answer at ${this.endpoint}`,
      deadlineMs,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; ${lastOutput(this.#child)}`, { cause: error })
    })
  }

  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy()
    await this.#child.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
