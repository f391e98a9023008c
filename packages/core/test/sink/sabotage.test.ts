import { afterEach, describe, expect, test } from 'vitest'

import { setFailpoint } from '../../src/runtime/failpoints.ts'
import { Harness, names, reason, WRITTEN } from './harness.ts'

let restore = (): void => {}
afterEach(() => restore())

describe('sabotage:ack-early', () => {
  test('settles inputs when they are sent, which a campaign must notice', async () => {
    const harness = new Harness()
    restore = setFailpoint('sabotage:ack-early', () => true)
    harness.offer(...names('a', 4))
    await harness.only()
    expect(harness.settlement.settled).toEqual([0, 1, 2, 3])
    expect(harness.writer.status()).toMatchObject({ written: 0, inHand: 4 })
  })

  test('every token is still settled once, whatever becomes of its entry', async () => {
    const harness = new Harness({ maxBatchSize: 8, retry: { maxAttempts: 2 }, maxInFlightRequests: 4 }, () => 0)
    restore = setFailpoint('sabotage:ack-early', () => true)
    harness.offer(...names('a', 8))
    const retry = { kind: 'retry', reason: reason('busy') }
    const refuse = { kind: 'refuse', reason: reason('bad') }
    const kinds = [{ kind: 'written' }, { kind: 'duplicate' }, { kind: 'dropped', reason: reason('old') }, refuse]
    await (await harness.only()).answer({ entries: [...kinds, retry, retry, retry, retry] })
    harness.offer('b')
    await harness.clock.advance(50)
    const again = await harness.only()
    // An entry that holds its token never shares a request with one that does not.
    expect(again.names).toEqual(['a4', 'a5', 'a6', 'a7'])
    await again.answer({ isolate: reason('bad') })
    const [first, second] = harness.sent()
    await first?.answer({ retryAll: reason('busy') })
    await second?.answer(WRITTEN)
    harness.writer.hasten()
    await harness.clock.advance(1000)
    for (const request of harness.sent()) await request.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ accepted: 9, inHand: 0, written: 4, deadLettered: 3 })
    expect(harness.settlement.settled).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(harness.settlement.violations).toEqual([])
  })

  test('a repeat whose tokens are settled takes none along that holds its own', async () => {
    const harness = new Harness({ maxBatchSize: 2, maxInFlightRequests: 4 }, () => 0)
    const retry = { entries: [{ kind: 'retry', reason: reason('busy') }, { kind: 'written' }] }
    restore = setFailpoint('sabotage:ack-early', () => true)
    harness.offer('a', 'b')
    restore()
    harness.offer('c', 'd')
    for (const request of harness.sent()) await request.answer(retry)
    await harness.clock.advance(50)
    const repeats = harness.sent()
    expect(repeats.map((request) => request.names)).toEqual([['a'], ['c']])
    for (const request of repeats) await request.answer(WRITTEN)
    expect(harness.settlement.settled).toEqual([0, 1, 3, 2])
    expect(harness.settlement.violations).toEqual([])
    expect(harness.writer.status()).toMatchObject({ written: 4, inHand: 0 })
  })
})
