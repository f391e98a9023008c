import { describe, expect, test } from 'vitest'

import { Harness, names, WRITTEN } from './harness.ts'

describe('batches', () => {
  test('a full batch is sent at once, the rest waits', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 6))
    const request = await harness.only()
    expect(request).toMatchObject({ names: ['a0', 'a1', 'a2', 'a3'], trigger: 'size', attempt: 1, sentAt: 0 })
    expect(harness.writer.status()).toMatchObject({ bufferedRecords: 2, inFlightRecords: 4, inFlightRequests: 1 })
  })

  test('one entry less than a batch waits for its age, to the millisecond', async () => {
    const harness = new Harness()
    harness.offer('a', 'b', 'c')
    await harness.clock.advance(999)
    expect(harness.requests).toEqual([])
    await harness.clock.advance(1)
    expect(await harness.only()).toMatchObject({ names: ['a', 'b', 'c'], trigger: 'time', sentAt: 1000 })
  })

  test('the age is that of the oldest entry, and counts anew for what is left', async () => {
    const harness = new Harness()
    harness.offer('a')
    await harness.clock.advance(600)
    harness.offer('b')
    await harness.clock.advance(400)
    expect(await harness.only()).toMatchObject({ names: ['a', 'b'], sentAt: 1000 })
    harness.offer('c')
    await harness.clock.advance(1000)
    expect(await harness.only()).toMatchObject({ names: ['c'], sentAt: 2000 })
  })

  test('a batch holds no more than its weight', async () => {
    const harness = new Harness({ maxBatchWeight: 10 })
    harness.offer({ name: 'a', weight: 6 }, { name: 'b', weight: 4 }, { name: 'c', weight: 1 })
    expect(await harness.only()).toMatchObject({ names: ['a', 'b'], weight: 10, trigger: 'weight' })
    harness.offer({ name: 'd', weight: 10 })
    expect(await harness.only()).toMatchObject({ names: ['c'], weight: 1, trigger: 'weight' })
  })

  test('an entry heavier than a batch may be goes alone', async () => {
    const harness = new Harness({ maxBatchWeight: 10, maxInFlightRequests: 9 })
    harness.offer({ name: 'a', weight: 1 }, { name: 'b', weight: 99 }, { name: 'c', weight: 1 })
    await harness.clock.advance(1000)
    expect(harness.sent().map((request) => request.names)).toEqual([['a'], ['b'], ['c']])
  })

  test('a batch holds no more than its bytes', async () => {
    const harness = new Harness({ maxBatchSizeInBytes: 100, maxInFlightRequests: 9 })
    harness.offer({ name: 'a', size: 60 }, { name: 'b', size: 40 }, { name: 'c', size: 60 }, { name: 'd', size: 41 })
    await harness.clock.advance(1000)
    expect(harness.sent().map((request) => request.names)).toEqual([['a', 'b'], ['c'], ['d']])
  })

  test('hasten sends the partial batch now, and only what was there', async () => {
    const harness = new Harness()
    harness.offer('a', 'b')
    harness.writer.hasten()
    expect(await harness.only()).toMatchObject({ names: ['a', 'b'], trigger: 'hasten' })
    harness.offer('c')
    await harness.clock.advance(999)
    expect(harness.requests).toEqual([])
  })

  test('hasten is remembered while every request slot is taken', async () => {
    const harness = new Harness({ maxInFlightRequests: 1 })
    harness.offer('a', 'b', 'c', 'd', 'e')
    const first = await harness.only()
    harness.writer.hasten()
    harness.offer('f')
    await first.answer(WRITTEN)
    // What came after joins, since the request is sent anyway.
    expect(await harness.only()).toMatchObject({ names: ['e', 'f'], trigger: 'hasten' })
  })

  test('no more requests in flight than allowed; the next goes when one is answered', async () => {
    const harness = new Harness({ maxInFlightRequests: 2 })
    harness.offer(...names('a', 14))
    await harness.clock.advance(5000)
    const [first, second, ...more] = harness.sent()
    expect(more).toEqual([])
    await second?.answer(WRITTEN)
    expect(await harness.only()).toMatchObject({ names: names('a', 12).slice(8) })
    await first?.answer(WRITTEN)
    expect(await harness.only()).toMatchObject({ names: ['a12', 'a13'], trigger: 'time' })
  })

  test('the metric of batches says what triggered them', async () => {
    const harness = new Harness({ maxBatchWeight: 10, maxInFlightRequests: 9 })
    harness.offer(...names('a', 4))
    harness.offer({ name: 'heavy', weight: 10 })
    harness.offer('aged')
    await harness.clock.advance(1000)
    harness.offer('hastened')
    harness.writer.hasten()
    for (const trigger of ['size', 'weight', 'time', 'hasten']) {
      expect([trigger, harness.metric('numBatches', { trigger })]).toEqual([trigger, 1])
    }
    expect(harness.metric('numRequests')).toBe(4)
  })

  test('order of entries survives the growth of the buffer', async () => {
    const harness = new Harness({ maxBatchSize: 10, maxInFlightRequests: 1, maxBufferedRequests: 3000 })
    const all = names('a', 3000)
    expect(harness.offer(...all)).toBe(3000)
    const order: string[] = []
    while (harness.writer.status().inHand > 0) {
      const request = await harness.only()
      order.push(...request.names)
      await request.answer(WRITTEN)
    }
    expect(order).toEqual(all)
    expect(harness.settlement.settled).toEqual(all.map((_, token) => token))
  })
})
