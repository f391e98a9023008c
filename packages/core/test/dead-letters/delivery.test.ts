import { describe, expect, test } from 'vitest'
import { type DeadLetter, stream } from '../../src/index.ts'
import {
  ALL_WRITTEN,
  distinct,
  ended,
  failure,
  Gate,
  InMemorySink,
  InMemorySource,
  options,
  range,
  start,
  until,
  VirtualClock,
} from '../job/harness.ts'
import { content, Letters, refuse, refusing } from './harness.ts'

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
