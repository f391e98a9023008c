import { describe, expect, test } from 'vitest'
import { type Job, type JobOptions, memoryCheckpoints, stream, type SubmitOutcome } from '../../src/index.ts'
import { setFailpoint } from '../../src/runtime/failpoints.ts'
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
  recorder,
  settled,
  sorted,
  spiedStorage,
  start,
  until,
  VirtualClock,
} from './harness.ts'

/** Restarts what a drain left from the same storage, and says what both runs stored. */
async function storedAfterwards(
  clock: VirtualClock,
  source: InMemorySource<number>,
  storage: NonNullable<NonNullable<JobOptions['checkpoints']>['storage']>,
): Promise<number[]> {
  const sink = new InMemorySink<number>()
  source.end()
  await ended(clock, start(source, sink, clock, { checkpoints: { storage } }))
  return sink.stored
}

describe('drain', () => {
  const MOMENTS: readonly [
    string,
    (clock: VirtualClock, job: Job, gate: Gate, sink: InMemorySink<number>) => Promise<void>,
  ][] = [
    ['before anything runs', () => Promise.resolve()],
    [
      'while records are in the source queue',
      (clock, job) => until(clock, () => (job.status().readers[0]?.queuedRecords ?? 0) > 0),
    ],
    ['while a chunk waits for room', (clock, _job, gate) => until(clock, () => gate.waiting > 0)],
    [
      'while requests are in flight',
      (clock, job) => until(clock, () => (job.status().sinks['memory']?.inFlightRequests ?? 0) > 0),
    ],
    [
      'while entries are being retried',
      async (clock, job, gate, sink) => {
        const { onSubmit } = sink
        sink.onSubmit = () => ({ retryAll: { code: 'busy', message: 'later' } })
        gate.open()
        await until(clock, () => (job.status().sinks['memory']?.retryingRecords ?? 0) > 0, 10)
        sink.onSubmit = onSubmit
      },
    ],
  ]

  test.each(MOMENTS)('%s: nothing is lost, all that was emitted is settled and acknowledged', async (_when, reach) => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>({ splits: ['a', 'b'], maxBatchSize: 50 })
    source.push('a', ...range(500))
    source.push('b', ...range(500, 500))
    const gate = new Gate()
    const sink = new InMemorySink<number>({ onSubmit: gate.pass, maxBatchSize: 7, maxBufferedRequests: 20 })
    const job = start(source, sink, clock, { parallelism: 2, checkpoints: { storage } })
    await reach(clock, job, gate, sink)
    const draining = job.drain()
    await clock.advance(10)
    gate.open()
    expect(await settled(clock, draining)).toEqual({ how: 'drained', unsettled: 0, unsettledBySplit: {} })
    const emitted = job.status().emitted
    expect(emitted).toBeLessThan(1000)
    expect(sink.stored).toHaveLength(emitted)
    expect(source.acknowledged.at(-1)).toBe(storage.stored.at(-1)?.id)
    const rest = await storedAfterwards(clock, source, storage)
    expect(sorted([...sink.stored, ...rest])).toEqual(range(1000))
  })

  test('sends partial batches at once instead of at their age', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 1_000_000 })
    const job = start(source, sink, clock)
    await until(clock, () => job.status().emitted === 1)
    expect(await settled(clock, job.drain(), 1)).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(clock.now()).toBeLessThan(100)
  })

  test('does not wait for the age of a batch when the buffer is full of bytes', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(40))
    // 100 bytes a record: there is room for three, and a batch would have ten.
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 1_000_000, maxBufferedBytes: 300 })
    const job = start(source, sink, clock)
    await until(clock, () => job.status().emitted === 40)
    expect(await settled(clock, job.drain(), 1)).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(sink.stored).toEqual(range(40))
    expect(clock.now()).toBeLessThan(100)
  })

  test('becomes close at its deadline, and says what was left and where', async () => {
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', 1, 2, 3)
    source.push('b', 4, 5)
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>() })
    const job = start(source, sink, clock, { checkpoints: { storage }, restartGraceMs: 100 })
    await until(clock, () => job.status().emitted === 5)
    expect(await settled(clock, job.drain(2000))).toEqual({
      how: 'closed',
      unsettled: 5,
      unsettledBySplit: { a: 3, b: 2 },
    })
    expect(clock.now()).toBeLessThan(2000 + 1000)
    expect(source.acknowledged).toEqual([1])
    expect(sorted(await storedAfterwards(clock, source, storage))).toEqual([1, 2, 3, 4, 5])
  })

  test('has a default deadline', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 1e6 })
    const job = start(source, sink, clock, { drainDeadlineMs: 700, restartGraceMs: 0 })
    await until(clock, () => job.status().emitted === 1)
    expect(await settled(clock, job.drain(), 50)).toMatchObject({ how: 'closed', unsettled: 1 })
    expect(clock.now()).toBeLessThan(900)
  })

  test('twice is one drain, and both callers get its end', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>()
    const job = start(source, sink, clock)
    await until(clock, () => job.status().emitted === 1)
    const both = Promise.all([job.drain(), job.drain()])
    const [first, second] = await settled(clock, both)
    expect(first).toEqual({ how: 'drained', unsettled: 0, unsettledBySplit: {} })
    expect(second).toEqual(first)
  })

  test('a second one with a shorter deadline counts', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 1e6 })
    const job = start(source, sink, clock, { restartGraceMs: 0 })
    await until(clock, () => job.status().emitted === 1)
    void job.drain(1_000_000)
    expect(await settled(clock, job.drain(100), 10)).toMatchObject({ how: 'closed', unsettled: 1 })
  })

  test('after the end gives the end again and leaves no timer', async () => {
    const clock = new VirtualClock()
    const { lines, logger } = recorder()
    const source = new InMemorySource<number>()
    source.end()
    const job = start(source, new InMemorySink<number>(), clock, { logger })
    const end = await ended(clock, job)
    expect(await job.drain()).toBe(end)
    expect(await job.close()).toBe(end)
    expect(end.how).toBe('finished')
    expect(lines.filter(({ message }) => message === 'Draining')).toEqual([])
    await clock.flush()
    expect(clock.pendingTimers).toBe(0)
  })

  test('shows as a state', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const gate = new Gate()
    const job = start(source, new InMemorySink<number>({ onSubmit: gate.pass }), clock)
    await until(clock, () => job.status().emitted === 1)
    expect(job.status().state).toBe('running')
    const draining = job.drain()
    expect(job.status().state).toBe('draining')
    gate.open()
    await settled(clock, draining)
    expect(job.status().state).toBe('ended')
  })

  test('fails when the job fails meanwhile', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({ onSubmit: () => ({ isolate: { code: 'bad', message: 'no' } }) })
    const job = start(source, sink, clock)
    await until(clock, () => job.status().emitted === 1)
    expect(await failure(clock, job.drain())).toMatchObject({ code: 'SLUICE_RECORD_REFUSED' })
  })

  test('waits for an acknowledgement under way', async () => {
    const clock = new VirtualClock()
    const gate = Promise.withResolvers<void>()
    class SlowSource extends InMemorySource<number> {
      override createReader(context: Parameters<InMemorySource<number>['createReader']>[0]) {
        const reader = super.createReader(context)
        const acknowledge = reader.acknowledge.bind(reader)
        reader.acknowledge = async (id, records) => {
          if (id > 1) await gate.promise
          return acknowledge(id, records)
        }
        return reader
      }
    }
    const source = new SlowSource()
    source.push('0', 1)
    const job = start(source, new InMemorySink<number>(), clock)
    await until(clock, () => job.status().emitted === 1)
    const draining = job.drain()
    await clock.advance(1000)
    expect(job.status().state).toBe('draining')
    gate.resolve()
    expect(await settled(clock, draining)).toMatchObject({ how: 'drained' })
    expect(source.acknowledged).toEqual([1, 2])
  })
})

describe('close', () => {
  test('ends with what is settled; the rest is repeated by the next start', async () => {
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const source = new InMemorySource<number>()
    source.push('0', ...range(10))
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>() })
    const job = start(source, sink, clock, { checkpoints: { storage } })
    await until(clock, () => job.status().emitted === 10)
    expect(await settled(clock, job.close())).toEqual({ how: 'closed', unsettled: 10, unsettledBySplit: { '0': 10 } })
    expect(job.status().sinks['memory']).toMatchObject({ abandoned: 10, inHand: 0 })
    expect(await storedAfterwards(clock, source, storage)).toEqual(range(10))
  })

  test('during drain ends it', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 1e6 })
    const job = start(source, sink, clock, { restartGraceMs: 50 })
    await until(clock, () => job.status().emitted === 1)
    const draining = job.drain(1_000_000)
    await clock.advance(1000)
    void job.close()
    expect(await settled(clock, draining, 10)).toMatchObject({ how: 'closed', unsettled: 1 })
    expect(clock.pendingTimers).toBe(0)
  })

  test('aborts requests and waits for their answers as long as the grace', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    let aborted = false
    const sink = new InMemorySink<number>({
      requestTimeoutMs: 1e6,
      onSubmit: (_batch, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            aborted = true
            clock.after(300, () => resolve(ALL_WRITTEN))
          })
        }),
    })
    const job = start(source, sink, clock, { restartGraceMs: 1000 })
    await until(clock, () => (job.status().sinks['memory']?.inFlightRequests ?? 0) === 1, 100)
    expect(await settled(clock, job.close())).toMatchObject({ how: 'closed', unsettled: 0 })
    expect(aborted).toBe(true)
  })

  test('before anything runs starts nothing', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const job = start(source, new InMemorySink<number>(), clock)
    expect(await settled(clock, job.close())).toMatchObject({ how: 'closed', unsettled: 0 })
    expect(source.fetched).toBe(0)
  })
})

describe('the end of the input', () => {
  test('takes a final checkpoint with storage, although no interval has passed', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2)
    source.end()
    await ended(clock, start(source, new InMemorySink<number>(), clock, { checkpoints: { storage } }))
    expect(storage.stored.map(({ id }) => id)).toEqual([1, 2])
    expect(storage.stored.at(-1)?.json).toContain('"next":2,"finished":true')
    expect(source.acknowledged).toEqual([1, 2])
    expect(storage.closed).toBe(1)
  })

  test('takes one without storage too, and says once that positions are in memory only', async () => {
    const clock = new VirtualClock()
    const { lines, logger } = recorder()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    source.end()
    const job = stream(source).sinkTo(new InMemorySink<number>()).start({ name: 'test', clock, logger })
    await ended(clock, job)
    expect(source.acknowledged).toEqual([1, 2])
    expect(lines.filter(({ message }) => message.includes('in memory only'))).toHaveLength(1)
  })

  test('a finished job started again does nothing again', async () => {
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', 1)
    source.push('b', 2)
    source.end()
    const sink = new InMemorySink<number>()
    for (let run = 0; run < 3; run++) {
      expect(await ended(clock, start(source, sink, clock, { checkpoints: { storage } }))).toMatchObject({
        how: 'finished',
      })
    }
    expect(sorted(sink.stored)).toEqual([1, 2])
  })
})

describe('disposal', () => {
  test('of `await using` drains', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2)
    const sink = new InMemorySink<number>()
    const scope = async (): Promise<void> => {
      await using job = start(source, sink, clock)
      await until(clock, () => job.status().emitted === 2)
    }
    await settled(clock, scope())
    expect(sink.stored).toEqual([1, 2])
    expect(source.acknowledged.at(-1)).toBe(2)
  })

  test('of a failed job does not throw again', async () => {
    const clock = new VirtualClock()
    const remove = setFailpoint('source:fetched', () => {
      throw new Error('cut')
    })
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const job = start(source, new InMemorySink<number>(), clock)
    await failure(clock, job.done)
    remove()
    expect(await job[Symbol.asyncDispose]()).toBeUndefined()
  })
})

test('a job that fails and that nobody awaits is no unhandled rejection', async () => {
  const clock = new VirtualClock()
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', 1)
    source.push('b', 2)
    const sink = new InMemorySink<number>({ onSubmit: () => ({ isolate: { code: 'bad', message: 'no' } }) })
    const job = stream(source)
      .map((n) => {
        if (n === 2) throw new Error('poison')
        return n
      })
      .sinkTo(sink)
      .start(options(clock, { parallelism: 2 }))
    await until(clock, () => job.status().state === 'failed', 100)
    await clock.advance(10_000)
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
  }
})
