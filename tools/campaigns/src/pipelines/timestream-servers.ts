import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type _Record,
  CreateDatabaseCommand,
  CreateTableCommand,
  TimestreamWriteClient,
  WriteRecordsCommand,
} from '@aws-sdk/client-timestream-write'
import { fileCheckpoints, silentLogger } from '@sluice/core'
import type { LedgerEntry } from '@sluice/core/testing'
import { type FaultProxyOptions, startFaultProxy } from '@sluice/testkit'
import { type JournalWrite, startTimestreamLocal, type TimestreamLocal } from '@sluice/timestream-local'
import type { Coverage, GeneratedRecord, PipelineDefinition, PipelineUnderTest } from '../campaign.ts'
import type { LogSplit } from '../memory/prefix-source.ts'
import { MemoryService } from '../memory/service.ts'
import { arrivalsOf, writesIn } from '../timestream/journal.ts'
import type { Keys } from '../timestream/key-desk.ts'
import { BEFORE, heldBefore, UNSPEAKABLE } from '../timestream/poison.ts'
import { storedRows } from '../timestream/query.ts'
import { RequestLog, WRITE_RECORDS, type WriteRequest } from '../timestream/requests.ts'
import { WriteGate } from '../write-gate.ts'
import { JOB, REGION, type TimestreamSettings, type TimestreamTransport } from './timestream-settings.ts'

export const DATABASE = 'campaign'
export const TABLE = 'readings'
const CHECKPOINT_INTERVAL_MS = 120
const BATCH = 20
/** Of requests and answers, so that both halves of a request last: where processes are killed. */
const WRITE_DELAY_MS = 15
const MAX_PRELOADED = 100
const LOCAL_KEYS = { accessKeyId: 'local', secretAccessKey: 'local' }

/** What a campaign wants of the store and of the way to it. */
export interface TimestreamOptions {
  /** Only they may sign; the first one makes the table, and the store is not read by SQL. @default everybody */
  readonly keys?: readonly Keys[]
  /** Of requests and of answers. @default 0 */
  readonly writeDelayMs?: number
}

/** A pipeline into timestream-local, for campaigns that act on the store and on the way to it. */
export interface TimestreamPipelineUnderTest extends PipelineUnderTest {
  readonly store: TimestreamLocal
  /** WriteRecords requests of the subjects, in the order of arrival. */
  readonly requests: readonly WriteRequest[]
  /** WriteRecords requests of the subjects that the store evaluated. */
  writes(): Promise<readonly JournalWrite[]>
  /** Rows that SQL gives for what the subjects wrote; undefined where the store asks for keys. */
  rows(): Promise<number | undefined>
  /** Puts other values under the keys of records, before any subject runs. */
  hold(held: readonly { readonly record: GeneratedRecord; readonly version: number }[]): Promise<void>
}

export interface TimestreamPipeline extends PipelineDefinition {
  readonly transport: TimestreamTransport
}

function definition(transport: TimestreamTransport, how: string): TimestreamPipeline {
  return {
    name: `timestream-${transport}`,
    summary: `a log in memory, TimestreamSink ${how}, file checkpoints; timestream-local`,
    positionAuthority: 'checkpoint',
    transport,
    open: (folder) => openTimestream(transport, folder, { writeDelayMs: WRITE_DELAY_MS }),
  }
}

export const TIMESTREAM_PIPELINES: readonly TimestreamPipeline[] = [
  definition('direct', 'that signs and sends by itself'),
  definition('sdk', 'that sends by the AWS SDK'),
]

/** @throws RangeError when the pipeline does not end in timestream-local. */
export function transportOf(name: string): TimestreamTransport {
  const pipeline = TIMESTREAM_PIPELINES.find((each) => each.name === name)
  if (pipeline === undefined) throw new RangeError(`${name} is not a pipeline into timestream-local`)
  return pipeline.transport
}

export async function openTimestream(
  transport: TimestreamTransport,
  folder: string,
  { keys, writeDelayMs = 0 }: TimestreamOptions,
): Promise<TimestreamPipelineUnderTest> {
  await using servers = new AsyncDisposableStack()
  const stateFolder = join(folder, 'state')
  await mkdir(stateFolder)
  const service = servers.use(await MemoryService.start())
  const store = servers.use(
    await startTimestreamLocal({ dataDir: join(folder, 'timestream'), ...(keys && { credentials: keys }) }),
  )
  const client = servers.adopt(
    new TimestreamWriteClient({ endpoint: store.endpoint, region: REGION, credentials: keys?.[0] ?? LOCAL_KEYS }),
    (each) => each.destroy(),
  )
  await createTable(client)
  const gate = new WriteGate(isWrite, writeDelayMs)
  const log = new RequestLog()
  const proxy = servers.use(
    await startFaultProxy({
      target: { host: '127.0.0.1', port: store.port },
      observer: log.observer,
      onRequest: async (request) => refusedAsAWhole(request) ?? (await gate.onRequest(request)),
      onResponse: gate.onResponse,
    }),
  )
  const settings: TimestreamSettings = {
    endpoint: service.endpoint,
    timestreamEndpoint: proxy.endpoint,
    transport,
    databaseName: DATABASE,
    tableName: TABLE,
    stateFolder,
    checkpointIntervalMs: CHECKPOINT_INTERVAL_MS,
    maxBatchSize: BATCH,
  }
  let heldUntil = 0
  const writes = async (): Promise<readonly JournalWrite[]> =>
    (await writesIn(store.journalPath)).filter(({ seq }) => seq > heldUntil)
  const readBack = async (): Promise<readonly LedgerEntry[]> => {
    // A table without a record has no columns to ask for.
    const isEmpty = (await writes()).every(({ records }) => records.every(({ outcome }) => outcome === 'rejected'))
    return isEmpty ? [] : storedRows(store.endpoint, { database: DATABASE, table: TABLE, except: BEFORE })
  }
  const running = servers.move()
  return {
    subject: { entry: new URL('timestream.ts', import.meta.url), settings },
    gate,
    store,
    requests: log.requests,
    produce: (records) => Promise.resolve(service.log.produce(records)),
    writes,
    arrivals: async () => arrivalsOf(await writes()),
    rows: async () => (keys === undefined ? (await readBack()).length : undefined),
    ...(keys === undefined ? { readBack } : {}),
    hold: async (held) => {
      for (let from = 0; from < held.length; from += MAX_PRELOADED) {
        const records = held.slice(from, from + MAX_PRELOADED).map(({ record, version }) => heldBefore(record, version))
        const request = { DatabaseName: DATABASE, TableName: TABLE, Records: records as _Record[] }
        await client.send(new WriteRecordsCommand(request))
      }
      heldUntil = (await writesIn(store.journalPath)).at(-1)?.seq ?? 0
    },
    coverage: () => coverage(stateFolder),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Makes the table of the campaigns. */
export async function createTable(client: TimestreamWriteClient): Promise<void> {
  await client.send(new CreateDatabaseCommand({ DatabaseName: DATABASE }))
  await client.send(new CreateTableCommand({ DatabaseName: DATABASE, TableName: TABLE }))
}

export function isWrite(headers: Readonly<Record<string, unknown>>): boolean {
  return headers['x-amz-target'] === WRITE_RECORDS
}

type RequestHook = NonNullable<FaultProxyOptions['onRequest']>

/** What the service does about a rule that no sink knows. */
function refusedAsAWhole({ headers, body }: Parameters<RequestHook>[0]): Awaited<ReturnType<RequestHook>> {
  if (!isWrite(headers) || !body.includes(`"${UNSPEAKABLE}"`)) return undefined
  const type = 'ValidationException'
  return {
    kind: 'respond',
    status: 400,
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-errortype': type },
    body: JSON.stringify({ __type: `com.amazonaws.timestream.v20181101#${type}`, message: `${UNSPEAKABLE} value` }),
  }
}

async function coverage(stateFolder: string): Promise<Coverage> {
  await using store = await fileCheckpoints(stateFolder).open(JOB, silentLogger)
  const checkpoint = await store.load()
  const splits = Object.values(checkpoint?.sources ?? {}).flatMap((state) => state.splits as readonly LogSplit[])
  const next = new Map(splits.map(({ splitId, next: index }) => [splitId, index]))
  return {
    checkpointId: checkpoint?.id ?? 0,
    covers: ({ splitId, sequenceNumber }) => Number(sequenceNumber) < (next.get(splitId) ?? 0),
  }
}
