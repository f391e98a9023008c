import { describe, expect, test } from 'vitest'
import { fromIterable, orderKeyOf, stream } from '../../src/index.ts'
import { Letters } from '../dead-letters/harness.ts'
import { ended, failure, InMemorySink, InMemorySource, options, range, VirtualClock } from './harness.ts'
import { noting } from './noting-sink.ts'

describe('keyBy', () => {
  test.each([
    ['at once', Number.POSITIVE_INFINITY],
    ['in parts', 7],
  ])('gives every value its key, also where a sink takes a chunk %s', async (_, most) => {
    const clock = new VirtualClock()
    const sink = noting(() => most)
    const job = stream(fromIterable(range(3000)))
      .filter((n) => n % 3 > 0)
      .keyBy((n) => `host-${n % 10}`)
      .flatMap((n) => (n % 2 === 0 ? [n, n + 0.5] : [n]))
      .map((n) => ({ n }))
      .sinkTo(sink)
      .start(options(clock))
    expect(await ended(clock, job)).toMatchObject({ how: 'finished', unsettled: 0 })
    expect(sink.keyed).toBe(true)
    const inputs = range(3000).filter((n) => n % 3 > 0)
    expect(sink.taken).toEqual(
      inputs.flatMap((n) => {
        const key = orderKeyOf(`host-${n % 10}`)
        return [
          { value: { n }, key, byteLength: 1 },
          ...(n % 2 === 0 ? [{ value: { n: n + 0.5 }, key, byteLength: 0 }] : []),
        ]
      }),
    )
  })

  test('twice: the last one wins', async () => {
    const clock = new VirtualClock()
    const sink = noting()
    await ended(
      clock,
      stream(fromIterable(range(10)))
        .keyBy(() => 'one for all')
        .keyBy((n) => n)
        .sinkTo(sink)
        .start(options(clock)),
    )
    expect(sink.taken.map(({ key }) => key)).toEqual(range(10).map(orderKeyOf))
  })

  test('not used: there are no keys', async () => {
    const clock = new VirtualClock()
    const sink = noting()
    await ended(
      clock,
      stream(fromIterable(range(10)))
        .sinkTo(sink)
        .start(options(clock)),
    )
    expect(sink.keyed).toBe(false)
    expect(sink.taken.map(({ key }) => key)).toEqual(range(10).map(() => undefined))
  })

  test('without a usable key refuses the record and names the step', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const sink = noting()
    const deadLetters = new Letters()
    const job = stream(source)
      .map((n) => ({ n, host: n === 2 ? undefined : 'a' }))
      .keyBy(({ host }) => host as string)
      .map(({ n }) => n)
      .sinkTo(sink)
      .start(options(clock, { deadLetters }))
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(sink.taken.map(({ value }) => value)).toEqual([1, 3])
    expect(deadLetters.stored).toMatchObject([
      {
        stage: 'operator',
        origin: { position: '1' },
        reason: { code: 'orderKeyInvalid', message: 'keyBy #2 must return a string or a finite number, got undefined' },
      },
    ])
  })

  test('that throws fails a job without dead letters, with its stage', async () => {
    const clock = new VirtualClock()
    const job = stream(fromIterable([{ host: 'a' }, null]))
      .keyBy((record) => (record as { host: string }).host)
      .sinkTo(noting())
      .start(options(clock))
    expect((await failure(clock, job.done)).message).toMatch(/position 1\): operatorThrew: TypeError in keyBy #1$/)
  })

  test('makes the keys by which a sink keeps its order', async () => {
    const clock = new VirtualClock()
    const sink = new InMemorySink<{ host: string; n: number }>({ maxBatchSize: 10, maxBufferedRequests: 100 })
    let sent = 0
    // Requests end in an order of their own, and each is refused once.
    sink.onSubmit = async (_batch, { attempt }) => {
      const delayMs = [70, 10, 40, 20][sent++ % 4] ?? 0
      await new Promise<void>((resolve) => void clock.after(delayMs, resolve))
      return attempt === 1 ? { retryAll: { code: 'busy', message: 'later' } } : { allWritten: true }
    }
    const records = range(400).map((n) => ({ host: `host-${n % 7}`, n }))
    const job = stream(fromIterable(records))
      .keyBy(({ host }) => host)
      .sinkTo(sink)
      .start(options(clock))
    await ended(clock, job)
    for (const host of new Set(records.map((record) => record.host))) {
      const of = ({ host: other }: { host: string }): boolean => other === host
      expect(sink.stored.filter(of)).toEqual(records.filter(of))
    }
  })

  test('after a mapAsync that loses the order is refused when the pipeline is built', () => {
    const unordered = stream(fromIterable([1]))
      .map((n) => n)
      .mapAsync(async (n) => Promise.resolve(n), { ordered: false })
    expect(() => unordered.map((n) => n).keyBy((n) => n)).toThrow(
      expect.objectContaining({
        code: 'SLUICE_OPTIONS_INVALID',
        message:
          'keyBy #4 comes after mapAsync #2 with ordered: false, which has lost the order of the values: put keyBy before it, or use ordered: true',
      }) as Error,
    )
    stream(fromIterable([1]))
      .mapAsync(async (n) => Promise.resolve(n))
      .keyBy((n) => n)
  })
})
