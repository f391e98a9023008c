import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type KinesisClient, PutRecordsCommand, type PutRecordsResultEntry } from '@aws-sdk/client-kinesis'
import { CreateDatabaseCommand, CreateTableCommand, TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { fileCheckpoints, silentLogger } from '@sluice/core'
import { payloadHash } from '@sluice/core/testing'
import type { KinesisSplit } from '@sluice/kinesis'
import { startFaultProxy, startKinesisLocal } from '@sluice/testkit'
import { type JournalRecord, readJournal, startTimestreamLocal } from '@sluice/timestream-local'
import type {
  Arrival,
  Coverage,
  GeneratedRecord,
  PipelineDefinition,
  PipelineUnderTest,
  Position,
  ProducedRecord,
} from '../campaign.ts'
import { ledgerPayload } from '../ledger/generator.ts'
import { WriteGate } from '../write-gate.ts'
import { JOB, type KinesisTimestreamSettings, MEASURES } from './kinesis-timestream-settings.ts'

const STREAM = 'campaign'
const SHARDS = 3
const DATABASE = 'campaign'
const TABLE = 'readings'
const CHECKPOINT_INTERVAL_MS = 120
const WRITE_DELAY_MS = 20
const WRITE_RECORDS = 'Timestream_20181101.WriteRecords'

/** kinesis-local in a process of its own, and timestream-local behind a fault proxy in the campaign's. */
export const kinesisTimestream: PipelineDefinition = {
  name: 'kinesis-timestream',
  summary: 'KinesisSource, map, TimestreamSink, file checkpoints; kinesis-local and timestream-local',
  positionAuthority: 'checkpoint',
  open,
}

async function open(folder: string): Promise<PipelineUnderTest> {
  await using servers = new AsyncDisposableStack()
  const stateFolder = join(folder, 'state')
  await mkdir(stateFolder)
  const kinesis = servers.use(await startKinesisLocal())
  await kinesis.createStream(STREAM, SHARDS)
  const timestream = servers.use(await startTimestreamLocal({ dataDir: join(folder, 'timestream') }))
  await createTable(timestream.endpoint)
  const gate = new WriteGate((headers) => headers['x-amz-target'] === WRITE_RECORDS, WRITE_DELAY_MS)
  const target = { host: '127.0.0.1', port: timestream.port }
  const proxy = servers.use(await startFaultProxy({ target, onRequest: gate.onRequest, onResponse: gate.onResponse }))
  const client = kinesis.client()
  const settings: KinesisTimestreamSettings = {
    kinesisEndpoint: kinesis.endpoint,
    streamName: STREAM,
    timestreamEndpoint: proxy.endpoint,
    databaseName: DATABASE,
    tableName: TABLE,
    stateFolder,
    checkpointIntervalMs: CHECKPOINT_INTERVAL_MS,
  }
  const running = servers.move()
  return {
    subject: { entry: new URL('kinesis-timestream.ts', import.meta.url), settings },
    gate,
    produce: (records) => produce(client, records),
    arrivals: () => arrivals(timestream.journalPath),
    coverage: () => coverage(stateFolder),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

async function createTable(endpoint: string): Promise<void> {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  const client = new TimestreamWriteClient({ endpoint, region: 'us-east-1', credentials })
  try {
    await client.send(new CreateDatabaseCommand({ DatabaseName: DATABASE }))
    await client.send(new CreateTableCommand({ DatabaseName: DATABASE, TableName: TABLE }))
  } finally {
    client.destroy()
  }
}

async function produce(client: KinesisClient, records: readonly GeneratedRecord[]): Promise<readonly ProducedRecord[]> {
  const produced: ProducedRecord[] = []
  let left = records
  while (left.length > 0) {
    const answer = await client.send(
      new PutRecordsCommand({
        StreamName: STREAM,
        Records: left.map((record) => ({ PartitionKey: record.key, Data: Buffer.from(JSON.stringify(record)) })),
      }),
    )
    const results = answer.Records ?? []
    if (results.length !== left.length)
      throw new Error(`PutRecords answered ${results.length} of ${left.length} records`)
    const refused: GeneratedRecord[] = []
    for (const [index, record] of left.entries()) {
      const position = positionOf(results[index])
      if (position === undefined) refused.push(record)
      else produced.push({ ...ledgerEntry(record), position })
    }
    left = refused
  }
  return produced
}

function positionOf(result: PutRecordsResultEntry | undefined): Position | undefined {
  const { ShardId, SequenceNumber } = result ?? {}
  if (ShardId === undefined || SequenceNumber === undefined) return undefined
  return { splitId: ShardId, sequenceNumber: SequenceNumber }
}

function ledgerEntry({ source, key, sequence, hash }: GeneratedRecord): Omit<ProducedRecord, 'position'> {
  return { source, key, sequence, hash }
}

async function arrivals(journalPath: string): Promise<readonly Arrival[]> {
  const found: Arrival[] = []
  for await (const entry of readJournal(journalPath)) {
    if (entry.operation !== 'WriteRecords') continue
    const { requestId, monotonicNs: atNs } = entry
    for (const record of entry.records) found.push({ ...arrivalOf(record), requestId, atNs })
  }
  return found
}

function arrivalOf(record: JournalRecord): Pick<Arrival, 'entry' | 'outcome' | 'conflict'> {
  const measure = (name: string): string => String(record.measures.find((each) => each.name === name)?.value ?? '')
  const payload = ledgerPayload(measure(MEASURES.payload), Number(record.timeNs / 1_000_000n))
  const hash = payloadHash(payload)
  return {
    entry: {
      source: record.dimensions['source'] ?? '',
      key: record.dimensions['key'] ?? '',
      sequence: Number(measure(MEASURES.sequence)),
      // What the record says of itself and what it is must agree; if not, it is a record that was never produced.
      hash: hash === measure(MEASURES.hash) ? hash : `${hash} instead of ${measure(MEASURES.hash)}`,
    },
    outcome: record.outcome === 'rejected' ? 'rejected' : 'stored',
    conflict: record.outcome === 'updated' || record.existingVersion !== undefined,
  }
}

async function coverage(stateFolder: string): Promise<Coverage> {
  await using store = await fileCheckpoints(stateFolder).open(JOB, silentLogger)
  const checkpoint = await store.load()
  const splits = Object.values(checkpoint?.sources ?? {}).flatMap((state) => state.splits as readonly KinesisSplit[])
  const positions = new Map(
    splits.flatMap(({ splitId, position }) =>
      position.kind === 'AFTER' ? [[splitId, BigInt(position.sequenceNumber)] as const] : [],
    ),
  )
  return {
    checkpointId: checkpoint?.id ?? 0,
    covers: ({ splitId, sequenceNumber }) => BigInt(sequenceNumber) <= (positions.get(splitId) ?? -1n),
  }
}
