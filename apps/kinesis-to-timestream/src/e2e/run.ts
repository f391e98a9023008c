import { setTimeout as pause } from 'node:timers/promises'
import { paginateQuery, TimestreamQueryClient } from '@aws-sdk/client-timestream-query'
import { ConflictException, CreateDatabaseCommand, TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { awsRequestHandler } from '@sluice/aws'
import { consoleLogger, fromIterable, type Job, memoryCheckpoints, messageOf, noRestart, stream } from '@sluice/core'
import { TimestreamSink } from '@sluice/timestream'
import type { E2eOptions } from './arguments.ts'
import { deleteDatabase } from './delete-database.ts'

const TRANSPORTS = ['direct', 'sdk'] as const
type Transport = (typeof TRANSPORTS)[number]

/** What is read back, row by row; equal texts are equal records. */
type Row = string

export interface E2eResult {
  readonly e2e: 'timestream'
  readonly ok: boolean
  readonly database: string
  /** Records that the service confirmed when they were written the first time. */
  readonly written: number
  /** Rows that were read back, once each. */
  readonly rows: number
  readonly missing: number
  /** Rows that were never written like that, or are there twice. */
  readonly unexpected: number
  readonly deleted: boolean
  readonly failures: readonly string[]
}

const TABLE = 'readings'
/** The shortest that the service takes. */
const RETENTION = { memoryStoreRetentionHours: 1, magneticStoreRetentionDays: 1 }
const REQUEST_TIMEOUT_MS = 20_000
const MAX_IN_FLIGHT_REQUESTS = 4
const READ_DEADLINE_MS = 60_000
const READ_PAUSE_MS = 5_000
/** Nothing of the user's own settings for AWS. */
const LOCAL = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  useFipsEndpoint: false,
  useDualstackEndpoint: false,
}

interface Reading {
  readonly n: number
  readonly transport: Transport
  readonly value: number
  readonly timeMs: number
}

/**
 * Writes the same records twice by each transport, reads them back by SQL, and deletes database and table, whatever happened.
 *
 * @param database - does not exist yet.
 */
export async function runE2e(
  options: E2eOptions,
  database: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<E2eResult> {
  const { records, endpoint, local } = options
  const failures: string[] = []
  const startMs = Date.now() - records
  const readings = TRANSPORTS.flatMap((transport) =>
    Array.from({ length: records }, (_, n): Reading => ({ n, transport, value: n / 3, timeMs: startMs + n })),
  )
  const wanted = new Set(readings.map(rowOf))
  let rows: readonly Row[] = []
  const config = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(local ? { ...LOCAL, defaultsMode: 'standard' as const } : {}),
    requestHandler: awsRequestHandler({
      maxSockets: 4,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      connectionTimeoutMs: REQUEST_TIMEOUT_MS,
    }),
  }
  const write = new TimestreamWriteClient(config)
  const query = new TimestreamQueryClient(config)
  let written = 0
  let deleted = false
  try {
    // Awaited to its end, also when the run is interrupted: what is made after the deletion would stay.
    await createDatabase(write, database)
    for (const transport of TRANSPORTS) {
      // The second time nothing may change: the same records are the same rows.
      for (const time of ['first', 'second']) {
        signal.throwIfAborted()
        say(`${transport}: ${records} records, the ${time} time`)
        const portion = readings.filter((reading) => reading.transport === transport)
        const job = writing(portion, transport, database, options)
        try {
          await jobEnd(job, signal)
        } finally {
          if (time === 'first') written += confirmed(job)
        }
      }
    }
    rows = await readUntilComplete(query, database, wanted.size, signal, say)
  } catch (error) {
    failures.push(messageOf(error))
  }
  try {
    deleted = await deleteDatabase(write, database, TABLE)
    say(deleted ? `deleted ${database}` : `${database} is still there: delete it by hand`)
  } catch (error) {
    failures.push(`${database} could not be deleted, do it by hand: ${messageOf(error)}`)
  } finally {
    write.destroy()
    query.destroy()
  }
  const found = new Set(rows)
  const missing = [...wanted].filter((row) => !found.has(row)).length
  const unexpected = rows.length - [...wanted].filter((row) => found.has(row)).length
  const ok = failures.length === 0 && deleted && missing === 0 && unexpected === 0
  return {
    e2e: 'timestream',
    ok,
    database,
    written,
    rows: rows.length,
    missing,
    unexpected,
    deleted,
    failures,
  }
}

/** The name is this run's own: when the database is there already, an earlier try of the client has made it. */
async function createDatabase(client: TimestreamWriteClient, database: string): Promise<void> {
  try {
    await client.send(new CreateDatabaseCommand({ DatabaseName: database }))
  } catch (error) {
    if (!(error instanceof ConflictException)) throw error
  }
}

function rowOf({ n, transport, value, timeMs }: Reading): Row {
  return `${transport} ${n} ${value} ${timeMs}`
}

function writing(
  readings: readonly Reading[],
  transport: Transport,
  database: string,
  { endpoint, local, retrySeconds }: E2eOptions,
): Job {
  const { credentials, ...sinkSettings } = LOCAL
  const sink = new TimestreamSink<Reading>({
    databaseName: database,
    tableName: TABLE,
    ensureTable: RETENTION,
    transport,
    mapping: {
      time: 'timeMs',
      dimensions: ['transport'],
      measures: { n: { from: 'n', type: 'BIGINT' }, value: 'value' },
      measureName: { literal: 'reading' },
    },
    maxInFlightRequests: MAX_IN_FLIGHT_REQUESTS,
    retry: { maxElapsedMs: retrySeconds * 1000 },
    writeClientConfig: {
      // The sink repeats as well, and says so.
      maxErrorRetry: 2,
      ...(endpoint === undefined ? {} : { endpointOverride: endpoint }),
      ...(local ? sinkSettings : {}),
    },
    ...(local ? { credentials } : {}),
  })
  return stream(fromIterable(readings))
    .sinkTo(sink)
    .start({
      name: 'e2e',
      restart: noRestart(),
      checkpoints: { storage: memoryCheckpoints() },
      logger: consoleLogger({ level: 'warn' }),
    })
}

async function jobEnd(job: Job, signal: AbortSignal): Promise<void> {
  const stop = (): void => void job.close()
  signal.addEventListener('abort', stop)
  try {
    await job.done
  } finally {
    signal.removeEventListener('abort', stop)
  }
  signal.throwIfAborted()
}

function confirmed(job: Job): number {
  return Object.values(job.status().sinks).reduce((sum, sink) => sum + sink.written + sink.duplicate, 0)
}

/** What was written may be seen by queries a little later. */
async function readUntilComplete(
  client: TimestreamQueryClient,
  database: string,
  wanted: number,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<readonly Row[]> {
  const deadlineAt = performance.now() + READ_DEADLINE_MS
  for (;;) {
    const rows = await readAll(client, database, signal)
    say(`read ${rows.length} of ${wanted} rows`)
    if (rows.length >= wanted || performance.now() > deadlineAt) return rows
    await pause(READ_PAUSE_MS, undefined, { signal })
  }
}

async function readAll(client: TimestreamQueryClient, database: string, signal: AbortSignal): Promise<readonly Row[]> {
  const sql = `SELECT n, transport, value, time FROM "${database}"."${TABLE}"`
  const rows: Row[] = []
  for await (const { Rows: page = [] } of paginateQuery({ client }, { QueryString: sql, MaxRows: 1000 })) {
    signal.throwIfAborted()
    for (const { Data: data = [] } of page) {
      const [n, transport, value, time] = data.map(({ ScalarValue: text = '' }) => text)
      const timeMs = Date.parse(`${time?.replace(' ', 'T').slice(0, 23)}Z`)
      rows.push(rowOf({ n: Number(n), transport: transport as Transport, value: Number(value), timeMs }))
    }
  }
  return rows
}
