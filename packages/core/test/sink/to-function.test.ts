import { describe, expect, test } from 'vitest'

import {
  MetricRegistry,
  silentLogger,
  type SinkWriter,
  type SluiceError,
  SPI_VERSION,
  toFunction,
  type ToFunctionOptions,
} from '../../src/index.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'
import { FakeSettlement } from './harness.ts'

interface Started {
  readonly clock: VirtualClock
  readonly settlement: FakeSettlement
  readonly writer: SinkWriter<string>
  /** The fields of each warning. */
  readonly warnings: readonly object[]
  readonly offer: (...values: readonly string[]) => number
}

async function start(fn: Parameters<typeof toFunction<string>>[0], options?: ToFunctionOptions): Promise<Started> {
  const clock = new VirtualClock()
  const settlement = new FakeSettlement()
  const warnings: object[] = []
  const writer = await toFunction(fn, options).createWriter({
    sinkUid: 'function',
    logger: { ...silentLogger, warn: (fields) => void warnings.push(fields) },
    metrics: new MetricRegistry(),
    clock,
    random: () => 0,
    settlement,
    requestCheckpoint: () => {},
    fail: (error: SluiceError) => {
      throw error
    },
  })
  return {
    clock,
    settlement,
    writer,
    warnings,
    offer: (...values) =>
      writer.write(
        {
          values,
          tokens: Float64Array.from(values, () => settlement.token()),
          byteLengths: new Uint32Array(values.length),
        },
        0,
        values.length,
      ),
  }
}

const fn = (): Promise<void> => Promise.resolve()

describe('toFunction', () => {
  test('says what it is', () => {
    expect(toFunction(fn)).toMatchObject({ uid: 'function', repeats: 'duplicated', spiVersion: SPI_VERSION })
    expect(toFunction(fn, { uid: 'rows' }).uid).toBe('rows')
  })

  test('calls with batches, one at a time, and settles when the call resolves', async () => {
    const calls: { readonly values: readonly string[]; readonly done: PromiseWithResolvers<void> }[] = []
    const { clock, settlement, offer } = await start(
      (values) => {
        const done = Promise.withResolvers<void>()
        calls.push({ values: [...values], done })
        return done.promise
      },
      { maxBatchSize: 2 },
    )
    offer('a', 'b', 'c', 'd')
    await clock.advance(5000)
    expect(calls.map(({ values }) => values)).toEqual([['a', 'b']])
    expect(settlement.settled).toEqual([])
    calls[0]?.done.resolve()
    await clock.flush()
    expect(settlement.settled).toEqual([0, 1])
    expect(calls.map(({ values }) => values)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
  })

  test('a rejected call is repeated with the same values, and never isolated', async () => {
    const calls: (readonly string[])[] = []
    const { clock, settlement, writer, offer } = await start(
      (values, { attempt }) => {
        calls.push([...values])
        return attempt < 3 ? Promise.reject(new Error('locked')) : Promise.resolve()
      },
      { maxBatchSize: 2 },
    )
    offer('a', 'b')
    await clock.flush()
    expect(writer.status().oldest?.reason).toBe('to be retried, functionRejected: locked')
    await clock.advance(10_000)
    expect(calls).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ])
    expect(settlement.refusals).toEqual([])
    expect(writer.status()).toMatchObject({ written: 2, inHand: 0 })
  })

  test('partial batches go after a second', async () => {
    const calls: (readonly string[])[] = []
    const { clock, offer } = await start((values) => {
      calls.push([...values])
      return Promise.resolve()
    })
    offer('a')
    await clock.advance(999)
    expect(calls).toEqual([])
    await clock.advance(1)
    expect(calls).toEqual([['a']])
  })

  test('a rejection is told at once and then once a minute, with the option that bounds the repeats', async () => {
    const { clock, offer, warnings } = await start(() => Promise.reject(new Error('db down')))
    offer('a')
    await clock.advance(1000)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatchObject({ sink: 'function', err: { message: 'db down' }, attempt: 1 })
    await clock.advance(50_000)
    expect(warnings).toHaveLength(1)
    await clock.advance(30_000)
    expect(warnings).toHaveLength(2)
  })

  test('a function that consumes or sorts its list changes nothing for the engine', async () => {
    const stored: string[] = []
    const { clock, offer, settlement, writer } = await start((values) => {
      const own = values as string[]
      own.sort().reverse()
      while (own.length > 0) stored.push(...own.splice(0, 3))
      return Promise.resolve()
    })
    offer(...Array.from({ length: 100 }, (_, index) => `v${index}`))
    await clock.advance(1000)
    expect(stored).toHaveLength(100)
    expect(writer.status()).toMatchObject({ written: 100, inHand: 0 })
    expect(settlement.settled).toHaveLength(100)
  })

  test('every problem of the options is reported at once', () => {
    const options = { uid: '', maxBatchSize: 2000, batchSize: 5, retry: { maxAttempts: 0 } }
    expect(() => toFunction('insert' as never, options as ToFunctionOptions)).toThrow(
      [
        'toFunction: 5 invalid option(s):',
        "unknown option 'batchSize'",
        "fn must be a function, got 'insert' (string)",
        "uid must be a non-empty string, got '' (string)",
        'maxBufferedRequests must be greater than maxBatchSize, got 1000 and 2000',
        'retry: maxAttempts must be an integer from 1 up, got 0 (number)',
      ].join('\n  - '),
    )
  })

  test('an option that is undefined has its default', () => {
    const options = { uid: undefined, maxBatchSize: undefined } as unknown as ToFunctionOptions
    expect(toFunction(() => Promise.resolve(), options).uid).toBe('function')
  })
})
