import { describe, expect, test } from 'vitest'

import type { SubmitOutcome } from '../../src/index.ts'
import { Harness, names, reason, WRITTEN } from './harness.ts'

/** Refuses any request that holds one of the bad entries. */
function refusing(...bad: readonly string[]): (sent: readonly string[]) => SubmitOutcome {
  return (sent) => (sent.some((name) => bad.includes(name)) ? { isolate: reason('ValidationException') } : WRITTEN)
}

async function run(harness: Harness): Promise<readonly (readonly string[])[]> {
  await harness.clock.flush()
  while (harness.writer.status().inFlightRequests > 0) await harness.clock.flush()
  return harness.sent().map((request) => request.names)
}

describe('isolation', () => {
  test('halves until the culprit stands alone, and writes everything else', async () => {
    const harness = new Harness({ maxBatchSize: 8, maxInFlightRequests: 1 })
    harness.autoAnswer = refusing('a5')
    harness.offer(...names('a', 8))
    expect(await run(harness)).toEqual([
      names('a', 8),
      ['a0', 'a1', 'a2', 'a3'],
      ['a4', 'a5', 'a6', 'a7'],
      ['a4', 'a5'],
      ['a4'],
      ['a5'],
      ['a6', 'a7'],
    ])
    expect(harness.settlement.refusals).toMatchObject([
      { entry: { name: 'a5' }, attempts: 1, reason: { code: 'ValidationException' } },
    ])
    expect(harness.writer.status()).toMatchObject({ written: 7, deadLettered: 1, inHand: 0 })
    expect(harness.settlement.violations).toEqual([])
  })

  test('an odd number: the first half has one more', async () => {
    const harness = new Harness({ maxBatchSize: 5, maxInFlightRequests: 1 })
    harness.autoAnswer = refusing('a0')
    harness.offer(...names('a', 5))
    expect(await run(harness)).toEqual([
      names('a', 5),
      ['a0', 'a1', 'a2'],
      ['a0', 'a1'],
      ['a0'],
      ['a1'],
      ['a2'],
      ['a3', 'a4'],
    ])
  })

  test('halves are sent as they are: nothing new joins them', async () => {
    const harness = new Harness({ maxInFlightRequests: 1 })
    harness.offer(...names('a', 4), 'b')
    await (await harness.only()).answer({ isolate: reason('bad') })
    const half = await harness.only()
    expect(half.names).toEqual(['a0', 'a1'])
    await half.answer({ retryAll: reason('busy'), slowDown: false })
    await (await harness.only()).answer(WRITTEN)
    await harness.clock.advance(100)
    expect(await harness.only()).toMatchObject({ names: ['a0', 'a1'], trigger: 'isolate', attempt: 2 })
  })

  test('a single entry is refused at once, with the reason of the store', async () => {
    const harness = new Harness({ maxBatchSize: 1 })
    harness.offer('a')
    await (await harness.only()).answer({ isolate: reason('bad') })
    expect(harness.requests).toEqual([])
    expect(harness.settlement.refusals).toMatchObject([{ reason: reason('bad') }])
  })

  test.each([
    // Everything is bad: 8 entries need 14 requests beyond the first.
    [14, 14, 8, 0],
    [13, 12, 6, 2],
    [12, 12, 6, 2],
    [2, 2, 0, 8],
    [1, 0, 0, 8],
  ])('a budget of %i requests: %i are spent, %i entries found, %i given up', async (budget, spent, found, givenUp) => {
    const harness = new Harness({ maxBatchSize: 8, maxInFlightRequests: 1, maxIsolationRequests: budget })
    harness.autoAnswer = () => ({ isolate: reason('bad') })
    harness.offer(...names('a', 8))
    expect(await run(harness)).toHaveLength(1 + spent)
    const codes = harness.settlement.refusals.map((refusal) => refusal.reason.code)
    expect(codes.filter((code) => code === 'bad')).toHaveLength(found)
    expect(codes.filter((code) => code === 'isolationBudget')).toHaveLength(givenUp)
    expect(harness.writer.status()).toMatchObject({ deadLettered: 8, inHand: 0 })
  })

  test('the budget belongs to one refused batch: the next has its own', async () => {
    const harness = new Harness({ maxBatchSize: 2, maxInFlightRequests: 1, maxIsolationRequests: 2 })
    harness.autoAnswer = refusing('a0', 'b0')
    harness.offer(...names('a', 2), ...names('b', 2))
    await run(harness)
    expect(harness.settlement.refusals.map(({ reason: { code } }) => code)).toEqual([
      'ValidationException',
      'ValidationException',
    ])
    expect(harness.writer.status()).toMatchObject({ written: 2, deadLettered: 2 })
  })

  test('too large: halved without an attempt and without the budget', async () => {
    const harness = new Harness({ maxBatchSize: 8, maxInFlightRequests: 1, maxIsolationRequests: 1 })
    harness.autoAnswer = (sent) => (sent.length > 2 ? { tooLarge: reason('413') } : WRITTEN)
    harness.offer(...names('a', 8))
    const requests = await run(harness)
    expect(requests.map((sent) => sent.length)).toEqual([8, 4, 2, 2, 4, 2, 2])
    expect(harness.writer.status()).toMatchObject({ written: 8, inHand: 0 })
    expect(harness.metric('numRecordsSend')).toBe(8)
  })

  test('too large inside an isolation does not spend its budget', async () => {
    const harness = new Harness({ maxBatchSize: 8, maxInFlightRequests: 1, maxIsolationRequests: 2 })
    harness.autoAnswer = (sent) => {
      if (sent.length === 8) return { isolate: reason('bad') }
      return sent.length > 2 ? { tooLarge: reason('413') } : WRITTEN
    }
    harness.offer(...names('a', 8))
    await run(harness)
    expect(harness.writer.status()).toMatchObject({ written: 8, inHand: 0 })
  })

  test('one entry that is too large alone is refused', async () => {
    const harness = new Harness({ maxBatchSize: 1 })
    harness.offer('a')
    await (await harness.only()).answer({ tooLarge: reason('413') })
    expect(harness.settlement.refusals).toMatchObject([{ stage: 'store', reason: reason('413'), attempts: 1 }])
  })

  test('attempts before the isolation go on counting in the halves', async () => {
    const harness = new Harness({ retry: { maxAttempts: 2 } }, () => 0)
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), slowDown: false })
    await harness.clock.advance(50)
    await (await harness.only()).answer({ isolate: reason('bad') })
    const [first] = harness.sent()
    expect(first?.attempt).toBe(2)
    await first?.answer({ retryAll: reason('busy') })
    expect(harness.settlement.refusals).toMatchObject([
      { entry: { name: 'a0' }, attempts: 2, reason: { code: 'retriesExhausted' } },
      { entry: { name: 'a1' }, attempts: 2, reason: { code: 'retriesExhausted' } },
    ])
  })
})
