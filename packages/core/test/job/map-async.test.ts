import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromIterable, orderKeyOf, stream, type Stream } from '../../src/index.ts'
import { seededRandom } from '../../src/testing.ts'
import {
  ended,
  Gate,
  InMemorySink,
  InMemorySource,
  options,
  range,
  settled,
  sorted,
  until,
  VirtualClock,
} from './harness.ts'
import { LookUp } from './look-up.ts'
import { type NotingSink, noting } from './noting-sink.ts'

/** A sink that never holds anything back. */
function wide<T>(): InMemorySink<T> {
  return new InMemorySink<T>({ maxBatchSize: 1000, maxBufferedRequests: 100_000, maxTimeInBufferMS: 1 })
}

function after<T>(clock: VirtualClock, delayMs: number, value: T): Promise<T> {
  return new Promise((resolve) => void clock.after(delayMs, () => resolve(value)))
}

type Kind = 'map' | 'filter' | 'flatMap' | 'keyBy' | 'mapAsync' | 'unordered'

const STEPS = fc.array(fc.constantFrom<Kind>('map', 'filter', 'flatMap', 'keyBy', 'mapAsync', 'unordered'), {
  minLength: 1,
  maxLength: 6,
})

const CONDITIONS = fc.record({
  count: fc.integer({ min: 0, max: 150 }),
  concurrency: fc.integer({ min: 1, max: 20 }),
  sinks: fc.integer({ min: 1, max: 2 }),
  most: fc.integer({ min: 10, max: 200 }),
  seed: fc.integer(),
})

interface Keyed {
  readonly value: number
  readonly key: number | undefined
}

const spread = (n: number): number[] => range(n % 3, n * 2)

/** What the steps make of the inputs, in their order. */
function reference(kinds: readonly Kind[], inputs: readonly number[]): Keyed[] {
  let values: Keyed[] = inputs.map((value) => ({ value, key: undefined }))
  for (const kind of kinds) {
    if (kind === 'map') values = values.map(({ value, key }) => ({ value: value + 1, key }))
    else if (kind === 'filter') values = values.filter(({ value }) => value % 3 !== 0)
    else if (kind === 'flatMap') {
      values = values.flatMap(({ value, key }) => spread(value).map((each) => ({ value: each, key })))
    } else if (kind === 'keyBy') values = values.map(({ value }) => ({ value, key: orderKeyOf(value % 5) }))
  }
  return values
}

async function runRandom(
  given: readonly Kind[],
  { count, concurrency, sinks, most, seed }: typeof CONDITIONS extends fc.Arbitrary<infer Value> ? Value : never,
): Promise<void> {
  const clock = new VirtualClock()
  const random = seededRandom(seed)
  // Later keys would be refused after a step that loses the order.
  const lost = given.indexOf('unordered')
  const kinds = given.filter((kind, index) => kind !== 'keyBy' || lost === -1 || index < lost)
  let pipeline: Stream<number> = stream(fromIterable(range(count), { maxBatchSize: 37 }))
  for (const kind of kinds) {
    if (kind === 'map') pipeline = pipeline.map((n) => n + 1)
    else if (kind === 'filter') pipeline = pipeline.filter((n) => n % 3 !== 0)
    else if (kind === 'flatMap') pipeline = pipeline.flatMap(spread)
    else if (kind === 'keyBy') pipeline = pipeline.keyBy((n) => n % 5)
    else {
      const call = (n: number): Promise<number> =>
        random() < 0.3 ? Promise.resolve(n) : after(clock, random() * 30, n)
      pipeline = pipeline.mapAsync(call, { concurrency, ordered: kind === 'mapAsync' })
    }
  }
  const stores: NotingSink[] = range(sinks).map((index) =>
    noting(
      () => Math.floor(random() * (most + 1)),
      () => after(clock, random() * 20, undefined),
      `store-${index}`,
    ),
  )
  const [first, ...others] = stores
  if (first === undefined) throw new Error('no store')
  let sinked = pipeline.sinkTo(first)
  for (const store of others) sinked = sinked.sinkTo(store)
  const job = sinked.start(options(clock, { checkpoints: { intervalMs: 50 } }))
  expect(await ended(clock, job)).toMatchObject({ how: 'finished', unsettled: 0 })
  // Where order is lost, that of one key is not, and a stable sort shows it.
  const canonical = (values: readonly Keyed[]): readonly Keyed[] =>
    lost === -1 ? values : values.toSorted((a, b) => (a.key ?? a.value) - (b.key ?? b.value))
  const expected = canonical(reference(kinds, range(count)))
  for (const { taken } of stores) {
    const got = taken.map(({ value, key }) => ({ value: value as number, key }))
    expect(canonical(got)).toEqual(expected)
  }
}

function* endless(): Generator<number> {
  for (let n = 0; n < 3_000_000; n++) yield n
  throw new Error('read without bound')
}

describe('results of mapAsync go on', () => {
  test('in the order of their inputs, whatever the order in which the calls end', async () => {
    const clock = new VirtualClock()
    const sink = wide<number>()
    const random = seededRandom(1)
    const finished: number[] = []
    const job = stream(fromIterable(range(1000)))
      .mapAsync(async (n) => {
        await after(clock, 1 + random() * 50, undefined)
        finished.push(n)
        return n * 10
      })
      .sinkTo(sink)
      .start(options(clock))
    expect(await ended(clock, job)).toEqual({ how: 'finished', unsettled: 0, unsettledBySplit: {} })
    expect(sink.stored).toEqual(range(1000).map((n) => n * 10))
    expect(finished).not.toEqual(range(1000))
  })

  test('as they come without ordered', async () => {
    const clock = new VirtualClock()
    const sink = wide<number>()
    const lookUp = new LookUp<number>()
    const job = stream(fromIterable(range(4)))
      .mapAsync(lookUp.call, { ordered: false })
      .sinkTo(sink)
      .start(options(clock))
    await until(clock, () => lookUp.underWay.length === 4)
    for (const [index, n] of [2, 0, 3, 1].entries()) {
      lookUp.end(n)
      await until(clock, () => sink.stored.length === index + 1, 10)
    }
    await ended(clock, job)
    expect(sink.stored).toEqual([2, 0, 3, 1])
  })

  test('without ordered still in order for one key of a keyBy before', async () => {
    const clock = new VirtualClock()
    const sink = wide<number>()
    const lookUp = new LookUp<number>()
    const job = stream(fromIterable(range(6)))
      .keyBy((n) => n % 2)
      .mapAsync(lookUp.call, { ordered: false })
      .sinkTo(sink)
      .start(options(clock))
    await until(clock, () => lookUp.underWay.length === 6)
    lookUp.end(5)
    lookUp.end(2)
    await clock.advance(100)
    expect(sink.stored).toEqual([])
    lookUp.end(1)
    await clock.advance(100)
    expect(sink.stored).toEqual([1])
    lookUp.end(3)
    await clock.advance(100)
    expect(sink.stored).toEqual([1, 3, 5])
    lookUp.end(0)
    await clock.advance(100)
    expect(sink.stored).toEqual([1, 3, 5, 0, 2])
    lookUp.end(4)
    await ended(clock, job)
  })

  test('to any operator, and to a second mapAsync', async () => {
    const clock = new VirtualClock()
    const sink = noting()
    const random = seededRandom(2)
    const pause = <T>(value: T): Promise<T> => after(clock, random() * 20, value)
    const job = stream(fromIterable(range(300)))
      .filter((n) => n % 3 !== 0)
      .mapAsync((n) => pause(n * 2), { concurrency: 7 })
      .flatMap((n) => [n, -n])
      .map((n) => n + 1)
      .keyBy((n) => n)
      .flatMap((n) => [n, n + 0.5])
      .mapAsync((n) => pause(n), { concurrency: 3 })
      .map((n) => `${n}`)
      .sinkTo(sink)
      .start(options(clock))
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    const expected = range(300).flatMap((n) =>
      n % 3 === 0
        ? []
        : [n * 2 + 1, -n * 2 + 1].flatMap((m) => [
            { value: `${m}`, key: orderKeyOf(m) },
            { value: `${m + 0.5}`, key: orderKeyOf(m) },
          ]),
    )
    expect(sink.taken.map(({ value, key }) => ({ value, key }))).toEqual(expected)
  })

  test('also when a function returns what is no promise', async () => {
    const clock = new VirtualClock()
    const sink = wide<number>()
    const job = stream(fromIterable([1, 2]))
      .mapAsync(((n: number) => n + 1) as never)
      .sinkTo(sink)
      .start(options(clock))
    await ended(clock, job)
    expect(sink.stored).toEqual([2, 3])
  })
})

describe('calls under way', () => {
  test.each([
    [1, 1],
    [5, 1],
    [5, 3],
    [2, 4],
  ])(
    'are never more than concurrency %i, and no fewer while there is input (parallelism %i)',
    async (concurrency, parallelism) => {
      const clock = new VirtualClock()
      const splits = ['a', 'b', 'c', 'd']
      const source = new InMemorySource<number>({ splits, maxBatchSize: 30 })
      for (const [index, splitId] of splits.entries()) source.push(splitId, ...range(50, index * 50))
      source.end()
      const sink = wide<number>()
      const lookUp = new LookUp<number>()
      const random = seededRandom(concurrency)
      const job = stream(source)
        .mapAsync(lookUp.call, { concurrency, ordered: false })
        .sinkTo(sink)
        .start(options(clock, { parallelism }))
      for (let done = 0; done < 200; done++) {
        await until(clock, () => lookUp.underWay.length === Math.min(concurrency, 200 - done))
        const call = lookUp.underWay[Math.floor(random() * lookUp.underWay.length)]
        lookUp.end(call?.value ?? Number.NaN)
      }
      await ended(clock, job)
      expect(lookUp.mostUnderWay).toBe(concurrency)
      expect(sorted(sink.stored)).toEqual(range(200))
    },
  )

  test('are shared fairly by the fetch loops', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', ...range(100))
    source.push('b', ...range(100, 1000))
    const lookUp = new LookUp<number>()
    const job = stream(source)
      .mapAsync(lookUp.call, { concurrency: 4 })
      .sinkTo(wide<number>())
      .start(options(clock, { parallelism: 2 }))
    await until(clock, () => lookUp.underWay.length === 4)
    for (let done = 0; done < 40; done++) {
      lookUp.end(lookUp.underWay[0]?.value ?? Number.NaN)
      await clock.flush()
    }
    const ofA = lookUp.started.filter((n) => n < 100).length
    expect(ofA).toBeGreaterThan(15)
    expect(lookUp.started.length - ofA).toBeGreaterThan(15)
    await settled(clock, job.close())
  })

  test('end while the results wait for an earlier one: at most as many again', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(1000))
    const lookUp = new LookUp<number>()
    const sink = wide<number>()
    const job = stream(source).mapAsync(lookUp.call, { concurrency: 8 }).sinkTo(sink).start(options(clock))
    await until(clock, () => lookUp.underWay.length === 8)
    while (lookUp.underWay.length > 1) {
      for (const { value, resolve } of lookUp.underWay) if (value > 0) resolve(value)
      await clock.flush()
    }
    expect(lookUp.started).toEqual(range(16))
    expect(sink.stored).toEqual([])
    lookUp.end(0)
    await until(clock, () => sink.stored.length === 16, 10)
    expect(lookUp.started).toEqual(range(24))
    await settled(clock, job.close())
  })

  test('are no longer made when the sink takes nothing more, and again when it does', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(5000))
    source.end()
    const lookUp = new LookUp<number>()
    lookUp.opened = true
    const gate = new Gate()
    const sink = new InMemorySink<number>({
      onSubmit: gate.pass,
      maxBatchSize: 5,
      maxInFlightRequests: 1,
      maxBufferedRequests: 10,
      requestTimeoutMs: 1e9,
    })
    const job = stream(source).mapAsync(lookUp.call, { concurrency: 8 }).sinkTo(sink).start(options(clock))
    await clock.advance(10_000)
    const held = lookUp.calls.length
    // 15 at the sink, and 8 + 8 on the way to it.
    expect(held).toBeGreaterThan(16)
    expect(held).toBeLessThanOrEqual(15 + 16)
    expect(job.status().emitted).toBeLessThanOrEqual(512)
    await clock.advance(10_000)
    expect(lookUp.calls.length).toBe(held)
    gate.open()
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(sink.stored).toEqual(range(5000))
  })

  test('begin in the order of the inputs', async () => {
    const clock = new VirtualClock()
    const lookUp = new LookUp<number>()
    const job = stream(fromIterable(range(100)))
      .mapAsync(lookUp.call, { concurrency: 9, ordered: false })
      .sinkTo(wide<number>())
      .start(options(clock))
    const random = seededRandom(5)
    while (lookUp.calls.length < 100 || lookUp.underWay.length > 0) {
      const { underWay } = lookUp
      underWay[Math.floor(random() * underWay.length)]?.resolve(0)
      await clock.flush()
    }
    expect(lookUp.started).toEqual(range(100))
    await ended(clock, job)
  })
})

describe('mapAsync', () => {
  test('leaves no timer behind', async () => {
    const clock = new VirtualClock()
    const job = stream(fromIterable(range(100)))
      .mapAsync((n) => after(clock, 5, n))
      .sinkTo(wide<number>())
      .start(options(clock))
    await ended(clock, job)
    expect(clock.pendingTimers).toBe(0)
  })

  test('settles each input once, in each sink', async () => {
    const clock = new VirtualClock()
    const a = wide<number>()
    const b = new InMemorySink<number>({ uid: 'b', maxBatchSize: 3, maxInFlightRequests: 1, maxBufferedRequests: 7 })
    const job = stream(fromIterable(range(500)))
      .flatMap((n) => range(n % 4, n * 10))
      .mapAsync((n) => after(clock, n % 7, n))
      .flatMap((n) => range(n % 3, n * 10))
      .sinkTo(a)
      .sinkTo(b)
      .start(options(clock))
    // A token that is settled too often is a RangeError, which ends the job.
    expect(await ended(clock, job)).toMatchObject({ how: 'finished', unsettled: 0 })
    const expected = range(500)
      .flatMap((n) => range(n % 4, n * 10))
      .flatMap((n) => range(n % 3, n * 10))
    expect(a.stored).toEqual(expected)
    expect(b.stored).toEqual(expected)
    expect(job.status()).toMatchObject({ emitted: 500, unsettled: 0, repeatIfKilledNow: 0 })
  })

  test('whose calls end at once leaves the event loop its turns', async () => {
    const job = stream(fromIterable(endless()))
      .mapAsync(async (n) => Promise.resolve(n))
      .sinkTo(wide<number>())
      .start({ name: 'busy' })
    // Real time: each tick needs the timer phase to be reached.
    for (let tick = 0; tick < 5; tick++) {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 1)
      })
    }
    expect(await job.drain()).toMatchObject({ how: 'drained', unsettled: 0 })
  })

  test('does in a random pipeline what synchronous operators would', async () => {
    await fc.assert(fc.asyncProperty(STEPS, CONDITIONS, runRandom), { numRuns: 200 })
  })

  test('refuses options that make no sense, all at once', () => {
    const source = stream(fromIterable([1]))
    const bad = { concurrency: 0, ordered: 'yes', timeoutMs: Number.POSITIVE_INFINITY, timeout: 5 }
    expect(() => source.mapAsync(async (n) => Promise.resolve(n), bad as never)).toThrow(
      /mapAsync: 4 invalid option\(s\):[^]*unknown option 'timeout'[^]*concurrency must be an integer from 1 to 65536, got 0[^]*ordered must be a boolean[^]*timeoutMs must be an integer/,
    )
    expect(() => source.mapAsync(5 as never)).toThrow('mapAsync() needs a function, got number')
  })
})
