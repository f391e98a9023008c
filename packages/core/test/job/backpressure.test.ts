import { describe, expect, test } from 'vitest'
import { fromIterable, stream, type SubmitOutcome, toFunction } from '../../src/index.ts'
import {
  Gate,
  InMemorySink,
  InMemorySource,
  never,
  options,
  range,
  settled,
  start,
  until,
  VirtualClock,
} from './harness.ts'

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

describe('what unsettled inputs retain is bounded', () => {
  // 100 bytes a record, ten records a batch.
  const BATCH_BYTES = 1000

  test('a filter that lets little through goes on: the sinks are hastened when the bound is reached', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 10, splits: ['a', 'b'], maxFetchedBytes: 10_000 })
    source.push('a', ...range(5000))
    source.push('b', ...range(5000, 5000))
    source.end()
    const retained: number[] = []
    const sink = new InMemorySink<number>({
      maxBatchSize: 1000,
      maxBufferedRequests: 5000,
      maxTimeInBufferMS: 1e9,
      onSubmit: () => {
        retained.push(job.status().retainedBytes)
        return { allWritten: true }
      },
    })
    const job = stream(source)
      .filter((n) => n % 10 === 3)
      .sinkTo(sink)
      .start(options(clock, { maxRetainedBytes: 20 * BATCH_BYTES, parallelism: 2 }))
    expect(await settled(clock, job.done, 1)).toMatchObject({ how: 'finished' })
    expect(sink.stored).toHaveLength(1000)
    expect(Math.max(...retained)).toBe(20 * BATCH_BYTES)
    // Only as often as needed: the room of twenty batches in one request.
    expect(sink.requests.length).toBeLessThanOrEqual(2 * (1000 / 20))
  })

  test('a batch with one stuck record is retained; reading stops when they reach the bound, and status says so', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 10, maxFetchedBytes: 3 * BATCH_BYTES })
    source.push('0', ...range(5000))
    source.end()
    let stuck = true
    const sink = new InMemorySink<number>({
      maxBufferedRequests: 1000,
      onSubmit: ({ entries }) => ({
        entries: entries.map((n) =>
          stuck && n % 10 === 7 ? { kind: 'retry', reason: { code: 'busy', message: 'later' } } : { kind: 'written' },
        ),
      }),
    })
    const job = start(source, sink, clock, { maxRetainedBytes: 5 * BATCH_BYTES })
    await clock.advance(100_000)
    const { emitted, unsettled, retainedBytes, waitingFor, repeatIfKilledNow } = job.status()
    expect({ emitted, unsettled, retainedBytes, repeatIfKilledNow }).toEqual({
      emitted: 50,
      unsettled: 5,
      retainedBytes: 5 * BATCH_BYTES,
      repeatIfKilledNow: 50,
    })
    expect(waitingFor).toMatch(/^room below maxRetainedBytes; oldest: memory: .*busy/)
    const { fetched } = source
    expect(fetched).toBeLessThanOrEqual(100)
    await clock.advance(100_000)
    expect(source.fetched).toBe(fetched)
    expect(job.metrics.collect().find(({ definition }) => definition.name === 'retainedBytes')?.value).toBe(5000)
    stuck = false
    expect(await settled(clock, job.done)).toMatchObject({ how: 'finished' })
    expect(new Set(sink.stored).size).toBe(5000)
    expect(job.status()).toMatchObject({ retainedBytes: 0, unsettled: 0 })
    expect(job.status().waitingFor).toBeUndefined()
  })

  test('one stuck record retains its own batch, while all others pass', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 10 })
    source.push('0', ...range(5000))
    const sink = new InMemorySink<number>({
      onSubmit: ({ entries }) => ({
        entries: entries.map((n) =>
          n === 7 ? { kind: 'retry', reason: { code: 'busy', message: 'later' } } : { kind: 'written' },
        ),
      }),
    })
    const job = start(source, sink, clock, { maxRetainedBytes: 6 * BATCH_BYTES })
    await clock.advance(100_000)
    expect(job.status()).toMatchObject({ emitted: 5000, unsettled: 1, retainedBytes: BATCH_BYTES })
    await settled(clock, job.close())
  })

  test('what another subtask brings to the sinks after the hasten is hastened too', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 20, splits: ['a', 'b'] })
    source.push('a', 0)
    source.push('b', ...range(5, 100))
    const store = new Gate()
    const limits = { maxBatchSize: 4, maxInFlightRequests: 1, maxBufferedBytes: 400, maxTimeInBufferMS: 1e9 }
    const sink = new InMemorySink<number>({ ...limits, onSubmit: store.pass, requestTimeoutMs: 1e9 })
    const job = start(source, sink, clock, { maxRetainedBytes: 1000, parallelism: 2 })
    await clock.advance(10)
    source.push('a', ...range(20, 1))
    await clock.advance(10)
    // The second subtask still has two values that the sink had no room for, and no batch after them.
    expect(job.status()).toMatchObject({ emitted: 6, waitingFor: expect.stringContaining('maxRetainedBytes') })
    store.open()
    await until(clock, () => job.status().emitted === 26)
    await settled(clock, job.close())
  })

  test('batches that are larger than the bound pass one at a time', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 10, splits: ['a', 'b'] })
    source.push('a', ...range(100))
    source.push('b', ...range(100, 100))
    source.end()
    let most = 0
    const sink = new InMemorySink<number>({
      onSubmit: () => {
        most = Math.max(most, job.status().retainedBytes)
        return { allWritten: true }
      },
    })
    const job = start(source, sink, clock, { maxRetainedBytes: 1, parallelism: 2 })
    expect(await settled(clock, job.done)).toMatchObject({ how: 'finished' })
    expect(new Set(sink.stored).size).toBe(200)
    expect(most).toBe(BATCH_BYTES)
  })

  test('a drain does not wait for room: it ends when what was emitted is written', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 10 })
    source.push('0', ...range(5000))
    const store = new Gate()
    const sink = new InMemorySink<number>({ onSubmit: store.pass })
    const job = start(source, sink, clock, { maxRetainedBytes: 1 })
    await clock.advance(1000)
    expect(job.status()).toMatchObject({ emitted: 10, waitingFor: expect.stringContaining('maxRetainedBytes') })
    const drained = job.drain(1e9)
    await clock.advance(1000)
    expect(job.status().waitingFor).toBeUndefined()
    store.open()
    expect(await settled(clock, drained)).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(sink.stored).toEqual(range(10))
  })
})
