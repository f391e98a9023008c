import { Readable } from 'node:stream'

import { describe, expect, onTestFinished, test, vi } from 'vitest'

import {
  ALL_WRITTEN,
  fixedDelayRestart,
  fromIterable,
  type IterableValues,
  memoryCheckpoints,
  silentLogger,
  SluiceError,
  stream,
} from '../../src/index.ts'
import { ended, failure, Gate, InMemorySink, options, range, settled, until, VirtualClock } from '../job/harness.ts'

async function read(values: Iterable<number> | AsyncIterable<number>, maxBatchSize = 7): Promise<number[]> {
  const clock = new VirtualClock()
  const sink = new InMemorySink<number>()
  await ended(clock, stream(fromIterable(values, { maxBatchSize })).sinkTo(sink).start(options(clock)))
  return sink.stored
}

async function* waits(): AsyncGenerator<number> {
  yield* range(14)
  await new Promise(() => {})
}

/** Fails the attempt once, when this value is sent. */
function failsOnce(at: number): InMemorySink<number> {
  let failed = false
  return new InMemorySink<number>({
    onSubmit: ({ entries }) => {
      if (failed || !entries.includes(at)) return ALL_WRITTEN
      failed = true
      return { fail: new SluiceError('SLUICE_SINK_FAILED', 'a passing failure', { restartable: true }) }
    },
  })
}

async function survives(
  values: IterableValues<number>,
): Promise<{ readonly end: unknown; readonly stored: Set<number> }> {
  const clock = new VirtualClock()
  const sink = failsOnce(55)
  const job = stream(fromIterable(values, { maxBatchSize: 10 }))
    .sinkTo(sink)
    .start(options(clock, { restart: fixedDelayRestart({ attempts: 3, delayMs: 10 }) }))
  const end = await settled(
    clock,
    job.done.catch((error: unknown) => error),
  )
  return { end, stored: new Set(sink.stored) }
}

describe('fromIterable', () => {
  test('gives the values of arrays, sets, generators and async iterables, in order', async () => {
    expect(await read(range(100))).toEqual(range(100))
    expect(await read(new Set(range(10)))).toEqual(range(10))
    expect(
      await read(
        (function* () {
          yield* range(50)
        })(),
      ),
    ).toEqual(range(50))
    expect(
      await read(
        (async function* () {
          yield* range(50)
          await Promise.resolve()
        })(),
      ),
    ).toEqual(range(50))
  })

  test.each([0, 1, 6, 7, 8, 14])('ends after %i values, at any place of a batch', async (count) => {
    expect(await read(range(count))).toEqual(range(count))
  })

  test('skips what was emitted before the checkpoint', async () => {
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const values = range(1000)
    const gate = new Gate()
    const first = new InMemorySink<number>({ onSubmit: gate.pass })
    const job = stream(fromIterable(values, { maxBatchSize: 10 }))
      .sinkTo(first)
      .start(options(clock, { checkpoints: { storage } }))
    await until(clock, () => gate.waiting > 0)
    const draining = job.drain()
    gate.open()
    await settled(clock, draining)
    expect(first.stored.length).toBeGreaterThan(0)
    expect(first.stored.length).toBeLessThan(1000)
    const second = new InMemorySink<number>()
    await ended(
      clock,
      stream(fromIterable(values, { maxBatchSize: 33 }))
        .sinkTo(second)
        .start(options(clock, { checkpoints: { storage } })),
    )
    expect([...first.stored, ...second.stored]).toEqual(values)
  })

  test.each<[string, () => IterableValues<number>]>([
    ['an array', () => range(300)],
    ['a function that makes a generator', () => () => range(300).values()],
    ['a function that makes a stream', () => () => Readable.from(range(300)) as AsyncIterable<number>],
  ])('%s survives a restart within the process: nothing is lost', async (_, values) => {
    const { end, stored } = await survives(values())
    expect(end).toMatchObject({ how: 'finished', unsettled: 0 })
    expect(stored).toEqual(new Set(range(300)))
  })

  test.each<[string, () => IterableValues<number>]>([
    ['a generator', () => range(300).values()],
    ['a stream', () => Readable.from(range(300)) as AsyncIterable<number>],
  ])('%s gives its values once: a restart is refused, never a silent skip', async (_, values) => {
    const { end } = await survives(values())
    expect(end).toMatchObject({ code: 'SLUICE_POSITION_LOST' })
  })

  test('an iterable that is shorter than the checkpoint is refused, never finished', async () => {
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const { name, ...given } = options(clock, { checkpoints: { storage } })
    const store = await storage.open(name, silentLogger)
    const splits = [{ splitId: '0', next: 20 }]
    const sources = { iterable: { stateVersion: 1, enumerator: null, splits } }
    await store.store({ id: 1, job: name, createdAtMs: 0, sources })
    const job = stream(fromIterable(range(5)))
      .sinkTo(new InMemorySink<number>())
      .start({ name, ...given })
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_POSITION_LOST',
      facts: { wanted: 20, newest: 5 },
    })
  })

  test('values of a live iterable are emitted as they come, and drain writes them', async () => {
    const clock = new VirtualClock()
    const sink = new InMemorySink<number>()
    const job = stream(fromIterable(waits())).sinkTo(sink).start(options(clock))
    await until(clock, () => job.status().emitted === 14)
    await settled(clock, job.drain())
    expect(sink.stored).toEqual(range(14))
  })

  test('reading an async iterable leaves nothing behind on the signal that ends it', async () => {
    const added = vi.spyOn(EventTarget.prototype, 'addEventListener')
    const removed = vi.spyOn(EventTarget.prototype, 'removeEventListener')
    onTestFinished(() => void vi.restoreAllMocks())
    const values = range(1000)
    const inTurns = async function* (): AsyncGenerator<number> {
      for (const value of values) {
        if (value % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
        yield value
      }
    }
    expect(await read(inTurns(), 5)).toEqual(values)
    const left = added.mock.calls.length - removed.mock.calls.length
    expect(added.mock.calls.length).toBeGreaterThan(200)
    expect(left).toBeLessThan(20)
  })

  test('an iterator is closed when the job ends before its values do', async () => {
    const clock = new VirtualClock()
    let closed = 0
    const live: AsyncIterator<number> = {
      next: () => new Promise(() => {}),
      return: () => {
        closed++
        return Promise.resolve({ done: true, value: undefined })
      },
    }
    const job = stream(fromIterable({ [Symbol.asyncIterator]: () => live }))
      .sinkTo(new InMemorySink<number>())
      .start(options(clock))
    await until(clock, () => job.status().state === 'running')
    await clock.flush()
    await settled(clock, job.close())
    expect(closed).toBe(1)
  })

  test('fails with the error of an iterable that throws', async () => {
    const clock = new VirtualClock()
    const job = stream(
      fromIterable(
        (function* () {
          yield 1
          throw new Error('file is gone')
        })(),
      ),
    )
      .sinkTo(new InMemorySink<number>())
      .start(options(clock))
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_SOURCE_FAILED',
      message: 'iterable, split 0: file is gone',
    })
  })

  test('shows its position', async () => {
    const clock = new VirtualClock()
    const job = stream(fromIterable(waits(), { maxBatchSize: 7 }))
      .sinkTo(new InMemorySink<number>())
      .start(options(clock, { restartGraceMs: 10 }))
    await until(clock, () => job.status().emitted === 14)
    await clock.flush()
    expect(job.status().readers[0]?.splits).toEqual([{ splitId: '0', position: '14' }])
    await settled(clock, job.close())
  })

  test('refuses bad options, all at once', () => {
    expect(() => fromIterable(5 as never, { uid: '', maxBatchSize: 0 })).toThrow(
      /3 invalid option[\s\S]*uid[\s\S]*maxBatchSize[\s\S]*values must be an iterable/,
    )
  })
})
