import { describe, expect, test } from 'vitest'

import { Harness, names, reason, WRITTEN } from './harness.ts'

describe('timeouts', () => {
  test('a request without an answer is given up, counted as unknown, aborted and repeated', async () => {
    const harness = new Harness({ requestTimeoutMs: 5000 }, () => 0)
    harness.offer(...names('a', 4))
    const request = await harness.only()
    await harness.clock.advance(4999)
    expect(request.signal.aborted).toBe(false)
    expect(harness.writer.status().inFlightRequests).toBe(1)
    await harness.clock.advance(1)
    expect(request.signal.aborted).toBe(true)
    expect(request.signal.reason).toMatchObject({ code: 'SLUICE_DEADLINE_EXCEEDED', restartable: true })
    expect(harness.writer.status()).toMatchObject({ inFlightRequests: 0, retryingRecords: 4, inHand: 4 })
    expect(harness.settlement.settled).toEqual([])
    expect(harness.metric('numRequestsUnknown')).toBe(1)
    expect(harness.metric('numRequestsThrottled')).toBe(0)
    await harness.clock.advance(50)
    expect(await harness.only()).toMatchObject({ names: names('a', 4), attempt: 2 })
  })

  test('an answer that arrives in the poll phase after the timer wins', async () => {
    const harness = new Harness({ requestTimeoutMs: 5000 })
    harness.offer(...names('a', 4))
    const request = await harness.only()
    harness.clock.onPoll = () => void request.answer(WRITTEN)
    await harness.clock.advance(5000)
    expect(request.signal.aborted).toBe(false)
    expect(harness.writer.status()).toMatchObject({ written: 4, inHand: 0 })
    expect(harness.metric('numLateAnswers')).toBe(0)
    expect(harness.clock.pendingTimers).toBe(0)
  })

  test('a late answer is ignored and counted, whatever it says', async () => {
    const harness = new Harness({ requestTimeoutMs: 5000 }, () => 0)
    harness.offer(...names('a', 4))
    const late = await harness.only()
    await harness.clock.advance(5050)
    const again = await harness.only()
    await late.answer(WRITTEN)
    expect(harness.metric('numLateAnswers')).toBe(1)
    expect(harness.settlement.settled).toEqual([])
    expect(harness.writer.status()).toMatchObject({ written: 0, inFlightRecords: 4, inHand: 4 })
    await again.answer(WRITTEN)
    expect(harness.settlement.settled).toEqual([0, 1, 2, 3])
    expect(harness.writer.status()).toMatchObject({ written: 4, inHand: 0 })
  })

  test('timeouts lower the requests in flight', async () => {
    const harness = new Harness({ requestTimeoutMs: 5000, maxInFlightRequests: 4, maxBufferedRequests: 100 })
    harness.offer(...names('a', 80))
    expect(harness.sent()).toHaveLength(4)
    await harness.clock.advance(5000)
    expect(harness.writer.status().inFlightRequests).toBe(1)
  })

  test('the time of the last request is a metric, none before the first', async () => {
    const harness = new Harness()
    expect(harness.metric('currentSendTime')).toBeNaN()
    harness.offer(...names('a', 4))
    const request = await harness.only()
    await harness.clock.advance(120)
    await request.answer(WRITTEN)
    expect(harness.metric('currentSendTime')).toBe(120)
  })
})

describe('close', () => {
  test('with nothing in hand it ends at once and leaves no timer', async () => {
    const harness = new Harness()
    await harness.writer.close(60_000)
    expect(harness.clock.now()).toBe(0)
    expect(harness.clock.pendingTimers).toBe(0)
  })

  test('aborts requests, and an answer in time still settles', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 10))
    const [first, second] = harness.sent()
    const closed = harness.writer.close(1000)
    expect(first?.signal.aborted).toBe(true)
    expect(first?.signal.reason).toMatchObject({ code: 'SLUICE_CLOSED' })
    await first?.answer(WRITTEN)
    await second?.answer({
      entries: [
        { kind: 'written' },
        { kind: 'duplicate' },
        { kind: 'retry', reason: reason('busy') },
        { kind: 'refuse', reason: reason('bad') },
      ],
    })
    await closed
    expect(harness.settlement.settled).toEqual([0, 1, 2, 3, 4, 5])
    expect(harness.settlement.refusals).toEqual([])
    expect(harness.writer.status()).toMatchObject({
      accepted: 10,
      written: 5,
      duplicate: 1,
      abandoned: 4,
      inHand: 0,
      bufferedBytes: 0,
    })
    expect(harness.clock.pendingTimers).toBe(0)
    expect(harness.clock.now()).toBe(0)
  })

  test('waits until the deadline and no longer; what is left is abandoned', async () => {
    const harness = new Harness({ requestTimeoutMs: 60_000 })
    harness.offer(...names('a', 6))
    const [request] = harness.sent()
    let closed = false
    void harness.writer.close(1000).then(() => (closed = true))
    await harness.clock.advance(999)
    expect([closed, harness.imbalance()]).toEqual([false, 0])
    await harness.clock.advance(1)
    expect(closed).toBe(true)
    expect(harness.writer.status()).toMatchObject({ abandoned: 6, inHand: 0, inFlightRequests: 0 })
    expect(harness.clock.pendingTimers).toBe(0)
    await request?.answer(WRITTEN)
    expect(harness.settlement.settled).toEqual([])
    expect(harness.metric('numLateAnswers')).toBe(1)
    expect(harness.imbalance()).toBe(0)
  })

  test('an answer that arrives in the poll phase after the deadline timer still settles', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    const request = await harness.only()
    harness.clock.onPoll = () => void request.answer(WRITTEN)
    const closed = harness.writer.close(1000)
    await harness.clock.advance(1000)
    await closed
    expect(harness.writer.status()).toMatchObject({ written: 4, abandoned: 0 })
  })

  test('a request whose own timeout passes first is abandoned, not repeated', async () => {
    const harness = new Harness({ requestTimeoutMs: 500 })
    harness.offer(...names('a', 4))
    harness.sent()
    const closed = harness.writer.close(1000)
    await harness.clock.advance(500)
    await closed
    expect(harness.clock.now()).toBe(500)
    expect(harness.writer.status()).toMatchObject({ abandoned: 4, inHand: 0 })
    expect(harness.requests).toEqual([])
  })

  test('is idempotent: the second call waits for the first', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    const first = harness.writer.close(1000)
    const second = harness.writer.close(5)
    await harness.clock.advance(5)
    expect(harness.writer.status().abandoned).toBe(0)
    await harness.clock.advance(995)
    await Promise.all([first, second])
    await harness.writer.close(1000)
    await harness.writer[Symbol.asyncDispose]()
    expect(harness.writer.status()).toMatchObject({ abandoned: 4 })
  })

  test('nothing is taken and nothing is sent from then on', async () => {
    const harness = new Harness({ maxInFlightRequests: 1 })
    harness.offer(...names('a', 10))
    const request = await harness.only()
    const closed = harness.writer.close(1000)
    expect(harness.offer('b')).toBe(0)
    harness.writer.hasten()
    await request.answer({ retryAll: reason('busy') })
    await harness.clock.advance(60_000)
    await closed
    harness.writer.hasten()
    expect(harness.offer('b')).toBe(0)
    await harness.clock.advance(60_000)
    expect(harness.requests).toEqual([])
    expect(harness.writer.status()).toMatchObject({ accepted: 10, abandoned: 10 })
  })

  test('wakes whoever waits for room', async () => {
    const harness = new Harness({ maxInFlightRequests: 1, maxBufferedRequests: 5 })
    harness.offer(...names('a', 9))
    const ready = harness.writer.ready()
    const closed = harness.writer.close(1000)
    await harness.clock.advance(1000)
    await Promise.all([closed, ready])
    expect(harness.writer.status().inHand).toBe(0)
  })

  test('entries that wait for a repeat or for their age leave no timer behind', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 5))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 5000 })
    expect(harness.clock.pendingTimers).toBeGreaterThan(0)
    await harness.writer.close(0)
    expect(harness.clock.pendingTimers).toBe(0)
    expect(harness.writer.status()).toMatchObject({ abandoned: 5 })
  })
})
