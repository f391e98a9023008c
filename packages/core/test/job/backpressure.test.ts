import { describe, expect, test } from 'vitest'
import { fromIterable, stream, type SubmitOutcome, toFunction } from '../../src/index.ts'
import { InMemorySink, InMemorySource, never, options, range, settled, start, VirtualClock } from './harness.ts'

describe('a sink that never answers', () => {
  test('stops the fetching: what is held is bounded, however much there is', async () => {
    const clock = new VirtualClock()
    // 100 bytes a record: ten batches of ten fit.
    const source = new InMemorySource<number>({ splits: ['a', 'b'], maxBatchSize: 10, maxFetchedBytes: 10_000 })
    source.push('a', ...range(50_000))
    source.push('b', ...range(50_000))
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 1e9 })
    const job = start(source, sink, clock, { parallelism: 2 })
    await clock.advance(10_000)
    const { fetched } = source
    const { readers, emitted } = job.status()
    for (const reader of readers) expect(reader.fetchedBytes).toBeLessThanOrEqual(10_000)
    expect(emitted).toBeLessThan(200)
    await clock.advance(1_000_000)
    expect(source.fetched).toBe(fetched)
    expect(job.status().emitted).toBe(emitted)
    expect(job.status().sinks['memory']?.inHand).toBeLessThanOrEqual(50 + 2 * 10)
    await settled(clock, job.close())
  })

  test('stops the reading of an endless iterable', async () => {
    const clock = new VirtualClock()
    let taken = 0
    function* counted(): Generator<number> {
      while (taken < 10_000) yield taken++
      throw new Error('read without bound')
    }
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 1e9 })
    const job = stream(fromIterable(counted(), { maxBatchSize: 100 }))
      .sinkTo(sink)
      .start(options(clock))
    await clock.advance(10_000)
    const before = taken
    expect(before).toBeLessThanOrEqual(400)
    await clock.advance(10_000)
    expect(taken).toBe(before)
    await settled(clock, job.close())
  })

  test('does not run operators ahead of it', async () => {
    const clock = new VirtualClock()
    let ran = 0
    const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 1e9 })
    const job = stream(fromIterable(range(100_000)))
      .flatMap((n) => {
        ran++
        return range(50, n)
      })
      .sinkTo(sink)
      .start(options(clock))
    await clock.advance(10_000)
    // 1024 values are made at one time, a little more when one input becomes many.
    expect(ran).toBeLessThanOrEqual(1024 / 50 + 1)
    expect(job.status().emitted).toBe(ran)
    await settled(clock, job.close())
  })
})

test('reading goes on when there is room again', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>({ maxBatchSize: 10, maxFetchedBytes: 3000 })
  source.push('0', ...range(5000))
  source.end()
  const sink = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>(), requestTimeoutMs: 50 })
  const job = start(source, sink, clock)
  await clock.advance(1000)
  expect(source.fetched).toBeLessThan(200)
  sink.onSubmit = () => ({ allWritten: true })
  expect(await settled(clock, job.done, 1000)).toMatchObject({ how: 'finished' })
  expect(new Set(sink.stored).size).toBe(5000)
})

function* endless(): Generator<number> {
  for (let n = 0; n < 3_000_000; n++) yield n
  throw new Error('read without bound')
}

test('a source and a sink that never wait leave the event loop its turns', async () => {
  let stored = 0
  const sink = toFunction<number>((values) => {
    stored += values.length
    return Promise.resolve()
  })
  const job = stream(fromIterable(endless())).sinkTo(sink).start({ name: 'busy' })
  // Real time: each tick needs the timer phase to be reached.
  for (let tick = 0; tick < 5; tick++) {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 1)
    })
  }
  expect(await job.drain()).toMatchObject({ how: 'drained', unsettled: 0 })
  expect(stored).toBeGreaterThan(0)
})
