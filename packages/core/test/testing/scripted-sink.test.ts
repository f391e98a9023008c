import { describe, expect, test } from 'vitest'

import { MetricRegistry, silentLogger, type SinkWriter, type SluiceError } from '../../src/index.ts'
import { ScriptedSink } from '../../src/testing/scripted-sink.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'
import { FakeSettlement } from '../sink/harness.ts'

function open(sink: ScriptedSink<string, string>): {
  readonly clock: VirtualClock
  readonly settlement: FakeSettlement
  readonly failures: readonly SluiceError[]
  readonly writer: SinkWriter<string>
  readonly offer: (...values: readonly string[]) => number
} {
  const clock = new VirtualClock()
  const settlement = new FakeSettlement()
  const failures: SluiceError[] = []
  const writer = sink.createWriter({
    sinkUid: sink.uid,
    logger: silentLogger,
    metrics: new MetricRegistry(),
    clock,
    random: () => 0,
    settlement,
    requestCheckpoint: () => {},
    fail: (error) => void failures.push(error),
  })
  const offer = (...values: readonly string[]): number => {
    const tokens = Float64Array.from(values, () => settlement.token())
    return writer.write({ values, tokens, byteLengths: new Uint32Array(values.length) }, 0, values.length)
  }
  return { clock, settlement, failures, writer, offer }
}

describe('ScriptedSink', () => {
  test.each(['unavailable', 'throttled', 'cutBeforeApply', 'meaningless', 'short', 'threw', 'throwsAtOnce'] as const)(
    'stores everything in the end after %s',
    async (command) => {
      const sink = new ScriptedSink<string, string>({ convert: (value) => [value], maxBatchSize: 2 })
      const { clock, writer, offer } = open(sink)
      sink.store.next(command)
      offer('a', 'b', 'c')
      await clock.advance(10_000)
      expect([...sink.store.held].sort()).toEqual(['a', 'b', 'c'])
      expect(writer.status()).toMatchObject({ written: 3, inHand: 0 })
    },
  )

  test('what was applied before the cut is twice in the store', async () => {
    const sink = new ScriptedSink<string, string>({ convert: (value) => [value] })
    const { clock, offer } = open(sink)
    sink.store.next('cutAfterApply')
    offer('a')
    await clock.advance(10_000)
    expect(sink.store.held).toEqual(['a', 'a'])
  })

  test('entries are refused, repeated and stored one by one', async () => {
    const sink = new ScriptedSink<string, string>({ convert: (value) => value.split(','), maxBatchSize: 3 })
    const { clock, settlement, offer } = open(sink)
    sink.store.next({ entries: (entry) => (entry === 'a' ? 'stored' : entry === 'b' ? 'refused' : 'busy') })
    offer('a,b,c')
    await clock.advance(10_000)
    expect(sink.store.requests.map(({ entries }) => entries)).toEqual([['a', 'b', 'c'], ['c']])
    expect(settlement.refusals).toMatchObject([{ stage: 'store', reason: { code: 'refused' }, entry: 'b' }])
  })

  test('a store that denies ends the attempt', async () => {
    const sink = new ScriptedSink<string, string>({ convert: (value) => [value], uid: 'denied' })
    const { clock, failures, writer, offer } = open(sink)
    sink.store.otherwise = 'denied'
    offer('a')
    await clock.advance(10_000)
    expect(failures.map(({ code }) => code)).toEqual(['SLUICE_ACCESS_DENIED'])
    expect(writer.status()).toMatchObject({ inHand: 1 })
  })

  test('destinations have requests of their own', async () => {
    const sink = new ScriptedSink<string, string>({
      convert: (value) => [value],
      destination: (entry) => entry.slice(0, 1),
    })
    const { clock, offer } = open(sink)
    offer('a1', 'b1', 'a2')
    await clock.advance(10_000)
    expect(sink.store.requests.map(({ destination, entries }) => [destination, entries])).toEqual([
      ['a', ['a1', 'a2']],
      ['b', ['b1']],
    ])
  })

  test('keeps the order of a key', async () => {
    const sink = new ScriptedSink<string, string>({ convert: (value) => [value], maxBatchSize: 2, orderKey: () => 7 })
    const { clock, offer } = open(sink)
    sink.store.next('unavailable')
    offer('a', 'b', 'c')
    await clock.advance(20_000)
    expect(sink.store.held).toEqual(['a', 'b', 'c'])
  })
})
