import { readFile } from 'node:fs/promises'

import { VirtualClock } from '@sluice/core/testing'
import { beforeEach, describe, expect, test } from 'vitest'

import { KinesisSource, type KinesisSourceOptions } from '../src/index.ts'
import { type MiniJob, type MiniJobOptions, type Snapshot, startJob } from './support/mini-job.ts'
import { serviceError, type StubShard, StubService } from './support/stub-service.ts'

let clock: VirtualClock
let service: StubService

beforeEach(() => {
  clock = new VirtualClock()
  service = new StubService(() => clock.wallNow())
})

const HOUR_MS = 3_600_000

function start(
  options: Partial<KinesisSourceOptions<unknown>> = {},
  jobOptions: Omit<MiniJobOptions, 'clock'> = {},
): Promise<MiniJob> {
  const source = new KinesisSource<unknown>({ streamName: 'orders', client: service.sender, ...options })
  return startJob(source, { clock, ...jobOptions })
}

/** Emits what comes within the time. */
async function run(job: MiniJob, ms = 2000): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    await clock.advance(100)
    job.pump()
  }
}

/** A parent that was split, each with records. */
function splitStream(): StubShard {
  const parent = service.shard('parent', { closed: true })
  service.shard('left', { parents: ['parent'], from: 0, to: 0.5 })
  service.shard('right', { parents: ['parent'], from: 0.5, to: 1 })
  service.put('parent', 1, 2)
  service.put('left', 3)
  service.put('right', 4)
  return parent
}

/** The checkpoint of a start. */
async function checkpoint(): Promise<Snapshot> {
  service.shard('s0')
  const job = await start()
  const restored = job.snapshot()
  await job.stop()
  return restored
}

const finishedOf = (job: MiniJob): readonly string[] => job.snapshot().enumerator.finishedShardIds

const shardsOf = (job: MiniJob): string[] => job.assigned.map(({ shardId }) => shardId)

describe('where reading begins', () => {
  test('TRIM_HORIZON reads what there is', async () => {
    service.shard('s0')
    service.put('s0', 1, 2)
    const job = await start({ initialPosition: 'TRIM_HORIZON' })
    await run(job)
    expect(job.values()).toEqual([1, 2])
  })

  test('LATEST becomes a time once: a restart from the state of the start skips nothing', async () => {
    service.shard('s0')
    service.put('s0', 'old')
    await clock.advance(60_000)
    const first = await start()
    const state = first.snapshot()
    await first.stop()
    expect(state.enumerator.start).toMatchObject({ kind: 'AT_TIMESTAMP' })
    await clock.advance(60_000)
    service.put('s0', { between: true })
    await clock.advance(60_000)
    const second = await start({}, { restored: state })
    await run(second)
    expect(second.values()).toEqual([{ between: true }])
    expect(second.snapshot().enumerator.start).toEqual(state.enumerator.start)
  })

  test('the time of LATEST leaves room for a clock that is ahead, when the service does not say its own', async () => {
    service.shard('s0')
    const job = await start()
    expect(job.snapshot().enumerator.start).toEqual({ kind: 'AT_TIMESTAMP', timestampMs: clock.wallNow() - 2000 })
  })

  test('a time is kept to the millisecond', async () => {
    service.shard('s0')
    service.put('s0', 1)
    await clock.advance(5000)
    service.put('s0', 2)
    const atTimestamp = new Date(clock.wallNow())
    await clock.advance(5000)
    const job = await start({ initialPosition: { atTimestamp } })
    await run(job)
    expect(job.values()).toEqual([2])
  })

  test('a time that retention has passed means the oldest record', async () => {
    service.shard('s0')
    service.put('s0', 1)
    const job = await start({ initialPosition: { atTimestamp: clock.wallNow() - 25 * HOUR_MS } })
    await run(job)
    expect(job.values()).toEqual([1])
    expect(job.failures).toEqual([])
  })

  test('a time in the future is refused', async () => {
    service.shard('s0')
    await expect(start({ initialPosition: { atTimestamp: clock.wallNow() + 60_000 } })).rejects.toMatchObject({
      code: 'SLUICE_OPTIONS_INVALID',
    })
  })

  test.each([true, false])(
    'closed shards that may hold records after the time are read first (filter: %s)',
    async (known) => {
      service.knowsShardFilter = known
      const ancient = service.shard('ancient')
      service.put('ancient', 'a')
      ancient.closedAtMs = clock.wallNow()
      await clock.advance(HOUR_MS)
      const parent = service.shard('parent', { parents: ['ancient'] })
      service.put('parent', 'too old')
      await clock.advance(HOUR_MS)
      const atTimestamp = clock.wallNow()
      service.put('parent', 1)
      parent.closedAtMs = clock.wallNow() + 1
      await clock.advance(HOUR_MS)
      service.shard('child', { parents: ['parent'] })
      service.put('child', 2)
      const job = await start({ initialPosition: { atTimestamp } })
      await run(job, 5000)
      expect(job.values()).toEqual([1, 2])
      expect(shardsOf(job)).toEqual(known ? ['parent', 'child'] : ['ancient', 'parent', 'child'])
    },
  )

  test('a shard that is found later is read from its oldest record', async () => {
    service.shard('s0', { from: 0, to: 0.5 })
    const job = await start()
    service.shard('s1', { from: 0.5, to: 1 })
    service.put('s1', 1)
    await run(job, 11_000)
    expect(job.values()).toEqual([1])
    expect(service.inputs('GetShardIterator').at(-1)).toMatchObject({
      ShardId: 's1',
      ShardIteratorType: 'TRIM_HORIZON',
    })
  })
})

describe('parents before children', () => {
  test('children wait until the last record of their parent was emitted', async () => {
    splitStream()
    const job = await start({ initialPosition: 'TRIM_HORIZON' })
    await clock.advance(1000)
    expect(shardsOf(job)).toEqual(['parent'])
    job.pump(1)
    await clock.advance(1000)
    expect(shardsOf(job)).toEqual(['parent'])
    expect(job.metric('numShardsWaiting')).toBe(2)
  })

  test('children are assigned as soon as the parent is finished', async () => {
    splitStream()
    const job = await start({ initialPosition: 'TRIM_HORIZON' })
    await clock.advance(1)
    job.pump()
    expect(shardsOf(job)).toEqual(['parent', 'left', 'right'])
    await run(job)
    expect(job.values()).toEqual([1, 2, 3, 4])
  })

  test('a merged shard waits for both of its parents', async () => {
    service.shard('left', { from: 0, to: 0.5, closed: true })
    service.shard('right', { from: 0.5, to: 1, closed: true })
    service.shard('merged', { parents: ['left', 'right'] })
    service.put('merged', 2)
    service.put('right', 1)
    service.failShard('right', ...Array.from({ length: 3 }, () => serviceError('LimitExceededException', 'slow')))
    const job = await start({ initialPosition: 'TRIM_HORIZON' })
    await clock.advance(1)
    job.pump()
    expect(job.snapshot().enumerator.finishedShardIds).toEqual(['left'])
    expect(shardsOf(job)).toEqual(['left', 'right'])
    await run(job, 5000)
    expect(job.values()).toEqual([1, 2])
  })

  test('a parent that the service lists no more counts as finished', async () => {
    service.shard('child', { parents: ['expired'] })
    service.put('child', 1)
    const job = await start({ initialPosition: 'TRIM_HORIZON' })
    await run(job)
    expect(job.values()).toEqual([1])
  })

  test('a shard that ends makes its children known before the next interval', async () => {
    const parent = service.shard('parent')
    const job = await start({ initialPosition: 'TRIM_HORIZON', shardDiscoveryIntervalMs: HOUR_MS })
    await run(job, 500)
    parent.closedAtMs = clock.wallNow()
    service.shard('child', { parents: ['parent'] })
    service.put('child', 1)
    await run(job, 2000)
    expect(job.values()).toEqual([1])
  })

  test.each([
    ['before the parent was emitted', 0, [1, 2, 3, 4]],
    ['in the middle of the parent', 1, [2, 3, 4]],
    ['when the parent was finished', 2, [3, 4]],
  ])('restored %s', async (_, emitted, expected) => {
    splitStream()
    const first = await start({ initialPosition: 'TRIM_HORIZON' })
    await clock.advance(1)
    if (emitted > 0) first.pump(emitted)
    const restored = first.snapshot()
    await first.stop()
    const second = await start({}, { restored })
    const assigned = emitted < 2 ? ['parent'] : ['left', 'right']
    expect(shardsOf(second)).toEqual(assigned)
    await run(second)
    expect(second.values()).toEqual(expected)
  })

  test('a finished shard is kept in the state, and its end may be announced again', async () => {
    splitStream()
    const first = await start({ initialPosition: 'TRIM_HORIZON' })
    await run(first)
    expect(first.snapshot().splits.map(({ splitId }) => splitId)).toEqual(['parent', 'left', 'right'])
    await first.readers[0]?.acknowledge(1, [])
    const restored = first.snapshot()
    expect(restored.splits.map(({ splitId }) => splitId)).toEqual(['left', 'right'])
    expect(restored.enumerator.finishedShardIds).toEqual(['parent'])
    await first.stop()
    const second = await start({}, { restored })
    second.enumerator.splitFinished('parent', 0)
    expect(shardsOf(second)).toEqual(['left', 'right'])
  })

  test('a finished shard that a listing lacks is not read again when the next one has it, after a restart neither', async () => {
    const parent = splitStream()
    let job = await start({ initialPosition: 'TRIM_HORIZON' })
    await run(job)
    for (let restarts = 0; restarts < 2; restarts++) {
      parent.listed = false
      await run(job, 11_000)
      parent.listed = true
      await run(job, 11_000)
      expect(job.values()).toEqual(restarts === 0 ? [1, 2, 3, 4] : [])
      const restored = job.snapshot()
      await job.stop()
      job = await start({}, { restored })
    }
    expect(shardsOf(job)).toEqual(['left', 'right'])
  })

  test('a finished shard is forgotten when it is not listed and its last record has expired', async () => {
    const seldom = { shardDiscoveryIntervalMs: HOUR_MS, emptyFetchIntervalMs: HOUR_MS }
    splitStream()
    const first = await start({ initialPosition: 'TRIM_HORIZON', ...seldom })
    await run(first)
    await first.readers[0]?.acknowledge(1, [])
    expect(finishedOf(first)).toEqual(['parent'])
    // Restarts do not begin the time again.
    await clock.advance(20 * HOUR_MS)
    const restored = first.snapshot()
    await first.stop()
    service.shards.shift()
    const second = await start(seldom, { restored })
    await clock.advance(3 * HOUR_MS)
    expect(finishedOf(second)).toEqual(['parent'])
    await clock.advance(HOUR_MS)
    expect(finishedOf(second)).toEqual([])
  })
})

describe('assignment', () => {
  test('all pages of shards are read', async () => {
    service.pageSize = 2
    for (let i = 0; i < 5; i++) service.shard(`s${i}`, { from: i / 5, to: (i + 1) / 5 })
    const job = await start()
    expect(shardsOf(job)).toEqual(['s0', 's1', 's2', 's3', 's4'])
    const inputs = service.inputs('ListShards')
    expect(inputs).toEqual([{ StreamName: 'orders' }, { NextToken: '2' }, { NextToken: '4' }])
  })

  test('a stream given by its ARN is named by it in every request', async () => {
    const streamArn = 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders'
    service.shard('s0')
    const source = new KinesisSource({ streamArn, client: service.sender })
    await startJob(source, { clock })
    await clock.flush()
    for (const operation of ['DescribeStreamSummary', 'ListShards', 'GetShardIterator', 'GetRecords'] as const) {
      expect(service.inputs(operation)[0]).toMatchObject({ StreamARN: streamArn })
      expect(service.inputs(operation)[0]).not.toHaveProperty('StreamName')
    }
  })

  test('shards go to subtasks by the middle of their range', async () => {
    for (let i = 0; i < 6; i++) service.shard(`s${i}`, { from: i / 8, to: (i + 1) / 8 })
    service.shard('s67', { from: 6 / 8, to: 1 })
    const job = await start({}, { parallelism: 4 })
    const subtasks = Object.fromEntries(job.assigned.map(({ shardId, subtask }) => [shardId, subtask]))
    expect(subtasks).toEqual({ s0: 0, s1: 0, s2: 1, s3: 1, s4: 2, s5: 2, s67: 3 })
  })

  test('the subtasks of a process share its part of the shards', async () => {
    for (let i = 0; i < 16; i++) service.shard(`s${i}`, { from: i / 16, to: (i + 1) / 16 })
    for (const index of [0, 1]) {
      const job = await start({ shards: { index, count: 2 } }, { parallelism: 2 })
      const subtasks = job.assigned.map(({ shardId, subtask }) => [shardId, subtask])
      expect(subtasks).toEqual(Array.from({ length: 8 }, (_, i) => [`s${8 * index + i}`, i < 4 ? 0 : 1]))
    }
  })

  test('every shard is read by one of the processes that share the stream', async () => {
    for (let i = 0; i < 7; i++) service.shard(`s${i}`, { from: i / 7, to: (i + 1) / 7 })
    const jobs = await Promise.all([0, 1, 2].map((index) => start({ shards: { index, count: 3 } })))
    expect(jobs.flatMap(shardsOf).toSorted()).toEqual(['s0', 's1', 's2', 's3', 's4', 's5', 's6'])
    for (const job of jobs) expect(job.assigned.length).toBeGreaterThanOrEqual(2)
  })

  test("a child does not wait for a parent that is another process's", async () => {
    service.shard('left', { from: 0, to: 0.5, closed: true })
    service.shard('right', { from: 0.5, to: 1, closed: true })
    service.shard('merged', { parents: ['left', 'right'] })
    const job = await start({ initialPosition: 'TRIM_HORIZON', shards: { index: 0, count: 2 } })
    await run(job)
    expect(shardsOf(job)).toEqual(['left', 'merged'])
  })

  test('a listing that fails is repeated, and what is missing or forbidden fails', async () => {
    service.shard('s0', { from: 0, to: 0.5 })
    const job = await start()
    service.fail('ListShards', serviceError('LimitExceededException', 'slow'), serviceError('x', 'no', 503))
    service.shard('s1', { from: 0.5, to: 1 })
    await clock.advance(30_000)
    expect(shardsOf(job)).toEqual(['s0', 's1'])
    expect(job.metric('numShardDiscoveryErrors')).toBe(2)
    service.fail('ListShards', serviceError('ResourceNotFoundException', 'gone'))
    await clock.advance(10_000)
    expect(job.failures).toMatchObject([{ code: 'SLUICE_SOURCE_NOT_FOUND' }])
  })

  test('an expired page token starts the listing again', async () => {
    service.pageSize = 1
    service.shard('s0', { from: 0, to: 0.5 })
    service.shard('s1', { from: 0.5, to: 1 })
    const job = await start()
    service.fail('ListShards', serviceError('ExpiredNextTokenException', 'expired'))
    await clock.advance(20_000)
    expect(job.metric('numShardDiscoveryErrors')).toBe(1)
    expect(job.failures).toEqual([])
  })

  test('the start repeats what may heal, and gives up with an error that a restart may heal', async () => {
    service.shard('s0')
    service.fail(
      'DescribeStreamSummary',
      ...Array.from({ length: 8 }, () => serviceError('InternalFailure', 'no', 500)),
    )
    const ended = start().then(
      () => undefined,
      (error: unknown) => error,
    )
    await clock.advance(60_000)
    expect(await ended).toMatchObject({ code: 'SLUICE_SOURCE_FAILED', restartable: true })
    expect(service.count('DescribeStreamSummary')).toBe(8)
  })

  test('nothing is left running when the job stops', async () => {
    service.shard('s0')
    const job = await start()
    await clock.advance(1000)
    await job.stop()
    await clock.flush()
    expect(clock.pendingTimers).toBe(0)
  })
})

test('state that the first version wrote restores', async () => {
  const text = await readFile(new URL('fixtures/state-v1.json', import.meta.url), 'utf8')
  service.shard('grandparent', { closed: true })
  service.shard('parent', { parents: ['grandparent'], closed: true })
  service.shard('child', { parents: ['parent', 'gone'] })
  service.put('grandparent', 0)
  service.put('parent', 1, 2, 3)
  service.put('child', 4)
  const job = await start({}, { restored: JSON.parse(text) as Snapshot })
  await run(job)
  expect(job.values()).toEqual([3, 4])
})

describe('a checkpoint that does not fit', () => {
  test('of another stream is refused', async () => {
    const restored = await checkpoint()
    await expect(start({ streamName: 'others', uid: 'kinesis:orders' }, { restored })).rejects.toMatchObject({
      code: 'SLUICE_OPTIONS_INVALID',
      message: expect.stringContaining('the checkpoint is of stream orders') as unknown,
    })
  })

  test('of another part of the shards is refused', async () => {
    const restored = await checkpoint()
    await expect(start({ shards: { index: 0, count: 2 } }, { restored })).rejects.toMatchObject({
      code: 'SLUICE_OPTIONS_INVALID',
    })
  })

  test('of a stream that was deleted and created again is a lost position', async () => {
    const restored = await checkpoint()
    service.createdMs += 1
    await expect(start({}, { restored })).rejects.toMatchObject({ code: 'SLUICE_POSITION_LOST' })
  })

  test('of a shard that expired before it was read is a lost position', async () => {
    const restored = await checkpoint()
    service.shards.splice(0)
    service.shard('s1')
    await expect(start({}, { restored })).rejects.toMatchObject({
      code: 'SLUICE_POSITION_LOST',
      facts: { split: 's0' },
    })
  })

  test('of a shard that one listing lacks goes on, whether the shard is read or waits', async () => {
    splitStream()
    const first = await start({ initialPosition: 'TRIM_HORIZON' })
    await clock.flush()
    first.pump(1)
    const restored = first.snapshot()
    await first.stop()
    for (const shard of service.shards) shard.listed = shard.id === 'right'
    service.fail('GetShardIterator', serviceError('InternalFailure', 'no', 500))
    const starting = start({}, { restored })
    await clock.advance(1000)
    const second = await starting
    for (const shard of service.shards) shard.listed = true
    await run(second, 11_000)
    expect(second.values()).toEqual([2, 3, 4])
    expect(shardsOf(second)).toEqual(['parent', 'left', 'right'])
  })

  test('older than retention: shards created since may have lost their first records', async () => {
    const restored = await checkpoint()
    await clock.advance(25 * HOUR_MS)
    service.shards.splice(0)
    service.shard('s1')
    const job = await start({}, { restored: { ...restored, splits: [] } })
    await clock.flush()
    expect(job.failures).toMatchObject([
      { code: 'SLUICE_POSITION_LOST', facts: { split: 's1', wanted: 'TRIM_HORIZON' } },
    ])
  })
})
