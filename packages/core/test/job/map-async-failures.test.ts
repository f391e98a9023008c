import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  delay,
  fixedDelayRestart,
  fromIterable,
  type Job,
  JOB_METRICS,
  memoryCheckpoints,
  MetricRegistry,
  SluiceError,
  stream,
} from '../../src/index.ts'
import { seededRandom } from '../../src/testing.ts'
import { Letters } from '../dead-letters/harness.ts'
import {
  distinct,
  ended,
  failure,
  Gate,
  InMemorySink,
  InMemorySource,
  options,
  range,
  recorder,
  settled,
  spiedStorage,
  until,
  VirtualClock,
} from './harness.ts'
import { LookUp } from './look-up.ts'

function positions(stored: { readonly json: string } | undefined): unknown {
  const checkpoint = JSON.parse(stored?.json ?? '{}') as { sources: { memory: { splits: unknown } } }
  return checkpoint.sources.memory.splits
}

const RESTART = fixedDelayRestart({ attempts: 3, delayMs: 10 })

describe('a barrier', () => {
  test('passes while calls are pending, covers the values in them, and does not wait for later ones', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    const lookUp = new LookUp<number>()
    // What comes late to the sink is hastened, or the checkpoint would wait for its age.
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 1e8 })
    const job = stream(source)
      .mapAsync(lookUp.call, { timeoutMs: 1e8 })
      .sinkTo(sink)
      .start(options(clock, { checkpoints: { storage, intervalMs: 1000 } }))
    source.push('0', 1, 2)
    await until(clock, () => lookUp.underWay.length === 2)
    await clock.advance(1000)
    expect(job.status().checkpoints?.open?.id).toBe(2)
    source.push('0', 3, 4)
    await until(clock, () => lookUp.underWay.length === 4)
    expect(job.status()).toMatchObject({ emitted: 4, unsettled: 4 })
    await clock.advance(5000)
    expect(storage.stored).toHaveLength(1)
    lookUp.end(2)
    lookUp.end(1)
    await clock.flush()
    expect(sink.stored).toEqual([1, 2])
    expect(storage.stored).toHaveLength(2)
    expect(positions(storage.stored[1])).toEqual([{ splitId: '0', next: 2 }])
    expect(job.status()).toMatchObject({ unsettled: 2, repeatIfKilledNow: 2 })
    await settled(clock, job.close())
  })

  test('that waits too long names the call', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const lookUp = new LookUp<number>()
    const { lines, logger } = recorder()
    const job = stream(source)
      .map((n) => n)
      .mapAsync(lookUp.call)
      .sinkTo(new InMemorySink<number>())
      .start(options(clock, { logger, checkpoints: { intervalMs: 1000, timeoutMs: 5000 } }))
    await until(clock, () => lookUp.underWay.length === 1)
    await clock.advance(6000)
    expect(lines.find(({ level }) => level === 'warn')).toMatchObject({
      fields: { id: 2, oldest: 'mapAsync #2: waiting for the end of its call' },
    })
    await settled(clock, job.close())
  })
})

describe('the end of a split', () => {
  test('is announced when the last of its values was offered to the sinks, and no other split waits for it', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ splits: ['parent', 'other'] })
    source.push('parent', 1, 2)
    source.push('other', ...range(200, 100))
    source.end()
    const lookUp = new LookUp<number>()
    const gate = new Gate()
    const sink = new InMemorySink<number>({ onSubmit: gate.pass, maxBatchSize: 3, maxBufferedRequests: 6 })
    const job = stream(source)
      .mapAsync(lookUp.call, { ordered: false, concurrency: 8 })
      .sinkTo(sink)
      .start(options(clock))
    await until(clock, () => lookUp.underWay.length === 8)
    expect(source.finished).toEqual([])
    lookUp.end(1)
    for (const n of lookUp.started.filter((each) => each >= 100)) lookUp.end(n)
    await until(clock, () => lookUp.calls.length > 8)
    await clock.advance(100)
    expect(source.finished).toEqual([])
    // Its last value is the first of many that wait for room in the sink.
    lookUp.end(2)
    lookUp.open()
    await clock.advance(100)
    expect(lookUp.started.length).toBeLessThan(50)
    gate.open()
    await until(clock, () => source.finished.includes('parent'))
    expect(sink.requests.flat()).not.toContain(299)
    await ended(clock, job)
    expect(source.finished).toEqual(['parent', 'other'])
  })

  test.each(['filtered out', 'refused', 'abandoned by a rejection'])(
    'is announced also when its last values are %s',
    async (what) => {
      const clock = new VirtualClock()
      const source = new InMemorySource<number>({ splits: ['a', 'b'] })
      source.push('a', ...range(10))
      source.end()
      const deadLetters = new Letters()
      const job = stream(source)
        .mapAsync(async (n) => {
          await delay(clock, 50)
          if (what === 'abandoned by a rejection') throw new Error('no')
          return n
        })
        .filter(() => {
          if (what === 'refused') throw new Error('no')
          return false
        })
        .sinkTo(new InMemorySink<number>())
        .start(options(clock, { deadLetters }))
      await until(clock, () => job.status().state === 'running')
      await clock.advance(40)
      expect(source.finished).toEqual(['b'])
      expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
      expect(source.finished).toEqual(['b', 'a'])
      expect(deadLetters.stored).toHaveLength(what === 'filtered out' ? 0 : 10)
    },
  )

  test('is announced before a later barrier can pass, although other values wait for the sink', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', 1)
    source.end()
    const lookUp = new LookUp<number>()
    const gate = new Gate()
    gate.open()
    const sink = new InMemorySink<number>({
      maxBatchSize: 1,
      maxInFlightRequests: 1,
      maxBufferedRequests: 2,
      requestTimeoutMs: 1e9,
      onSubmit: ({ entries }) => (entries.includes(1) ? { allWritten: true } : gate.pass()),
    })
    const job = stream(source)
      .mapAsync(lookUp.call, { ordered: false })
      .flatMap((n) => (n === 1 ? [1] : range(5, 10)))
      .sinkTo(sink)
      .start(options(clock, { checkpoints: { storage, intervalMs: 100 } }))
    source.push('b', 2)
    await until(clock, () => lookUp.underWay.length === 2)
    // Both results go to the sink in one chunk: it takes the one of a and then blocks.
    gate.shut()
    lookUp.end(1)
    lookUp.end(2)
    await clock.flush()
    expect(source.finished).toEqual(['a'])
    gate.open()
    await ended(clock, job)
    expect(sink.stored).toEqual([1, ...range(5, 10)])
  })
})

async function pending(): Promise<{
  readonly clock: VirtualClock
  readonly job: Job
  readonly lookUp: LookUp<number>
  readonly sink: InMemorySink<number>
}> {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  source.push('0', ...range(500))
  const lookUp = new LookUp<number>()
  const sink = new InMemorySink<number>({ maxBufferedRequests: 1000 })
  const job = stream(source).mapAsync(lookUp.call, { concurrency: 4 }).sinkTo(sink).start(options(clock))
  await until(clock, () => lookUp.underWay.length === 4)
  return { clock, job, lookUp, sink }
}

describe('an ending', () => {
  test('by drain waits for what was emitted', async () => {
    const { clock, job, lookUp, sink } = await pending()
    const { emitted } = job.status()
    const drained = job.drain()
    await clock.advance(1000)
    expect(job.status()).toMatchObject({ emitted, unsettled: emitted })
    lookUp.open()
    expect(await settled(clock, drained)).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(lookUp.calls.every(({ signal }) => !signal.aborted)).toBe(true)
    expect(sink.stored).toEqual(range(emitted))
  })

  test('by drain abandons calls at its deadline', async () => {
    const { clock, job, lookUp, sink } = await pending()
    const { emitted } = job.status()
    expect(await settled(clock, job.drain(2000))).toMatchObject({ how: 'closed', unsettled: emitted })
    expect(lookUp.calls.map(({ signal }) => signal.aborted)).toEqual([true, true, true, true])
    expect(clock.pendingTimers).toBe(0)
    expect(sink.stored).toEqual([])
  })

  test('by close aborts the calls and ignores what they still give', async () => {
    const { clock, job, lookUp, sink } = await pending()
    const { emitted } = job.status()
    expect(await settled(clock, job.close())).toMatchObject({ how: 'closed', unsettled: emitted })
    for (const { signal } of lookUp.calls) expect(signal.reason).toMatchObject({ code: 'SLUICE_CLOSED' })
    lookUp.end(0)
    lookUp.fail(1, new Error('too late'))
    await clock.advance(1000)
    expect(lookUp.calls).toHaveLength(4)
    expect(sink.requests).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('gives a call that looks at its signal only then one that is aborted', async () => {
    const clock = new VirtualClock()
    const go = Promise.withResolvers<void>()
    const seen: boolean[] = []
    const job = stream(fromIterable([1]))
      .mapAsync(async (n, context) => {
        await go.promise
        seen.push(context.signal.aborted)
        return n
      })
      .sinkTo(new InMemorySink<number>())
      .start(options(clock))
    await until(clock, () => job.status().emitted === 1)
    await settled(clock, job.close())
    go.resolve()
    await clock.flush()
    expect(seen).toEqual([true])
  })
})

describe('a call that rejects or throws', () => {
  test.each([
    ['rejects', (n: number): Promise<number> => Promise.reject(new RangeError(`card ${n}`))],
    [
      'throws',
      (n: number): Promise<number> => {
        throw new RangeError(`card ${n}`)
      },
    ],
  ])('refuses its record with the stage, and the others go on (%s)', async (_, fail) => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(100))
    source.end()
    const deadLetters = new Letters()
    const sink = new InMemorySink<number>()
    const job = stream(source)
      .map((n) => n * 10)
      .mapAsync(async (n) => (n % 200 === 70 ? fail(n) : Promise.resolve(n)))
      .sinkTo(sink)
      .start(options(clock, { deadLetters }))
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(sink.stored).toEqual(
      range(100)
        .filter((n) => n % 20 !== 7)
        .map((n) => n * 10),
    )
    expect(deadLetters.positions).toEqual(['7', '27', '47', '67', '87'])
    expect(deadLetters.stored[0]).toMatchObject({
      stage: 'operator',
      sink: null,
      reason: { code: 'operatorThrew', message: 'RangeError in mapAsync #2: card 70' },
    })
  })

  test('fails a job without dead letters, and its words stay out of message and log', async () => {
    const clock = new VirtualClock()
    const { lines, logger } = recorder()
    const job = stream(fromIterable([1, 2]))
      .mapAsync(async (n) => (n === 2 ? Promise.reject(new RangeError('card 4111')) : Promise.resolve(n)))
      .sinkTo(new InMemorySink<number>())
      .start(options(clock, { logger, restart: RESTART }))
    const error = await failure(clock, job.done)
    expect(error).toMatchObject({
      code: 'SLUICE_RECORD_REFUSED',
      message:
        'a record was refused at operator (source iterable, split 0, position 1): operatorThrew: RangeError in mapAsync #1',
    })
    expect(error.cause).toBeInstanceOf(RangeError)
    expect(JSON.stringify(lines)).not.toContain('4111')
  })

  test('of one of several values of an input leaves the others, and the letters have ids of their own', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 10)
    source.end()
    const deadLetters = new Letters()
    const gate = new Gate()
    deadLetters.onDeliver = async () => void (await gate.pass())
    const sink = new InMemorySink<number>()
    const job = stream(source)
      .flatMap((n) => [n, n + 1, n + 2])
      .mapAsync(async (n) => (n === 11 ? Promise.resolve(n) : Promise.reject(new Error('no'))))
      .sinkTo(sink)
      .start(options(clock, { deadLetters }))
    await until(clock, () => sink.stored.length === 1, 100)
    expect(sink.stored).toEqual([11])
    await clock.advance(1000)
    expect(job.status()).toMatchObject({ unsettled: 1 })
    gate.open()
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(new Set(deadLetters.ids).size).toBe(2)
  })

  test('after it: a throw of a later operator has that stage', async () => {
    const clock = new VirtualClock()
    const deadLetters = new Letters()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const sink = new InMemorySink<number>()
    const job = stream(source)
      .mapAsync(async (n) => Promise.resolve(n))
      .map((n) => n)
      .flatMap((n) => {
        if (n === 2) throw new TypeError('two')
        return [n]
      })
      .sinkTo(sink)
      .start(options(clock, { deadLetters }))
    await ended(clock, job)
    expect(sink.stored).toEqual([1, 3])
    expect(deadLetters.stored[0]?.reason.message).toMatch(/^TypeError in flatMap #3/)
  })

  test('with a restartable SluiceError ends the attempt, and no record is charged', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(20))
    source.end()
    const deadLetters = new Letters()
    const sink = new InMemorySink<number>()
    let down = true
    const job = stream(source)
      .mapAsync(async (n) => {
        await delay(clock, 5)
        if (n === 7 && down) {
          down = false
          throw new SluiceError('SLUICE_DESTINATION_NOT_FOUND', 'no answer', { restartable: true })
        }
        return n
      })
      .sinkTo(sink)
      .start(options(clock, { deadLetters, restart: RESTART }))
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(job.status()).toMatchObject({ restarts: 1 })
    expect(deadLetters.tries).toEqual([])
    expect(distinct(sink.stored)).toEqual(range(20))
  })
})

describe('a call that does not end', () => {
  test('ends the attempt at its deadline, names the step, and no record is charged', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const deadLetters = new Letters()
    const lookUp = new LookUp<number>()
    const { lines, logger } = recorder()
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 1 })
    const job = stream(source)
      .map((n) => n)
      .mapAsync(lookUp.call, { timeoutMs: 5000 })
      .sinkTo(sink)
      .start(options(clock, { deadLetters, restart: RESTART, logger }))
    await until(clock, () => lookUp.underWay.length === 3)
    lookUp.end(1)
    await clock.advance(4999)
    expect(sink.stored).toEqual([1])
    expect(lookUp.calls.map(({ signal }) => signal.aborted)).toEqual([false, false, false])
    await clock.advance(1)
    expect(lookUp.calls.map(({ signal }) => signal.aborted)).toEqual([false, true, true])
    await until(clock, () => lookUp.calls.length === 6, 10)
    const failed = lines.map(({ fields }) => fields['err']).find((error) => SluiceError.isInstance(error))
    expect(failed).toMatchObject({
      code: 'SLUICE_DEADLINE_EXCEEDED',
      restartable: true,
      message: 'mapAsync #2: a call did not end within 5000 ms (timeoutMs)',
      facts: { stage: 'mapAsync #2', timeoutMs: 5000 },
    })
    lookUp.open()
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(sink.stored).toEqual([1, 1, 2, 3])
    expect(deadLetters.tries).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('has the whole time for itself, however long it waited to begin', async () => {
    const clock = new VirtualClock()
    const lookUp = new LookUp<number>()
    const sink = new InMemorySink<number>()
    const job = stream(fromIterable(range(5)))
      .mapAsync(lookUp.call, { timeoutMs: 1000, concurrency: 1 })
      .sinkTo(sink)
      .start(options(clock))
    for (const n of range(5)) {
      await until(clock, () => lookUp.underWay.length === 1)
      await clock.advance(900)
      lookUp.end(n)
    }
    await ended(clock, job)
    expect(sink.stored).toEqual(range(5))
  })

  test('is not counted from the beginning of an earlier one', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    const lookUp = new LookUp<number>()
    const job = stream(source)
      .mapAsync(lookUp.call, { timeoutMs: 1000 })
      .sinkTo(new InMemorySink<number>())
      .start(options(clock))
    source.push('0', 1)
    await until(clock, () => lookUp.underWay.length === 1)
    await clock.advance(500)
    source.push('0', 2)
    await until(clock, () => lookUp.underWay.length === 2)
    lookUp.end(1)
    await clock.advance(999)
    expect(job.status().state).toBe('running')
    expect(lookUp.underWay.map(({ signal }) => signal.aborted)).toEqual([false])
    await clock.advance(1)
    expect(await failure(clock, job.done)).toMatchObject({ code: 'SLUICE_DEADLINE_EXCEEDED' })
  })

  test('and then gives a value because it was aborted: the value goes nowhere', async () => {
    const clock = new VirtualClock()
    const sink = new InMemorySink<number>({ maxBatchSize: 1 })
    const job = stream(fromIterable([1, 2]))
      .mapAsync(
        (_n, { signal }) =>
          new Promise<number>((resolve) => {
            signal.addEventListener('abort', () => resolve(-1), { once: true })
          }),
        { timeoutMs: 1000 },
      )
      .sinkTo(sink)
      .start(options(clock))
    expect(await failure(clock, job.done)).toMatchObject({ code: 'SLUICE_DEADLINE_EXCEEDED' })
    await clock.advance(1000)
    expect(sink.requests).toEqual([])
  })

  test('is not overdue when its answer came in time, while the process was busy', async () => {
    const clock = new VirtualClock()
    const lookUp = new LookUp<number>()
    const job = stream(fromIterable([1]))
      .mapAsync(lookUp.call, { timeoutMs: 1000 })
      .sinkTo(new InMemorySink<number>())
      .start(options(clock))
    await until(clock, () => lookUp.underWay.length === 1)
    const startedAt = clock.now()
    const afterPoll = clock.afterPoll.bind(clock)
    clock.afterPoll = (callback) => {
      // The poll phase after the timer of the deadline brings the answer.
      if (clock.now() === startedAt + 1000 && lookUp.underWay.length === 1) lookUp.end(1)
      afterPoll(callback)
    }
    expect(await ended(clock, job)).toMatchObject({ how: 'finished' })
    expect(lookUp.underWay).toEqual([])
  })
})

describe('a restart', () => {
  test('reads again what was in calls, and late results of the old attempt change nothing', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const metrics = new MetricRegistry()
    const lookUp = new LookUp<number>()
    const sink = new InMemorySink<number>()
    let context: { fail(error: SluiceError): void } | undefined
    const createReader = source.createReader.bind(source)
    source.createReader = (given) => {
      context ??= given
      return createReader(given)
    }
    const job = stream(source)
      .mapAsync(lookUp.call, { ordered: false })
      .sinkTo(sink)
      .start(options(clock, { metrics, restart: RESTART }))
    await until(clock, () => lookUp.underWay.length === 3)
    context?.fail(new SluiceError('SLUICE_SOURCE_FAILED', 'cut', { restartable: true }))
    await until(clock, () => lookUp.calls.length === 6, 10)
    expect(lookUp.calls.slice(0, 3).map(({ signal }) => signal.aborted)).toEqual([true, true, true])
    const [one, two, three, ...again] = lookUp.calls
    one?.resolve(100)
    two?.reject(new Error('late'))
    three?.resolve(300)
    await clock.advance(5000)
    expect(sink.requests).toEqual([])
    expect(job.status()).toMatchObject({ state: 'running', unsettled: 3 })
    for (const { value, resolve } of again) resolve(value)
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(sink.stored).toEqual([1, 2, 3])
    expect(metrics.counter(JOB_METRICS.numLateSettlements, { job: 'test' }).value).toBe(0)
  })

  test('or a kill at any moment loses nothing, and repeats no more than was said', async () => {
    let kills = 0
    let killedInCalls = 0
    const plan = fc.record({
      count: fc.integer({ min: 20, max: 200 }),
      splits: fc.integer({ min: 1, max: 3 }),
      parallelism: fc.integer({ min: 1, max: 3 }),
      concurrency: fc.integer({ min: 1, max: 12 }),
      ordered: fc.boolean(),
      flat: fc.integer({ min: 0, max: 3 }),
      room: fc.integer({ min: 11, max: 60 }),
      intervalMs: fc.integer({ min: 10, max: 150 }),
      deaths: fc.array(fc.integer({ min: 1, max: 150 }), { maxLength: 4 }),
      seed: fc.integer(),
    })
    await fc.assert(
      fc.asyncProperty(plan, async (given) => {
        const clock = new VirtualClock()
        const random = seededRandom(given.seed)
        const storage = memoryCheckpoints()
        const splits = range(given.splits).map(String)
        const source = new InMemorySource<number>({ splits, maxBatchSize: 25 })
        for (const n of range(given.count)) source.push(`${n % given.splits}`, n)
        source.end()
        const sink = new InMemorySink<string>({ maxBufferedRequests: given.room })
        sink.onSubmit = async () => {
          await delay(clock, random() * 30)
          return random() < 0.1 ? { retryAll: { code: 'busy', message: 'later' } } : { allWritten: true }
        }
        let inCalls = 0
        const begin = (): Job =>
          stream(source)
            .keyBy((n) => n % given.splits)
            .mapAsync(
              async (n, { signal }) => {
                inCalls++
                await delay(clock, random() * 20, signal)
                inCalls--
                return n
              },
              { concurrency: given.concurrency, ordered: given.ordered },
            )
            .flatMap((n) => range(n % (given.flat + 1)).map((part) => `${n}/${part}`))
            .sinkTo(sink)
            .start(
              options(clock, {
                parallelism: given.parallelism,
                checkpoints: { storage, intervalMs: given.intervalMs },
              }),
            )
        let allowed = 0
        for (const afterMs of given.deaths) {
          const job = begin()
          await clock.advance(afterMs)
          if (job.status().state !== 'ended') {
            kills++
            if (inCalls > 0) killedInCalls++
            allowed += job.status().repeatIfKilledNow * Math.max(1, given.flat)
          }
          await settled(clock, job.close(), 10)
        }
        expect(await ended(clock, begin())).toMatchObject({ unsettled: 0 })
        const expected = range(given.count).flatMap((n) => range(n % (given.flat + 1)).map((part) => `${n}/${part}`))
        expect(new Set(sink.stored)).toEqual(new Set(expected))
        expect(sink.stored.length - expected.length).toBeLessThanOrEqual(allowed)
      }),
      { numRuns: 60 },
    )
    expect(kills).toBeGreaterThan(20)
    expect(killedInCalls).toBeGreaterThan(10)
  })
})
