import { describe, expect, test } from 'vitest'
import {
  type CheckpointStorage,
  fixedDelayRestart,
  fromIterable,
  type JobOptions,
  JOB_METRICS,
  MetricRegistry,
  SluiceError,
  stream,
  type SubmitOutcome,
} from '../../src/index.ts'
import {
  ALL_WRITTEN,
  ended,
  failure,
  Gate,
  InMemorySink,
  InMemorySource,
  never,
  options,
  range,
  settled,
  sorted,
  spiedStorage,
  start,
  until,
  VirtualClock,
} from './harness.ts'

const RESTART: Partial<JobOptions> = { restart: fixedDelayRestart({ attempts: 100, delayMs: 1000 }) }

describe('a restart within the process', () => {
  test('ends the old attempt first: requests aborted and awaited, entries abandoned, and only then a new writer', async () => {
    const clock = new VirtualClock()
    const events: string[] = []
    const source = new InMemorySource<number>()
    source.push('0', ...range(30))
    const sink = new InMemorySink<number>({
      maxInFlightRequests: 1,
      onSubmit: (_batch, { signal }) =>
        new Promise<SubmitOutcome>((resolve) => {
          events.push('request')
          signal.addEventListener('abort', () => {
            events.push('aborted')
            clock.after(500, () => {
              events.push('answered')
              resolve({ retryAll: { code: 'aborted', message: 'aborted' }, unknown: true })
            })
          })
        }),
    })
    const createWriter = sink.createWriter.bind(sink)
    sink.createWriter = (context) => {
      events.push('writer')
      return createWriter(context)
    }
    const job = start(source, sink, clock, RESTART)
    await until(clock, () => events.includes('request'))
    source.failNextFetch(new Error('cut'))
    await until(clock, () => events.includes('aborted'))
    sink.onSubmit = () => ALL_WRITTEN
    expect(job.status()).toMatchObject({ state: 'restarting', attempt: 1, lastError: { code: 'SLUICE_SOURCE_FAILED' } })
    await until(clock, () => sink.stored.length === 30, 100)
    expect(events).toEqual(['writer', 'request', 'aborted', 'answered', 'writer'])
    expect(job.status().sinks['memory']).toMatchObject({ abandoned: 30, written: 30, inHand: 0 })
    expect(sink.stored).toEqual(range(30))
    await settled(clock, job.close())
  })

  test('does not wait for an answer longer than the grace, and ignores the one that comes after', async () => {
    const clock = new VirtualClock()
    const metrics = new MetricRegistry()
    const late: (() => void)[] = []
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({
      onSubmit: () => new Promise<SubmitOutcome>((resolve) => void late.push(() => resolve(ALL_WRITTEN))),
    })
    const job = start(source, sink, clock, { ...RESTART, restartGraceMs: 200, metrics })
    await until(clock, () => late.length === 1, 100)
    source.failNextFetch(new Error('cut'))
    await until(clock, () => late.length === 2, 100)
    expect(job.status()).toMatchObject({ attempt: 2, unsettled: 1 })
    late[0]?.()
    await clock.advance(100)
    // The answer to the old request must not settle the record of the new attempt.
    expect(job.status().unsettled).toBe(1)
    expect(job.status().sinks['memory']?.written).toBe(0)
    late[1]?.()
    await until(clock, () => job.status().unsettled === 0, 100)
    await settled(clock, job.close())
  })

  test('late settlements of a writer that pays no attention to its end are counted and ignored', async () => {
    const clock = new VirtualClock()
    const metrics = new MetricRegistry()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>() })
    const createWriter = sink.createWriter.bind(sink)
    const settlements: (() => void)[] = []
    sink.createWriter = (context) => {
      settlements.push(() => context.settlement.settle(0))
      return createWriter(context)
    }
    const job = start(source, sink, clock, { ...RESTART, restartGraceMs: 0, metrics })
    await until(clock, () => job.status().emitted === 1)
    source.failNextFetch(new Error('cut'))
    await until(clock, () => job.status().attempt === 2 && job.status().emitted === 1, 100)
    settlements[0]?.()
    expect(job.status().unsettled).toBe(1)
    expect(metrics.counter(JOB_METRICS.numLateSettlements, { job: 'test' }).value).toBe(1)
    await settled(clock, job.close())
  })

  test('repeats no more than what was emitted since the last checkpoint', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 10 })
    const job = start(source, sink, clock, { ...RESTART, checkpoints: { storage, intervalMs: 1000 } })
    source.push('0', ...range(100))
    await until(clock, () => storage.stored.length === 2, 100)
    source.push('0', ...range(20, 100))
    await until(clock, () => sink.stored.length === 120, 10)
    const bound = job.status().repeatIfKilledNow
    expect(bound).toBe(20)
    source.failNextFetch(new Error('cut'))
    await until(clock, () => job.status().attempt === 2 && sink.stored.length >= 140, 10)
    await clock.advance(500)
    expect(sink.stored.slice(120)).toEqual(range(20, 100))
    await settled(clock, job.close())
  })

  test('that is closed while it waits ends at once, and reports what the failed attempt left', async () => {
    for (const how of ['close', 'drain'] as const) {
      const clock = new VirtualClock()
      const source = new InMemorySource<number>()
      source.push('0', 1, 2, 3)
      const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>() })
      const job = start(source, sink, clock, { restart: fixedDelayRestart({ delayMs: 1_000_000 }), restartGraceMs: 0 })
      await until(clock, () => job.status().emitted === 3)
      source.failNextFetch(new Error('cut'))
      await until(clock, () => job.status().state === 'restarting', 1)
      expect(await settled(clock, job[how](), 1)).toEqual({
        how: how === 'close' ? 'closed' : 'drained',
        unsettled: 3,
        unsettledBySplit: { '0': 3 },
      })
      expect(clock.now()).toBeLessThan(100)
      expect(job.status()).toMatchObject({ restarts: 0, state: 'ended' })
      expect(clock.pendingTimers).toBe(0)
    }
  })

  test('keeps counting in the same metrics', async () => {
    const clock = new VirtualClock()
    const metrics = new MetricRegistry()
    const source = new InMemorySource<number>()
    source.push('0', ...range(10))
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 10 })
    const job = start(source, sink, clock, { ...RESTART, metrics })
    await until(clock, () => sink.stored.length === 10, 10)
    source.failNextFetch(new Error('cut'))
    await until(clock, () => sink.stored.length === 20, 100)
    expect(metrics.counter(JOB_METRICS.numRestarts, { job: 'test' }).value).toBe(1)
    expect(job.status().sinks['memory']?.written).toBe(20)
    await settled(clock, job.close())
  })

  test('announces no end of a split in an attempt that has ended', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(9))
    source.end()
    const gate = new Gate()
    const narrow = { maxBatchSize: 2, maxInFlightRequests: 1, maxBufferedRequests: 3 }
    const job = start(source, new InMemorySink<number>({ onSubmit: gate.pass, ...narrow }), clock, {
      restartGraceMs: 0,
    })
    await until(clock, () => gate.waiting === 1)
    // All are emitted and the sink has taken three: the loop waits for room with the last record of the split.
    expect(job.status().emitted).toBe(9)
    await settled(clock, job.close())
    await clock.flush()
    expect(source.finished).toEqual([])
  })
})

function* once(): Generator<number> {
  yield* range(100)
}

describe('a failure', () => {
  test('of a reader while the loop waits for room in a sink ends the attempt', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', ...range(50))
    const sink = new InMemorySink<number>({
      onSubmit: () => never<SubmitOutcome>(),
      maxBatchSize: 2,
      maxInFlightRequests: 1,
      maxBufferedRequests: 3,
    })
    const job = start(source, sink, clock, RESTART)
    await until(clock, () => (job.status().sinks['memory']?.inFlightRequests ?? 0) === 1)
    sink.onSubmit = () => ALL_WRITTEN
    source.failNextFetch(new Error('cut'))
    await until(clock, () => sink.stored.length === 50, 100)
    expect(sink.stored).toEqual(range(50))
    await settled(clock, job.close())
  })

  test('of the storage fails the attempt, which is restartable, and acknowledges nothing', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2)
    source.end()
    let left = 2
    storage.onStore = (id) => {
      if (id > 1 && left-- > 0) throw new Error('ENOSPC')
    }
    const sink = new InMemorySink<number>()
    const job = start(source, sink, clock, { ...RESTART, checkpoints: { storage } })
    await until(clock, () => job.status().state === 'restarting', 100)
    expect(job.status().lastError).toMatchObject({ code: 'SLUICE_STATE_STORAGE' })
    expect(job.status().checkpoints?.failed).toBe(1)
    expect(source.acknowledged).toEqual([1])
    await ended(clock, job)
    expect(job.status().attempt).toBe(3)
    expect(storage.stored.map(({ id }) => id)).toEqual([1, 2])
    expect(sorted(new Set(sink.stored))).toEqual([1, 2])
  })

  test('of an assignment to a reader that does not exist is an error, not a loss', async () => {
    const clock = new VirtualClock()
    const splits = ['a', 'b', 'c']
    const wide = new InMemorySource<number>({ splits })
    const createEnumerator = wide.createEnumerator.bind(wide)
    wide.createEnumerator = (context, restored) => createEnumerator({ ...context, parallelism: 3 }, restored)
    for (const splitId of splits) wide.push(splitId, 1)
    wide.end()
    const job = start(wide, new InMemorySink<number>(), clock)
    expect((await failure(clock, job.done)).message).toBe('memory assigned splits to subtask 1, of 1 from 0')
  })

  test('of a checkpoint made by another job or another source refuses, and says what to do', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const one = new InMemorySource<number>({ uid: 'one' })
    one.end()
    await ended(clock, start(one, new InMemorySink<number>(), clock, { checkpoints: { storage } }))
    for (const uid of ['two', 'constructor']) {
      const job = start(new InMemorySource<number>({ uid }), new InMemorySink<number>(), clock, {
        ...RESTART,
        checkpoints: { storage },
      })
      const error = await failure(clock, job.done)
      expect(error).toMatchObject({ code: 'SLUICE_STATE_UNKNOWN_UID', restartable: false })
      expect(error.message).toMatch(/source\(s\) 'one'.*give the source its old uid/)
    }
    const renamed = {
      open: async (_job: string, logger: Parameters<typeof storage.open>[1]) => storage.open('test', logger),
    }
    const other = start(one, new InMemorySink<number>(), clock, { name: 'other', checkpoints: { storage: renamed } })
    expect(await failure(clock, other.done)).toMatchObject({ code: 'SLUICE_STATE_UNKNOWN_UID' })
  })

  test('of a checkpoint made by a newer version of the source refuses', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    class Newer extends InMemorySource<number> {
      override readonly stateVersion = 2
    }
    const newer = new Newer()
    newer.end()
    await ended(clock, start(newer, new InMemorySink<number>(), clock, { checkpoints: { storage } }))
    const place = 's3://state/test/checkpoint-1.json'
    const placed: CheckpointStorage = {
      open: async (name, logger) => ({ ...(await storage.open(name, logger)), loadedFrom: place }),
    }
    const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, {
      ...RESTART,
      checkpoints: { storage: placed },
    })
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_STATE_NEWER',
      restartable: false,
      message: expect.stringContaining(`(${place}) has version 2`) as string,
      facts: { place, uid: 'memory', stateVersion: 2, readable: 1 },
    })
    newer.push('0')
    await ended(clock, start(newer, new InMemorySink<number>(), clock, { checkpoints: { storage } }))
  })

  test('to make a writer is the sink’s', async () => {
    const clock = new VirtualClock()
    const sink = new InMemorySink<number>()
    sink.createWriter = () => {
      throw new Error('no such host')
    }
    const job = start(new InMemorySource<number>(), sink, clock)
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_SINK_FAILED',
      message: 'memory: no such host',
    })
  })

  test('of a job over a generator cannot be restarted: what was read ahead would be skipped', async () => {
    const clock = new VirtualClock()
    let failures = 1
    const sink = new InMemorySink<number>({
      onSubmit: () =>
        failures-- > 0 ? { fail: new SluiceError('SLUICE_SINK_FAILED', 'cut', { restartable: true }) } : ALL_WRITTEN,
    })
    const job = stream(fromIterable(once())).sinkTo(sink).start(options(clock, RESTART))
    expect(await failure(clock, job.done)).toMatchObject({ code: 'SLUICE_POSITION_LOST' })
  })
})

test('ids of checkpoints go on rising over attempts', async () => {
  const clock = new VirtualClock()
  const storage = spiedStorage()
  const source = new InMemorySource<number>()
  const job = start(source, new InMemorySink<number>(), clock, {
    ...RESTART,
    checkpoints: { storage, intervalMs: 100 },
  })
  await until(clock, () => storage.stored.length === 3, 100)
  source.failNextFetch(new Error('cut'))
  await until(clock, () => job.status().attempt === 2 && storage.stored.length === 6, 100)
  const ids = storage.stored.map(({ id }) => id)
  expect(ids).toEqual(sorted(ids))
  expect(new Set(ids).size).toBe(ids.length)
  await settled(clock, job.close())
})
