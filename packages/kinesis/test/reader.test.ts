import { type Logger, silentLogger } from '@sluice/core'
import { VirtualClock } from '@sluice/core/testing'
import { beforeEach, describe, expect, test } from 'vitest'

import { KinesisSource, type KinesisSourceOptions } from '../src/index.ts'
import { type MiniJob, startJob } from './support/mini-job.ts'
import { serviceError, StubService } from './support/stub-service.ts'

let clock: VirtualClock
let service: StubService
let warnings: string[]
let logger: Logger

beforeEach(() => {
  clock = new VirtualClock()
  service = new StubService(() => clock.wallNow())
  service.shard('s0')
  warnings = []
  logger = { ...silentLogger, warn: (_, message) => void warnings.push(message) }
})

async function start(options: Partial<KinesisSourceOptions<unknown>> = {}): Promise<MiniJob> {
  const source = new KinesisSource<unknown>({
    streamName: 'orders',
    initialPosition: 'TRIM_HORIZON',
    client: service.sender,
    ...options,
  })
  return startJob(source, { clock, logger })
}

const HOUR_MS = 3_600_000

describe('fetching', () => {
  test('waits the fetch interval while there are records, and the empty interval at the end', async () => {
    service.put('s0', 1, 2, 3)
    const job = await start({ maxRecordsPerFetch: 2, fetchIntervalMs: 200, emptyFetchIntervalMs: 1000 })
    await clock.flush()
    expect(service.count('GetRecords')).toBe(1)
    await clock.advance(199)
    expect(service.count('GetRecords')).toBe(1)
    await clock.advance(1)
    expect(service.count('GetRecords')).toBe(2)
    await clock.advance(200)
    expect(service.count('GetRecords')).toBe(3)
    await clock.advance(999)
    expect(service.count('GetRecords')).toBe(3)
    await clock.advance(1)
    expect(service.count('GetRecords')).toBe(4)
    job.pump()
    expect(job.values()).toEqual([1, 2, 3])
    expect(job.metric('numEmptyFetches')).toBe(2)
    expect(service.count('GetShardIterator')).toBe(1)
  })

  test('an expired iterator is replaced after the record that was fetched last, not the one emitted last', async () => {
    service.put('s0', 1, 2)
    const job = await start()
    await clock.flush()
    service.fail('GetRecords', serviceError('ExpiredIteratorException', 'Iterator expired'))
    service.put('s0', 3)
    await clock.advance(1000)
    expect(service.inputs('GetShardIterator').at(-1)).toMatchObject({
      ShardIteratorType: 'AFTER_SEQUENCE_NUMBER',
      StartingSequenceNumber: 's0-2',
    })
    job.pump()
    expect(job.values()).toEqual([1, 2, 3])
    expect(job.metric('numExpiredIterators')).toBe(1)
    expect(job.metric('numFetchErrors')).toBe(0)
    expect(job.failures).toEqual([])
  })

  test.each([
    ['throttled', serviceError('ProvisionedThroughputExceededException', 'Rate exceeded'), 1],
    ['5xx', serviceError('InternalFailure', 'no', 500), 0],
    ['network', Object.assign(new Error('reset'), { code: 'ECONNRESET' }), 0],
  ])('%s: repeated with growing delays, logged once, and other shards go on', async (_, error, throttled) => {
    service.shard('s1')
    service.put('s0', 1)
    service.put('s1', 2)
    service.failShard('s0', error, error, error, error)
    const job = await start()
    await clock.flush()
    job.pump()
    expect(job.values()).toEqual([2])
    const attempts = (): number => service.inputs('GetShardIterator').filter(({ ShardId }) => ShardId === 's0').length
    // With random() = 0.5 a delay is three quarters of 200, 400, 800 and 1600 ms.
    for (const [failures, delayMs] of [150, 300, 600].entries()) {
      expect(attempts()).toBe(failures + 1)
      await clock.advance(delayMs - 1)
      expect(attempts()).toBe(failures + 1)
      await clock.advance(1)
    }
    expect(attempts()).toBe(4)
    await clock.advance(1200)
    job.pump()
    expect(job.values()).toEqual([2, 1])
    expect(warnings).toHaveLength(1)
    expect(job.metric('numFetchErrors')).toBe(4)
    expect(job.metric('numFetchesThrottled')).toBe(throttled * 4)
    expect(job.failures).toEqual([])
  })

  test('a shard that cannot be read for long has no lag, and says so once a minute', async () => {
    service.put('s0', 1)
    const job = await start({ emptyFetchIntervalMs: 1000 })
    await clock.advance(3000)
    job.pump()
    const lag = (): number | undefined => job.readers[0]?.status().splits[0]?.millisBehindLatest
    const errors = Array.from({ length: 40 }, () => serviceError('InternalFailure', 'no', 500))
    service.fail('GetRecords', ...errors)
    service.fail('GetShardIterator', ...errors)
    await clock.advance(5000)
    expect(job.metric('numFetchErrors')).toBeGreaterThan(2)
    expect(lag()).toBe(0)
    await clock.advance(20_000)
    expect(lag()).toBeUndefined()
    expect(job.metric('millisBehindLatest')).toBeUndefined()
    expect(warnings).toHaveLength(1)
    await clock.advance(95_000)
    expect(warnings).toHaveLength(2)
    await clock.advance(HOUR_MS)
    expect(lag()).toBe(0)
  })

  test('a request without an answer is given up after its time and repeated', async () => {
    service.put('s0', 1)
    service.fail('GetRecords', 'hang')
    const job = await start({ requestTimeoutMs: 5000 })
    await clock.advance(5000)
    await clock.advance(1000)
    job.pump()
    expect(job.values()).toEqual([1])
    expect(job.metric('numFetchErrors')).toBe(1)
  })

  test.each([
    ['ResourceNotFoundException', 'SLUICE_SOURCE_NOT_FOUND'],
    ['AccessDeniedException', 'SLUICE_ACCESS_DENIED'],
    ['KMSDisabledException', 'SLUICE_ACCESS_DENIED'],
    ['InvalidArgumentException', 'SLUICE_SOURCE_FAILED'],
  ])('%s fails the job with %s and never ends the shard', async (name, code) => {
    const job = await start()
    await clock.flush()
    service.fail('GetRecords', serviceError(name, 'no'))
    await clock.advance(1000)
    expect(job.failures).toMatchObject([{ code, restartable: false }])
    expect(job.failures[0]?.message).toContain('shard s0 of stream orders')
    job.pump()
    expect(job.snapshot().splits).toMatchObject([{ splitId: 's0' }])
    expect(job.snapshot().splits[0]?.finished).toBeUndefined()
  })

  test.each([
    ['cannot be found', Object.assign(new Error('no credentials'), { name: 'CredentialsProviderError' }), false],
    [
      'have expired',
      serviceError('ExpiredTokenException', 'The security token included in the request is expired'),
      true,
    ],
    ['have expired (older name)', serviceError('ExpiredToken', 'The provided token has expired'), true],
  ])('credentials that %s for a while do not end a job that runs', async (_, error, restartable) => {
    const job = await start()
    await clock.flush()
    service.fail('GetRecords', error, error)
    service.fail('ListShards', error)
    service.put('s0', 1)
    await clock.advance(30_000)
    job.pump()
    expect(job.values()).toEqual([1])
    expect(job.failures).toEqual([])
    service.fail('DescribeStreamSummary', error)
    await expect(start()).rejects.toMatchObject({ code: 'SLUICE_ACCESS_DENIED', restartable })
  })

  test('iterators that expire at once are not asked for without end', async () => {
    const expired = Array.from({ length: 20 }, () => serviceError('ExpiredIteratorException', 'Iterator expired'))
    service.fail('GetRecords', ...expired)
    await start()
    await clock.advance(1000)
    expect(service.count('GetRecords')).toBeLessThan(6)
  })

  test('close ends a request under way', async () => {
    service.fail('GetRecords', 'hang')
    const job = await start()
    await clock.flush()
    await job.readers[0]?.close(60_000)
    expect(job.failures).toEqual([])
  })
})

describe('memory', () => {
  test('nothing more is fetched while what was fetched is not emitted', async () => {
    service.shard('s1')
    for (let i = 0; i < 8; i++) {
      service.put('s0', 'x'.repeat(1024 * 1024))
      service.put('s1', 'y'.repeat(1024 * 1024))
    }
    const job = await start({ deserialize: (bytes) => bytes.length })
    await clock.advance(60_000)
    expect(service.count('GetRecords')).toBe(1)
    expect(job.readers[0]?.status()).toMatchObject({ queuedRecords: 8 })
    expect(job.readers[0]?.status().fetchedBytes).toBeLessThanOrEqual(16 * 1024 * 1024)
    job.pump()
    await clock.advance(60_000)
    job.pump()
    expect(job.emitted).toHaveLength(16)
  })
})

describe('records', () => {
  test('what cannot be decoded is told by index, and the others are read', async () => {
    service.put('s0', 1, '{', undefined, 4)
    const job = await start()
    await clock.flush()
    const batch = job.readers[0]?.poll()
    expect(batch?.values).toEqual([1, undefined, undefined, 4])
    expect([...(batch?.decodeErrors?.keys() ?? [])]).toEqual([1, 2])
    expect(batch?.raw(1)).toEqual({
      bytes: Buffer.from('{'),
      key: 'k',
      position: 's0-2:0',
      timestampMs: clock.wallNow(),
    })
    expect([...(batch?.byteLengths ?? [])]).toEqual([2, 2, 1, 2])
    expect([...(batch?.eventTimesMs ?? [])]).toEqual(Array(4).fill(clock.wallNow()))
  })

  test('bytes that are not UTF-8 are no JSON', async () => {
    service.put('s0', 1)
    service.shards[0]?.records.splice(0, 1, {
      data: Uint8Array.of(0x22, 0xff, 0x22),
      key: 'k',
      sequenceNumber: '1',
      arrivedMs: clock.wallNow(),
    })
    const job = await start()
    await clock.flush()
    expect(job.readers[0]?.poll()?.decodeErrors?.size).toBe(1)
  })

  test('a function of the user gets the bytes and what the service says of the record', async () => {
    service.put('s0', 'plain text')
    const seen: unknown[] = []
    const job = await start({
      deserialize: (bytes, record) => {
        seen.push(record)
        return Buffer.from(bytes).toString('utf8').toUpperCase()
      },
    })
    await clock.flush()
    job.pump()
    expect(job.values()).toEqual(['PLAIN TEXT'])
    expect(seen).toEqual([
      {
        streamName: 'orders',
        shardId: 's0',
        sequenceNumber: 's0-1',
        partitionKey: 'k',
        approximateArrivalMs: clock.wallNow(),
      },
    ])
  })
})

describe('positions', () => {
  test('move with emission, inside a batch too', async () => {
    service.put('s0', 1, 2, 3)
    const job = await start()
    await clock.flush()
    expect(job.snapshot().splits[0]?.position).toEqual({ kind: 'TRIM_HORIZON' })
    job.pump(2)
    expect(job.snapshot().splits[0]?.position).toEqual({
      kind: 'AFTER',
      sequenceNumber: 's0-2',
      subSequenceNumber: 0,
      timestampMs: clock.wallNow(),
    })
    expect(job.readers[0]?.status().splits[0]).toMatchObject({ position: 'after s0-2:0', millisBehindLatest: 0 })
  })

  test('the end of the shard says nothing about records that were fetched and not emitted', async () => {
    service.put('s0', 1, 2)
    const job = await start()
    await clock.advance(1000)
    job.pump(1)
    expect(job.snapshot().splits[0]).not.toHaveProperty('readUpToMs')
  })

  test('a sequence number that the shard never gave out is a lost position', async () => {
    service.put('s0', 1)
    const first = await start()
    await clock.flush()
    first.pump()
    const restored = first.snapshot()
    await first.stop()
    service.shards[0]?.records.splice(0)
    const job = await startJob(new KinesisSource<unknown>({ streamName: 'orders', client: service.sender }), {
      clock,
      restored,
    })
    await clock.flush()
    expect(job.failures).toMatchObject([{ code: 'SLUICE_POSITION_LOST', facts: { split: 's0', wanted: 's0-1:0' } }])
  })
})
