import { describe, expect, test } from 'vitest'
import { fixedDelayRestart, memoryCheckpoints, stream } from '../../src/index.ts'
import {
  Gate,
  InMemorySink,
  InMemorySource,
  options,
  range,
  recorder,
  settled,
  start,
  until,
  VirtualClock,
} from './harness.ts'

function bench(given: Parameters<typeof options>[1] = {}) {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>({ maxBatchSize: 1000, maxFetchedBytes: 100_000 })
  const sink = new InMemorySink<number>()
  const job = start(source, sink, clock, given)
  return { clock, source, sink, job }
}

describe('a paused job', () => {
  test('reads and emits nothing more, and settles and stores what is in hand', async () => {
    const { clock, source, sink, job } = bench({ checkpoints: { intervalMs: 1000 } })
    const gate = new Gate()
    sink.onSubmit = gate.pass
    source.push('0', ...range(10))
    await until(clock, () => gate.waiting === 1)
    job.pause()
    const { fetched } = source
    source.push('0', ...range(5000, 10))
    gate.open()
    await clock.advance(10_000)
    expect(job.status()).toMatchObject({ state: 'paused', emitted: 10, unsettled: 0, repeatIfKilledNow: 0 })
    expect(job.status().readers[0]?.splits).toMatchObject([{ paused: true }])
    // The fetch that was under way when it was paused may still bring its batch.
    expect(source.fetched - fetched).toBeLessThanOrEqual(1000)
    expect(sink.stored).toEqual(range(10))
    job.resume()
    expect(job.status().state).toBe('running')
    await until(clock, () => sink.stored.length === 5010, 10)
    expect(sink.stored).toEqual(range(5010))
    await settled(clock, job.drain())
  })

  test('stops inside a batch, and goes on behind the last record that was emitted', async () => {
    const { clock, source, sink, job } = bench()
    const gate = new Gate()
    sink.onSubmit = gate.pass
    source.push('0', ...range(30_000))
    await until(clock, () => gate.waiting > 0)
    job.pause()
    gate.open()
    await clock.advance(10_000)
    const { emitted, unsettled } = job.status()
    expect(unsettled).toBe(0)
    expect(emitted).toBeLessThan(30_000)
    job.resume()
    await until(clock, () => sink.stored.length === 30_000, 10)
    expect(sink.stored).toEqual(range(30_000))
    await settled(clock, job.close())
  })

  test.each(['drain', 'close'] as const)('ends by %s at once, and the rest is read at the next start', async (end) => {
    const clock = new VirtualClock()
    const storage = memoryCheckpoints()
    const source = new InMemorySource<number>()
    const sink = new InMemorySink<number>()
    const first = start(source, sink, clock, { checkpoints: { storage } })
    first.pause()
    source.push('0', ...range(50))
    await clock.advance(1000)
    expect(first.status().state).toBe('paused')
    await settled(clock, first[end](), 1)
    expect(clock.now()).toBeLessThan(2000)
    expect(sink.stored).toEqual([])
    expect(clock.pendingTimers).toBe(0)
    source.end()
    await settled(clock, start(source, sink, clock, { checkpoints: { storage } }).done)
    expect(sink.stored).toEqual(range(50))
  })

  test('stays paused over a restart, and resumes the attempt that runs then', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    const sink = new InMemorySink<number>()
    const job = stream(source)
      .sinkTo(sink)
      .start(options(clock, { restart: fixedDelayRestart({ delayMs: 100 }) }))
    await until(clock, () => job.status().state === 'running')
    job.pause()
    source.failNextFetch(new Error('no network'))
    await until(clock, () => job.status().state === 'restarting')
    await until(clock, () => job.status().state === 'paused', 10)
    source.push('0', ...range(10))
    await clock.advance(1000)
    expect(job.status()).toMatchObject({ attempt: 2, emitted: 0 })
    expect(source.fetched).toBe(0)
    job.resume()
    await until(clock, () => sink.stored.length === 10, 10)
    await settled(clock, job.close())
  })

  test('before its first split was found reads none', async () => {
    const { clock, source, job } = bench()
    source.push('0', ...range(10))
    job.pause()
    await clock.advance(1000)
    expect(job.status()).toMatchObject({ state: 'paused', emitted: 0 })
    expect(source.fetched).toBe(0)
    await settled(clock, job.close())
  })

  test('is paused and resumed once, however often it is asked, and not after its end', async () => {
    const { lines, logger } = recorder()
    const { clock, job } = bench({ logger })
    job.resume()
    job.pause()
    job.pause()
    job.resume()
    job.resume()
    await settled(clock, job.close())
    job.pause()
    expect(job.status().state).toBe('ended')
    expect(lines.map(({ message }) => message).filter((message) => /^(Paused|Resumed)/.test(message))).toEqual([
      'Paused',
      'Resumed',
    ])
  })

  test('is not ready, and says why; it is healthy', async () => {
    const { clock, source, job } = bench({ admin: { port: 0 } })
    source.push('0', 1)
    await until(clock, () => job.status().unsettled === 0 && job.status().emitted === 1, 100)
    job.pause()
    const page = async (path: string): Promise<string> => (await fetch(`${job.adminUrl}${path}`)).text()
    expect(await page('/readyz')).toBe('the job is paused\n')
    expect(await page('/healthz')).toBe('ok\n')
    await settled(clock, job.close())
  })
})
