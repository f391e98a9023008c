import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type KinesisClient, PutRecordsCommand, type PutRecordsResultEntry } from '@aws-sdk/client-kinesis'
import { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { fileCheckpoints, silentLogger } from '@sluice/core'
import type { KinesisSplit } from '@sluice/kinesis'
import { startFaultProxy, startKinesisLocal } from '@sluice/testkit'
import { startTimestreamLocal } from '@sluice/timestream-local'
import type {
  Coverage,
  GeneratedRecord,
  PipelineDefinition,
  PipelineUnderTest,
  Position,
  ProducedRecord,
} from '../campaign.ts'
import { arrivalsOf, writesIn } from '../timestream/journal.ts'
import { WriteGate } from '../write-gate.ts'
import { JOB, type KinesisTimestreamSettings } from './kinesis-timestream-settings.ts'
import { createTable, DATABASE, isWrite, TABLE } from './timestream-servers.ts'

const STREAM = 'campaign'
const SHARDS = 3
const CHECKPOINT_INTERVAL_MS = 120
const WRITE_DELAY_MS = 20
const LOCAL_CLIENT = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }

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
  const tables = servers.adopt(new TimestreamWriteClient({ endpoint: timestream.endpoint, ...LOCAL_CLIENT }), (each) =>
    each.destroy(),
  )
  await createTable(tables)
  const gate = new WriteGate(isWrite, WRITE_DELAY_MS)
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
    arrivals: async () => arrivalsOf(await writesIn(timestream.journalPath)),
    coverage: () => coverage(stateFolder),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
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
