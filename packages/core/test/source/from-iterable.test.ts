import { describe, expect, test } from 'vitest'
import { fromIterable, memoryCheckpoints, stream } from '../../src/index.ts'
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
