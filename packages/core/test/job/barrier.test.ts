import { describe, expect, test } from 'vitest'
import { delay, type Job, type JobOptions, noRestart, stream, type SubmitOutcome } from '../../src/index.ts'
import {
  ALL_WRITTEN,
  ended,
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

type Splits = readonly { readonly splitId: string; readonly next: number; readonly finished?: boolean }[]

function splitsOf(stored: { readonly json: string } | undefined): Splits {
  const checkpoint = JSON.parse(stored?.json ?? '{}') as { sources: { memory: { splits: Splits } } }
  return checkpoint.sources.memory.splits
}

/** Small enough that one fetched batch needs many turns. */
const NARROW = { maxBatchSize: 5, maxInFlightRequests: 1, maxBufferedRequests: 10 }

describe('a barrier', () => {
  test('passes inside a fetched batch that a slow sink takes in parts, and a restore continues exactly there', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>({ maxBatchSize: 10_000 })
    source.push('0', ...range(10_000))
    const gate = new Gate()
    const sink = new InMemorySink<number>({ onSubmit: gate.pass, ...NARROW })
    const job = start(source, sink, clock, { checkpoints: { storage, intervalMs: 1000 } })
    await until(clock, () => gate.waiting === 1)
    expect(source.fetched).toBe(10_000)
    await clock.advance(1000)
    const { open } = job.status().checkpoints ?? {}
    const emitted = job.status().emitted
    expect(open).toBeDefined()
    expect(emitted).toBeLessThan(1000)
    // The barrier has passed; the sink answers until the checkpoint is stored, while later records go on being accepted.
    const before = storage.stored.length
    while (storage.stored.length === before) {
      gate.one()
      await clock.flush()
    }
    expect(splitsOf(storage.stored.at(-1))).toEqual([{ splitId: '0', next: emitted }])
    expect(job.status().emitted).toBeGreaterThan(emitted)
    expect(job.status().unsettled).toBeGreaterThan(0)
    const covered = emitted
    await settled(clock, job.close())

    const again = new InMemorySink<number>()
    source.end()
    await ended(clock, start(source, again, clock, { checkpoints: { storage } }))
    expect(again.stored).toEqual(range(10_000 - covered, covered))
    expect(sorted(new Set([...sink.stored, ...again.stored]))).toEqual(range(10_000))
  })

  test('covers only what was emitted before it: later records neither hold it back nor move its position', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    const sink = new InMemorySink<number>({
      maxInFlightRequests: 5,
      onSubmit: ({ entries }) => (entries.includes(4) ? never<SubmitOutcome>() : ALL_WRITTEN),
    })
    const answers = new Gate()
    const decide = sink.onSubmit
    sink.onSubmit = async (batch, context) => {
      if (batch.entries.includes(1)) await answers.pass()
      return decide(batch, context)
    }
    const job = start(source, sink, clock, { checkpoints: { storage, intervalMs: 1000 } })
    await until(clock, () => job.status().emitted === 3)
    await clock.advance(1000)
    expect(job.status().checkpoints?.open?.id).toBe(2)
    source.push('0', 4, 5)
    await until(clock, () => job.status().emitted === 5)
    expect(job.status().sinks['memory']?.accepted).toBe(5)
    answers.open()
    await clock.flush()
    expect(storage.stored.map(({ id }) => id)).toEqual([1, 2])
    expect(splitsOf(storage.stored.at(-1))).toEqual([{ splitId: '0', next: 3 }])
    expect(job.status()).toMatchObject({ unsettled: 2, repeatIfKilledNow: 2 })
    await settled(clock, job.close())
  })

  test('does not wait for the age of a batch: what was emitted before it is sent at once', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 1_000_000 })
    const job = start(source, sink, clock, { checkpoints: { storage, intervalMs: 100 } })
    await until(clock, () => job.status().emitted === 1)
    await clock.advance(100)
    expect(sink.stored).toEqual([1])
    expect(storage.stored).toHaveLength(2)
    await settled(clock, job.close())
  })

  test('hastens also what reaches the sink after it, although emitted before it', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    source.push('0', ...range(28))
    const gate = new Gate()
    const sink = new InMemorySink<number>({ onSubmit: gate.pass, ...NARROW, maxBatchSize: 9, maxTimeInBufferMS: 1e6 })
    const job = start(source, sink, clock, { checkpoints: { storage, intervalMs: 100 } })
    await until(clock, () => gate.waiting === 1)
    await clock.advance(100)
    gate.open()
    await clock.flush()
    // Three batches of 9; the last record would wait for its age.
    expect(sink.stored).toEqual(range(28))
    expect(storage.stored).toHaveLength(2)
    await settled(clock, job.close())
  })

  test('after the last record of a split stores it as finished, and announces its end before another passes', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', ...range(20))
    source.push('b', 100)
    source.end()
    const gate = new Gate()
    const sink = new InMemorySink<number>({ onSubmit: gate.pass, ...NARROW })
    const job = start(source, sink, clock, { checkpoints: { storage, intervalMs: 100 } })
    await until(clock, () => gate.waiting === 1)
    await clock.advance(100)
    expect(source.finished).toEqual([])
    gate.open()
    await ended(clock, job)
    expect(sorted(source.finished.map((id) => id.charCodeAt(0)))).toEqual([97, 98])
    expect(splitsOf(storage.stored[1])[0]).toEqual({ splitId: 'a', next: 20, finished: true })
    // Covered by the checkpoint before: the final one needs it no more.
    expect(splitsOf(storage.stored.at(-1)).some(({ splitId }) => splitId === 'a')).toBe(false)
    expect(sorted(sink.stored)).toEqual([...range(20), 100])
  })

  test('comes from time alone: at most one checkpoint is open', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const gate = new Gate()
    const sink = new InMemorySink<number>({ onSubmit: gate.pass, requestTimeoutMs: 1_000_000 })
    const job = start(source, sink, clock, { checkpoints: { storage, intervalMs: 10 } })
    await until(clock, () => job.status().checkpoints?.open !== undefined, 10)
    await clock.advance(1000)
    expect(job.status().checkpoints).toMatchObject({ completed: 1, open: { id: 2 } })
    expect(job.status().checkpoints?.open?.ageMs).toBeGreaterThanOrEqual(1000)
    gate.open()
    await clock.advance(10)
    expect(storage.stored.length).toBeGreaterThanOrEqual(3)
    await settled(clock, job.close())
  })
})

async function timedOut(): Promise<{
  clock: VirtualClock
  job: Job
  gate: Gate
  storage: ReturnType<typeof spiedStorage>
}> {
  const clock = new VirtualClock()
  const storage = spiedStorage()
  const source = new InMemorySource<number>()
  source.push('0', 1, 2)
  const gate = new Gate()
  const sink = new InMemorySink<number>({ onSubmit: gate.pass, requestTimeoutMs: 1_000_000 })
  const { lines, logger } = recorder()
  const given: Partial<JobOptions> = { logger, checkpoints: { storage, intervalMs: 1000, timeoutMs: 5000 } }
  const job = start(source, sink, clock, given)
  await clock.advance(1000)
  expect(job.status().checkpoints?.open?.id).toBe(2)
  await clock.advance(5000)
  expect(job.status().checkpoints?.failed).toBe(1)
  expect(lines.find(({ level }) => level === 'warn')).toMatchObject({
    fields: { id: 2, timeoutMs: 5000, oldest: 'memory: waiting for the answer of its request' },
  })
  return { clock, job, gate, storage }
}

describe('a checkpoint that is requested', () => {
  test.each(['enumerator', 'reader', 'sink'] as const)('by the %s comes before its interval is over', async (who) => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    const sink = new InMemorySink<number>()
    const ask: Partial<Record<typeof who, (reason: string) => void>> = {}
    const createEnumerator = source.createEnumerator.bind(source)
    const createReader = source.createReader.bind(source)
    const createWriter = sink.createWriter.bind(sink)
    source.createEnumerator = (context, restored) => {
      ask.enumerator = (reason) => context.requestCheckpoint(reason)
      return createEnumerator(context, restored)
    }
    source.createReader = (context) => {
      ask.reader = (reason) => context.requestCheckpoint(reason)
      return createReader(context)
    }
    sink.createWriter = (context) => {
      ask.sink = (reason) => context.requestCheckpoint(reason)
      return createWriter(context)
    }
    const { lines, logger } = recorder()
    const job = start(source, sink, clock, { checkpoints: { storage }, logger })
    source.push('0', 1, 2)
    await until(clock, () => job.status().emitted === 2)
    expect(storage.stored).toHaveLength(1)
    ask[who]?.('nearly full')
    await until(clock, () => storage.stored.length === 2)
    expect(storage.stored[1]?.json).toContain('"next":2')
    expect(lines.filter(({ level }) => level === 'debug')).toMatchObject([{ fields: { reason: 'nearly full' } }])
    await settled(clock, job.close())
  })

  test('while the parts are being made has every split in it', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    const sink = new InMemorySink<number>()
    await settled(clock, start(source, sink, clock, { checkpoints: { storage } }).drain())
    const createWriter = sink.createWriter.bind(sink)
    sink.createWriter = (context) => {
      context.requestCheckpoint('early')
      return createWriter(context)
    }
    const createEnumerator = source.createEnumerator.bind(source)
    source.createEnumerator = (context, restored) => {
      const enumerator = createEnumerator(context, restored)
      return { ...enumerator, start: () => delay(clock, 500).then(() => enumerator.start()) }
    }
    const before = storage.stored.length
    const job = start(source, sink, clock, { checkpoints: { storage } })
    await until(clock, () => storage.stored.length > before, 100)
    expect(splitsOf(storage.stored[before])).toEqual([
      { splitId: 'a', next: 0 },
      { splitId: 'b', next: 0 },
    ])
    await settled(clock, job.close())
  })
})

describe('a checkpoint that runs into its timeout', () => {
  test('is counted and given up, and the job goes on', async () => {
    const { job, clock, storage } = await timedOut()
    expect(job.status()).toMatchObject({ state: 'running', unsettled: 2 })
    expect(storage.stored.map(({ id }) => id)).toEqual([1])
    await settled(clock, job.close())
  })

  test('is covered by the next', async () => {
    const { job, clock, gate, storage } = await timedOut()
    gate.open()
    await clock.advance(1000)
    expect(storage.stored.map(({ id }) => id).slice(0, 2)).toEqual([1, 3])
    expect(splitsOf(storage.stored[1])).toEqual([{ splitId: '0', next: 2 }])
    expect(job.status()).toMatchObject({ unsettled: 0, repeatIfKilledNow: 0 })
    await settled(clock, job.close())
  })
})

describe('the first checkpoint', () => {
  /** Like LATEST: where it begins depends on when it is asked. */
  class LateSource extends InMemorySource<number> {
    latest = 0
    asked = 0
    override createEnumerator(...[context, restored]: Parameters<InMemorySource<number>['createEnumerator']>) {
      const base = super.createEnumerator(context, restored)
      if (restored !== undefined) return base
      return {
        ...base,
        start: () => {
          this.asked++
          context.assign([{ splitId: '0', next: this.latest }], 0)
          context.noMoreSplits()
          return Promise.resolve()
        },
      }
    }
  }

  test('is stored before the first read: a crash before the interval does not move the start', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new LateSource()
    source.push('0', ...range(100))
    source.latest = 40
    let fetchedAtStore = -1
    storage.onStore = () => {
      if (fetchedAtStore === -1) fetchedAtStore = source.fetched
    }
    const silent = new InMemorySink<number>({ onSubmit: () => never<SubmitOutcome>() })
    const first = start(source, silent, clock, { checkpoints: { storage } })
    await until(clock, () => first.status().emitted === 60)
    expect(fetchedAtStore).toBe(0)
    expect(splitsOf(storage.stored[0])).toEqual([{ splitId: '0', next: 40 }])
    await settled(clock, first.close())

    source.push('0', ...range(100, 100))
    source.latest = 200
    source.end()
    const sink = new InMemorySink<number>()
    await ended(clock, start(source, sink, clock, { checkpoints: { storage } }))
    expect(source.asked).toBe(1)
    expect(sink.stored).toEqual(range(160, 40))
  })

  test('that cannot be stored fails the attempt before anything is read', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    storage.onStore = () => Promise.reject(new Error('disk full'))
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const job = stream(source)
      .sinkTo(new InMemorySink<number>())
      .start(options(clock, { restart: noRestart(), checkpoints: { storage } }))
    await expect(settled(clock, job.done)).rejects.toMatchObject({ code: 'SLUICE_STATE_STORAGE', restartable: true })
    expect(source.fetched).toBe(0)
    expect(source.acknowledged).toEqual([])
  })
})
