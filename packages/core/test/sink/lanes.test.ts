import { describe, expect, test } from 'vitest'

import type { AsyncSinkOptions } from '../../src/index.ts'
import { fixedRateLimit } from '../../src/sink/rate-limiting.ts'
import { Harness, leastJitter, NOTHING_LEFT, reason, type Request, type Shape, type Value, WRITTEN } from './harness.ts'

const retry = { kind: 'retry', reason: reason('busy') }
const written = { kind: 'written' }

/** Two lanes: even keys have the first, odd ones the second. */
function ordered(options: Partial<AsyncSinkOptions> = {}, shape: Shape = {}): Harness {
  const limits = { maxInFlightRequests: 4, maxBufferedRequests: 64, orderedLanes: 2, ...options }
  return new Harness(limits, leastJitter, { ordered: true, ...shape })
}

/** 'a', 0 and 3: a0 to a2, all with the order key 0. */
function keyed(prefix: string, key: number, count: number, from = 0): readonly Value[] {
  return Array.from({ length: count }, (_, index) => ({ name: `${prefix}${from + index}`, order: key, key }))
}

function to(destination: string, list: readonly Value[]): readonly Value[] {
  return list.map((value) => ({ ...value, to: destination }))
}

function sized(list: readonly Value[]): readonly Value[] {
  return list.map((value) => ({ ...value, size: 10 }))
}

async function sentNames(harness: Harness): Promise<readonly (readonly string[])[]> {
  await harness.clock.flush()
  return harness.sent().map((request) => request.names)
}

/** Answers everything as written until nothing is left, and says in which order entries were stored. */
async function storeAll(harness: Harness, open: readonly Request[] = []): Promise<readonly string[]> {
  const stored: string[] = []
  const queue = [...open]
  for (let round = 0; round < 200 && harness.writer.status().inHand > 0; round++) {
    queue.push(...harness.sent())
    const request = queue.shift()
    if (request === undefined) {
      harness.writer.hasten()
      await harness.clock.advance(1000)
      continue
    }
    stored.push(...request.names)
    await request.answer(WRITTEN)
  }
  return stored
}

describe('a store that answers for a request', () => {
  test('fills batches with entries of one key, in order, one request of a lane at a time', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 0, 8))
    const first = await harness.only()
    expect(first.names).toEqual(['a0', 'a1', 'a2', 'a3'])
    await harness.clock.advance(30_000)
    expect(harness.sent()).toEqual([])
    await first.answer(WRITTEN)
    expect((await harness.only()).names).toEqual(['a4', 'a5', 'a6', 'a7'])
  })

  test('lanes go on beside each other', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 0, 4), ...keyed('b', 1, 4), ...keyed('c', 2, 4))
    expect(await sentNames(harness)).toEqual([
      ['a0', 'a1', 'a2', 'a3'],
      ['b0', 'b1', 'b2', 'b3'],
    ])
  })

  test('a repeated request keeps its entries and their order, and takes new ones along behind them', async () => {
    const harness = ordered({ maxBatchSize: 4, maxTimeInBufferMS: 10 }, { answers: 'request' })
    harness.offer(...keyed('a', 0, 2))
    await harness.clock.advance(10)
    const first = await harness.only()
    harness.offer(...keyed('a', 0, 4, 2))
    await first.answer({ retryAll: reason('busy'), slowDown: false })
    await harness.clock.advance(49)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    expect(await harness.only()).toMatchObject({ names: ['a0', 'a1', 'a2', 'a3'], attempt: 2, trigger: 'retry' })
  })

  test('a request without an answer is repeated before anything else of its lane', async () => {
    const harness = ordered({ requestTimeoutMs: 2000 }, { answers: 'request' })
    harness.offer(...keyed('a', 0, 8))
    const late = await harness.only()
    await harness.clock.advance(2050)
    const again = await harness.only()
    expect(again.names).toEqual(['a0', 'a1', 'a2', 'a3'])
    await late.answer(WRITTEN)
    expect(await sentNames(harness)).toEqual([])
    await again.answer(WRITTEN)
    expect((await harness.only()).names).toEqual(['a4', 'a5', 'a6', 'a7'])
    expect(harness.metric('numLateAnswers')).toBe(1)
  })

  test('the parts of a refused request are sent in order, one at a time, before what comes after', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.autoAnswer = (sent) => (sent.includes('a1') ? { isolate: reason('bad') } : WRITTEN)
    harness.offer(...keyed('a', 0, 6))
    harness.writer.hasten()
    expect(await sentNames(harness)).toEqual([
      ['a0', 'a1', 'a2', 'a3'],
      ['a0', 'a1'],
      ['a0'],
      ['a1'],
      ['a2', 'a3'],
      ['a4', 'a5'],
    ])
    expect(harness.settlement.refusals).toMatchObject([{ entry: { name: 'a1' } }])
    expect(harness.writer.status()).toMatchObject({ written: 5, deadLettered: 1, ...NOTHING_LEFT })
  })

  test('a part that has to be repeated holds back the parts behind it', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 0, 5))
    await (await harness.only()).answer({ tooLarge: reason('413') })
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 5000, slowDown: false })
    harness.writer.hasten()
    await harness.clock.advance(4999)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    const first = await harness.only()
    expect(first).toMatchObject({ names: ['a0', 'a1'], trigger: 'isolate', attempt: 2 })
    await first.answer(WRITTEN)
    const second = await harness.only()
    expect(second).toMatchObject({ names: ['a2', 'a3'], attempt: 1 })
    await second.answer(WRITTEN)
    expect((await harness.only()).names).toEqual(['a4'])
  })

  test('a part of which some are repeated is not joined by entries that lie behind the other parts', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 0, 6))
    await (await harness.only()).answer({ isolate: reason('bad') })
    await (await harness.only()).answer({ entries: [written, retry] })
    harness.writer.hasten()
    await harness.clock.advance(50)
    const again = await harness.only()
    expect(again.names).toEqual(['a1'])
    await again.answer(WRITTEN)
    const second = await harness.only()
    expect(second.names).toEqual(['a2', 'a3'])
    await second.answer(WRITTEN)
    expect((await harness.only()).names).toEqual(['a4', 'a5'])
  })

  test('a half that is too large again is halved in its place', async () => {
    const harness = ordered({ maxBatchSize: 8, maxBufferedRequests: 64 }, { answers: 'request' })
    harness.autoAnswer = (sent) => (sent.length > 2 ? { tooLarge: reason('413') } : WRITTEN)
    harness.offer(...keyed('a', 0, 9))
    harness.writer.hasten()
    const stored = (await sentNames(harness)).filter((sent) => sent.length <= 2)
    expect(stored.flat()).toEqual(keyed('a', 0, 9).map(({ name }) => name))
  })
})

describe('a store that answers for each entry', () => {
  test('a request holds one unsettled entry of a key; the next follows when it is settled', async () => {
    const harness = ordered()
    harness.offer(...keyed('a', 0, 4))
    harness.writer.hasten()
    for (const name of ['a0', 'a1', 'a2', 'a3']) {
      const request = await harness.only()
      expect(request.names).toEqual([name])
      await request.answer({ entries: [written] })
    }
    expect(harness.writer.status()).toMatchObject({ written: 4, ...NOTHING_LEFT })
  })

  test('other keys of the lane go on past a key that is not settled', async () => {
    const harness = ordered({ maxBatchSize: 8 })
    harness.offer(...keyed('a', 0, 3), ...keyed('b', 2, 2), ...keyed('c', 4, 1))
    harness.writer.hasten()
    const first = await harness.only()
    expect(first.names).toEqual(['a0', 'b0', 'c0'])
    await first.answer(WRITTEN)
    const second = await harness.only()
    expect(second.names).toEqual(['a1', 'b1'])
    await second.answer(WRITTEN)
    expect((await harness.only()).names).toEqual(['a2'])
  })

  test('other keys are looked for in as many entries as four batches hold', async () => {
    const harness = ordered({ maxBatchSize: 4, maxBufferedRequests: 64 })
    harness.offer(...keyed('a', 0, 15), ...keyed('b', 2, 1), ...keyed('c', 4, 1))
    // One went when the first batch was full.
    expect(await sentNames(harness)).toEqual([['a0']])
    const other = ordered({ maxBatchSize: 4, maxBufferedRequests: 64 })
    other.offer(...keyed('z', 0, 4))
    const [blocking] = other.sent()
    other.offer(...keyed('a', 0, 12), ...keyed('b', 2, 1), ...keyed('c', 4, 1))
    await blocking?.answer(WRITTEN)
    // z1 to z3, a0 to a11 and b0 are sixteen; c0 lies behind them.
    expect((await other.only()).names).toEqual(['z1', 'b0'])
  })

  test('an entry to be repeated goes before the later ones of its key, and later keys may join', async () => {
    const harness = ordered()
    harness.offer(...keyed('a', 0, 3), ...keyed('b', 2, 1))
    const first = await harness.only()
    expect(first.names).toEqual(['a0', 'b0'])
    await first.answer({ entries: [retry, written] })
    harness.offer(...keyed('c', 4, 1))
    await harness.clock.advance(50)
    const again = await harness.only()
    expect(again).toMatchObject({ names: ['a0', 'c0'], attempt: 2 })
    await again.answer({ entries: [retry, written] })
    await harness.clock.advance(100)
    await (await harness.only()).answer({ entries: [written] })
    harness.writer.hasten()
    expect((await harness.only()).names).toEqual(['a1'])
  })

  test('repeats with different waits are repeated together, in order, after the longest', async () => {
    const harness = ordered()
    harness.offer(...keyed('a', 0, 1), ...keyed('b', 2, 1), ...keyed('c', 4, 1), ...keyed('d', 6, 1))
    const waits = [300, 900, Number.NaN].map((afterMs) => ({ ...retry, afterMs }))
    await (await harness.only()).answer({ entries: [waits[0], written, waits[1], waits[2]] })
    await harness.clock.advance(899)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    expect((await harness.only()).names).toEqual(['a0', 'c0', 'd0'])
  })

  test('what is too large for the batch is not overtaken by what comes after it', async () => {
    const harness = ordered({ maxBatchWeight: 10 })
    harness.offer(
      { name: 'a', order: 0, weight: 6 },
      { name: 'b', order: 2, weight: 6 },
      { name: 'c', order: 4, weight: 1 },
    )
    harness.writer.hasten()
    const first = await harness.only()
    expect(first.names).toEqual(['a'])
    await first.answer(WRITTEN)
    expect((await harness.only()).names).toEqual(['b', 'c'])
  })

  test('a refused entry lets the next of its key go', async () => {
    const harness = ordered()
    harness.offer(...keyed('a', 0, 2))
    harness.writer.hasten()
    await (await harness.only()).answer({ entries: [{ kind: 'refuse', reason: reason('bad') }] })
    expect((await harness.only()).names).toEqual(['a1'])
  })

  test('hasten sends all that was there, also what its first batches had to leave behind', async () => {
    const harness = ordered({ maxBatchSize: 4, maxTimeInBufferMS: 100_000 })
    harness.offer(...keyed('a', 0, 3), ...keyed('b', 2, 3), ...keyed('c', 4, 1))
    const [blocking] = harness.sent()
    harness.writer.hasten()
    // Came later: sent only as far as they fit.
    harness.offer(...keyed('late', 6, 2))
    const stored: string[] = [...(blocking?.names ?? [])]
    await blocking?.answer(WRITTEN)
    for (let open = harness.sent(); open.length > 0; open = harness.sent()) {
      for (const request of open) {
        stored.push(...request.names)
        await request.answer(WRITTEN)
      }
    }
    expect(harness.clock.now()).toBe(0)
    for (const name of ['a0', 'a1', 'a2', 'b0', 'b1', 'b2', 'c0']) expect(stored).toContain(name)
    // late1 shares its key with late0, which was taken along.
    expect(harness.writer.status().inHand).toBe(9 - stored.length)
  })
})

describe('order keys', () => {
  test('of keyBy win over those of the writer', async () => {
    const harness = ordered({}, { keyed: true, answers: 'request' })
    // By the writer's own they would be in both lanes.
    harness.offer(...[0, 1, 2, 3, 4, 5, 6, 7].map((order) => ({ name: `v${order}`, order, key: 10 })))
    expect((await harness.only()).names).toEqual(['v0', 'v1', 'v2', 'v3'])
    await harness.clock.advance(30_000)
    expect(harness.requests).toEqual([])
  })

  test('of keyBy are enough', async () => {
    const harness = ordered({}, { ordered: false, keyed: true, answers: 'request' })
    harness.offer(...keyed('a', 10, 8), ...keyed('b', 11, 4))
    expect(await sentNames(harness)).toEqual([
      ['a0', 'a1', 'a2', 'a3'],
      ['b0', 'b1', 'b2', 'b3'],
    ])
  })

  test('all entries of a value have its key', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer({ name: 'a', order: 1, parts: 3 }, { name: 'b', order: 1 })
    expect((await harness.only()).names).toEqual(['a.0', 'a.1', 'a.2', 'b'])
  })

  test('the greatest one is a key as any other', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', Number.MAX_SAFE_INTEGER, 4), ...keyed('b', 0, 4))
    expect(await sentNames(harness)).toHaveLength(2)
  })

  test.each([
    [new Error('no key here'), 'no key here'],
    [Number.NaN, 'orderKey must give an integer from 0 to 2^53 - 1, got NaN'],
    [-1, 'orderKey must give an integer from 0 to 2^53 - 1, got -1'],
    [1.5, 'orderKey must give an integer from 0 to 2^53 - 1, got 1.5'],
    [2 ** 53, 'orderKey must give an integer from 0 to 2^53 - 1, got 9007199254740992'],
    [Number.POSITIVE_INFINITY, 'orderKey must give an integer from 0 to 2^53 - 1, got Infinity'],
    ['7', 'orderKey must give an integer from 0 to 2^53 - 1, got 7'],
    [undefined, 'orderKey must give an integer from 0 to 2^53 - 1, got undefined'],
  ])('that are none (%s) refuse the entry, and its neighbours go on', async (order, message) => {
    const harness = ordered({ maxBatchSize: 2 }, { answers: 'request' })
    const bad = { name: 'bad', size: 3, rawBytes: 4, ...(order === undefined ? {} : { order }) }
    harness.offer({ name: 'a', order: 0 }, bad, { name: 'b', order: 0 })
    await (await harness.only()).answer(WRITTEN)
    expect(harness.settlement.refusals).toMatchObject([
      { token: 1, stage: 'convert', attempts: 0, entry: { name: 'bad' }, reason: { code: 'convertThrew', message } },
    ])
    expect(harness.settlement.settled).toEqual([1, 0, 2])
    expect(harness.writer.status()).toMatchObject({ written: 2, deadLettered: 1, ...NOTHING_LEFT })
    expect(harness.failures).toEqual([])
  })
})

describe('lanes', () => {
  test('share the requests in flight of the writer', async () => {
    const harness = ordered({ orderedLanes: 2, maxInFlightRequests: 2 }, { answers: 'request', destinations: true })
    harness.offer(...to('x', keyed('a', 0, 4)), ...to('x', keyed('b', 1, 4)), ...to('y', keyed('c', 0, 4)))
    const open = harness.sent()
    expect(open.map(({ names }) => names[0])).toEqual(['a0', 'b0'])
    await open[1]?.answer(WRITTEN)
    expect((await harness.only()).names[0]).toBe('c0')
  })

  test('never have more requests in flight, also when a sink hastens while it sends', async () => {
    const harness = ordered({ orderedLanes: 4, maxInFlightRequests: 4 }, { answers: 'request', destinations: true })
    harness.autoAnswer = () => {
      harness.writer.hasten()
      return undefined
    }
    for (const where of ['x', 'y', 'z']) for (const key of [0, 1, 2, 3]) harness.offer(...to(where, keyed('v', key, 3)))
    harness.writer.hasten()
    expect(harness.writer.status().inFlightRequests).toBe(4)
    const open = harness.sent()
    expect(open).toHaveLength(4)
    await open[0]?.answer(WRITTEN)
    expect(harness.writer.status().inFlightRequests).toBe(4)
  })

  test('a throttle with Retry-After holds back every lane of its destination', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 0, 4), ...keyed('b', 1, 4))
    const [first, second] = harness.sent()
    await first?.answer({ retryAll: reason('busy'), afterMs: 9000 })
    await second?.answer(WRITTEN)
    harness.offer(...keyed('b', 1, 4, 4))
    harness.writer.hasten()
    await harness.clock.advance(8999)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    const resumed = await storeAll(harness)
    expect(resumed.filter((name) => name.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3'])
    expect(resumed.filter((name) => name.startsWith('b'))).toEqual(['b4', 'b5', 'b6', 'b7'])
  })

  test('a repeat waits for its destination too, although its own time has come', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 0, 4), ...keyed('b', 1, 4))
    const [first, second] = harness.sent()
    await first?.answer({ retryAll: reason('busy'), slowDown: false })
    await second?.answer({ retryAll: reason('429'), afterMs: 9000 })
    await harness.clock.advance(8999)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    expect((await sentNames(harness))[0]).toEqual(['a0', 'a1', 'a2', 'a3'])
  })

  test('a retry that slows nobody down holds back its own lane only', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 0, 4), ...keyed('b', 1, 4))
    const [first, second] = harness.sent()
    await first?.answer({ retryAll: reason('busy'), afterMs: 9000, slowDown: false })
    await second?.answer(WRITTEN)
    harness.offer(...keyed('a', 0, 4, 4), ...keyed('b', 1, 4, 4))
    expect((await harness.only()).names).toEqual(['b4', 'b5', 'b6', 'b7'])
  })

  test('take turns when the destination has room for one request only', async () => {
    const harness = ordered(
      { rateLimitingStrategy: fixedRateLimit({ maxInFlightRequestsPerDestination: 1 }) },
      { answers: 'request' },
    )
    harness.offer(...keyed('a', 0, 8), ...keyed('b', 1, 8))
    const order: string[] = []
    for (let round = 0; round < 8; round++) {
      const request = await harness.only()
      order.push(request.names[0]?.slice(0, 1) ?? '')
      // The first lane always has a full batch.
      harness.offer(...keyed('a', 0, 4, 8 + 4 * round))
      await request.answer(WRITTEN)
    }
    // b had two batches.
    expect(order.join('')).toBe('ababaaaa')
  })

  test('one whose entries are older than their time is sent although others are always full', async () => {
    const harness = ordered(
      { rateLimitingStrategy: fixedRateLimit({ maxInFlightRequestsPerDestination: 1 }), maxTimeInBufferMS: 100 },
      { answers: 'request' },
    )
    harness.offer(...keyed('a', 0, 8), ...keyed('old', 1, 1))
    const sent: string[] = []
    for (let round = 0; round < 20 && !sent.includes('old0'); round++) {
      await harness.clock.advance(50)
      const request = await harness.only()
      sent.push(...request.names)
      harness.offer(...keyed('a', 0, 4, 8 + 4 * round))
      await request.answer(WRITTEN)
    }
    expect(sent).toContain('old0')
  })

  test('the status names the lane that waits, and why', async () => {
    const harness = ordered({}, { answers: 'request' })
    harness.offer(...keyed('a', 1, 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 60_000, slowDown: false })
    await harness.clock.advance(500)
    harness.offer(...keyed('a', 1, 4, 4))
    expect(harness.writer.status().oldest).toEqual({
      ageMs: 500,
      reason: 'lane 1: to be retried, busy: message of busy',
    })
  })

  test('the status of an entry that waits behind a younger repeat names what holds it back', async () => {
    const harness = ordered()
    harness.offer(...keyed('a', 0, 2))
    await harness.clock.advance(100)
    harness.offer(...keyed('b', 2, 2))
    const request = await harness.only()
    expect(request.names).toEqual(['a0', 'b0'])
    await request.answer({ entries: [written, { ...retry, afterMs: 60_000 }] })
    expect(harness.writer.status().oldest).toEqual({
      ageMs: 100,
      reason: 'lane 0: behind entries to be retried, busy: message of busy',
    })
  })

  test('the status of a lane names its destination too', async () => {
    const harness = ordered({ maxBatchSize: 1 }, { answers: 'request', destinations: true })
    harness.offer({ name: 'a', order: 1, to: 'tableA' })
    harness.offer({ name: 'b', order: 1, to: 'tableA' })
    const request = await harness.only()
    expect(harness.writer.status().oldest?.reason).toBe(
      'destination tableA, lane 1: waiting for the answer of its request',
    )
    await harness.clock.advance(10)
    await request.answer({ retryAll: reason('busy'), afterMs: 60_000, slowDown: false })
    expect(harness.writer.status().oldest?.reason).toBe(
      'destination tableA, lane 1: to be retried, busy: message of busy',
    )
  })

  test('a full buffer is sent although no lane has a full batch', async () => {
    const limits = { maxBatchSize: 4, maxBufferedRequests: 16, maxBufferedBytes: 60, maxTimeInBufferMS: 1_000_000 }
    const harness = ordered({ ...limits, orderedLanes: 2 }, { answers: 'request' })
    const taken = harness.offer(...sized(keyed('a', 0, 3)), ...sized(keyed('b', 1, 3)))
    expect(taken).toBe(6)
    const [first] = harness.sent()
    expect(first?.names).toEqual(['a0', 'a1', 'a2'])
    await first?.answer(WRITTEN)
    expect(harness.offer(...sized(keyed('c', 1, 1)))).toBe(1)
    await harness.clock.flush()
    expect(harness.writer.status().inHand).toBe(4)
    expect(harness.sent().map(({ names }) => names)).toEqual([['b0', 'b1', 'b2', 'c0']])
  })

  test('a full buffer of one key that the store answers entry by entry goes on', async () => {
    const harness = ordered({ orderedLanes: 1, maxBufferedRequests: 9, maxTimeInBufferMS: 1_000_000 })
    harness.autoAnswer = () => WRITTEN
    let next = 0
    for (let round = 0; round < 50; round++) {
      next += harness.offer(...keyed('a', 0, 5, next))
      await harness.clock.flush()
    }
    expect(next).toBeGreaterThan(100)
    harness.writer.hasten()
    await harness.clock.flush()
    expect(harness.sent().flatMap(({ names }) => names)).toEqual(keyed('a', 0, next).map(({ name }) => name))
    expect(harness.writer.status()).toMatchObject({ written: next, ...NOTHING_LEFT })
  })

  test('a lane that is stuck lets the others go on until the buffer is full, and all go on when it is free', async () => {
    const harness = ordered({ maxBufferedRequests: 16 }, { answers: 'request' })
    harness.offer(...keyed('a', 0, 4))
    await (await harness.only()).answer({ retryAll: reason('busy'), afterMs: 60_000, slowDown: false })
    harness.autoAnswer = () => WRITTEN
    let taken = 0
    for (let round = 0; round < 40; round++) {
      taken += harness.offer(...keyed('a', 0, 1, 4 + round), ...keyed('b', 1, 1, round))
      await harness.clock.flush()
    }
    expect(harness.offer('refused')).toBe(0)
    expect(harness.writer.status().bufferedRecords).toBe(16)
    const ready = harness.writer.ready()
    await harness.clock.advance(60_000)
    await ready
    harness.writer.hasten()
    await harness.clock.flush()
    const stored = harness.sent().flatMap(({ names }) => names)
    expect(stored).toHaveLength(4 + taken)
    for (const prefix of ['a', 'b']) {
      const own = stored.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(1)))
      expect(own).toEqual(own.toSorted((a, b) => a - b))
    }
    expect(harness.writer.status()).toMatchObject(NOTHING_LEFT)
  })

  test('a fresh batch is full while others wait: lanes do not make batches smaller', async () => {
    const harness = ordered({ orderedLanes: 2, maxBufferedRequests: 64 }, { answers: 'request' })
    harness.autoAnswer = () => WRITTEN
    for (let index = 0; index < 400; index++) {
      harness.offer({ name: `v${index}`, order: index })
      await Promise.resolve()
    }
    await harness.clock.flush()
    expect(new Set(harness.sent().map(({ names }) => names.length))).toEqual(new Set([4]))
  })
})
