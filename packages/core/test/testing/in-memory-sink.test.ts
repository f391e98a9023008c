import { describe, expect, test } from 'vitest'

import { MetricRegistry, silentLogger, type SinkWriter, type SluiceError } from '../../src/index.ts'
import { InMemorySink } from '../../src/testing/in-memory-sink.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'
import { FakeSettlement, reason } from '../sink/harness.ts'

function open(sink: InMemorySink<string>): {
  readonly clock: VirtualClock
  readonly writer: SinkWriter<string>
  readonly offer: (...values: readonly string[]) => number
} {
  const clock = new VirtualClock()
  const settlement = new FakeSettlement()
  const writer = sink.createWriter({
    sinkUid: sink.uid,
    logger: silentLogger,
    metrics: new MetricRegistry(),
    clock,
    random: () => 0,
    settlement,
    requestCheckpoint: () => {},
    fail: (error: SluiceError) => {
      throw error
    },
  })
  const offer = (...values: readonly string[]): number => {
    const tokens = Float64Array.from(values, () => settlement.token())
    return writer.write({ values, tokens, byteLengths: new Uint32Array(values.length) }, 0, values.length)
  }
  return { clock, writer, offer }
}

describe('InMemorySink', () => {
  test('stores what it is sent', async () => {
    const sink = new InMemorySink<string>({ maxBatchSize: 2 })
    const { clock, offer } = open(sink)
    offer('a', 'b', 'c')
    await clock.advance(1000)
    expect(sink.stored).toEqual(['a', 'b', 'c'])
    expect(sink.requests).toEqual([['a', 'b'], ['c']])
  })

  test('stores exactly what the engine takes for written', async () => {
    const sink = new InMemorySink<string>({ maxBatchSize: 3 })
    const { clock, writer, offer } = open(sink)
    const answers = [
      { entries: [{ kind: 'written' }, { kind: 'retry', reason: reason('busy') }, { kind: 'duplicate' }] } as const,
      { allWritten: true } as const,
    ]
    sink.onSubmit = () => answers.shift() ?? { allWritten: true }
    offer('a', 'b', 'c')
    await clock.advance(1000)
    expect(sink.stored).toEqual(['a', 'b'])
    expect(writer.status()).toMatchObject({ written: 2, duplicate: 1, inHand: 0 })
  })

  test('stores nothing of a request that it refuses to confirm', async () => {
    const sink = new InMemorySink<string>({ maxBatchSize: 1, onSubmit: () => ({ retryAll: reason('busy') }) })
    const { clock, offer } = open(sink)
    offer('a')
    await clock.flush()
    expect(sink.stored).toEqual([])
    expect(sink.requests).toEqual([['a']])
  })

  test('outlives its writers, and converts as it is told', async () => {
    const sink = new InMemorySink<string>({ uid: 'store', maxBatchSize: 2, convert: (value) => [value, `${value}!`] })
    for (const value of ['a', 'b']) {
      const { clock, writer, offer } = open(sink)
      offer(value)
      await clock.flush()
      await writer.close(0)
    }
    expect(sink.uid).toBe('store')
    expect(sink.stored).toEqual(['a', 'a!', 'b', 'b!'])
  })

  test('an option that is undefined has its default', () => {
    const options = { maxBatchSize: undefined, uid: undefined } as unknown as { readonly uid: string }
    expect(open(new InMemorySink<string>(options)).offer('a')).toBe(1)
  })
})
