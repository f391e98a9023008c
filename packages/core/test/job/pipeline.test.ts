import { describe, expect, test } from 'vitest'
import { fromIterable, memoryCheckpoints, stream } from '../../src/index.ts'
import {
  ALL_WRITTEN,
  distinct,
  ended,
  Gate,
  InMemorySink,
  InMemorySource,
  options,
  range,
  settled,
  sorted,
  spiedStorage,
  start,
  until,
  VirtualClock,
} from './harness.ts'

describe('a pipeline', () => {
  test('runs map, filter and flatMap in order through a whole job', async () => {
    const clock = new VirtualClock()
    const sink = new InMemorySink<string>()
    const job = stream(fromIterable(range(1000)))
      .filter((n) => n % 2 === 0)
      .map((n) => n * 10)
      .flatMap((n) => [`${n}a`, `${n}b`])
      .sinkTo(sink)
      .start(options(clock))
    expect(await ended(clock, job)).toEqual({ how: 'finished', unsettled: 0, unsettledBySplit: {} })
    expect(sink.stored).toEqual(range(500).flatMap((n) => [`${n * 20}a`, `${n * 20}b`]))
    expect(job.status()).toMatchObject({ state: 'ended', emitted: 1000, unsettled: 0, repeatIfKilledNow: 0 })
  })

  test('an input that becomes more values than a chunk holds is settled when all of them are', async () => {
    const clock = new VirtualClock()
    const sink = new InMemorySink<number>()
    const job = stream(fromIterable([0, 1]))
      .flatMap((n) => range(3000, n * 3000))
      .sinkTo(sink)
      .start(options(clock))
    await ended(clock, job)
    expect(sink.stored).toEqual(range(6000))
  })

  test('filtered records hold nothing back: the position passes them without a request', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    const sink = new InMemorySink<number>()
    source.push('0', ...range(5000))
    const job = stream(source)
      .filter(() => false)
      .sinkTo(sink)
      .start(options(clock, { checkpoints: { storage, intervalMs: 1000 } }))
    await until(clock, () => job.status().emitted === 5000)
    await clock.advance(1000)
    expect(job.status()).toMatchObject({ unsettled: 0, repeatIfKilledNow: 0 })
    expect(JSON.parse(storage.stored.at(-1)?.json ?? '{}')).toMatchObject({
      sources: { memory: { splits: [{ splitId: '0', next: 5000 }] } },
    })
    expect(sink.requests).toEqual([])
    await settled(clock, job.close())
  })

  test('a record is settled when it is settled in every sink', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const a = new InMemorySink<number>({ uid: 'a' })
    const b = new InMemorySink<number>({ uid: 'b', onSubmit: gate.pass })
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const job = stream(source).sinkTo(a).sinkTo(b).start(options(clock))
    await until(clock, () => gate.waiting === 1, 100)
    expect(sorted(a.stored)).toEqual([1, 2, 3])
    expect(job.status()).toMatchObject({ state: 'running', unsettled: 3 })
    gate.open()
    await ended(clock, job)
    expect(sorted(b.stored)).toEqual([1, 2, 3])
  })

  test('what one sink took it is not offered again while another is full', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const a = new InMemorySink<number>({ uid: 'a' })
    const b = new InMemorySink<number>({
      uid: 'b',
      onSubmit: gate.pass,
      maxBatchSize: 5,
      maxInFlightRequests: 1,
      maxBufferedRequests: 6,
    })
    const source = new InMemorySource<number>()
    source.push('0', ...range(200))
    source.end()
    const job = stream(source).sinkTo(a).sinkTo(b).start(options(clock))
    await until(clock, () => a.stored.length === 100, 100)
    expect(b.stored).toEqual([])
    while (job.status().state === 'running') {
      gate.one()
      await clock.advance(100)
    }
    await job.done
    expect(a.stored).toEqual(range(200))
    expect(b.stored).toEqual(range(200))
  })

  test.each([1, 2, 3, 4])('parallelism %i stores every record of every split', async (parallelism) => {
    const clock = new VirtualClock()
    const splits = ['a', 'b', 'c', 'd', 'e']
    const source = new InMemorySource<number>({ splits, maxBatchSize: 7 })
    for (const [index, splitId] of splits.entries()) source.push(splitId, ...range(100, index * 100))
    source.end()
    const sink = new InMemorySink<number>()
    const job = start(source, sink, clock, { parallelism })
    await until(clock, () => job.status().readers.length > 0)
    expect(job.status().readers).toHaveLength(parallelism)
    await ended(clock, job)
    expect(sorted(sink.stored)).toEqual(range(500))
    for (const [index] of splits.entries()) {
      const of = sink.stored.filter((n) => Math.floor(n / 100) === index)
      expect(of).toEqual(range(100, index * 100))
    }
  })

  test.each([
    [1, 4],
    [4, 1],
    [2, 3],
    [3, 2],
  ])('a snapshot of parallelism %i is restored under %i, nothing lost and nothing repeated', async (before, after) => {
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const splits = ['a', 'b', 'c', 'd', 'e']
    const source = new InMemorySource<number>({ splits, maxBatchSize: 7 })
    for (const [index, splitId] of splits.entries()) source.push(splitId, ...range(50, index * 100))
    const sink = new InMemorySink<number>()
    const first = start(source, sink, clock, { parallelism: before, checkpoints: { storage } })
    await until(clock, () => sink.stored.length === 250, 100)
    expect(await settled(clock, first.drain())).toMatchObject({ how: 'drained', unsettled: 0 })
    for (const [index, splitId] of splits.entries()) source.push(splitId, ...range(50, index * 100 + 50))
    source.end()
    const second = start(source, sink, clock, { parallelism: after, checkpoints: { storage } })
    await ended(clock, second)
    expect(sorted(sink.stored)).toEqual(distinct(range(500)))
  })

  test('more fetch loops than splits end with the rest', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ splits: ['a'] })
    source.push('a', 1)
    source.end()
    const sink = new InMemorySink<number>()
    await ended(clock, start(source, sink, clock, { parallelism: 4 }))
    expect(sink.stored).toEqual([1])
  })

  test('leaves no timer behind', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(100))
    source.end()
    const sink = new InMemorySink<number>({ onSubmit: () => ALL_WRITTEN })
    await ended(clock, start(source, sink, clock, { checkpoints: { intervalMs: 10 } }))
    await clock.flush()
    expect(clock.pendingTimers).toBe(0)
  })
})
