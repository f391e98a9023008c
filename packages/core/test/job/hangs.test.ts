import { describe, expect, test } from 'vitest'
import {
  SPI_VERSION,
  SluiceError,
  fixedDelayRestart,
  type JobOptions,
  type SinkWriter,
  type SubmitOutcome,
} from '../../src/index.ts'
import {
  ALL_WRITTEN,
  ended,
  failure,
  InMemorySink,
  InMemorySource,
  never,
  range,
  recorder,
  settled,
  spiedStorage,
  start,
  until,
  VirtualClock,
} from './harness.ts'

const RESTART: Partial<JobOptions> = { restart: fixedDelayRestart({ attempts: 100, delayMs: 1000 }) }

/** Stores the start positions and never answers again. */
function hanging(): ReturnType<typeof spiedStorage> {
  const storage = spiedStorage()
  storage.onStore = (id) => (id > 1 ? never() : undefined)
  return storage
}

describe('a part that hangs does not keep the job from its end:', () => {
  test('the start of the enumerator', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    const create = source.createEnumerator.bind(source)
    source.createEnumerator = (context, restored) => ({ ...create(context, restored), start: () => never() })
    const job = start(source, new InMemorySink<number>(), clock)
    await clock.flush()
    expect(job.status().state).toBe('starting')
    expect(await settled(clock, job.drain(500), 50)).toMatchObject({ how: 'closed', unsettled: 0 })
    expect(clock.now()).toBeLessThan(1000)
    expect(clock.pendingTimers).toBe(0)
  })

  test('the making of a writer, and one that comes late is closed', async () => {
    const clock = new VirtualClock()
    const late = Promise.withResolvers<SinkWriter<number>>()
    let closed = false
    const source = new InMemorySource<number>()
    const job = start(
      source,
      { spiVersion: SPI_VERSION, uid: 's', repeats: 'duplicated', createWriter: () => late.promise },
      clock,
    )
    await clock.flush()
    expect(await settled(clock, job.drain(500), 50)).toMatchObject({ how: 'closed' })
    const writer: Partial<SinkWriter<number>> = {
      close: () => {
        closed = true
        return Promise.resolve()
      },
    }
    late.resolve(writer as SinkWriter<number>)
    await clock.flush()
    expect(closed).toBe(true)
    expect(source.fetched).toBe(0)
  })

  test('the opening of the storage, and a store that comes late is given back', async () => {
    const clock = new VirtualClock()
    const inner = spiedStorage()
    const gate = Promise.withResolvers<void>()
    const storage = {
      open: async (...parameters: Parameters<typeof inner.open>) => {
        await gate.promise
        return inner.open(...parameters)
      },
    }
    const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, { checkpoints: { storage } })
    await clock.flush()
    expect(await settled(clock, job.drain(500), 50)).toMatchObject({ how: 'closed', unsettled: 0 })
    gate.resolve()
    await until(clock, () => inner.closed === 1)
  })

  test('the loading of the checkpoint', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const open = storage.open.bind(storage)
    storage.open = async (...parameters) => ({ ...(await open(...parameters)), load: () => never() })
    const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, { checkpoints: { storage } })
    await clock.flush()
    expect(await settled(clock, job.drain(500), 50)).toMatchObject({ how: 'closed' })
  })

  test('a store', async () => {
    const clock = new VirtualClock()
    const storage = hanging()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const job = start(source, new InMemorySink<number>(), clock, { checkpoints: { storage }, restartGraceMs: 100 })
    await until(clock, () => job.status().emitted === 1)
    expect(await settled(clock, job.drain(500), 50)).toMatchObject({ how: 'closed', unsettled: 0 })
    expect(source.acknowledged).toEqual([1])
  })

  test('the closing of a reader, of a writer and of the enumerator', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    const createReader = source.createReader.bind(source)
    const createEnumerator = source.createEnumerator.bind(source)
    source.createReader = (context) => Object.assign(createReader(context), { close: () => never() })
    source.createEnumerator = (...given) => ({
      ...createEnumerator(...given),
      [Symbol.asyncDispose]: () => never(),
    })
    const sink = new InMemorySink<number>()
    const createWriter = sink.createWriter.bind(sink)
    sink.createWriter = (context) => Object.assign(createWriter(context), { close: () => never() })
    const job = start(source, sink, clock, { restartGraceMs: 100 })
    await until(clock, () => job.status().state === 'running')
    // All is settled, stored and acknowledged when they are closed.
    expect(await settled(clock, job.drain(1000), 50)).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(clock.now()).toBeLessThan(2000)
  })

  test('a part whose end fails is logged, and the others end', async () => {
    const clock = new VirtualClock()
    const { lines, logger } = recorder()
    const source = new InMemorySource<number>()
    const createReader = source.createReader.bind(source)
    source.createReader = (context) =>
      Object.assign(createReader(context), { close: () => Promise.reject(new Error('socket is gone')) })
    source.end()
    const storage = spiedStorage()
    const job = start(source, new InMemorySink<number>(), clock, { logger, checkpoints: { storage } })
    expect(await ended(clock, job)).toMatchObject({ how: 'finished' })
    expect(lines.find(({ level }) => level === 'warn')).toMatchObject({ fields: { error: 'socket is gone' } })
    expect(storage.closed).toBe(1)
  })

  test('all parts together have one grace: a drain ends that long after its deadline, at most', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const createReader = source.createReader.bind(source)
    const createEnumerator = source.createEnumerator.bind(source)
    source.createReader = (context) => Object.assign(createReader(context), { close: () => never() })
    source.createEnumerator = (...given) => ({ ...createEnumerator(...given), [Symbol.asyncDispose]: () => never() })
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 1e9 })
    const storage = hanging()
    const job = start(source, sink, clock, { restartGraceMs: 5000, checkpoints: { storage } })
    await until(clock, () => job.status().emitted === 1)
    const startedAt = clock.now()
    expect(await settled(clock, job.drain(30_000), 100)).toMatchObject({ how: 'closed', unsettled: 1 })
    expect(clock.now() - startedAt).toBeLessThan(30_000 + 5000 + 500)
    expect(job.status().sinks['memory']).toMatchObject({ abandoned: 1, inHand: 0 })
  })

  test('the end of the storage', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.end()
    const storage = spiedStorage()
    const open = storage.open.bind(storage)
    storage.open = async (...parameters) => ({ ...(await open(...parameters)), [Symbol.asyncDispose]: () => never() })
    const job = start(source, new InMemorySink<number>(), clock, { restartGraceMs: 100, checkpoints: { storage } })
    expect(await settled(clock, job.done, 50)).toMatchObject({ how: 'finished' })
  })
})

describe('a storage that hangs in a store', () => {
  test('fails the job after the timeout of checkpoints: a late answer could overtake a newer one', async () => {
    const clock = new VirtualClock()
    const checkpoints = { storage: hanging(), intervalMs: 1000, timeoutMs: 5000 }
    const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, { checkpoints, ...RESTART })
    await clock.advance(5900)
    expect(job.status().state).toBe('running')
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_STATE_STORAGE',
      message: 'the storage did not store checkpoint 2 within 5000 ms (checkpoints.timeoutMs)',
      restartable: false,
    })
    expect(job.status()).toMatchObject({ attempt: 1, checkpoints: { failed: 1 } })
  })

  test('holds back the next attempt, visibly, and no longer than that', async () => {
    const clock = new VirtualClock()
    const { lines, logger } = recorder()
    const source = new InMemorySource<number>()
    const checkpoints = { storage: hanging(), intervalMs: 1000, timeoutMs: 60_000 }
    const job = start(source, new InMemorySink<number>(), clock, { checkpoints, logger, ...RESTART })
    await clock.advance(2000)
    source.failNextFetch(new Error('cut'))
    await clock.advance(1000)
    expect(job.status()).toMatchObject({
      state: 'restarting',
      attempt: 1,
      lastError: { code: 'SLUICE_SOURCE_FAILED', message: expect.stringContaining('cut') },
    })
    expect(lines.map(({ message }) => message)).toEqual(['The attempt failed'])
    expect(await failure(clock, job.done, 1000)).toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: false })
    expect(clock.now()).toBeLessThan(70_000)
    expect(job.status()).toMatchObject({ state: 'failed', attempt: 1, lastError: { code: 'SLUICE_STATE_STORAGE' } })
  })

  test('does not hold back the end of a job that does not restart', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    const sink = new InMemorySink<number>({ onSubmit: () => ({ fail: new SluiceError('SLUICE_ACCESS_DENIED', 'no') }) })
    const checkpoints = { storage: hanging(), intervalMs: 1000, timeoutMs: 600_000 }
    const job = start(source, sink, clock, { checkpoints, ...RESTART })
    await clock.advance(2000)
    source.push('0', 1)
    expect(await failure(clock, job.done)).toMatchObject({ code: 'SLUICE_ACCESS_DENIED' })
    expect(clock.now()).toBeLessThan(20_000)
  })
})

test('after a failure nothing more is sent, however long a reader takes to end', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>({ maxBatchSize: 10 })
  source.push('0', ...range(200))
  const createReader = source.createReader.bind(source)
  source.createReader = (context) => Object.assign(createReader(context), { close: () => never() })
  let failed = false
  let sentAfter = 0
  const sink = new InMemorySink<number>({
    maxBatchSize: 5,
    maxInFlightRequests: 2,
    onSubmit: () => {
      if (failed) sentAfter++
      if (sink.stored.length >= 20) {
        failed = true
        return { fail: new SluiceError('SLUICE_SINK_FAILED', 'broken', { restartable: true }) }
      }
      return ALL_WRITTEN
    },
  })
  const job = start(source, sink, clock, { restartGraceMs: 60_000 })
  await failure(clock, job.done, 1000)
  // One may have been sent in the same turn as the one that fails.
  expect(sentAfter).toBeLessThanOrEqual(1)
})
