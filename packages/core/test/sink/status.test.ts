import { describe, expect, test } from 'vitest'

import { Harness, names, reason, WRITTEN } from './harness.ts'

describe('status', () => {
  test('says nothing about an oldest entry when there is none', async () => {
    const harness = new Harness()
    expect(harness.writer.status()).not.toHaveProperty('oldest')
    harness.offer(...names('a', 4))
    await (await harness.only()).answer(WRITTEN)
    expect(harness.writer.status()).not.toHaveProperty('oldest')
  })

  test('an entry in the buffer waits for its batch', async () => {
    const harness = new Harness()
    harness.offer('a')
    await harness.clock.advance(300)
    harness.offer('b')
    expect(harness.writer.status().oldest).toEqual({ ageMs: 300, reason: 'waiting for its batch' })
  })

  test('a request waits for its answer', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 5))
    await harness.clock.advance(10)
    expect(harness.writer.status().oldest).toEqual({ ageMs: 10, reason: 'waiting for the answer of its request' })
  })

  test('an entry to be retried says why, before younger ones and those of its own age in the buffer', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 5))
    await (await harness.only()).answer({ retryAll: reason('ThrottlingException'), afterMs: 60_000 })
    expect(harness.writer.status().oldest).toEqual({
      ageMs: 0,
      reason: 'to be retried, ThrottlingException: message of ThrottlingException',
    })
  })

  test('the oldest entry counts, not the first of its request', async () => {
    const harness = new Harness({ maxInFlightRequests: 3 }, () => 0)
    harness.offer(...names('old', 4))
    const old = await harness.only()
    await harness.clock.advance(100)
    harness.offer(...names('new', 4))
    const young = await harness.only()
    const retry = { kind: 'retry', reason: reason('busy') }
    const written = { kind: 'written' }
    await young.answer({ entries: [{ ...retry, afterMs: 400 }, written, written, written] })
    await old.answer({ entries: [{ ...retry, afterMs: 401 }, written, written, written] })
    // A block of the process: both are due when the timer runs, the younger first.
    harness.clock.after(399, () => {})
    await harness.clock.advance(401)
    const oldest = harness.writer.status().oldest
    expect(oldest?.ageMs).toBe(501)
  })

  test('a refusal says since when its entry is in hand and why', async () => {
    const harness = new Harness({ maxBatchSize: 1 })
    harness.settlement.decide = () => new Promise(() => {})
    harness.offer('a')
    const request = await harness.only()
    await harness.clock.advance(200)
    await request.answer({ isolate: reason('ValidationException') })
    await harness.clock.advance(50)
    expect(harness.writer.status().oldest).toEqual({
      ageMs: 250,
      reason: 'refused, ValidationException: message of ValidationException',
    })
  })

  test('gauges show what the status shows', async () => {
    const harness = new Harness({ maxInFlightRequests: 1 })
    harness.offer(...names('a', 7).map((name) => ({ name, size: 2, rawBytes: 3 })))
    await harness.clock.flush()
    expect(harness.metric('inHand')).toBe(7)
    expect(harness.metric('bufferedRecords')).toBe(3)
    expect(harness.metric('bufferedBytes')).toBe(35)
    expect(harness.metric('inFlightRequests')).toBe(1)
  })
})
