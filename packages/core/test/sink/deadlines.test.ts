import { describe, expect, test } from 'vitest'

import { Harness, leastJitter, names, NOTHING_LEFT, reason, type Shape, WRITTEN } from './harness.ts'

const retry = { kind: 'retry', reason: reason('busy') }
const written = { kind: 'written' }

function limited(options: ConstructorParameters<typeof Harness>[0] = {}, shape: Shape = {}): Harness {
  return new Harness({ maxTimeInBufferMS: 1000, entryTimeoutMs: 10_000, ...options }, leastJitter, shape)
}

describe('entryTimeoutMs', () => {
  test('gives up an entry in the buffer at its time and not before', async () => {
    const harness = limited({ maxTimeInBufferMS: 60_000 })
    await harness.clock.advance(3)
    harness.offer({ name: 'a', size: 5, rawBytes: 7 })
    await harness.clock.advance(9999)
    expect(harness.settlement.refusals).toEqual([])
    await harness.clock.advance(1)
    expect(harness.settlement.refusals).toMatchObject([
      {
        token: 0,
        stage: 'store',
        entry: { name: 'a' },
        attempts: 0,
        reason: {
          code: 'entryTimeout',
          message: 'no outcome within 10000 ms of its acceptance (entryTimeoutMs); it was not sent yet',
        },
      },
    ])
    expect(harness.writer.status()).toMatchObject({ deadLettered: 1, ...NOTHING_LEFT })
    expect(harness.settlement.settled).toEqual([0])
    expect(harness.clock.pendingTimers).toBe(0)
  })

  test('gives nothing up when something else falls due just before', async () => {
    const harness = limited({ maxTimeInBufferMS: 60_000, maxBatchSize: 2 }, { destinations: true })
    harness.offer({ name: 'x', to: 'x' }, { name: 'y0', to: 'y' }, { name: 'y1', to: 'y' })
    const request = await harness.only()
    await harness.clock.advance(5000)
    harness.offer({ name: 'z', to: 'z' })
    await request.answer({ entries: [{ kind: 'written' }, { ...retry, afterMs: 4999.5 }] })
    await harness.clock.advance(4999.5)
    expect((await harness.only()).names).toEqual(['y1'])
    expect(harness.settlement.refusals).toEqual([])
    await harness.clock.advance(0.5)
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'x' } }])
  })

  test('leaves younger entries where they are, and gives them up in their turn', async () => {
    const harness = limited({ maxTimeInBufferMS: 60_000, maxBatchSize: 10 })
    for (const name of ['a', 'b', 'c']) {
      harness.offer(name)
      await harness.clock.advance(1000)
    }
    await harness.clock.advance(7000)
    const given: string[] = []
    const look = (): void => {
      const refused = harness.settlement.refusals.splice(0)
      given.push(refused.map(({ entry }) => (entry as { readonly name: string }).name).join())
    }
    look()
    await harness.clock.advance(999)
    look()
    await harness.clock.advance(1)
    look()
    await harness.clock.advance(1000)
    look()
    expect(given).toEqual(['a', '', 'b', 'c'])
  })

  test('a batch that was not full is sent without the entries that were given up', async () => {
    const harness = limited({ maxTimeInBufferMS: 60_000, maxBatchSize: 3 })
    harness.offer('a')
    await harness.clock.advance(5000)
    harness.offer('b')
    await harness.clock.advance(5000)
    harness.offer('c')
    expect(harness.sent()).toEqual([])
    harness.offer('d')
    expect((await harness.only()).names).toEqual(['b', 'c', 'd'])
  })

  test('gives up an entry that waits to be repeated at its time, however long its wait', async () => {
    const harness = limited()
    harness.offer(...names('a', 4))
    const first = await harness.only()
    await harness.clock.advance(2000)
    await first.answer({ retryAll: reason('busy'), afterMs: 3_600_000, slowDown: false })
    await harness.clock.advance(7999)
    expect(harness.settlement.refusals).toEqual([])
    await harness.clock.advance(1)
    expect(harness.settlement.refusals).toMatchObject(
      names('a', 4).map((name) => ({
        entry: { name },
        attempts: 1,
        firstFailedAt: 2000,
        reason: {
          code: 'entryTimeout',
          message: expect.stringContaining('busy: message of busy') as string,
        },
      })),
    )
    expect(harness.writer.status()).toMatchObject({ deadLettered: 4, ...NOTHING_LEFT })
  })

  test('gives up an entry behind a lane that is stuck', async () => {
    const harness = limited({ orderedLanes: 1, maxInFlightRequests: 1 }, { ordered: true })
    harness.offer({ name: 'a', order: 1 })
    await harness.clock.advance(1000)
    const request = await harness.only()
    harness.offer({ name: 'b', order: 1 })
    await request.answer({ retryAll: reason('busy'), afterMs: 3_600_000 })
    await harness.clock.advance(9999)
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'a' }, attempts: 1 }])
    await harness.clock.advance(1)
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'a' } }, { entry: { name: 'b' }, attempts: 0 }])
    expect(harness.writer.status()).toMatchObject({ deadLettered: 2, ...NOTHING_LEFT })
  })

  test('a lane goes on when the entry that held it back was given up', async () => {
    const harness = limited({ orderedLanes: 1, maxInFlightRequests: 1 }, { ordered: true })
    harness.offer({ name: 'a', order: 1 })
    await harness.clock.advance(1000)
    const request = await harness.only()
    await request.answer({ retryAll: reason('busy'), afterMs: 3_600_000, slowDown: false })
    await harness.clock.advance(8000)
    harness.offer({ name: 'b', order: 1 })
    await harness.clock.advance(1000)
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'a' } }])
    expect((await harness.only()).names).toEqual(['b'])
  })

  test('waits for an answer under way, and takes it when it is good', async () => {
    const harness = limited()
    harness.offer(...names('a', 4))
    const request = await harness.only()
    await harness.clock.advance(30_000)
    expect(harness.settlement.refusals).toEqual([])
    await request.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 4, ...NOTHING_LEFT })
  })

  test.each([
    ['retry of all', { retryAll: reason('busy') }],
    ['retry of each', { entries: [retry, retry, retry, retry] }],
    ['isolate', { isolate: reason('bad') }],
    ['too large', { tooLarge: reason('413') }],
  ])('when the answer (%s) comes after the time, nothing is sent again', async (_, outcome) => {
    const harness = limited()
    harness.offer(...names('a', 4))
    const request = await harness.only()
    await harness.clock.advance(10_000)
    await request.answer(outcome)
    expect(harness.settlement.refusals).toHaveLength(4)
    expect(harness.settlement.refusals[0]).toMatchObject({ attempts: 1, reason: { code: 'entryTimeout' } })
    await harness.clock.advance(100_000)
    expect(harness.sent()).toEqual([])
    expect(harness.writer.status()).toMatchObject({ deadLettered: 4, ...NOTHING_LEFT })
  })

  test('an unanswered request is given up first: what it held ends as timed out once', async () => {
    const harness = limited({ requestTimeoutMs: 12_000 })
    harness.offer(...names('a', 4))
    const late = await harness.only()
    await harness.clock.advance(12_000)
    expect(harness.settlement.refusals.map(({ reason: { code } }) => code)).toEqual(Array(4).fill('entryTimeout'))
    await late.answer(WRITTEN)
    expect(harness.metric('numLateAnswers')).toBe(1)
    expect(harness.writer.status()).toMatchObject({ deadLettered: 4, written: 0, ...NOTHING_LEFT })
    expect(harness.settlement.settled).toHaveLength(4)
  })

  test('a part of a refused request whose entries are over is not sent; the other part is', async () => {
    const harness = limited({ maxBatchSize: 2, maxInFlightRequests: 1, maxTimeInBufferMS: 60_000 })
    harness.offer('old')
    await harness.clock.advance(6000)
    harness.offer('young')
    const request = await harness.only()
    await request.answer({ tooLarge: reason('413') })
    const half = await harness.only()
    expect(half.names).toEqual(['old'])
    await harness.clock.advance(4000)
    await half.answer({ retryAll: reason('busy'), slowDown: false })
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'old' } }])
    expect((await harness.only()).names).toEqual(['young'])
  })

  test('the rest of a refused request is asked for again before anybody is blamed', async () => {
    const harness = limited({ maxBatchSize: 3, maxInFlightRequests: 1, maxTimeInBufferMS: 60_000 })
    harness.offer('old')
    await harness.clock.advance(6000)
    harness.offer('b', 'c')
    const request = await harness.only()
    await harness.clock.advance(4000)
    await request.answer({ isolate: reason('bad') })
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'old' }, reason: { code: 'entryTimeout' } }])
    const rest = await harness.only()
    expect(rest.names).toEqual(['b', 'c'])
    await rest.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ written: 2, deadLettered: 1, ...NOTHING_LEFT })
  })

  test('a refused entry that waits for its letter is not given up again', async () => {
    const harness = limited({ maxBatchSize: 1 })
    harness.settlement.decide = () => new Promise(() => {})
    harness.offer('a')
    await (await harness.only()).answer({ isolate: reason('bad') })
    await harness.clock.advance(50_000)
    expect(harness.settlement.refusals).toHaveLength(1)
    expect(harness.writer.status().inHand).toBe(1)
  })

  test('room that it makes is announced', async () => {
    const harness = limited({ maxBatchSize: 4, maxBufferedRequests: 5, maxInFlightRequests: 1 })
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 3_600_000 })
    harness.offer(...names('b', 1))
    expect(harness.offer('c')).toBe(0)
    let isReady = false
    void harness.writer.ready().then(() => (isReady = true))
    await harness.clock.advance(9999)
    expect(isReady).toBe(false)
    await harness.clock.advance(1)
    expect(isReady).toBe(true)
    expect(harness.offer('c')).toBe(1)
  })

  test('close while entries wait leaves no timer, and nothing is given up any more', async () => {
    const harness = limited()
    harness.offer(...names('a', 6))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 3_600_000 })
    const closed = harness.writer.close(500)
    await harness.clock.advance(500)
    await closed
    expect(harness.clock.pendingTimers).toBe(0)
    await harness.clock.advance(100_000)
    expect(harness.settlement.refusals).toEqual([])
    expect(harness.writer.status()).toMatchObject({ abandoned: 6, ...NOTHING_LEFT })
  })
})

describe('retry.maxElapsedMs', () => {
  test('refuses at the first failure from that time on after the first', async () => {
    const harness = new Harness({ retry: { initialDelayMs: 100, maxDelayMs: 100, maxElapsedMs: 150 } }, leastJitter)
    await harness.clock.advance(1000)
    harness.offer(...names('a', 4))
    const first = await harness.only()
    await harness.clock.advance(400)
    // Time before the first failure does not count.
    await first.answer({ retryAll: reason('busy'), slowDown: false })
    await harness.clock.advance(50)
    const second = await harness.only()
    await harness.clock.advance(99)
    await second.answer({ retryAll: reason('busy'), slowDown: false })
    expect(harness.settlement.refusals).toEqual([])
    await harness.clock.advance(50)
    await (await harness.only()).answer({ retryAll: reason('busy'), slowDown: false })
    expect(harness.settlement.refusals).toHaveLength(4)
    expect(harness.settlement.refusals[0]).toMatchObject({
      attempts: 3,
      firstFailedAt: 1400,
      reason: {
        code: 'retriesExhausted',
        message: '3 tries (retry.maxElapsedMs), the last ended with busy: message of busy',
      },
    })
  })

  test('is counted for each entry from its own first failure', async () => {
    const harness = new Harness({ retry: { initialDelayMs: 100, maxDelayMs: 100, maxElapsedMs: 60 } }, leastJitter)
    harness.offer(...names('a', 4))
    await (await harness.only()).answer({ entries: [written, retry, written, written] })
    harness.offer('b')
    await harness.clock.advance(50)
    const request = await harness.only()
    expect(request.names).toEqual(['a1', 'b'])
    await harness.clock.advance(20)
    await request.answer({ retryAll: reason('busy'), slowDown: false })
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'a1' } }])
    await harness.clock.advance(50)
    expect((await harness.only()).names).toEqual(['b'])
  })
})

describe('requestTimeoutMs', () => {
  test('is judged for each request at its own time, also when others were sent meanwhile', async () => {
    const harness = new Harness(
      { requestTimeoutMs: 2000, maxInFlightRequests: 2, maxBufferedRequests: 40 },
      leastJitter,
    )
    harness.offer(...names('a', 4))
    const first = await harness.only()
    await harness.clock.advance(500)
    harness.offer(...names('b', 4), ...names('c', 4))
    const second = await harness.only()
    await harness.clock.advance(1500)
    expect(first.signal.aborted).toBe(true)
    // The limiter is at one now: nothing may be sent beside the second.
    expect(harness.writer.status().inFlightRequests).toBe(1)
    await harness.clock.advance(499)
    expect(second.signal.aborted).toBe(false)
    await harness.clock.advance(1)
    expect(second.signal.aborted).toBe(true)
  })

  test('a request that is sent as another is given up does not put off the deadline of a third', async () => {
    const harness = new Harness(
      { requestTimeoutMs: 2000, maxInFlightRequests: 4, maxBufferedRequests: 60 },
      leastJitter,
    )
    harness.offer(...names('a', 8))
    await harness.clock.advance(500)
    harness.offer(...names('b', 12))
    const open = harness.sent()
    expect(open).toHaveLength(4)
    await harness.clock.advance(1500)
    await open[2]?.answer(WRITTEN)
    // The fifth was sent meanwhile.
    await harness.clock.advance(499)
    expect(open[3]?.signal.aborted).toBe(false)
    await harness.clock.advance(1)
    expect(open[3]?.signal.aborted).toBe(true)
  })

  test('failOnTimeout ends the attempt, sends nothing of it again and gives nothing up', async () => {
    const harness = new Harness({ requestTimeoutMs: 2000, failOnTimeout: true }, leastJitter)
    harness.offer(...names('a', 4))
    const request = await harness.only()
    await harness.clock.advance(2000)
    expect(request.signal.aborted).toBe(true)
    expect(harness.failures).toMatchObject([{ code: 'SLUICE_DEADLINE_EXCEEDED', restartable: true }])
    await harness.clock.advance(100_000)
    expect(harness.sent()).toEqual([])
    expect(harness.writer.status()).toMatchObject({ inHand: 4, deadLettered: 0 })
    await request.answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject({ inHand: 4, written: 0 })
    await harness.writer.close(0)
    expect(harness.writer.status()).toMatchObject({ abandoned: 4, ...NOTHING_LEFT })
    expect(harness.clock.pendingTimers).toBe(0)
  })

  test('failOnTimeout in a lane parks what timed out, and nothing overtakes it', async () => {
    const harness = new Harness({ requestTimeoutMs: 2000, failOnTimeout: true }, leastJitter, {
      ordered: true,
      answers: 'request',
    })
    harness.offer(...names('a', 6).map((name) => ({ name, order: 2 })))
    await harness.clock.advance(2000)
    harness.sent()
    harness.writer.hasten()
    await harness.clock.advance(100_000)
    expect(harness.sent()).toEqual([])
    expect(harness.writer.status().oldest?.reason).toContain('SLUICE_DEADLINE_EXCEEDED')
    await harness.writer.close(0)
    expect(harness.writer.status()).toMatchObject({ abandoned: 6, ...NOTHING_LEFT })
    expect(harness.clock.pendingTimers).toBe(0)
  })
})
