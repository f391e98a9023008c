import { describe, expect, test } from 'vitest'
import {
  type DeadLetter,
  exponentialDelayRestart,
  fixedDelayRestart,
  type Job,
  JOB_METRICS,
  memoryCheckpoints,
  stream,
} from '../../src/index.ts'
import {
  ALL_WRITTEN,
  distinct,
  ended,
  failure,
  Gate,
  InMemorySink,
  InMemorySource,
  never,
  options,
  range,
  recorder,
  start,
  until,
  VirtualClock,
} from '../job/harness.ts'
import { content, Letters } from './harness.ts'

const refuse = (
  code: string,
  message = 'no',
): { readonly kind: 'refuse'; readonly reason: { code: string; message: string } } => ({
  kind: 'refuse',
  reason: { code, message },
})

/** A store that refuses these values for themselves. */
function refusing<T>(bad: (value: T) => boolean, uid = 'memory'): InMemorySink<T> {
  return new InMemorySink<T>({
    uid,
    onSubmit: ({ entries }) => ({
      entries: entries.map((entry) => (bad(entry) ? refuse('outOfRange', 'too old') : { kind: 'written' })),
    }),
  })
}

const convertAllButTwo = (value: number): number[] => {
  if (value === 2) throw new TypeError('two')
  return [value]
}

describe('a refused record', () => {
  test('of decode becomes a letter, and the others are written', async () => {
    const clock = new VirtualClock(Date.UTC(2026, 10, 22))
    const source = new InMemorySource<string>({ splits: ['b'] })
    source.push('b', 'good')
    source.pushUndecodable('b', 'garbage')
    source.push('b', 'fine')
    source.end()
    const sink = new InMemorySink<string>()
    const deadLetters = new Letters()
    const job = start(source, sink, clock, { deadLetters })
    expect(await ended(clock, job)).toMatchObject({ how: 'finished', unsettled: 0 })
    expect(sink.stored).toEqual(['good', 'fine'])
    expect(deadLetters.stored).toEqual([
      {
        v: 1,
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        job: 'test',
        sink: null,
        stage: 'decode',
        reason: { code: 'decodeThrew', message: 'SyntaxError: not decodable' },
        origin: { source: 'memory', split: 'b', position: '1', key: 'b' },
        raw: Buffer.from('"garbage"').toString('base64'),
        attempts: 0,
        firstFailedAt: '2026-11-22T00:00:00.000Z',
      },
    ] satisfies DeadLetter[])
  })

  test('of an operator says which, and what was thrown', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<string>()
    source.push('0', '1', 'x', '3')
    source.end()
    const sink = new InMemorySink<number>()
    const deadLetters = new Letters()
    const job = stream(source)
      .map((text) => JSON.parse(text) as number)
      .sinkTo(sink)
      .start(options(clock, { deadLetters }))
    await ended(clock, job)
    expect(sink.stored).toEqual([1, 3])
    expect(deadLetters.stored).toMatchObject([{ stage: 'operator', sink: null, origin: { position: '1' } }])
    expect(deadLetters.stored[0]?.reason.code).toBe('operatorThrew')
    expect(deadLetters.stored[0]?.reason.message).toMatch(/^SyntaxError in map #1: .*x/)
  })

  test('of a converter names the sink', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const sink = new InMemorySink<number>({ uid: 'store', convert: convertAllButTwo })
    const deadLetters = new Letters()
    await ended(clock, start(source, sink, clock, { deadLetters }))
    expect(sink.stored).toEqual([1, 3])
    expect(deadLetters.stored).toMatchObject([
      { stage: 'convert', sink: 'store', reason: { code: 'convertThrew', message: 'two' }, attempts: 0 },
    ])
    expect(content(deadLetters.stored[0] as DeadLetter)).toBe('2')
  })

  test('of a store has the entry, and is acknowledged after the letter', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const sink = refusing<number>((value) => value === 2)
    const deadLetters = new Letters()
    const gate = new Gate()
    deadLetters.onDeliver = async () => void (await gate.pass())
    const job = start(source, sink, clock, { deadLetters })
    await until(clock, () => gate.waiting === 1, 100)
    await clock.advance(1000)
    expect(job.status()).toMatchObject({ unsettled: 1, deadLetters: { delivered: 0, pending: 1, errors: 0 } })
    expect(job.status().sinks['memory']).toMatchObject({ written: 2, deadLettered: 0, inHand: 1 })
    expect(source.acknowledged).toEqual([1])
    gate.open()
    await ended(clock, job)
    expect(job.status().deadLetters).toEqual({ delivered: 1, pending: 0, errors: 0 })
    expect(job.status().sinks['memory']).toMatchObject({ written: 2, deadLettered: 1, inHand: 0 })
    expect(source.acknowledged).toEqual([1, 2])
    expect(deadLetters.stored).toMatchObject([{ stage: 'store', sink: 'memory', entry: 2, attempts: 1 }])
    expect(deadLetters).toMatchObject({ opened: 1, closed: 1 })
  })

  test('is found by halving when the store does not name it, and only it becomes a letter', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(10))
    source.end()
    const sink = new InMemorySink<number>({
      onSubmit: ({ entries }) => (entries.includes(7) ? { isolate: { code: 'bad', message: 'no' } } : ALL_WRITTEN),
    })
    const deadLetters = new Letters()
    await ended(clock, start(source, sink, clock, { deadLetters }))
    expect(deadLetters.stored.map(({ entry }) => entry)).toEqual([7])
    expect(distinct(sink.stored)).toEqual(range(10).filter((value) => value !== 7))
  })

  test('of one entry among many of its input leaves the others written', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2)
    source.end()
    const sink = refusing<string>((entry) => entry === '2c')
    const deadLetters = new Letters()
    const job = stream(source)
      .flatMap((value) => ['a', 'b', 'c'].map((letter) => `${value}${letter}`))
      .sinkTo(sink)
      .start(options(clock, { deadLetters }))
    await ended(clock, job)
    expect(sink.stored).toEqual(['1a', '1b', '1c', '2a', '2b'])
    expect(deadLetters.stored).toMatchObject([{ entry: '2c', origin: { position: '1' } }])
  })

  test('in several sinks becomes a letter of each, where each sink wants it', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2)
    source.end()
    const [ofJob, ofB] = [new Letters(), new Letters()]
    const job = stream(source)
      .sinkTo(refusing<number>((value) => value === 2, 'a'))
      .sinkTo(
        refusing<number>((value) => value === 2, 'b'),
        { deadLetters: ofB },
      )
      .start(options(clock, { deadLetters: ofJob, maxDeadLetterRatio: 0.001 }))
    await ended(clock, job)
    expect(ofJob.stored).toMatchObject([{ sink: 'a' }])
    expect(ofB.stored).toMatchObject([{ sink: 'b' }])
    expect(ofB.ids).not.toEqual(ofJob.ids)
    expect([ofJob.opened, ofJob.closed, ofB.opened, ofB.closed]).toEqual([1, 1, 1, 1])
  })

  test('of a sink without dead letters ends the job although another has some', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 2)
    const deadLetters = new Letters()
    const job = stream(source)
      .sinkTo(new InMemorySink<number>({ uid: 'a' }), { deadLetters })
      .sinkTo(refusing<number>(() => true, 'b'))
      .start(options(clock))
    expect(await failure(clock, job.done)).toMatchObject({ code: 'SLUICE_RECORD_REFUSED', facts: { sink: 'b' } })
    expect(deadLetters.stored).toEqual([])
  })

  test('without raw bytes, value or entry fails the job: a letter would lose it', async () => {
    const clock = new VirtualClock()
    const source = withoutRaw(new InMemorySource<string>())
    source.pushUndecodable('0', 'x')
    const deadLetters = new Letters()
    const job = start(source, new InMemorySink<string>(), clock, { deadLetters })
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_RECORD_REFUSED',
      message: expect.stringContaining('no dead letter can be made'),
    })
    expect(deadLetters.tries).toEqual([])
  })

  test('without raw bytes is delivered with its entry', async () => {
    const clock = new VirtualClock()
    const source = withoutRaw(new InMemorySource<number>())
    source.push('0', 1, 2)
    source.end()
    const deadLetters = new Letters()
    await ended(
      clock,
      start(
        source,
        refusing<number>(() => true),
        clock,
        { deadLetters },
      ),
    )
    expect(deadLetters.stored).toMatchObject([
      { raw: null, entry: 1, origin: { split: '0', position: null } },
      { raw: null, entry: 2 },
    ])
    expect(new Set(deadLetters.ids).size).toBe(2)
  })

  test.each([
    ['a bigint', 10n, '10'],
    ['a function', () => 1, '[function]'],
    ['not a number', Number.NaN, 'NaN'],
    ['bytes', new Uint8Array([1, 2]), { base64: 'AQI=', bytes: 2 }],
  ])('is delivered although its entry is %s', async (_what, entry, shown) => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    source.end()
    const deadLetters = new Letters()
    const sink = new InMemorySink<unknown>({ convert: () => [entry], onSubmit: () => ({ entries: [refuse('bad')] }) })
    await ended(clock, stream(source).sinkTo(sink).start(options(clock, { deadLetters })))
    expect(deadLetters.stored).toMatchObject([{ entry: shown }])
  })
})

/** A source of values that have no raw form. */
function withoutRaw<T>(source: InMemorySource<T>): InMemorySource<T> {
  const createReader = source.createReader.bind(source)
  source.createReader = (context) => {
    const reader = createReader(context)
    const poll = reader.poll.bind(reader)
    return Object.assign(reader, {
      poll: () => {
        const batch = poll()
        return batch === undefined ? undefined : Object.assign(batch, { raw: () => undefined })
      },
    })
  }
  return source
}

interface Run {
  readonly letters: Letters
  readonly sink: InMemorySink<string>
}

/** Dead letters are confirmed, then the process dies before a checkpoint; everything is read again by the next. */
async function killedThenRepeated(sink: InMemorySink<string>): Promise<Run> {
  const letters = new Letters()
  const storage = memoryCheckpoints()
  const source = new InMemorySource<number>({ splits: ['a', 'b'] })
  source.push('a', 1, 2)
  source.push('b', 1, 2)
  const run = async (expected: number): Promise<Job> => {
    const clock = new VirtualClock()
    const job = stream(source)
      .flatMap((value) => [`${value}x`, `${value}y`, `${value}x`, `${value}z`])
      .sinkTo(sink)
      .start(options(clock, { deadLetters: letters, checkpoints: { storage } }))
    await until(clock, () => letters.stored.length === expected, 100)
    return job
  }
  // Never drained nor closed: a killed process says nothing.
  await run(16)
  await run(32)
  return { letters, sink }
}

const byEntry = (part: readonly DeadLetter[]): string[] =>
  part.map(({ id, entry, origin }) => `${origin.split} ${String(entry)} ${id}`).toSorted()

describe('the id of a letter', () => {
  test('is the same when the process was killed after the delivery, for every entry of every input', async () => {
    const { letters } = await killedThenRepeated(refusing<string>(() => true))
    const [first, second] = [letters.ids.slice(0, 16), letters.ids.slice(16)]
    expect(new Set(first).size).toBe(16)
    expect(second.toSorted()).toEqual(first.toSorted())
  })

  test('does not depend on the order in which the store refuses, nor on what it says', async () => {
    let tries = 0
    const sink = new InMemorySink<string>({
      maxBatchSize: 4,
      onSubmit: ({ entries }) => ({
        entries: entries.map((entry) =>
          // In the first run x is refused at once and the rest later, in the second run the other way round.
          (tries++ < 32 ? entry.endsWith('x') : !entry.endsWith('x')) || tries % 7 === 0
            ? refuse(`reason ${tries}`)
            : { kind: 'retry', reason: { code: 'later', message: 'later' } },
        ),
      }),
    })
    const { letters } = await killedThenRepeated(sink)
    expect(byEntry(letters.stored.slice(16))).toEqual(byEntry(letters.stored.slice(0, 16)))
    expect(letters.stored.slice(16).map(({ entry }) => entry)).not.toEqual(
      letters.stored.slice(0, 16).map(({ entry }) => entry),
    )
  })

  test('differs between jobs, sources, splits, positions and sinks', async () => {
    const ids: string[] = []
    for (const [name, uid, split, before, sink] of [
      ['job', 'source', 'a', 0, 'sink'],
      ['other', 'source', 'a', 0, 'sink'],
      ['job', 'other', 'a', 0, 'sink'],
      ['job', 'source', 'b', 0, 'sink'],
      ['job', 'source', 'a', 1, 'sink'],
      ['job', 'source', 'a', 0, 'other'],
    ] as const) {
      const clock = new VirtualClock()
      const source = new InMemorySource<number>({ uid, splits: ['a', 'b'] })
      source.push(split, ...range(before), 5)
      source.end()
      const deadLetters = new Letters()
      await ended(
        clock,
        start(
          source,
          refusing<number>((value) => value === 5, sink),
          clock,
          { name, deadLetters },
        ),
      )
      ids.push(...deadLetters.ids)
    }
    expect(new Set(ids).size).toBe(6)
  })
})

async function failing(given: { readonly onDeliver: Letters['onDeliver']; readonly retry?: object }): Promise<{
  readonly letters: Letters
  readonly job: Job
  readonly source: InMemorySource<number>
  readonly clock: VirtualClock
  readonly lines: ReturnType<typeof recorder>['lines']
}> {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  source.push('0', ...range(6))
  source.end()
  const letters = new Letters()
  letters.onDeliver = given.onDeliver
  const { lines, logger } = recorder()
  const job = start(
    source,
    refusing<number>((value) => value % 2 === 1),
    clock,
    {
      logger,
      deadLetters: letters,
      restartGraceMs: 10,
      deadLetterRetry: { maxAttempts: 4, timeoutMs: 1000, initialDelayMs: 100, maxDelayMs: 250, ...given.retry },
    },
  )
  return { letters, job, source, clock, lines }
}

describe('dead letters that fail', () => {
  test('are tried again with growing delays until they take the letter', async () => {
    const at: number[] = []
    let fails = 3
    const { letters, job, clock } = await failing({
      onDeliver: ({ entry }) => {
        if (entry !== 1) return
        at.push(clock.now())
        if (fails-- > 0) throw new Error('busy')
      },
    })
    await ended(clock, job)
    expect(letters.stored).toHaveLength(3)
    const waits = at.slice(1).map((time, index) => time - (at[index] ?? 0))
    for (const [index, longest] of [100, 200, 250].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(longest / 2)
      expect(waits[index]).toBeLessThanOrEqual(longest)
    }
    expect(letters.tries.filter(({ letter }) => letter.entry === 1).map(({ context }) => context.attempt)).toEqual([
      1, 2, 3, 4,
    ])
    expect(job.status().deadLetters).toMatchObject({ delivered: 3, errors: 3, lastError: 'busy' })
    expect(job.metrics.group({ job: 'test' }).counter(JOB_METRICS.numDeadLetterErrors).value).toBe(3)
    expect(job.metrics.group({ job: 'test' }).counter(JOB_METRICS.numDeadLetters, { stage: 'store' }).value).toBe(3)
  })

  test('fail the job beyond their budget: restartable, naming option and reason, and nothing is acknowledged', async () => {
    const { job, source, clock, letters } = await failing({
      onDeliver: ({ entry }) => {
        if (entry === 3) throw new Error('disk full')
      },
    })
    const error = await failure(clock, job.done)
    expect(error).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      restartable: true,
      message:
        'a dead letter could not be delivered: 4 tries (deadLetterRetry.maxAttempts), the last ended with: disk full',
      facts: { stage: 'store', sink: 'memory', source: 'memory', split: '0', position: '3', tries: 4 },
    })
    expect(source.acknowledged).toEqual([1])
    expect(letters.stored.map(({ entry }) => entry)).not.toContain(3)
    expect(letters.closed).toBe(1)
  })

  test('that do not answer fail at their deadline, and the request is given up', async () => {
    const { job, letters, clock } = await failing({ onDeliver: () => never() })
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: expect.stringContaining('no answer within 1000 ms (deadLetterRetry.timeoutMs)'),
    })
    expect(letters.tries).toHaveLength(12)
    expect(letters.tries.every(({ context }) => context.signal.aborted)).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  test('are tried again by the next attempt of the job', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const letters = new Letters()
    letters.onDeliver = () => {
      if (clock.now() < 5000) throw new Error('down')
    }
    const job = start(
      source,
      refusing<number>((value) => value === 2),
      clock,
      {
        deadLetters: letters,
        deadLetterRetry: { maxAttempts: 2 },
        restart: fixedDelayRestart({ attempts: 100, delayMs: 1000 }),
      },
    )
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(job.status().restarts).toBeGreaterThan(1)
    expect(letters.positions).toEqual(['1'])
    expect(letters.closed).toBe(1)
  })

  test('that confirm after the attempt has ended settle nothing', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const letters = new Letters()
    const gate = new Gate()
    letters.onDeliver = async () => void (await gate.pass())
    const sink = refusing<number>(() => true)
    const job = start(source, sink, clock, { deadLetters: letters, restartGraceMs: 10 })
    await until(clock, () => gate.waiting === 1, 100)
    void job.close()
    const end = await ended(clock, job)
    expect(end).toMatchObject({ how: 'closed', unsettled: 1 })
    gate.open()
    await clock.advance(1000)
    expect(source.acknowledged).toEqual([1])
    expect(job.status().sinks['memory']).toMatchObject({ deadLettered: 0, abandoned: 1, inHand: 0 })
  })

  test('are not tried again after the attempt has ended', async () => {
    const { job, letters, clock } = await failing({
      onDeliver: () => {
        throw new Error('busy')
      },
      retry: { maxAttempts: 1000 },
    })
    await until(clock, () => letters.tries.length >= 6, 50)
    void job.close()
    await ended(clock, job)
    const tries = letters.tries.length
    await clock.advance(60_000)
    expect(letters.tries).toHaveLength(tries)
    expect(clock.pendingTimers).toBe(0)
  })

  test('tell the log that they fail and what to turn, once, without content', async () => {
    const { job, lines, clock } = await failing({
      onDeliver: () => {
        throw new Error('busy')
      },
    })
    await failure(clock, job.done)
    expect(lines.filter(({ message }) => message.includes('Option: deadLetterRetry'))).toHaveLength(1)
    expect(lines.filter(({ message }) => message.startsWith('A record was refused'))).toMatchObject([
      { level: 'warn', fields: { sink: 'memory', stage: 'store', reason: 'outOfRange', split: '0', position: '1' } },
    ])
  })

  test('that throw from hasten do not hold the job up', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    source.end()
    const letters = Object.assign(new Letters(), {
      hasten: () => {
        throw new Error('hasten')
      },
    })
    await ended(
      clock,
      start(
        source,
        refusing<number>(() => true),
        clock,
        { deadLetters: letters },
      ),
    )
    expect(letters.stored).toHaveLength(1)
  })

  test('that cannot be opened fail the job before anything is read', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const letters = Object.assign(new Letters(), { open: () => Promise.reject(new Error('read-only')) })
    const job = start(source, new InMemorySink<number>(), clock, {
      deadLetters: letters,
      restart: exponentialDelayRestart(),
    })
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: 'dead letters cannot be opened: read-only',
    })
    expect(source.fetched).toBe(0)
  })

  test('whose opening hangs fail the job at the deadline', async () => {
    const clock = new VirtualClock()
    const letters = Object.assign(new Letters(), { open: () => never() })
    const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, { deadLetters: letters })
    expect(await failure(clock, job.done, 1000)).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: expect.stringContaining('no answer within 30000 ms'),
    })
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('dead letters with a buffer', () => {
  /** Confirms when it is hastened, and by itself only after an hour. */
  class Buffered extends Letters {
    readonly #waiting: (() => void)[] = []

    constructor(clock: VirtualClock) {
      super()
      this.onDeliver = () =>
        new Promise((resolve) => {
          this.#waiting.push(resolve)
          clock.after(3_600_000, resolve)
        })
    }

    override hasten(): void {
      super.hasten()
      for (const resolve of this.#waiting.splice(0)) resolve()
    }
  }

  test('are hastened by a checkpoint', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    const letters = new Buffered(clock)
    const job = start(
      source,
      refusing<number>((value) => value === 2),
      clock,
      {
        deadLetters: letters,
        deadLetterRetry: { timeoutMs: 10_000_000 },
        checkpoints: { intervalMs: 60_000 },
      },
    )
    await until(clock, () => letters.tries.length === 1, 100)
    await clock.advance(10_000)
    expect(letters.stored).toEqual([])
    await until(clock, () => source.acknowledged.length === 2, 1000)
    expect(clock.now()).toBeLessThan(70_000)
    expect(letters.positions).toEqual(['1'])
    await job.close()
  })

  test('are hastened also for a refusal that comes after the barrier', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    source.end()
    const letters = new Buffered(clock)
    const sink = new InMemorySink<number>({
      onSubmit: async () => {
        await new Promise<void>((resolve) => {
          clock.after(5000, resolve)
        })
        return { entries: [refuse('bad')] }
      },
    })
    const job = start(source, sink, clock, { deadLetters: letters, deadLetterRetry: { timeoutMs: 10_000_000 } })
    await ended(clock, job)
    expect(letters.stored).toHaveLength(1)
    expect(clock.now()).toBeLessThan(10_000)
  })
})

test('no more than 64 letters are under way, whatever is refused', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<string>()
  for (const value of range(400)) source.pushUndecodable('0', `bad ${value}`)
  source.end()
  const letters = new Letters()
  let [underWay, most] = [0, 0]
  letters.onDeliver = async () => {
    most = Math.max(most, ++underWay)
    await new Promise<void>((resolve) => {
      clock.after(50, resolve)
    })
    underWay--
  }
  await ended(clock, start(source, new InMemorySink<string>(), clock, { deadLetters: letters }))
  expect(letters.stored).toHaveLength(400)
  expect(most).toBe(64)
})
