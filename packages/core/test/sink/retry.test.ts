import { describe, expect, test } from 'vitest'

import { Harness, names, reason, WRITTEN } from './harness.ts'

const least = (): number => 0
const most = (): number => 0.999_999_999

describe('repeats', () => {
  test.each([
    ['least', least, [50, 100, 200, 400, 500, 500]],
    ['most', most, [100, 200, 400, 800, 1000, 1000]],
  ])('delays double up to the maximum, with the %s jitter', async (_, random, expected) => {
    const harness = new Harness({ retry: { initialDelayMs: 100, maxDelayMs: 1000 } }, random)
    harness.offer(...names('a', 4))
    const delays: number[] = []
    for (const _round of expected) {
      const request = await harness.only()
      await request.answer({ retryAll: reason('busy') })
      await harness.clock.advance(1000)
      const again = harness.requests[0]
      delays.push(Math.round((again?.sentAt ?? Number.NaN) - harness.clock.now() + 1000))
    }
    expect(delays).toEqual(expected)
  })

  test('a thousandth try still has the longest delay', async () => {
    const harness = new Harness({ retry: { initialDelayMs: 1, maxDelayMs: 2 } }, most)
    harness.autoAnswer = () => ({ retryAll: reason('busy') })
    harness.offer(...names('a', 4))
    await harness.clock.advance(3000)
    const requests = harness.sent()
    expect(requests.length).toBeGreaterThan(1400)
    const [before, last] = requests.slice(-2)
    expect((last?.sentAt ?? 0) - (before?.sentAt ?? 0)).toBeCloseTo(2, 5)
    expect(last?.attempt).toBe(requests.length)
  })

  test('afterMs is waited for when it is longer than the backoff, and the backoff when that is longer', async () => {
    const harness = new Harness({ retry: { initialDelayMs: 100 } }, most)
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 7000 })
    await harness.clock.advance(6999)
    expect(harness.requests).toEqual([])
    await harness.clock.advance(1)
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 1 })
    await harness.clock.advance(199)
    expect(harness.requests).toEqual([])
    await harness.clock.advance(1)
    expect(await harness.only()).toMatchObject({ attempt: 3, trigger: 'retry' })
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1])('afterMs %d is as if it were not there', async (afterMs) => {
    const harness = new Harness({}, most)
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs })
    await harness.clock.advance(99)
    expect(harness.requests).toEqual([])
    await harness.clock.advance(1)
    expect(await harness.only()).toMatchObject({ names: names('a', 4) })
  })

  test('a repeated request has the same entries in their order', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    for (let round = 0; round < 3; round++) {
      const request = await harness.only()
      expect(request.names).toEqual(names('a', 4))
      await request.answer({ retryAll: reason('busy') })
      await harness.clock.advance(60_000)
    }
  })

  test('a throttle with Retry-After holds back its destination until then', async () => {
    const harness = new Harness({ maxInFlightRequests: 2 }, least)
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 60_000 })
    harness.offer(...names('b', 4))
    harness.writer.hasten()
    await harness.clock.advance(59_999)
    expect(harness.sent()).toEqual([])
    expect(harness.writer.status().slowed).toEqual([{ destination: '', maxInFlightRequests: 1, pausedMs: 1 }])
    await harness.clock.advance(1)
    expect((await harness.only()).names).toEqual(names('a', 4))
  })

  test('one that waits long blocks nobody', async () => {
    const harness = new Harness({ maxInFlightRequests: 1 })
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 60_000, slowDown: false })
    harness.offer(...names('b', 4))
    const request = await harness.only()
    expect(request.names).toEqual(names('b', 4))
    await request.answer(WRITTEN)
    await harness.clock.advance(60_000)
    expect(await harness.only()).toMatchObject({ names: names('a', 4) })
  })

  test('a repeat takes along other due repeats and new entries up to a full batch', async () => {
    const harness = new Harness({ maxBatchSize: 4, maxInFlightRequests: 4 }, least)
    harness.offer(...names('a', 8))
    const [first, second] = harness.sent()
    const written = { kind: 'written' }
    const retryFirst = { kind: 'retry', reason: reason('busy'), afterMs: 500 }
    await first?.answer({ entries: [retryFirst, written, written, written] })
    await second?.answer({ entries: [retryFirst, written, written, written] })
    harness.offer('b', 'c', 'd')
    await harness.clock.advance(500)
    expect(await harness.only()).toMatchObject({ names: ['a0', 'a4', 'b', 'c'], trigger: 'retry', attempt: 2 })
    expect(harness.writer.status().bufferedRecords).toBe(1)
  })

  test('what a repeat takes along stays inside bytes and weight of a batch', async () => {
    const harness = new Harness({ maxBatchWeight: 10, maxBatchSizeInBytes: 100, maxInFlightRequests: 9 }, least)
    const retry = { entries: [{ kind: 'retry', reason: reason('busy'), afterMs: 500 }] }
    harness.offer({ name: 'a', weight: 10 })
    await (await harness.only()).answer(retry)
    harness.offer({ name: 'b', weight: 1, size: 100 })
    await (await harness.only()).answer(retry)
    harness.offer({ name: 'c', weight: 1, size: 1 })
    await harness.clock.advance(500)
    expect(harness.sent().map((request) => request.names)).toEqual([['a'], ['b']])
    expect(harness.writer.status().bufferedRecords).toBe(1)
  })

  test('attempts are counted for each entry, whatever it was sent with', async () => {
    const harness = new Harness({ retry: { maxAttempts: 2 } }, least)
    const retry = { kind: 'retry', reason: reason('busy') }
    harness.offer(...names('a', 4))
    const written = { kind: 'written' }
    await (await harness.only()).answer({ entries: [written, retry, written, written] })
    harness.offer('b', 'c')
    await harness.clock.advance(50)
    const request = await harness.only()
    expect(request).toMatchObject({ names: ['a1', 'b', 'c'], attempt: 2 })
    await request.answer({ retryAll: reason('busy') })
    // Two tries of a1 are all it has; b and c had one.
    expect(harness.settlement.refusals).toMatchObject([
      { entry: { name: 'a1' }, stage: 'store', attempts: 2, reason: { code: 'retriesExhausted' } },
    ])
    expect(harness.settlement.refusals[0]?.reason.message).toContain('busy: message of busy')
    await harness.clock.advance(100)
    expect(await harness.only()).toMatchObject({ names: ['b', 'c'], attempt: 2 })
  })

  test('with one try allowed, the first failure is the last', async () => {
    const harness = new Harness({ retry: { maxAttempts: 1 } })
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy') })
    expect(harness.settlement.refusals.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1])
    expect(harness.writer.status()).toMatchObject({ deadLettered: 4, inHand: 0 })
  })

  test('slowing down halves the requests in flight, never the batch; successes raise them again', async () => {
    const harness = new Harness({ maxInFlightRequests: 4, maxBufferedRequests: 500 }, least)
    harness.offer(...names('a', 200))
    const inFlight = (): number => harness.writer.status().inFlightRequests
    expect(inFlight()).toBe(4)
    for (const request of harness.sent().slice(0, 2)) {
      await request.answer({ retryAll: reason('throttled'), afterMs: 1_000_000 })
    }
    expect(inFlight()).toBe(2)
    expect(harness.metric('numRequestsThrottled')).toBe(2)
  })

  test('the limit sinks to 1 and climbs by one in a round of successes', async () => {
    const harness = new Harness({ maxInFlightRequests: 4, maxBufferedRequests: 500 }, least)
    const open: (typeof harness.requests)[number][] = []
    const inFlight = async (): Promise<number> => {
      await harness.clock.flush()
      open.push(...harness.sent())
      return open.length
    }
    harness.offer(...names('a', 300))
    await inFlight()
    for (let count = 0; count < 4; count++) {
      await open.shift()?.answer({ retryAll: reason('throttled') })
      await inFlight()
    }
    expect(await inFlight()).toBe(1)
    const climb: number[] = []
    for (let count = 0; count < 14; count++) {
      await open.shift()?.answer(WRITTEN)
      climb.push(await inFlight())
      for (const request of open) expect(request.names).toHaveLength(4)
    }
    expect(climb[0]).toBe(2)
    expect(climb.at(-1)).toBe(4)
    expect(climb).toEqual(climb.toSorted((a, b) => a - b))
    expect(Math.max(...climb)).toBe(4)
  })

  test('slowDown: false leaves the requests in flight as they are', async () => {
    const harness = new Harness({ maxInFlightRequests: 2, maxBufferedRequests: 100 })
    harness.offer(...names('a', 40))
    const [first] = harness.sent()
    await first?.answer({ retryAll: reason('busy'), slowDown: false, afterMs: 60_000 })
    expect(harness.writer.status().inFlightRequests).toBe(2)
    expect(harness.metric('numRequestsThrottled')).toBe(0)
  })

  test.each([
    [{}, 2, 0, 0],
    [{ slowDown: true }, 1, 1, 0],
    [{ unknown: true }, 2, 0, 1],
    [{ slowDown: true, unknown: true }, 1, 0, 1],
  ])('an answer for each entry may slow down, and be unknown: %j', async (more, inFlight, throttled, unknown) => {
    const harness = new Harness({ maxInFlightRequests: 2, maxBufferedRequests: 100 })
    harness.offer(...names('a', 40))
    const [first] = harness.sent()
    const retry = { kind: 'retry', reason: reason('busy') }
    await first?.answer({ entries: [{ kind: 'written' }, retry, retry, { kind: 'written' }], ...more })
    expect(harness.writer.status().inFlightRequests).toBe(inFlight)
    expect(harness.metric('numRequestsThrottled')).toBe(throttled)
    expect(harness.metric('numRequestsUnknown')).toBe(unknown)
    expect(harness.writer.status()).toMatchObject({ written: 2, retryingRecords: 2 })
  })

  test('unknown outcomes are counted, repeated, and no throttling by the store', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('ECONNRESET'), unknown: true })
    expect(harness.metric('numRequestsUnknown')).toBe(1)
    expect(harness.metric('numRequestsThrottled')).toBe(0)
    await harness.clock.advance(100)
    await (await harness.only()).answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 4, inHand: 0 })
  })

  const busy = { kind: 'retry', reason: reason('busy') }
  const unasked = { ...busy, isTry: false }

  test('an entry for which the store was not asked is repeated after the shortest delay, and charged no try', async () => {
    const harness = new Harness({ retry: { initialDelayMs: 100, maxAttempts: 1 } }, least)
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ entries: [{ kind: 'written' }, unasked, unasked, unasked] })
    for (const _round of [1, 2, 3]) {
      await harness.clock.advance(49)
      expect(harness.requests).toEqual([])
      await harness.clock.advance(1)
      const again = await harness.only()
      expect(again).toMatchObject({ names: ['a1', 'a2', 'a3'], attempt: 1, trigger: 'retry' })
      await again.answer({ entries: [unasked, unasked, unasked] })
    }
    expect(harness.metric('numRecordsSend')).toBe(4)
    expect(harness.metric('numRecordsSendErrors')).toBe(0)
    expect(harness.metric('numRecordsRetried')).toBe(4 * 3)
    await harness.clock.advance(50)
    await (await harness.only()).answer({ entries: [unasked, busy, { kind: 'written' }] })
    expect(harness.settlement.refusals).toMatchObject([{ token: 2, attempts: 1, reason: { code: 'retriesExhausted' } }])
  })

  test.each([false, true])('tries are counted for each entry of one repeat; ordered: %s', async (ordered) => {
    const harness = new Harness({ retry: { maxAttempts: 2 } }, least, { ordered, answers: 'request' })
    harness.offer(...names('a', 4).map((name) => ({ name, order: 1 })))
    await (await harness.only()).answer({ entries: [{ kind: 'written' }, busy, unasked, unasked] })
    await harness.clock.advance(50)
    const second = await harness.only()
    expect(second).toMatchObject({ names: ['a1', 'a2', 'a3'], attempt: 2 })
    await second.answer({ entries: [busy, busy, unasked] })
    expect(harness.settlement.refusals).toMatchObject([{ token: 1, attempts: 2 }])
    await harness.clock.advance(50)
    const third = await harness.only()
    expect(third).toMatchObject({ names: ['a2', 'a3'], attempt: 2 })
    await third.answer({ retryAll: reason('busy') })
    expect(harness.settlement.refusals).toMatchObject([{ token: 1 }, { token: 2, attempts: 2 }])
    expect(harness.metric('numRecordsSendErrors')).toBe(1 + 2 + 2)
    expect(harness.metric('numRecordsSend')).toBe(4)
  })

  test('numRecordsSend counts an entry once, numRecordsOut when written, and errors every failed try', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4).map((name) => ({ name, size: 5 })))
    await (await harness.only()).answer({ retryAll: reason('busy') })
    await harness.clock.advance(100)
    const retry = { kind: 'retry', reason: reason('busy') }
    await (await harness.only()).answer({ entries: [{ kind: 'duplicate' }, retry, retry, { kind: 'written' }] })
    await harness.clock.advance(300)
    const third = await harness.only()
    harness.autoAnswer = () => WRITTEN
    await third.answer({ isolate: reason('bad') })
    expect(harness.metric('numRequests')).toBe(5)
    expect(harness.writer.status().inHand).toBe(0)
    expect(harness.metric('numRecordsSend')).toBe(4)
    expect(harness.metric('numBytesSend')).toBe(20)
    expect(harness.metric('numRecordsOut')).toBe(3)
    expect(harness.metric('numBytesOut')).toBe(15)
    expect(harness.metric('numRecordsSendErrors')).toBe(4 + 2 + 2)
    expect(harness.metric('numRecordsRetried')).toBe(4 + 2)
    expect(harness.metric('numRecordsDuplicate')).toBe(1)
  })
})
