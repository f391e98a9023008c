import { describe, expect, test } from 'vitest'
import {
  ALL_WRITTEN,
  type Job,
  type JobOptions,
  type ReleaseHow,
  type SourceReader,
  stream,
  type SubmitOutcome,
} from '../../src/index.ts'
import { ScriptedSource } from '../../src/testing.ts'
import {
  ended,
  Gate,
  InMemorySink,
  never,
  options,
  range,
  recorder,
  settled,
  sorted,
  spiedStorage,
  until,
  VirtualClock,
} from './harness.ts'
import { LookUp } from './look-up.ts'

type Shape = 'checkpoint' | 'external'

/** A source of split `a` with ten records, in batches of ten, and a sink whose requests of four wait for the gate, two at a time. */
function stand(positionAuthority: Shape = 'external', records = 10) {
  const clock = new VirtualClock()
  const source = new ScriptedSource<number>({ splits: ['a'], positionAuthority })
  source.log.push('a', range(records))
  const gate = new Gate()
  const sink = new InMemorySink<number>({ onSubmit: gate.pass, maxBatchSize: 4 })
  const storage = spiedStorage()
  const start = (given: Partial<JobOptions> = {}): Job =>
    stream(source)
      .sinkTo(sink)
      .start(options(clock, { ...given, checkpoints: { storage, ...given.checkpoints } }))
  return { clock, source, sink, gate, storage, start }
}

function positions(json: string | undefined): unknown {
  const { sources } = JSON.parse(json ?? '{}') as { sources: Record<string, { splits: unknown[]; enumerator: object }> }
  const { splits = [], enumerator } = sources['scripted'] ?? {}
  return [...splits, ...(enumerator as { released: unknown[] }).released]
}

describe('a release of a split, with four records in each of two requests and two in the buffer', () => {
  test('revoked: awaits the requests, and gives back what was not sent', async () => {
    const { clock, source, sink, gate, start } = stand()
    const job = start()
    await until(clock, () => gate.waiting === 2)
    const released = source.release(['a'], 'revoked', 5000)
    await clock.advance(1000)
    expect(source.commits).toEqual([])
    gate.open()
    expect(await settled(clock, released, 10)).toEqual([{ splitId: 'a', next: 8 }])
    expect(source.committed('a')).toBe(8)
    expect(sink.stored).toEqual(range(8))
    await settled(clock, job.close())
  })

  test.each([
    ['first', [0, 4]],
    ['second', [1, 0]],
  ])(
    'revoked, at the deadline with an answer to the %s request only: lies before the other',
    async (_, [nth, next]) => {
      const { clock, source, sink, start } = stand()
      const answers: (() => void)[] = []
      sink.onSubmit = () => new Promise((resolve) => void answers.push(() => resolve(ALL_WRITTEN)))
      const job = start()
      await until(clock, () => answers.length === 2)
      const released = source.release(['a'], 'revoked', 5000)
      answers[nth ?? 0]?.()
      expect(await settled(clock, released, 10)).toEqual([{ splitId: 'a', next }])
      expect(clock.now()).toBeLessThanOrEqual(5000)
      await settled(clock, job.close())
    },
  )

  test('drained: all that was emitted is written first', async () => {
    const { clock, source, sink, gate, start } = stand()
    const job = start()
    await until(clock, () => gate.waiting === 2)
    gate.open()
    expect(await settled(clock, source.release(['a'], 'drained', 5000), 10)).toEqual([{ splitId: 'a', next: 10 }])
    // The two in the buffer were not left to their age.
    expect(clock.now()).toBeLessThan(500)
    expect(sink.stored).toEqual(range(10))
    expect(source.committed('a')).toBe(10)
    await settled(clock, job.close())
  })

  test('lost: nothing is awaited, nothing acknowledged', async () => {
    const { clock, source, gate, start } = stand()
    const job = start()
    await until(clock, () => gate.waiting === 2)
    gate.one()
    await until(clock, () => job.status().unsettled === 6)
    const before = clock.now()
    expect(await settled(clock, source.release(['a'], 'lost', 5000), 0)).toEqual([{ splitId: 'a', next: 4 }])
    expect(clock.now()).toBe(before)
    expect(source.commits).toEqual([])
    await settled(clock, job.close())
  })

  test.each<ReleaseHow>(['revoked', 'drained'])('%s with deadline 0: acknowledges what is settled now', async (how) => {
    const { clock, source, gate, start } = stand()
    const job = start()
    await until(clock, () => gate.waiting === 2)
    gate.one()
    await until(clock, () => job.status().unsettled === 6)
    expect(await settled(clock, source.release(['a'], how, 0), 0)).toEqual([{ splitId: 'a', next: 4 }])
    await until(clock, () => source.committed('a') === 4)
    await settled(clock, job.close())
  })

  test('to be retried: is returned, not sent again', async () => {
    const { clock, source, sink, start } = stand()
    const answers: ((outcome: SubmitOutcome) => void)[] = []
    sink.onSubmit = () => new Promise((resolve) => void answers.push(resolve))
    const job = start()
    await until(clock, () => answers.length === 2)
    answers[0]?.({ retryAll: { code: 'Busy', message: 'later' }, afterMs: 100_000 })
    await clock.flush()
    const released = source.release(['a'], 'revoked', 5000)
    answers[1]?.({ retryAll: { code: 'Busy', message: 'later' }, afterMs: 100_000 })
    expect(await settled(clock, released, 0)).toEqual([{ splitId: 'a', next: 0 }])
    expect(job.status()).toMatchObject({ unsettled: 0, sinks: { memory: { returned: 10, inHand: 0 } } })
    expect(sink.requests).toHaveLength(2)
    await settled(clock, job.close())
  })

  test.each<ReleaseHow>(['revoked', 'lost'])(
    'is one release, however often it is asked for; the second time %s',
    async (how) => {
      const { clock, source, gate, start } = stand()
      const job = start()
      await until(clock, () => gate.waiting === 2)
      const first = source.release(['a'], 'revoked', 5000)
      const second = source.release(['a', 'a'], how, 4000)
      if (how === 'revoked') {
        gate.one()
        gate.one()
      }
      expect(await settled(clock, Promise.all([first, second]), 0)).toEqual([
        [{ splitId: 'a', next: how === 'revoked' ? 8 : 0 }],
        [],
      ])
      expect(source.committed('a')).toBe(how === 'revoked' ? 8 : 0)
      gate.open()
      await settled(clock, job.close())
    },
  )

  test('of a split that nobody has gives nothing', async () => {
    const { clock, source, start } = stand()
    const job = start()
    await until(clock, () => job.status().emitted === 10)
    expect(await settled(clock, source.release(['nobody'], 'drained', 5000), 0)).toEqual([])
    await settled(clock, job.close())
  })

  test.each(['reject', 'hang'] as const)('ends in time when the commit does: %s', async (command) => {
    const { clock, source, gate, start } = stand()
    const { lines, logger } = recorder()
    source.nextCommit(command)
    gate.open()
    const job = start({ logger })
    await until(clock, () => job.status().emitted === 10)
    const askedAt = clock.now()
    expect(await settled(clock, source.release(['a'], 'revoked', 2000), 10)).toEqual([{ splitId: 'a', next: 8 }])
    expect(clock.now() - askedAt).toBeLessThanOrEqual(2000)
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    await settled(clock, job.close())
  })
})

describe('checkpoints and releases', () => {
  test.each<Shape>(['checkpoint', 'external'])(
    'an open one is given up, and none begins until the split is in no hand (authority: %s)',
    async (shape) => {
      const { clock, source, gate, storage, start } = stand(shape)
      const job = start({ checkpoints: { intervalMs: 100 } })
      await until(clock, () => gate.waiting === 2)
      await until(clock, () => job.status().checkpoints?.open !== undefined, 10)
      const open = job.status().checkpoints?.open?.id
      const released = source.release(['a'], 'revoked', 5000)
      await clock.advance(1000)
      expect(job.status().checkpoints?.open).toBeUndefined()
      const before = job.status().checkpoints?.completed ?? 0
      gate.open()
      expect(await settled(clock, released, 10)).toEqual([{ splitId: 'a', next: 8 }])
      await until(clock, () => (job.status().checkpoints?.completed ?? 0) > before, 10)
      expect(job.status().checkpoints).toMatchObject({ failed: 0 })
      expect(storage.stored.map(({ id }) => id)).not.toContain(open)
      expect(positions(storage.stored.at(-1)?.json)).toEqual([{ splitId: 'a', next: 8 }])
      expect(source.committed('a') ?? 8).toBe(8)
      await settled(clock, job.close())
    },
  )

  test('a store under way goes on, and does not take the acknowledged position back', async () => {
    const { clock, source, gate, storage, start } = stand('external')
    gate.open()
    const job = start({ checkpoints: { intervalMs: 50 } })
    await until(clock, () => job.status().unsettled === 2)
    const store = Promise.withResolvers<void>()
    storage.onStore = () => store.promise
    gate.shut()
    await until(clock, () => job.status().checkpoints?.open !== undefined, 10)
    gate.open()
    await until(clock, () => job.status().unsettled === 0, 10)
    source.log.push('a', range(4, 10))
    await until(clock, () => job.status().emitted === 14)
    expect(await settled(clock, source.release(['a'], 'drained', 500), 10)).toEqual([{ splitId: 'a', next: 14 }])
    expect(source.committed('a')).toBe(14)
    store.resolve()
    await clock.advance(200)
    expect(source.committed('a')).toBe(14)
    await settled(clock, job.close())
  })

  test('the final one waits for a release: it has the split where it may go on', async () => {
    const { clock, source, gate, storage, start } = stand('checkpoint')
    const job = start()
    await until(clock, () => gate.waiting === 2)
    const released = source.release(['a'], 'revoked', 5000)
    const drained = job.drain(60_000)
    await clock.advance(1000)
    gate.open()
    expect(await settled(clock, released, 10)).toEqual([{ splitId: 'a', next: 8 }])
    expect(await settled(clock, drained, 10)).toMatchObject({ how: 'drained', unsettled: 0 })
    expect(positions(storage.stored.at(-1)?.json)).toEqual([{ splitId: 'a', next: 8 }])
  })

  test('a release that the end of the job overtakes ends with it', async () => {
    const { clock, source, gate, start } = stand('external')
    const job = start({ restartGraceMs: 100 })
    await until(clock, () => gate.waiting === 2)
    const released = source.release(['a'], 'drained', 1_000_000)
    await settled(clock, job.close(), 10)
    expect(await settled(clock, released, 0)).toEqual([{ splitId: 'a', next: 0 }])
    expect(clock.now()).toBeLessThan(1000)
    expect(source.committed('a')).toBe(0)
  })
})

/** A bench whose reader releases splits in its own way. */
const broken = (releaseSplits: SourceReader<number, { splitId: string }>['releaseSplits']) => {
  const bench = stand('checkpoint')
  const createReader = bench.source.createReader.bind(bench.source)
  bench.source.createReader = (context) => Object.assign(createReader(context), { releaseSplits })
  bench.gate.open()
  return bench
}

describe('a reader that does not keep its word', () => {
  test('and hangs in a release does not hold it up beyond the deadline', async () => {
    const { clock, source, start } = broken(() => never())
    const job = start()
    await until(clock, () => job.status().emitted === 10)
    expect(await settled(clock, source.release(['a'], 'drained', 500), 10)).toEqual([{ splitId: 'a', next: 10 }])
    expect(clock.now()).toBeLessThanOrEqual(510)
    await settled(clock, job.close())
  })

  test('and fails in a release fails the job; nothing is stored any more', async () => {
    const { clock, source, storage, start } = broken(() => Promise.reject(new Error('socket is gone')))
    const job = start()
    const done = job.done.catch((error: unknown) => error)
    await until(clock, () => job.status().emitted === 10)
    const { length } = storage.stored
    expect(await settled(clock, source.release(['a'], 'drained', 500), 10)).toEqual([])
    expect(await settled(clock, done)).toMatchObject({
      code: 'SLUICE_SOURCE_FAILED',
      message: expect.stringContaining('socket is gone') as string,
    })
    expect(storage.stored).toHaveLength(length)
  })
})

describe('several sinks', () => {
  test('a chunk that one has taken and for which the other is full goes back from both', async () => {
    const { clock, source } = stand('external', 0)
    source.log.push('a', range(10))
    const slow = new Gate()
    const sinks = [
      new InMemorySink<number>({ uid: 'quick', maxBatchSize: 1, maxInFlightRequests: 20 }),
      new InMemorySink<number>({
        uid: 'slow',
        maxBatchSize: 2,
        maxInFlightRequests: 1,
        maxBufferedRequests: 4,
        onSubmit: slow.pass,
      }),
    ] as const
    const job = stream(source).sinkTo(sinks[0]).sinkTo(sinks[1]).start(options(clock))
    await until(clock, () => sinks[0].stored.length === 10 && slow.waiting === 1)
    const released = source.release(['a'], 'revoked', 1000)
    slow.open()
    expect(await settled(clock, released, 0)).toEqual([{ splitId: 'a', next: 2 }])
    expect(job.status()).toMatchObject({ unsettled: 0 })
    source.assign([{ splitId: 'a', next: 2 }])
    source.log.end()
    await ended(clock, job)
    expect(sorted(new Set(sinks[1].stored))).toEqual(range(10))
  })
})

describe('a split in a mapAsync', () => {
  test('gives back what is to be called, under way and waiting for its turn', async () => {
    const { clock, source, sink, gate } = stand()
    gate.open()
    const lookUp = new LookUp<number>()
    const job = stream(source)
      .mapAsync(lookUp.call, { concurrency: 3, ordered: true })
      .sinkTo(sink)
      .start(options(clock))
    await until(clock, () => lookUp.underWay.length === 3)
    // 1 waits for 0; 3 is called.
    lookUp.end(1)
    await until(clock, () => lookUp.underWay.length === 3)
    const released = await settled(clock, source.release(['a'], 'revoked', 1000), 0)
    expect(released).toEqual([{ splitId: 'a', next: 0 }])
    expect(lookUp.underWay.every(({ signal }) => signal.aborted)).toBe(true)
    expect([job.status().unsettled, sink.requests.length]).toEqual([0, 0])
    expect(lookUp.started).toEqual([0, 1, 2, 3])
    // Those that are given up late change nothing.
    lookUp.open()
    source.assign(released)
    source.log.end()
    await ended(clock, job)
    expect(sink.stored).toEqual(range(10))
  })

  test('does not announce its end while its values go back; the next reader does', async () => {
    const { clock, source } = stand()
    const finished: string[] = []
    const createEnumerator = source.createEnumerator.bind(source)
    source.createEnumerator = (...given) => ({
      ...createEnumerator(...given),
      splitFinished: (splitId) => void finished.push(splitId),
    })
    source.log.endSplit('a')
    const gate = new Gate()
    const sink = new InMemorySink<number>({
      maxBatchSize: 2,
      maxInFlightRequests: 1,
      maxBufferedRequests: 4,
      onSubmit: gate.pass,
    })
    const job = stream(source)
      .mapAsync((value) => Promise.resolve(value), { concurrency: 20 })
      .sinkTo(sink)
      .start(options(clock))
    await until(clock, () => job.status().emitted === 10 && gate.waiting === 1)
    const released = source.release(['a'], 'revoked', 1000)
    await clock.flush()
    gate.open()
    const splits = await settled(clock, released, 0)
    expect(splits).toEqual([{ splitId: 'a', next: 2 }])
    expect(finished).toEqual([])
    source.assign(splits)
    await until(clock, () => finished.length > 0, 10)
    expect(finished).toEqual(['a'])
    await until(clock, () => job.status().unsettled === 0, 100)
    expect(sorted(sink.stored)).toEqual(range(10))
    await settled(clock, job.close())
  })
})

test('a refused record whose dead letter is not confirmed is not acknowledged', async () => {
  const { clock, source, sink, gate } = stand()
  gate.open()
  const letter = Promise.withResolvers<void>()
  const job = stream(source)
    .map((value) => {
      if (value === 3) throw new Error('poison')
      return value
    })
    .sinkTo(sink)
    .start(options(clock, { deadLetters: { deliver: () => letter.promise } }))
  await until(clock, () => job.status().emitted === 10)
  const released = source.release(['a'], 'drained', 2000)
  expect(await settled(clock, released, 100)).toEqual([{ splitId: 'a', next: 3 }])
  letter.resolve()
  await clock.flush()
  expect(source.committed('a')).toBe(3)
  await settled(clock, job.close())
})

test('splits that are taken back before reading begins come as they were assigned, and no checkpoint is without them', async () => {
  const { clock, source, gate, storage, start } = stand('checkpoint')
  gate.open()
  const createEnumerator = source.createEnumerator.bind(source)
  let taken: unknown
  source.createEnumerator = (...given) => {
    const inner = createEnumerator(...given)
    return {
      ...inner,
      start: async () => {
        await inner.start()
        taken = await source.release(['a'], 'revoked', 0)
      },
    }
  }
  const job = start()
  await until(clock, () => job.status().state === 'running', 1)
  expect(taken).toEqual([{ splitId: 'a', next: 0 }])
  expect(positions(storage.stored[0]?.json)).toEqual([{ splitId: 'a', next: 0 }])
  await clock.advance(100)
  expect(job.status().emitted).toBe(0)
  source.assign([{ splitId: 'a', next: 0 }])
  await until(clock, () => job.status().emitted === 10)
  await settled(clock, job.close())
})
