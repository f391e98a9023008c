import { describe, expect, test } from 'vitest'

import type { AsyncSinkOptions } from '../../src/index.ts'
import { Harness, leastJitter, names, NOTHING_LEFT, reason, type Request, type Shape, WRITTEN } from './harness.ts'

const retry = { kind: 'retry', reason: reason('busy') }
const written = { kind: 'written' }

/** A writer whose values belong to the split that their names begin with. */
class Splits extends Harness {
  readonly #tokens = new Map<string, number[]>()

  constructor(options: Partial<AsyncSinkOptions> = {}, shape: Shape = {}) {
    super(options, leastJitter, shape)
  }

  /** 'a' and 2: a0 and a1 of the split a. */
  from(split: string, count: number, more: object = {}): void {
    const first = this.settlement.references.length
    const values = names(split, count).map((name) => ({ name, size: 2, rawBytes: 3, ...more }))
    if (this.offer(...values) < count) throw new Error('the buffer is full')
    const tokens = this.#tokens.get(split) ?? []
    this.#tokens.set(split, [...tokens, ...values.map((_, index) => first + index)])
  }

  /** As core does: the tracker knows first, and an input that is settled is in no split. */
  release(split: string): number {
    const { released, references } = this.settlement
    for (const token of this.#tokens.get(split) ?? []) if ((references[token] ?? 0) > 0) released.add(token)
    this.#tokens.delete(split)
    return this.writer.release(split)
  }
}

async function requestsOf(harness: Harness): Promise<readonly Request[]> {
  await harness.clock.flush()
  return harness.sent()
}

describe('release', () => {
  test('gives back what is in the buffer, and leaves what belongs to others', async () => {
    const harness = new Splits({ maxBatchSize: 8 })
    harness.from('a', 2)
    harness.from('b', 1)
    harness.from('a', 1)
    harness.from('b', 1)
    expect(harness.release('a')).toBe(3)
    expect(harness.settlement.givenBack).toEqual([0, 1, 3])
    expect(harness.settlement.settled).toEqual([])
    expect(harness.writer.status()).toMatchObject({ returned: 3, inHand: 2, bufferedRecords: 2, bufferedBytes: 10 })
    await harness.clock.advance(1000)
    const request = await harness.only()
    expect(request.names).toEqual(['b0', 'b0'])
    await request.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 2, returned: 3, ...NOTHING_LEFT })
    expect(harness.imbalance()).toBe(0)
  })

  test('of a split without entries gives back nothing', async () => {
    const harness = new Splits()
    expect(harness.release('nobody')).toBe(0)
    harness.from('b', 1)
    expect(harness.release('nobody')).toBe(0)
    await harness.clock.advance(1000)
    expect((await harness.only()).names).toEqual(['b0'])
  })

  test('twice gives back once', () => {
    const harness = new Splits()
    harness.from('a', 3)
    expect([harness.release('a'), harness.release('a')]).toEqual([3, 0])
    expect(harness.settlement.violations).toEqual([])
    expect(harness.writer.status()).toMatchObject({ returned: 3, ...NOTHING_LEFT })
  })

  test('gives back every entry of an input', () => {
    const harness = new Splits({ maxBatchSize: 8 })
    harness.from('a', 1, { parts: 3 })
    expect(harness.release('a')).toBe(3)
    expect(harness.settlement.givenBack).toEqual([0, 0, 0])
    expect(harness.settlement.references).toEqual([0])
    expect(harness.writer.status()).toMatchObject({ returned: 3, ...NOTHING_LEFT })
  })

  test('an input of which some entries are in flight is given back with what is not', async () => {
    const harness = new Splits({ maxBatchSize: 2, maxInFlightRequests: 1 })
    harness.from('a', 1, { parts: 3 })
    const request = await harness.only()
    expect(harness.release('a')).toBe(1)
    await request.answer(WRITTEN)
    expect(harness.settlement.givenBack).toEqual([0])
    expect(harness.settlement.settled).toEqual([0, 0])
    expect(harness.writer.status()).toMatchObject({ written: 2, returned: 1, ...NOTHING_LEFT })
  })

  test('gives back what waits to be repeated, and keeps the rest of the request', async () => {
    const harness = new Splits({ maxBatchSize: 4 })
    harness.from('a', 2)
    harness.from('b', 2)
    await (await harness.only()).answer({ retryAll: reason('busy'), slowDown: false })
    expect(harness.writer.status().retryingRecords).toBe(4)
    expect(harness.release('a')).toBe(2)
    expect(harness.writer.status()).toMatchObject({ returned: 2, retryingRecords: 2, bufferedRecords: 2 })
    await harness.clock.advance(50)
    const again = await harness.only()
    expect(again).toMatchObject({ names: ['b0', 'b1'], attempt: 2 })
    await again.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 2, returned: 2, ...NOTHING_LEFT })
  })

  test('what stays of a repeat waits as long as before', async () => {
    const harness = new Splits({ orderedLanes: 1, maxBufferedRequests: 40 }, { ordered: true, answers: 'request' })
    harness.from('a', 2, { order: 1 })
    harness.from('b', 2, { order: 1 })
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 5000, slowDown: false })
    harness.release('a')
    await harness.clock.advance(4999)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    expect(await harness.only()).toMatchObject({ names: ['b0', 'b1'], attempt: 2 })
  })

  test('gives back what holds a lane, and the lane goes on at once', async () => {
    const harness = new Splits({ orderedLanes: 1, maxBufferedRequests: 40 }, { ordered: true, answers: 'request' })
    harness.from('a', 4, { order: 1 })
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 60_000, slowDown: false })
    harness.from('b', 4, { order: 1 })
    expect(await requestsOf(harness)).toEqual([])
    expect(harness.release('a')).toBe(4)
    expect((await harness.only()).names).toEqual(names('b', 4))
  })

  test('gives back parts of a refused request that were not sent yet; the others go on being searched', async () => {
    const harness = new Splits({ maxBatchSize: 4, maxInFlightRequests: 1 })
    harness.from('a', 1)
    harness.from('b', 1)
    harness.from('a', 1)
    harness.from('b', 1)
    await (await harness.only()).answer({ isolate: reason('bad') })
    const half = await harness.only()
    expect(half.names).toEqual(['a0', 'b0'])
    expect(harness.release('a')).toBe(1)
    await half.answer({ isolate: reason('bad') })
    // The one of the split that is gone may have been the culprit: the other is asked for again, not blamed.
    expect(harness.settlement.refusals).toEqual([])
    const rest = await harness.only()
    expect(rest.names).toEqual(['b0'])
    await rest.answer(WRITTEN)
    const last = await harness.only()
    expect(last.names).toEqual(['b0'])
    await last.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 2, returned: 2, deadLettered: 0, ...NOTHING_LEFT })
  })

  test('a part that became empty is not sent', async () => {
    const harness = new Splits({ maxBatchSize: 4, maxInFlightRequests: 1 })
    harness.from('b', 2)
    harness.from('a', 2)
    await (await harness.only()).answer({ tooLarge: reason('413') })
    const half = await harness.only()
    expect(harness.release('a')).toBe(2)
    await half.answer(WRITTEN)
    await harness.clock.advance(100_000)
    expect(harness.sent()).toEqual([])
    expect(harness.writer.status()).toMatchObject({ written: 2, returned: 2, ...NOTHING_LEFT })
  })

  test.each<readonly [string, object, object]>([
    ['written', { allWritten: true }, { written: 4, returned: 0 }],
    ['written and to be retried', { entries: [written, retry, retry, written] }, { written: 2, returned: 2 }],
    ['to be retried', { retryAll: reason('busy') }, { written: 0, returned: 4 }],
    ['refused, culprit unknown', { isolate: reason('bad') }, { written: 0, returned: 4 }],
    ['too large', { tooLarge: reason('413') }, { written: 0, returned: 4 }],
    ['nonsense', {}, { written: 0, returned: 4 }],
  ])('entries in flight whose answer is %s', async (_, outcome, expected) => {
    const harness = new Splits()
    harness.from('a', 4)
    const request = await harness.only()
    expect(harness.release('a')).toBe(0)
    expect(harness.writer.status()).toMatchObject({ returned: 0, inHand: 4 })
    await request.answer(outcome)
    expect(harness.writer.status()).toMatchObject({ ...expected, deadLettered: 0, ...NOTHING_LEFT })
    expect(harness.settlement.unsettled).toBe(0)
    await harness.clock.advance(100_000)
    expect(harness.sent()).toEqual([])
    expect(harness.imbalance()).toBe(0)
  })

  test('entries in flight without an answer are given back when their time is over', async () => {
    const harness = new Splits({ requestTimeoutMs: 2000 })
    harness.from('a', 2)
    harness.from('b', 2)
    const request = await harness.only()
    harness.release('a')
    await harness.clock.advance(2000)
    expect(harness.writer.status()).toMatchObject({ returned: 2, retryingRecords: 2 })
    await harness.clock.advance(50)
    const again = await harness.only()
    expect(again.names).toEqual(['b0', 'b1'])
    await request.answer(WRITTEN)
    await again.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 2, returned: 2, ...NOTHING_LEFT })
    expect(harness.metric('numLateAnswers')).toBe(1)
  })

  test('entries whose answer was a failure stay until the attempt ends, and are given back before', async () => {
    const harness = new Splits({ requestTimeoutMs: 2000, failOnTimeout: true })
    harness.from('a', 4)
    await harness.clock.advance(2000)
    expect(harness.failures).toHaveLength(1)
    expect(harness.release('a')).toBe(4)
    await harness.writer.close(0)
    expect(harness.writer.status()).toMatchObject({ returned: 4, abandoned: 0, ...NOTHING_LEFT })
  })

  test('an entry whose letter is being written is waited for', async () => {
    const harness = new Splits({ maxBatchSize: 1 })
    const letter = Promise.withResolvers<boolean>()
    harness.settlement.decide = () => letter.promise
    harness.from('a', 1)
    await (await harness.only()).answer({ isolate: reason('bad') })
    expect(harness.release('a')).toBe(0)
    expect(harness.writer.status()).toMatchObject({ inHand: 1, bufferedRecords: 1, bufferedBytes: 5 })
    letter.resolve(true)
    await harness.clock.flush()
    expect(harness.writer.status()).toMatchObject({ deadLettered: 1, returned: 0, ...NOTHING_LEFT })
    expect(harness.settlement.settled).toEqual([0])
  })

  test('another assignment of the split is another split', async () => {
    const harness = new Splits({ maxBatchSize: 4, maxInFlightRequests: 2 })
    harness.from('a', 4)
    const old = await harness.only()
    harness.from('a', 2)
    expect(harness.release('a')).toBe(2)
    harness.from('a', 3)
    await old.answer({ retryAll: reason('busy'), slowDown: false })
    expect(harness.writer.status()).toMatchObject({ returned: 6, inHand: 3 })
    await harness.clock.advance(1000)
    const request = await harness.only()
    expect(request.names).toEqual(['a0', 'a1', 'a2'])
    await request.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 3, returned: 6, ...NOTHING_LEFT })
    expect(harness.settlement.violations).toEqual([])
  })

  test('reaches every destination and lane', async () => {
    const limits = { maxBatchSize: 2, maxInFlightRequests: 4, maxBufferedRequests: 64, orderedLanes: 2 }
    const harness = new Splits(limits, { ordered: true, destinations: true, answers: 'request' })
    for (const where of ['x', 'y']) for (const order of [0, 1]) harness.from('a', 3, { to: where, order })
    for (const [index, request] of (await requestsOf(harness)).entries()) {
      if (index < 2) await request.answer({ retryAll: reason('busy'), afterMs: 5000, slowDown: index === 0 })
    }
    expect(harness.release('a')).toBe(8)
    expect(harness.writer.status()).toMatchObject({ returned: 8, inHand: 4, inFlightRecords: 4 })
  })

  test('makes room, and says so', async () => {
    const harness = new Splits({ maxBatchSize: 4, maxBufferedRequests: 5, maxInFlightRequests: 1 })
    harness.from('b', 4)
    harness.from('a', 5)
    expect(harness.offer('more')).toBe(0)
    let isReady = false
    void harness.writer.ready().then(() => (isReady = true))
    expect(harness.release('a')).toBe(5)
    await harness.clock.flush()
    expect(isReady).toBe(true)
    expect(harness.offer('more')).toBe(1)
  })

  test('of what waits makes the whole room again', async () => {
    const harness = new Splits({ maxBatchSize: 4, maxBufferedRequests: 8, maxInFlightRequests: 2 })
    harness.from('a', 8)
    for (const request of await requestsOf(harness)) await request.answer({ retryAll: reason('busy'), afterMs: 60_000 })
    expect(harness.offer('more')).toBe(0)
    expect(harness.release('a')).toBe(8)
    expect(harness.metric('bufferedRecords')).toBe(0)
    expect(harness.offer(...names('b', 9))).toBe(8)
    expect(harness.offer('more')).toBe(0)
  })

  test('what was hastened is still sent at once after others of it were given back', async () => {
    const harness = new Splits({ maxBatchSize: 8, maxInFlightRequests: 1, maxTimeInBufferMS: 100_000 })
    harness.from('b', 8)
    const blocking = await harness.only()
    harness.from('a', 2)
    harness.from('c', 1)
    harness.writer.hasten()
    harness.release('a')
    await blocking.answer(WRITTEN)
    expect(await harness.only()).toMatchObject({ names: ['c0'], trigger: 'hasten', sentAt: 0 })
  })

  test('what came after the hasten is not sent sooner because others were given back', async () => {
    const harness = new Splits({ maxBatchSize: 8, maxInFlightRequests: 1, maxTimeInBufferMS: 100_000 })
    harness.from('b', 8)
    const blocking = await harness.only()
    harness.from('a', 2)
    harness.writer.hasten()
    harness.from('c', 1)
    harness.release('a')
    await blocking.answer(WRITTEN)
    expect(await requestsOf(harness)).toEqual([])
  })

  test('of most of a full batch leaves one that waits for its age', async () => {
    const harness = new Splits({ maxBatchSize: 4, maxInFlightRequests: 1, maxBufferedRequests: 40 })
    harness.from('b', 4)
    const blocking = await harness.only()
    harness.from('c', 1)
    harness.from('a', 6)
    harness.release('a')
    await blocking.answer(WRITTEN)
    expect(await requestsOf(harness)).toEqual([])
    harness.from('d', 2)
    expect(await requestsOf(harness)).toEqual([])
    harness.from('e', 1)
    expect((await harness.only()).names).toEqual(['c0', 'd0', 'd1', 'e0'])
  })

  test('after close does nothing', async () => {
    const harness = new Splits()
    harness.from('a', 2)
    await harness.writer.close(0)
    expect(harness.release('a')).toBe(0)
    expect(harness.writer.status()).toMatchObject({ returned: 0, abandoned: 2 })
    expect(harness.settlement.givenBack).toEqual([])
  })
})
