import { describe, expect, test } from 'vitest'
import {
  fixedDelayRestart,
  type Sink,
  type SinkContext,
  type SinkWriter,
  SluiceError,
  stream,
  type SubmitOutcome,
} from '../../src/index.ts'
import { healthProblem } from '../../src/admin/server.ts'
import { InMemoryGroupLog, InMemoryGroupSource, InMemoryQueue, InMemoryQueueSource } from '../../src/testing.ts'
import { InMemorySink, InMemorySource, never, options, range, settled, start, until, VirtualClock } from './harness.ts'

test('what an attempt had written and no checkpoint covers is told as repeated, also before it is read again', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  source.push('0', ...range(3))
  const create = source.createEnumerator.bind(source)
  let attempts = 0
  source.createEnumerator = (context, restored) => {
    const enumerator = create(context, restored)
    return attempts++ === 0 ? enumerator : { ...enumerator, start: () => never() }
  }
  const sink = new InMemorySink<number>({ maxTimeInBufferMS: 5 })
  const job = start(source, sink, clock, { restart: fixedDelayRestart({ attempts: 1, delayMs: 10 }) })
  await until(clock, () => sink.stored.length === 3, 5)
  source.failNextFetch(new SluiceError('SLUICE_SOURCE_FAILED', 'cut', { restartable: true }))
  await until(clock, () => job.status().restarts === 1, 5)
  expect(job.status().emitted).toBe(0)
  expect(job.status().repeatIfKilledNow).toBe(3)
  await settled(clock, job.close())
})

test('an acknowledgement that ignores its end leaves no timer', async () => {
  const clock = new VirtualClock()
  class Deaf extends InMemorySource<number> {
    override createReader(context: Parameters<InMemorySource<number>['createReader']>[0]) {
      return Object.assign(super.createReader(context), {
        acknowledge: (id: number) => (id > 1 ? never() : Promise.resolve()),
      })
    }
  }
  const source = new Deaf()
  source.push('0', 1)
  const job = start(source, new InMemorySink<number>(), clock, { checkpoints: { intervalMs: 100 } })
  await until(clock, () => (job.status().checkpoints?.completed ?? 0) >= 2, 50)
  await settled(clock, job.close())
  expect(clock.pendingTimers).toBe(0)
})

const DOWN = new SluiceError('SLUICE_SINK_FAILED', 'down', { restartable: true })
const down = (): SubmitOutcome => ({ fail: DOWN })

describe('what the service gives to others is not told as repeated', () => {
  const RESTART = { restart: fixedDelayRestart({ attempts: 9, delayMs: 500 }), checkpoints: { intervalMs: 100 } }

  test('messages that another consumer has taken meanwhile', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 100 })
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 5 })
    const job = stream(new InMemoryQueueSource({ queue })).sinkTo(sink).start(options(clock, RESTART))
    queue.send(0)
    await until(clock, () => queue.deleted.length === 1, 50)
    sink.onSubmit = down
    for (const value of range(3, 1)) queue.send(value)
    await until(clock, () => job.status().state === 'restarting', 5)
    const other = stream(new InMemoryQueueSource({ queue }))
      .sinkTo(new InMemorySink<number>({ maxTimeInBufferMS: 5 }))
      .start(options(clock, { name: 'other', checkpoints: { intervalMs: 50 } }))
    await until(clock, () => queue.deleted.length === 4, 10)
    await settled(clock, other.close())
    await until(clock, () => job.status().restarts === 1 && job.status().state === 'running', 50)
    expect(job.status().repeatIfKilledNow).toBe(0)
    expect(await settled(clock, job.drain())).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(job.status().repeatIfKilledNow).toBe(0)
  })

  test('a split that another member has taken meanwhile', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a'] })
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 5 })
    const job = stream(new InMemoryGroupSource({ log, uid: 'first' }))
      .sinkTo(sink)
      .start(options(clock, RESTART))
    log.push('a', 0)
    await until(clock, () => log.committed('a') === 1, 50)
    sink.onSubmit = down
    log.push('a', ...range(3, 1))
    await until(clock, () => job.status().state === 'restarting', 5)
    const other = stream(new InMemoryGroupSource({ log, uid: 'second' }))
      .sinkTo(new InMemorySink<number>({ maxTimeInBufferMS: 5 }))
      .start(options(clock, { name: 'other', checkpoints: { intervalMs: 50 } }))
    await until(clock, () => log.members.includes('second'), 5)
    if (log.ownerOf('a') !== 'second') await settled(clock, log.rebalance({ assign: ['a'], to: 'second' }), 5)
    await until(clock, () => log.committed('a') === 4, 10)
    await until(clock, () => job.status().restarts === 1 && job.status().state === 'running', 50)
    expect(job.status().repeatIfKilledNow).toBe(0)
    await settled(clock, job.close())
    await settled(clock, other.close())
  })
})

describe('until the next attempt runs, what the one before left counts', () => {
  const shapes = {
    'a stored position': () => {
      const source = new InMemorySource<number>()
      source.push('0', ...range(5))
      return stream(source)
    },
    'a queue': (clock: VirtualClock) => {
      const queue = new InMemoryQueue<number>({ clock })
      for (const value of range(5)) queue.send(value)
      return stream(new InMemoryQueueSource({ queue }))
    },
    'a group': () => {
      const log = new InMemoryGroupLog<number>({ splits: ['a'] })
      log.push('a', ...range(5))
      return stream(new InMemoryGroupSource({ log }))
    },
  }

  /** A job whose first attempt fails with five records in hand; the second cannot make its writer, and the others hang in doing so. */
  function failing(shape: keyof typeof shapes, clock: VirtualClock) {
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 5, onSubmit: down })
    const createWriter = sink.createWriter.bind(sink)
    let writers = 0
    const broken: Sink<number> = Object.assign(sink, {
      createWriter: (context: SinkContext) => {
        writers++
        if (writers === 1) return createWriter(context)
        if (writers === 2) throw DOWN
        return new Promise<SinkWriter<number>>(() => undefined)
      },
    })
    const restart = fixedDelayRestart({ attempts: 99, delayMs: 500 })
    return shapes[shape](clock)
      .sinkTo(broken)
      .start(options(clock, { restart, startTimeoutMs: 3_600_000, checkpoints: { intervalMs: 1000 } }))
  }

  for (const shape of Object.keys(shapes) as (keyof typeof shapes)[]) {
    for (const attempts of [1, 2, 3]) {
      test(`of ${shape}, when the job is closed in attempt ${attempts}`, async () => {
        const clock = new VirtualClock()
        const job = failing(shape, clock)
        await until(clock, () => job.status().attempt === attempts && job.status().state === 'restarting', 1)
        expect(job.status()).toMatchObject({ unsettled: 5, repeatIfKilledNow: 5 })
        const end = await settled(clock, job.close())
        expect([end.unsettled, Object.values(end.unsettledBySplit)]).toEqual([5, [5]])
        expect(job.status()).toMatchObject({ unsettled: 5, repeatIfKilledNow: 5 })
      })
    }
  }

  test('for the health of the job, since the last checkpoint', async () => {
    const clock = new VirtualClock()
    const job = failing('a stored position', clock)
    await until(clock, () => job.status().attempt === 3, 100)
    expect(healthProblem(job.status(), 1000)).toBeUndefined()
    await clock.advance(60_000)
    expect(healthProblem(job.status(), 1000)).toMatch(/^no checkpoint was completed for 6\d{4} ms/)
    await settled(clock, job.close())
  })
})
