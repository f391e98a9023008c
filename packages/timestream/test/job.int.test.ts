import { CreateDatabaseCommand, CreateTableCommand, TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { type DeadLetter, type DeadLetters, fromIterable, type Job, noRestart, SluiceError, stream } from '@sluice/core'
import { readJournal, startTimestreamLocal, type TimestreamLocal } from '@sluice/timestream-local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TimestreamSink } from '../src/sink.ts'

interface Point {
  readonly host: string
  readonly timeMs: number
}

const NOW = Date.now()
let local: TimestreamLocal
let client: TimestreamWriteClient

beforeAll(async () => {
  local = await startTimestreamLocal()
  client = new TimestreamWriteClient({
    endpoint: local.endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  await client.send(new CreateDatabaseCommand({ DatabaseName: 'metrics' }))
  for (const TableName of ['whole', 'partly', 'letters']) {
    await client.send(new CreateTableCommand({ DatabaseName: 'metrics', TableName }))
  }
})

afterAll(async () => {
  client.destroy()
  await local.close()
})

function start(tableName: string, values: readonly Point[], deadLetters?: DeadLetters): Job {
  const sink = new TimestreamSink<Point>({
    databaseName: 'metrics',
    tableName,
    client,
    elementConverter: ({ host, timeMs }) => ({
      Dimensions: [{ Name: 'host', Value: host }],
      MeasureName: 'up',
      MeasureValue: '1',
      Time: String(timeMs),
    }),
  })
  return stream(fromIterable(values))
    .sinkTo(sink)
    .start({ name: tableName, restart: noRestart(), ...(deadLetters === undefined ? {} : { deadLetters }) })
}

async function storedHosts(table: string): Promise<readonly (string | undefined)[]> {
  const hosts: (string | undefined)[] = []
  for await (const entry of readJournal(local.journalPath)) {
    if (entry.operation !== 'WriteRecords' || entry.table !== table) continue
    for (const record of entry.records) if (record.outcome === 'stored') hosts.push(record.dimensions['host'])
  }
  return hosts
}

const points = (count: number): Point[] => Array.from({ length: count }, (_, i) => ({ host: `h${i}`, timeMs: NOW }))

test('a job ends when every record is stored', async () => {
  const job = start('whole', points(1234))
  expect(await job.done).toMatchObject({ how: 'finished', unsettled: 0 })
  expect(new Set(await storedHosts('whole')).size).toBe(1234)
  expect(job.status().sinks['timestream']).toMatchObject({ accepted: 1234, written: 1234, inHand: 0 })
})

test('without dead letters a rejected record fails the job with its origin; the good ones are stored', async () => {
  const values = points(10).map((point, i) => (i === 4 ? { ...point, timeMs: 1 } : point))
  const job = start('partly', values)
  const error: unknown = await job.done.catch((thrown: unknown) => thrown)
  if (!SluiceError.isInstance(error)) throw new Error('the job did not fail with a SluiceError')
  expect(error.code).toBe('SLUICE_RECORD_REFUSED')
  expect(error.message).toContain('RejectedRecord')
  expect(new Set(await storedHosts('partly'))).toEqual(
    new Set(points(10).flatMap(({ host }) => (host === 'h4' ? [] : [host]))),
  )
})

test('a dead letter has the record as it was sent, and the reason of the service', async () => {
  const letters: DeadLetter[] = []
  const deliver = (letter: DeadLetter): Promise<void> => {
    letters.push(letter)
    return Promise.resolve()
  }
  const values = points(3).map((point, i) => (i === 1 ? { ...point, timeMs: 1 } : point))
  const job = start('letters', values, { deliver })
  expect(await job.done).toMatchObject({ how: 'finished', unsettled: 0 })
  expect(letters).toHaveLength(1)
  expect(letters[0]?.reason.code).toBe('RejectedRecord')
  expect(letters[0]?.entry).toEqual({
    Dimensions: [{ Name: 'host', Value: 'h1' }],
    MeasureName: 'up',
    MeasureValue: '1',
    Time: '1',
  })
  expect(await storedHosts('letters')).toEqual(['h0', 'h2'])
})
