import { describe, expect, test } from 'vitest'

import { type Batch, MetricRegistry, silentLogger, type SluiceError, type SubmitOutcome } from '../../src/index.ts'
import { AsyncSinkWriter } from '../../src/sink/async-sink-writer.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'
import { FakeSettlement, Harness, names, reason, WRITTEN } from './harness.ts'

describe('conversion', () => {
  test('a value that becomes nothing is settled at once', () => {
    const harness = new Harness()
    expect(harness.offer({ name: 'filtered', parts: 0, rawBytes: 100 })).toBe(1)
    expect(harness.settlement.references).toEqual([0])
    expect(harness.writer.status()).toMatchObject({ accepted: 0, inHand: 0, bufferedBytes: 0 })
    expect(harness.clock.pendingTimers).toBe(0)
  })

  test('a value that becomes many is settled with the last of them', async () => {
    const harness = new Harness({ maxBatchSize: 2, maxInFlightRequests: 9 })
    harness.offer({ name: 'many', parts: 3 })
    harness.writer.hasten()
    const [first, second] = harness.sent()
    expect([first?.names, second?.names]).toEqual([['many.0', 'many.1'], ['many.2']])
    await second?.answer(WRITTEN)
    expect(harness.settlement.references).toEqual([2])
    await first?.answer(WRITTEN)
    expect(harness.settlement.references).toEqual([0])
    expect(harness.writer.status()).toMatchObject({ accepted: 3, written: 3 })
  })

  test('a throw refuses the value once, with what it had emitted forgotten', async () => {
    const harness = new Harness()
    const letter = Promise.withResolvers<boolean>()
    harness.settlement.decide = () => letter.promise
    harness.offer('before', { name: 'bad', parts: 2, throws: 'no time', rawBytes: 7 }, 'after')
    expect(harness.settlement.refusals).toEqual([
      {
        token: 1,
        stage: 'convert',
        reason: { code: 'convertThrew', message: 'no time', cause: new Error('no time') },
        attempts: 0,
        value: { name: 'bad', parts: 2, throws: 'no time', rawBytes: 7 },
      },
    ])
    expect(harness.writer.status()).toMatchObject({ accepted: 3, inHand: 3, bufferedBytes: 7 })
    harness.writer.hasten()
    const request = await harness.only()
    expect(request.names).toEqual(['before', 'after'])
    await request.answer(WRITTEN)
    expect(harness.settlement.settled).toEqual([0, 2])
    letter.resolve(true)
    await harness.clock.flush()
    expect(harness.settlement.settled).toEqual([0, 2, 1])
    expect(harness.writer.status()).toMatchObject({ deadLettered: 1, inHand: 0, bufferedBytes: 0 })
  })

  test('an entry above maxRecordSizeInBytes is refused alone; its siblings are sent', async () => {
    const harness = new Harness({ maxRecordSizeInBytes: 100, maxBatchSizeInBytes: 1000 })
    harness.offer({ name: 'ok', size: 100 }, { name: 'big', parts: 2, size: 101 })
    expect(harness.settlement.refusals).toMatchObject([
      { token: 1, stage: 'convert', entry: { name: 'big.0' }, attempts: 0, reason: { code: 'recordTooLarge' } },
      { token: 1, stage: 'convert', entry: { name: 'big.1' } },
    ])
    expect(harness.settlement.refusals[0]?.reason.message).toBe('101 bytes, allowed are 100 (maxRecordSizeInBytes)')
    await harness.clock.flush()
    expect(harness.settlement.references).toEqual([1, 0])
    harness.writer.hasten()
    expect(await harness.only()).toMatchObject({ names: ['ok'] })
  })

  test.each([
    ['sizeInBytes', { size: Number.NaN }],
    ['sizeInBytes', { size: -1 }],
    ['sizeInBytes', { size: Number.POSITIVE_INFINITY }],
    ['weight', { weight: Number.NaN }],
    ['weight', { weight: -1 }],
  ])('an entry whose %s is no quantity (%j) is refused and spoils no sum', async (what, measure) => {
    const harness = new Harness({ maxBatchWeight: 4, maxBufferedBytes: 100 })
    harness.offer({ name: 'bad', ...measure, rawBytes: 7 }, ...names('a', 4))
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'bad' }, reason: { code: 'convertThrew' } }])
    expect(harness.settlement.refusals[0]?.reason.message).toContain(what)
    await (await harness.only()).answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 4, deadLettered: 1, bufferedBytes: 0, inHand: 0 })
  })

  test('a writer without weight and sizeInBytes counts 1 and 0', async () => {
    class Plain extends AsyncSinkWriter<string, string> {
      readonly batches: Batch<string>[] = []
      protected convert(value: string, emit: (entry: string) => void): void {
        emit(value)
      }
      protected submit(batch: Batch<string>): Promise<SubmitOutcome> {
        this.batches.push({ ...batch })
        return Promise.resolve(WRITTEN)
      }
    }
    const settlement = new FakeSettlement()
    const context = {
      sinkUid: 'plain',
      logger: silentLogger,
      metrics: new MetricRegistry(),
      clock: new VirtualClock(),
      random: Math.random,
      settlement,
      requestCheckpoint: () => {},
      fail: (error: SluiceError): void => {
        throw error
      },
    }
    const limits = { maxBatchSize: 3, maxInFlightRequests: 1, maxBufferedRequests: 9, maxTimeInBufferMS: 10 }
    await using writer = new Plain(context, { ...limits, maxRecordSizeInBytes: 1, maxBatchSizeInBytes: 1 })
    const tokens = Float64Array.from([settlement.token(), settlement.token(), settlement.token()])
    expect(writer.write({ values: ['a', 'b', 'c'], tokens, byteLengths: new Uint32Array(3) }, 0, 3)).toBe(3)
    expect(writer.batches).toEqual([{ entries: ['a', 'b', 'c'], destination: '', weight: 3, trigger: 'size' }])
  })
})

describe('refusals', () => {
  test('a refused entry stays in hand until its letter is confirmed', async () => {
    const harness = new Harness({ maxBatchSize: 1 })
    const letter = Promise.withResolvers<boolean>()
    harness.settlement.decide = () => letter.promise
    harness.offer({ name: 'a', rawBytes: 10, size: 5 })
    await (await harness.only()).answer({ entries: [{ kind: 'refuse', reason: reason('bad') }] })
    await harness.clock.advance(60_000)
    expect(harness.writer.status()).toMatchObject({ inHand: 1, deadLettered: 0, bufferedBytes: 15, bufferedRecords: 1 })
    expect(harness.settlement.settled).toEqual([])
    letter.resolve(true)
    await harness.clock.flush()
    expect(harness.writer.status()).toMatchObject({ inHand: 0, deadLettered: 1, bufferedBytes: 0 })
    expect(harness.settlement.settled).toEqual([0])
  })

  test('without a letter it stays in hand and ends as abandoned', async () => {
    const harness = new Harness()
    harness.settlement.decide = () => Promise.resolve(false)
    harness.offer({ name: 'a', throws: 'bad' })
    await harness.clock.flush()
    expect(harness.writer.status()).toMatchObject({ inHand: 1, deadLettered: 0 })
    await harness.writer.close(0)
    expect(harness.writer.status()).toMatchObject({ inHand: 0, abandoned: 1 })
    expect(harness.settlement.settled).toEqual([])
  })

  test('a letter confirmed after the writer closed settles nothing', async () => {
    const harness = new Harness()
    const letter = Promise.withResolvers<boolean>()
    harness.settlement.decide = () => letter.promise
    harness.offer({ name: 'a', throws: 'bad' })
    await harness.writer.close(0)
    letter.resolve(true)
    await harness.clock.flush()
    expect(harness.settlement.settled).toEqual([])
    expect(harness.writer.status()).toMatchObject({ abandoned: 1, deadLettered: 0, bufferedBytes: 0 })
  })

  test('a refusal that cannot be handled fails the attempt and keeps the entry', async () => {
    const harness = new Harness()
    harness.settlement.decide = () => Promise.reject(new Error('disk full'))
    harness.offer({ name: 'a', throws: 'bad' })
    await harness.clock.flush()
    expect(harness.failures).toMatchObject([{ code: 'SLUICE_SINK_FAILED' }])
    expect(harness.writer.status()).toMatchObject({ inHand: 1 })
  })
})
