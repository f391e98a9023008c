import { describe, expect, test } from 'vitest'

import { Harness, names, reason, WRITTEN } from './harness.ts'

/** True once the promise has settled; looks without waiting. */
function watch(promise: Promise<void>): () => boolean {
  let settled = false
  void promise.then(() => (settled = true))
  return () => settled
}

describe('backpressure', () => {
  test('write takes up to the limit in entries and says which value is the first it did not take', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxInFlightRequests: 1, maxBufferedRequests: 5 })
    // One batch in flight and five buffered.
    expect(harness.offer(...names('a', 12))).toBe(9)
    expect(harness.offer('more')).toBe(0)
    expect(harness.writer.status()).toMatchObject({ accepted: 9, bufferedRecords: 5, inFlightRecords: 4 })
  })

  test('write starts at `from` and returns an index, not a count', () => {
    const harness = new Harness({ maxBatchSize: 2, maxInFlightRequests: 1, maxBufferedRequests: 3 })
    const values = names('a', 12).map((name) => ({ name }))
    for (const _ of values) harness.settlement.token()
    const batch = { values, tokens: Float64Array.from(values, (_, i) => i), byteLengths: new Uint32Array(12) }
    expect(harness.writer.write(batch, 4, 6)).toBe(6)
    expect(harness.writer.write(batch, 6, 12)).toBe(9)
    expect(harness.writer.write(batch, 9, 12)).toBe(9)
    expect(harness.requests[0]?.names).toEqual(['a4', 'a5'])
  })

  test('ready resolves at once while there is room, and with the first room otherwise', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxInFlightRequests: 1, maxBufferedRequests: 5 })
    await harness.writer.ready()
    harness.offer(...names('a', 9))
    const ready = watch(harness.writer.ready())
    await harness.clock.advance(10_000)
    expect(ready()).toBe(false)
    const [request] = harness.sent()
    await request?.answer(WRITTEN)
    expect(ready()).toBe(true)
  })

  test('ready resolves when a timer, not an answer, makes room', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxInFlightRequests: 2, maxBufferedRequests: 5 })
    harness.offer(...names('a', 8))
    const [first] = harness.sent()
    await first?.answer({ retryAll: reason('busy'), afterMs: 5000, slowDown: false })
    expect(harness.offer('b', 'c')).toBe(1)
    const ready = watch(harness.writer.ready())
    await harness.clock.advance(999)
    expect(ready()).toBe(false)
    await harness.clock.advance(1)
    expect(harness.requests).toMatchObject([{ names: ['b'] }])
    expect(ready()).toBe(true)
  })

  test('a buffer that repeats have filled is not waited for: what is new is sent although its batch is not full', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxInFlightRequests: 2, maxBufferedRequests: 5 })
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 5000, slowDown: false })
    expect(harness.offer('b', 'c')).toBe(1)
    expect((await harness.only()).names).toEqual(['b'])
  })

  test('a buffer that is full in bytes before its batch is full is sent at once: its age would only stall the stream', async () => {
    const harness = new Harness({
      maxBatchSize: 10,
      maxBufferedRequests: 20,
      maxBufferedBytes: 100,
      maxInFlightRequests: 1,
    })
    expect(harness.offer({ name: 'a', rawBytes: 60 }, { name: 'b', rawBytes: 60 }, { name: 'c', rawBytes: 60 })).toBe(2)
    const request = await harness.only()
    expect(request.names).toEqual(['a', 'b'])
    // While a request is under way its answer makes room: batches do not shrink.
    await request.answer(WRITTEN)
    expect(harness.offer({ name: 'd', rawBytes: 60 })).toBe(1)
    await harness.clock.flush()
    expect(harness.sent()).toEqual([])
  })

  test('entries to be retried count against the limit', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxInFlightRequests: 1, maxBufferedRequests: 6 })
    harness.offer(...names('a', 8))
    const request = await harness.only()
    await request.answer({ retryAll: reason('busy'), afterMs: 60_000, slowDown: false })
    await harness.clock.flush()
    // Four wait for their repeat, four went into flight; two more fit.
    expect(harness.writer.status()).toMatchObject({ retryingRecords: 4, bufferedRecords: 4, inFlightRecords: 4 })
    expect(harness.offer('b', 'c', 'd')).toBe(2)
  })

  test('nothing is admitted while requeued entries lie above the limit', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxInFlightRequests: 3, maxBufferedRequests: 5 })
    harness.offer(...names('a', 16))
    const requests = harness.sent()
    expect(requests).toHaveLength(3)
    for (const request of requests) await request.answer({ retryAll: reason('busy'), afterMs: 60_000 })
    const { bufferedRecords, inFlightRecords } = harness.writer.status()
    expect(bufferedRecords).toBeGreaterThan(5)
    expect(bufferedRecords + inFlightRecords).toBe(16)
    expect(harness.offer('b')).toBe(0)
  })

  test('the limit in bytes holds raw inputs and entries together, in flight too', async () => {
    const harness = new Harness({ maxBatchSize: 2, maxInFlightRequests: 1, maxBufferedBytes: 100 })
    const value = { name: 'a', rawBytes: 30, size: 10 }
    expect(harness.offer(value, value, value, value)).toBe(3)
    expect(harness.writer.status()).toMatchObject({ bufferedBytes: 120, inFlightRecords: 2, bufferedRecords: 1 })
    expect(harness.offer(value)).toBe(0)
    const ready = watch(harness.writer.ready())
    const request = await harness.only()
    await request.answer(WRITTEN)
    expect(ready()).toBe(true)
    expect(harness.writer.status().bufferedBytes).toBe(40)
    expect(harness.offer(value, value, value)).toBe(2)
  })

  test('one value larger than the whole byte limit still passes', async () => {
    const harness = new Harness({ maxBufferedBytes: 10 })
    expect(harness.offer({ name: 'huge', rawBytes: 1000 }, 'next')).toBe(1)
    harness.writer.hasten()
    await (await harness.only()).answer(WRITTEN)
    expect(harness.offer('next')).toBe(1)
  })

  test('bytes come back to exactly 0, however an input was divided', async () => {
    const harness = new Harness({ maxInFlightRequests: 9 })
    harness.autoAnswer = () => WRITTEN
    for (const parts of [1, 2, 3, 7]) harness.offer({ name: 'a', parts, rawBytes: 10, size: 3 })
    harness.writer.hasten()
    await harness.clock.flush()
    expect(harness.writer.status()).toMatchObject({ bufferedBytes: 0, inHand: 0, written: 13 })
  })

  test('refusals that are not decided yet count against the limit in entries', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxBufferedRequests: 5 })
    const { promise, resolve } = Promise.withResolvers<boolean>()
    harness.settlement.decide = () => promise
    expect(harness.offer(...names('a', 8).map((name) => ({ name, throws: 'bad' })))).toBe(5)
    const ready = watch(harness.writer.ready())
    await harness.clock.flush()
    expect(ready()).toBe(false)
    resolve(true)
    await harness.clock.flush()
    expect(ready()).toBe(true)
    expect(harness.writer.status()).toMatchObject({ accepted: 5, deadLettered: 5, inHand: 0 })
  })
})
