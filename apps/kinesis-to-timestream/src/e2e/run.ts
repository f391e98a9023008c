import { setTimeout as pause } from 'node:timers/promises'
import { paginateQuery, TimestreamQueryClient } from '@aws-sdk/client-timestream-query'
import { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { awsRequestHandler } from '@sluice/aws'
import { fromIterable, messageOf, noRestart, silentLogger, stream } from '@sluice/core'
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
const READ_DEADLINE_MS = 60_000
const READ_PAUSE_MS = 5_000

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
  { records, endpoint }: E2eOptions,
  database: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<E2eResult> {
  const failures: string[] = []
  const startMs = Date.now() - records
  const readings = TRANSPORTS.flatMap((transport) =>
    Array.from({ length: records }, (_, n): Reading => ({ n, transport, value: n / 3, timeMs: startMs + n })),
  )
  const wanted = new Set(readings.map(rowOf))
  let rows: readonly Row[] = []
  const config = {
    ...(endpoint === undefined ? {} : { endpoint }),
    requestHandler: awsRequestHandler({
      maxSockets: 4,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      connectionTimeoutMs: REQUEST_TIMEOUT_MS,
    }),
  }
  const write = new TimestreamWriteClient(config)
  const query = new TimestreamQueryClient(config)
  let deleted = false
  try {
    for (const transport of TRANSPORTS) {
      // The second time nothing may change: the same records are the same rows.
      for (const time of ['first', 'second']) {
        signal.throwIfAborted()
        say(`${transport}: ${records} records, the ${time} time`)
        const portion = readings.filter((reading) => reading.transport === transport)
        await writeAll(portion, { transport, database, endpoint, signal })
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
    written: wanted.size,
    rows: rows.length,
    missing,
    unexpected,
    deleted,
    failures,
  }
}

function rowOf({ n, transport, value, timeMs }: Reading): Row {
  return `${transport} ${n} ${value} ${timeMs}`
}

async function writeAll(
  readings: readonly Reading[],
  {
    transport,
    database,
    endpoint,
    signal,
  }: {
    readonly transport: Transport
    readonly database: string
    readonly endpoint: string | undefined
    readonly signal: AbortSignal
  },
): Promise<void> {
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
    ...(endpoint === undefined ? {} : { writeClientConfig: { endpointOverride: endpoint } }),
  })
  await using job = stream(fromIterable(readings)).sinkTo(sink).start({
    name: 'e2e',
    restart: noRestart(),
    logger: silentLogger,
  })
  const stop = (): void => void job.close()
  signal.addEventListener('abort', stop)
  try {
    await job.done
  } finally {
    signal.removeEventListener('abort', stop)
  }
  signal.throwIfAborted()
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
