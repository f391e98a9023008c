import {
  DescribeStreamSummaryCommand,
  type KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordsCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import { memoryCheckpoints, stream, toFunction } from '@sluice/core'
import { type KinesisLocal, startKinesisLocal, waitFor } from '@sluice/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { KinesisSource, type KinesisSourceOptions } from '../src/index.ts'
import { type MiniJob, startJob } from './support/mini-job.ts'

interface Entry {
  readonly key: string
  readonly sequence: number
}

let kinesis: KinesisLocal
let client: KinesisClient

beforeAll(async () => {
  kinesis = await startKinesisLocal()
  client = kinesis.client()
})

afterAll(async () => {
  await kinesis?.close()
})

function sourceOf(streamName: string, options: Partial<KinesisSourceOptions<Entry>> = {}): KinesisSource<Entry> {
  return new KinesisSource<Entry>({
    streamName,
    initialPosition: 'TRIM_HORIZON',
    shardDiscoveryIntervalMs: 1000,
    fetchIntervalMs: 20,
    emptyFetchIntervalMs: 20,
    aws: {
      endpoint: kinesis.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    },
    ...options,
  })
}

const KEYS = Array.from({ length: 8 }, (_, i) => `key-${i}`)

/** Puts, for every key, the entries `from` up to before `to`. */
async function put(streamName: string, from: number, to: number): Promise<void> {
  for (let sequence = from; sequence < to; sequence++) {
    const Records = KEYS.map((key) => ({ PartitionKey: key, Data: Buffer.from(JSON.stringify({ key, sequence })) }))
    await client.send(new PutRecordsCommand({ StreamName: streamName, Records }))
  }
}

async function shardsOf(streamName: string): Promise<{ id: string; open: boolean; start: bigint; end: bigint }[]> {
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName: streamName }))
  return Shards.map(({ ShardId, SequenceNumberRange, HashKeyRange }) => ({
    id: ShardId ?? '',
    open: SequenceNumberRange?.EndingSequenceNumber === undefined,
    start: BigInt(HashKeyRange?.StartingHashKey ?? 0),
    end: BigInt(HashKeyRange?.EndingHashKey ?? 0),
  }))
}

async function splitShard(streamName: string, shardId: string): Promise<void> {
  const shard = (await shardsOf(streamName)).find(({ id }) => id === shardId)
  const middle = ((shard?.start ?? 0n) + (shard?.end ?? 0n)) / 2n + 1n
  await client.send(
    new SplitShardCommand({ StreamName: streamName, ShardToSplit: shardId, NewStartingHashKey: String(middle) }),
  )
  await active(streamName)
}

async function mergeShards(streamName: string, first: string, second: string): Promise<void> {
  await client.send(
    new MergeShardsCommand({ StreamName: streamName, ShardToMerge: first, AdjacentShardToMerge: second }),
  )
  await active(streamName)
}

/** Waits until a change of the shards is done. */
async function active(streamName: string): Promise<void> {
  await waitFor(
    async () => {
      const answer = await client.send(new DescribeStreamSummaryCommand({ StreamName: streamName }))
      return answer.StreamDescriptionSummary?.StreamStatus === 'ACTIVE'
    },
    { what: `stream ${streamName} to be ACTIVE` },
  )
}

function until(job: MiniJob, count: number): Promise<unknown> {
  return waitFor(
    () => {
      job.pump()
      if (job.failures[0] !== undefined) throw job.failures[0]
      return job.emitted.length >= count
    },
    { what: `${count} records` },
  )
}

/** The sequences of each key in the order of their emission. */
function byKey(values: readonly unknown[]): Record<string, number[]> {
  const sequences: Record<string, number[]> = {}
  for (const { key, sequence } of values as Entry[]) (sequences[key] ??= []).push(sequence)
  return sequences
}

function allKeys(sequences: readonly number[]): Record<string, readonly number[]> {
  return Object.fromEntries(KEYS.map((key) => [key, sequences]))
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

describe('KinesisSource on a server', () => {
  test('reads every record of several shards, each once and in order, in two subtasks', async () => {
    await kinesis.createStream('several', 4)
    await put('several', 0, 5)
    const job = await startJob(sourceOf('several'), { parallelism: 2 })
    await until(job, 40)
    expect(byKey(job.values())).toEqual(allKeys(range(0, 5)))
    expect(new Set(job.assigned.map(({ subtask }) => subtask))).toEqual(new Set([0, 1]))
    await put('several', 5, 7)
    await until(job, 56)
    expect(byKey(job.values())).toEqual(allKeys(range(0, 7)))
  })

  test('reads children after their parents: a split and a merge', async () => {
    await kinesis.createStream('reshard', 1)
    await put('reshard', 0, 3)
    await splitShard('reshard', 'shardId-000000000000')
    await put('reshard', 3, 6)
    const [, left, right] = (await shardsOf('reshard')).map(({ id }) => id)
    await mergeShards('reshard', left ?? '', right ?? '')
    await put('reshard', 6, 9)
    const job = await startJob(sourceOf('reshard'))
    await until(job, 72)
    expect(byKey(job.values())).toEqual(allKeys(range(0, 9)))
    expect(job.assigned.map(({ shardId }) => shardId)).toEqual([
      'shardId-000000000000',
      left,
      right,
      'shardId-000000000003',
    ])
  })

  test('finds the children of a shard that is split while it is read', async () => {
    await kinesis.createStream('live', 1)
    await put('live', 0, 2)
    const job = await startJob(sourceOf('live'))
    await until(job, 16)
    await splitShard('live', 'shardId-000000000000')
    await put('live', 2, 4)
    await until(job, 32)
    expect(byKey(job.values())).toEqual(allKeys(range(0, 4)))
  })

  test('starts at a time: older records are left out', async () => {
    await kinesis.createStream('at-time', 2)
    await put('at-time', 0, 2)
    const atTimestamp = Date.now() + 1
    await waitFor(() => Date.now() > atTimestamp, { what: 'the next milliseconds' })
    await put('at-time', 2, 4)
    const job = await startJob(sourceOf('at-time', { initialPosition: { atTimestamp } }))
    await until(job, 16)
    expect(byKey(job.values())).toEqual(allKeys(range(2, 4)))
  })

  test('a LATEST start that ended before its first checkpoint with records skips nothing', async () => {
    await kinesis.createStream('latest', 2)
    const first = await startJob(sourceOf('latest', { initialPosition: 'LATEST' }))
    const restored = first.snapshot()
    const { start } = restored.enumerator
    expect(start).toMatchObject({ kind: 'AT_TIMESTAMP' })
    // The service's clock, as its answers say it: in whole seconds.
    expect('timestampMs' in start && start.timestampMs % 1000).toBe(0)
    await first.stop()
    await put('latest', 0, 3)
    const second = await startJob(sourceOf('latest', { initialPosition: 'LATEST' }), { restored })
    await until(second, 24)
    expect(byKey(second.values())).toEqual(allKeys(range(0, 3)))
  })

  test('goes on from a checkpoint inside a batch without loss or repeat, with another parallelism', async () => {
    await kinesis.createStream('resume', 2)
    await put('resume', 0, 6)
    const first = await startJob(sourceOf('resume'))
    await waitFor(() => first.readers[0]?.status().queuedRecords === 48, { what: 'all records to be fetched' })
    first.pump(5)
    const restored = first.snapshot()
    expect(first.emitted).toHaveLength(10)
    await first.stop()
    const second = await startJob(sourceOf('resume'), { restored, parallelism: 3 })
    await until(second, 38)
    expect(byKey([...first.values(), ...second.values()])).toEqual(allKeys(range(0, 6)))
  })

  test('goes on over a split that happened while the job was down', async () => {
    await kinesis.createStream('resplit', 1)
    await put('resplit', 0, 3)
    const first = await startJob(sourceOf('resplit'))
    await waitFor(() => first.readers[0]?.status().queuedRecords === 24, { what: 'all records to be fetched' })
    first.pump(7)
    const restored = first.snapshot()
    await first.stop()
    await splitShard('resplit', 'shardId-000000000000')
    await put('resplit', 3, 5)
    const second = await startJob(sourceOf('resplit'), { restored })
    await until(second, 33)
    expect(byKey([...first.values(), ...second.values()])).toEqual(allKeys(range(0, 5)))
  })

  test('two processes with static parts of the hash keys read every record once', async () => {
    await kinesis.createStream('parts', 4)
    await put('parts', 0, 4)
    const first = await startJob(sourceOf('parts', { shards: { index: 0, count: 2 } }))
    const second = await startJob(sourceOf('parts', { shards: { index: 1, count: 2 } }))
    await waitFor(() => first.pump() + second.pump() >= 0 && first.emitted.length + second.emitted.length >= 32, {
      what: '32 records',
    })
    expect(byKey([...first.values(), ...second.values()])).toEqual(allKeys(range(0, 4)))
    expect(first.assigned.length).toBe(2)
    expect(second.assigned.length).toBe(2)
  })

  test('a missing stream is named, with where it was looked for', async () => {
    await expect(startJob(sourceOf('missing'))).rejects.toMatchObject({
      code: 'SLUICE_SOURCE_NOT_FOUND',
      restartable: false,
      message: expect.stringMatching(
        /stream missing \(region us-east-1, endpoint http:\/\/127\.0\.0\.1:\d+\)/u,
      ) as unknown,
    })
  })

  test('takes a client of the user and leaves it open', async () => {
    await kinesis.createStream('injected', 1)
    const injected = kinesis.client()
    const source = new KinesisSource({ streamName: 'injected', client: injected, initialPosition: 'TRIM_HORIZON' })
    await put('injected', 0, 1)
    const job = await startJob(source)
    await until(job, 8)
    await job.stop()
    await expect(injected.send(new ListShardsCommand({ StreamName: 'injected' }))).resolves.toBeDefined()
  })

  test('a job that is closed and started again reads every record, and what was checkpointed only once', async () => {
    await kinesis.createStream('job', 2)
    const storage = memoryCheckpoints()
    const run = async (count: number): Promise<Entry[]> => {
      const entries: Entry[] = []
      const sink = toFunction<Entry>((values) => Promise.resolve(void entries.push(...values)), {
        maxTimeInBufferMS: 20,
      })
      const job = stream(sourceOf('job')).sinkTo(sink).start({ name: 'job', checkpoints: { storage } })
      await Promise.race([waitFor(() => entries.length >= count, { what: `${count} entries` }), job.done])
      const { unsettled } = await job.drain()
      expect(unsettled).toBe(0)
      return entries
    }
    await put('job', 0, 3)
    const first = await run(24)
    await splitShard('job', 'shardId-000000000001')
    await put('job', 3, 5)
    const second = await run(16)
    expect(byKey([...first, ...second])).toEqual(allKeys(range(0, 5)))
  })
})
