import { type Logger, silentLogger } from '@sluice/core'
import { VirtualClock } from '@sluice/core/testing'
import { beforeEach, describe, expect, test } from 'vitest'

import { KinesisSource, type KinesisSourceOptions } from '../src/index.ts'
import { type MiniJob, type Snapshot, startJob } from './support/mini-job.ts'
import { StubService } from './support/stub-service.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const RETENTION_MS = 24 * HOUR_MS

let clock: VirtualClock
let service: StubService
let warnings: { readonly fields: object; readonly message: string }[]
let logger: Logger

beforeEach(() => {
  clock = new VirtualClock()
  service = new StubService(() => clock.wallNow())
  service.shard('s0')
  warnings = []
  logger = { ...silentLogger, warn: (fields, message) => void warnings.push({ fields, message }) }
})

type Options = Partial<KinesisSourceOptions<unknown>>

/** Requests are rare, so that days pass fast. */
const SELDOM: Options = { shardDiscoveryIntervalMs: HOUR_MS, emptyFetchIntervalMs: 10 * MINUTE_MS }

/** One record a fetch; the memory for a fetch is free when the one before was emitted. */
const SLOW: Options = { ...SELDOM, maxRecordsPerFetch: 1, maxFetchedBytes: 10 * 1024 * 1024 }

function start(options: Options = {}, restored?: Snapshot): Promise<MiniJob> {
  const source = new KinesisSource<unknown>({
    streamName: 'orders',
    initialPosition: 'TRIM_HORIZON',
    client: service.sender,
    ...options,
  })
  return startJob(source, { clock, logger, ...(restored === undefined ? {} : { restored }) })
}

/** Ends a job, and starts it again from its checkpoint after a while. */
async function restart(job: MiniJob, afterMs: number, options: Options = {}): Promise<MiniJob> {
  const restored = job.snapshot()
  await job.stop()
  await clock.advance(afterMs)
  const next = await start(options, restored)
  await clock.advance(1000)
  next.pump()
  return next
}

/** Emits the first record of the next batch. */
function emitOne(job: MiniJob): void {
  const [reader] = job.readers
  const batch = reader?.poll()
  if (batch !== undefined) reader?.emitted(batch, 1)
}

/** Puts records that arrived one each `everyMs`, the oldest of them `oldestMs` ago. */
function putAged(oldestMs: number, everyMs: number): void {
  for (let ageMs = oldestMs, i = 0; ageMs >= 0; ageMs -= everyMs, i++) service.putAged('s0', ageMs, i)
}

/** Reads the first record of the shard, emits it after a while only, and reads on. */
async function blockedFor(ms: number): Promise<MiniJob> {
  const job = await start(SLOW)
  await clock.advance(1000)
  await clock.advance(ms)
  job.pump()
  await clock.advance(1000)
  job.pump()
  return job
}

describe('a position that is older than the retention period', () => {
  test('is lost after a restart, with its four facts', async () => {
    service.put('s0', 1, 2)
    const first = await start()
    await clock.flush()
    first.pump(1)
    const wantedMs = clock.wallNow()
    const job = await restart(first, RETENTION_MS + 1)
    expect(job.failures).toMatchObject([
      {
        code: 'SLUICE_POSITION_LOST',
        restartable: false,
        facts: {
          split: 's0',
          wanted: 's0-1:0',
          oldest: new Date(wantedMs + 1).toISOString(),
          newest: new Date(wantedMs + RETENTION_MS + 1).toISOString(),
        },
      },
    ])
    expect(job.emitted).toEqual([])
  })

  test('is not lost when the stream keeps records longer', async () => {
    service.put('s0', 1, 2)
    service.retentionHours = 168
    const first = await start()
    await clock.flush()
    first.pump(1)
    const job = await restart(first, 100 * HOUR_MS)
    expect(job.values()).toEqual([2])
    expect(job.failures).toEqual([])
  })

  test('is lost when the stream came to keep records for less time', async () => {
    service.retentionHours = 168
    service.put('s0', 1)
    const first = await start(SLOW)
    await clock.advance(1000)
    first.pump()
    service.put('s0', 2, 3, 4)
    const job = await restart(first, 100 * HOUR_MS, SLOW)
    expect(job.values()).toEqual([2])
    await clock.advance(1000)
    service.retentionHours = 24
    await clock.advance(2 * MINUTE_MS)
    job.pump()
    await clock.advance(1000)
    expect(job.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST' }])
  })

  test('is not lost when the period was made longer just before', async () => {
    service.retentionHours = 25
    service.put('s0', 1)
    const first = await start(SLOW)
    await clock.advance(1000)
    first.pump()
    service.put('s0', 2, 3, 4)
    const job = await restart(first, 25 * HOUR_MS - 30_000, SLOW)
    await clock.advance(1000)
    service.retentionHours = 48
    await clock.advance(40_000)
    job.pump()
    await clock.advance(1000)
    job.pump()
    expect(job.failures).toEqual([])
    expect(job.values()).toEqual([2, 3, 4])
  })

  test('was given by LATEST and never read from: lost like every other one', async () => {
    const first = await start({ initialPosition: 'LATEST', ...SELDOM })
    const job = await restart(first, RETENTION_MS + MINUTE_MS)
    expect(job.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST', facts: { split: 's0' } }])
  })
})

describe('an idle shard that is polled has lost nothing', () => {
  test('however old its last record is', async () => {
    service.put('s0', 1)
    const first = await start(SELDOM)
    await clock.advance(2 * HOUR_MS)
    first.pump()
    await clock.advance(30 * HOUR_MS)
    expect(first.failures).toEqual([])
    service.put('s0', 2)
    const job = await restart(first, 0)
    expect(job.values()).toEqual([2])
  })

  test.each(['TRIM_HORIZON', 'LATEST', 'atTimestamp'] as const)(
    'when new records are fetched and not emitted at the checkpoint (%s)',
    async (kind) => {
      const initialPosition = kind === 'atTimestamp' ? { atTimestamp: clock.wallNow() - HOUR_MS } : kind
      const first = await start({ initialPosition, ...SELDOM })
      await clock.advance(30 * HOUR_MS)
      for (const value of [1, 2]) {
        service.put('s0', value)
        await clock.advance(10 * MINUTE_MS)
      }
      expect(first.readers[0]?.status()).toMatchObject({ queuedRecords: 2 })
      const job = await restart(first, HOUR_MS)
      expect(job.failures).toEqual([])
      expect(job.values()).toEqual([1, 2])
      expect(warnings).toEqual([])
    },
  )

  test.each([
    ['in one answer', 10],
    ['in two answers', 1],
  ])('when it was idle between records that came %s, of which only the first was emitted', async (_, atOnce) => {
    putAged(23 * HOUR_MS, 22 * HOUR_MS)
    const first = await start({ ...SELDOM, maxRecordsPerFetch: atOnce })
    await clock.advance(1000)
    emitOne(first)
    const job = await restart(first, 2 * HOUR_MS)
    expect(job.failures).toEqual([])
    expect(job.values()).toEqual([1])
  })

  test('but unread records that expired while the job was down are lost', async () => {
    const first = await start(SELDOM)
    await clock.advance(30 * HOUR_MS)
    service.put('s0', 1)
    await clock.advance(10 * MINUTE_MS)
    const job = await restart(first, RETENTION_MS)
    expect(job.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST' }])
  })
})

describe('reading that begins where records expire', () => {
  test('goes on when a little expires, says so, and counts it', async () => {
    putAged(RETENTION_MS, MINUTE_MS)
    const job = await blockedFor(4 * MINUTE_MS)
    expect(job.values().slice(0, 2)).toEqual([0, 5])
    expect(job.failures).toEqual([])
    expect(warnings).toMatchObject([
      {
        fields: { split: 's0', gapMs: 4 * MINUTE_MS + 1000 },
        message: expect.stringMatching(/^records may have expired/u),
      },
    ])
    expect(job.metric('numExpiryGaps')).toBe(1)
  })

  test('and after a restart it is judged the same', async () => {
    putAged(RETENTION_MS, MINUTE_MS)
    const first = await start(SLOW)
    await clock.advance(1000)
    first.pump()
    const job = await restart(first, 4 * MINUTE_MS, SLOW)
    expect(job.values().slice(0, 1)).toEqual([5])
    expect(job.failures).toEqual([])
    expect(warnings).toHaveLength(1)
    const late = await restart(job, 20 * MINUTE_MS, SLOW)
    expect(late.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST' }])
  })

  test('goes on through empty answers, however many', async () => {
    putAged(RETENTION_MS, MINUTE_MS)
    const job = await start({ ...SLOW, fetchIntervalMs: 10_000 })
    await clock.advance(1000)
    service.emptyAnswers = 60
    job.pump()
    await clock.advance(11 * MINUTE_MS)
    job.pump()
    expect(job.failures).toEqual([])
    expect(job.values()).toHaveLength(2)
  })

  test('misses nothing while the first record was not emitted', async () => {
    putAged(RETENTION_MS, HOUR_MS)
    const first = await start()
    await clock.advance(1000)
    const job = await restart(first, 2 * HOUR_MS)
    expect(job.failures).toEqual([])
    expect(job.values().at(0)).toBe(3)
    expect(warnings).toEqual([])
  })

  test('goes on without a shard that expired before its first record was read', async () => {
    service.shard('child', { parents: ['s0'] })
    service.put('child', 1)
    const first = await start()
    service.shards.shift()
    const job = await restart(first, 0)
    expect(job.values()).toEqual([1])
    expect(warnings).toMatchObject([{ fields: { split: 's0' } }])
  })

  test('is a lost position when more expires', async () => {
    putAged(RETENTION_MS, MINUTE_MS)
    const job = await blockedFor(2 * HOUR_MS)
    expect(job.values()).toEqual([0])
    expect(job.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST', facts: { split: 's0', wanted: 's0-1:0' } }])
  })

  test('is like every other reading once it was at a record that is away from there', async () => {
    putAged(RETENTION_MS - MINUTE_MS, 10 * MINUTE_MS)
    const first = await start(SLOW)
    await clock.advance(1000)
    first.pump()
    await clock.advance(1000)
    first.pump()
    const job = await restart(first, 11 * MINUTE_MS, SLOW)
    expect(job.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST', facts: { wanted: 's0-2:0' } }])
    expect(warnings).toEqual([])
  })

  test('is like every other reading once it was at the end of the shard', async () => {
    putAged(RETENTION_MS - 1000, RETENTION_MS)
    const first = await start(SELDOM)
    await clock.advance(500)
    first.pump()
    const job = await restart(first, RETENTION_MS + 1000)
    expect(job.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST', facts: { wanted: 's0-1:0' } }])
    expect(warnings).toEqual([])
  })

  test.each([
    ['a time that is just about to be too old', 0],
    ['a time that is too old a minute later, when the shard is read', MINUTE_MS],
  ])('%s: begins at the oldest record', async (_, youngerMs) => {
    putAged(RETENTION_MS, HOUR_MS)
    const atTimestamp = clock.wallNow() - RETENTION_MS + youngerMs
    const first = await start({ initialPosition: { atTimestamp } })
    // Nothing was read yet: restored, it still means the oldest record, as a start at the oldest record does.
    const job = await restart(first, 2 * HOUR_MS)
    expect(job.failures).toEqual([])
    expect(job.values().at(0)).toBe(2)
    expect(warnings).toMatchObject([{ message: expect.stringMatching(/^records may have expired/u) as unknown }])
  })

  test('a lasting loss is told once a minute, and counted each time', async () => {
    putAged(RETENTION_MS, 1000)
    const job = await start({ ...SLOW, fetchIntervalMs: 0 })
    for (let i = 0; i < 60; i++) {
      await clock.advance(2000)
      job.pump()
    }
    expect(job.failures).toEqual([])
    expect(job.metric('numExpiryGaps')).toBeGreaterThan(50)
    expect(warnings).toHaveLength(2)
    expect(service.count('DescribeStreamSummary')).toBeLessThan(5)
  })
})
