import { describe, expect, test } from 'vitest'
import { perCheckpoint, perSecond, type SourceRateLimit, stream } from '../../src/index.ts'
import {
  ALL_WRITTEN,
  InMemorySink,
  InMemorySource,
  options,
  range,
  settled,
  spiedStorage,
  until,
  VirtualClock,
} from './harness.ts'

function bench(rateLimit: SourceRateLimit | undefined, given: Parameters<typeof options>[1] = {}, splits = ['0']) {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>({ splits })
  const sink = new InMemorySink<number>()
  const storage = spiedStorage()
  for (const splitId of splits) source.push(splitId, ...range(1000))
  const job = stream(source, { rateLimit })
    .flatMap((value) => (value % 2 === 0 ? [value] : []))
    .sinkTo(sink)
    .start(options(clock, { ...given, checkpoints: { storage, ...given.checkpoints } }))
  return { clock, source, sink, storage, job }
}

describe('a rate limit per second', () => {
  test('is one for all fetch loops, counts records before the operators, and is shown', async () => {
    const { clock, job } = bench(perSecond(100), { parallelism: 2 }, ['a', 'b'])
    await clock.advance(5000)
    const { emitted, rateLimit } = job.status()
    expect(emitted).toBeLessThanOrEqual(500)
    expect(emitted).toBeGreaterThan(480)
    expect(rateLimit).toEqual({ kind: 'perSecond', records: 100, waiting: true })
    await settled(clock, job.close())
    expect(clock.pendingTimers).toBe(0)
  })

  test('holds back no drain: what was emitted is settled, the rest stays', async () => {
    const { clock, job } = bench(perSecond(1))
    await clock.advance(2000)
    const end = await settled(clock, job.drain(60_000), 1)
    expect(end).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(clock.now()).toBeLessThan(3000)
    expect(clock.pendingTimers).toBe(0)
  })

  test('lets bounded input come to its end', async () => {
    const { clock, source, job } = bench(perSecond(500))
    source.end()
    expect(await settled(clock, job.done)).toMatchObject({ how: 'finished' })
    expect(clock.now()).toBeGreaterThanOrEqual(2000)
    expect(source.finished).toEqual(['0'])
  })

  test('none is shown where none is set', async () => {
    const { clock, job } = bench(undefined)
    await until(clock, () => job.status().emitted === 1000)
    expect(job.status()).not.toHaveProperty('rateLimit')
    await settled(clock, job.close())
  })
})

describe('a rate limit per checkpoint', () => {
  test('asks for checkpoints, so that the input comes to its end without an interval', async () => {
    const { clock, source, storage, job } = bench(perCheckpoint(300))
    source.end()
    expect(await settled(clock, job.done, 1)).toMatchObject({ how: 'finished', unsettled: 0 })
    // The start positions, one for each full quota, and the last.
    const positions = storage.stored.map(({ json }) => JSON.parse(json).sources.memory.splits[0].next as number)
    expect(positions.at(0)).toBe(0)
    expect(positions.at(-1)).toBe(1000)
    for (const [index, next] of positions.entries()) expect(next - (positions[index - 1] ?? 0)).toBeLessThanOrEqual(300)
  })

  test('goes on after a checkpoint that ran into its timeout', async () => {
    const { clock, storage, job, sink } = bench(perCheckpoint(10), { checkpoints: { timeoutMs: 1000 } })
    let answers = 0
    const gate = Promise.withResolvers<void>()
    sink.onSubmit = async () => {
      if (answers++ === 0) await gate.promise
      return ALL_WRITTEN
    }
    await until(clock, () => job.status().checkpoints?.failed === 1, 100)
    expect(job.status().emitted).toBe(10)
    gate.resolve()
    await until(clock, () => job.status().emitted > 10, 100)
    expect(storage.stored.length).toBeGreaterThan(1)
    await settled(clock, job.close())
  })

  test('holds back no drain and no close', async () => {
    for (const end of ['drain', 'close'] as const) {
      const { clock, job } = bench(perCheckpoint(5), { checkpoints: { minPauseMs: 1e9 } })
      await until(clock, () => job.status().emitted === 5)
      await clock.advance(10)
      await settled(clock, job[end]())
      expect(clock.pendingTimers).toBe(0)
    }
  })
})

describe('a rate limit that is not one', () => {
  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('perSecond(%d)', (records) => {
    expect(() => perSecond(records)).toThrow(/perSecond\(records\): records must be a finite number above 0, got/)
  })

  test.each([0, 1.5, -1, Number.NaN])('perCheckpoint(%d)', (records) => {
    expect(() => perCheckpoint(records)).toThrow(/perCheckpoint\(records\): records must be an integer from 1 up, got/)
  })

  test.each([[100], ['fast'], [null], [{ kind: 'perMinute', records: 1 }]])('stream() refuses %j', (rateLimit) => {
    const given = { rateLimit } as unknown as { rateLimit: SourceRateLimit }
    expect(() => stream(new InMemorySource(), given)).toThrow(
      /rateLimit must be made by perSecond\(\) or perCheckpoint\(\)/,
    )
  })

  test('stream() names an unknown option', () => {
    const given = { rateLimits: perSecond(1) } as object
    expect(() => stream(new InMemorySource(), given)).toThrow(/unknown option 'rateLimits'; did you mean 'rateLimit'\?/)
  })
})
