import { describe, expect, test } from 'vitest'

import { Destinations } from '../../src/sink/destinations.ts'
import { ColumnPool } from '../../src/sink/entry-queue.ts'
import type { Destination } from '../../src/sink/lane.ts'
import { resolveSinkOptions } from '../../src/sink/options.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'

import type { AsyncSinkOptions } from '../../src/index.ts'
import {
  congestionControl,
  fixedRateLimit,
  noRateLimit,
  type RateLimiter,
  type RateLimitingStrategy,
} from '../../src/sink/rate-limiting.ts'
import { collectGarbage } from '../tracker/collect-garbage.ts'
import { Harness, leastJitter, names, NOTHING_LEFT, reason, type Shape, type Value, WRITTEN } from './harness.ts'

function several(options: Partial<AsyncSinkOptions> = {}, shape: Shape = {}): Harness {
  const limits = { maxInFlightRequests: 4, maxBufferedRequests: 40, ...options }
  return new Harness(limits, leastJitter, { destinations: true, ...shape })
}

function to(destination: string, count: number, from = 0): readonly Value[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `${destination}${from + index}`,
    to: destination,
    size: 2,
    rawBytes: 3,
  }))
}

describe('destinations', () => {
  test('have batches of their own, and the batch says which', async () => {
    const harness = several()
    harness.offer(...to('x', 1), ...to('y', 4), ...to('x', 3, 1), ...to('z', 1))
    expect(harness.sent().map(({ destination, names: sent }) => [destination, ...sent])).toEqual([
      ['y', 'y0', 'y1', 'y2', 'y3'],
      ['x', 'x0', 'x1', 'x2', 'x3'],
    ])
    await harness.clock.advance(1000)
    expect(await harness.only()).toMatchObject({ destination: 'z', names: ['z0'], trigger: 'time' })
  })

  test('a writer that chooses none has the destination with the empty name', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    expect((await harness.only()).destination).toBe('')
  })

  test('the empty name is a destination as any other', async () => {
    const harness = several()
    harness.offer(...to('', 4))
    expect(await harness.only()).toMatchObject({ destination: '', names: ['0', '1', '2', '3'] })
  })

  test.each([
    [new Error('no table'), 'no table'],
    [7, 'destination must give a string, got number'],
    [undefined, 'destination must give a string, got undefined'],
    [null, 'destination must give a string, got object'],
  ])('that are none (%s) refuse the entry, and its neighbours go on', async (given, message) => {
    const harness = several({ maxBatchSize: 2 })
    harness.offer(...to('x', 1), { name: 'bad', size: 3, rawBytes: 4, to: given }, ...to('x', 1, 1))
    await (await harness.only()).answer(WRITTEN)
    expect(harness.settlement.refusals).toMatchObject([
      { token: 1, stage: 'convert', entry: { name: 'bad' }, reason: { code: 'convertThrew', message } },
    ])
    expect(harness.settlement.settled).toEqual([1, 0, 2])
    expect(harness.writer.status()).toMatchObject({ written: 2, deadLettered: 1, ...NOTHING_LEFT })
  })

  test('repeats stay with their destination, also when those of others are due', async () => {
    const harness = several({ maxBatchSize: 2 })
    harness.offer(...to('x', 2), ...to('y', 2))
    const retry = { kind: 'retry', reason: reason('busy') }
    for (const request of harness.sent()) await request.answer({ entries: [{ kind: 'written' }, retry] })
    harness.offer(...to('x', 1, 2))
    await harness.clock.advance(50)
    expect(harness.sent().map(({ destination, names: sent }) => [destination, ...sent])).toEqual([
      ['x', 'x1', 'x2'],
      ['y', 'y1'],
    ])
  })

  test('the parts of a refused request stay with their destination', async () => {
    const harness = several()
    harness.autoAnswer = (sent) => (sent.includes('x1') ? { isolate: reason('bad') } : WRITTEN)
    harness.offer(...to('x', 4), ...to('y', 4))
    await harness.clock.flush()
    for (const { destination, names: sent } of harness.sent()) {
      for (const name of sent) expect(name.startsWith(destination)).toBe(true)
    }
    expect(harness.writer.status()).toMatchObject({ written: 7, deadLettered: 1, ...NOTHING_LEFT })
  })
})

describe('a destination in trouble', () => {
  test('that is throttled with Retry-After does not stop the others until the buffer is full', async () => {
    const harness = several({ maxBufferedRequests: 20 })
    harness.offer(...to('slow', 4))
    await (await harness.only()).answer({ retryAll: reason('429'), afterMs: 60_000 })
    harness.autoAnswer = () => WRITTEN
    let stored = 0
    for (let round = 0; round < 30; round++) {
      stored += harness.offer(...to('fast', 4, 4 * round))
      if (round < 4) harness.offer(...to('slow', 4, 4 + 4 * round))
      await harness.clock.flush()
    }
    // Sixteen more of the slow one fill the buffer: then nothing more is admitted.
    expect(harness.writer.status().bufferedRecords).toBe(20)
    expect(stored).toBe(16)
    expect(harness.sent().every(({ destination }) => destination === 'fast')).toBe(true)
    expect(harness.writer.status().slowed).toEqual([{ destination: 'slow', maxInFlightRequests: 2, pausedMs: 60_000 }])
    expect(harness.writer.status().oldest?.reason).toBe('destination slow: to be retried, 429: message of 429')
    await harness.clock.advance(60_000)
    expect(harness.writer.status()).toMatchObject({ written: stored + 20, ...NOTHING_LEFT })
  })

  test('has a limiter of its own: its throttles cost the others nothing', async () => {
    const harness = several({ maxInFlightRequests: 4, maxBufferedRequests: 100 })
    harness.offer(...to('slow', 4))
    await (await harness.only()).answer({ retryAll: reason('429'), afterMs: 60_000 })
    harness.offer(...to('fast', 16))
    // The last of the 4 is kept for a destination that has none in flight.
    expect(harness.sent()).toHaveLength(3)
  })

  test('that does not answer leaves one request to the others, also when they were idle meanwhile', async () => {
    const harness = several({ maxInFlightRequests: 3, maxBufferedRequests: 100 })
    harness.offer(...to('stuck', 4), ...to('fast', 1))
    harness.offer(...to('stuck', 16, 4))
    expect(harness.sent()).toHaveLength(2)
    harness.autoAnswer = (_, { destination }) => (destination === 'fast' ? WRITTEN : undefined)
    harness.offer(...to('fast', 11, 1))
    await harness.clock.flush()
    expect(harness.writer.status()).toMatchObject({ written: 12, inFlightRequests: 2 })
    harness.offer(...to('stuck', 16, 20))
    harness.offer(...to('fast', 4, 12))
    await harness.clock.flush()
    expect(harness.writer.status()).toMatchObject({ written: 16, inFlightRequests: 2 })
  })

  test('whose requests hang leaves the other requests in flight to others as far as its limiter does', async () => {
    const strategy = fixedRateLimit({ maxInFlightRequestsPerDestination: 2 })
    const harness = several({ maxInFlightRequests: 4, maxBufferedRequests: 100, rateLimitingStrategy: strategy })
    harness.offer(...to('hangs', 40))
    expect(harness.sent()).toHaveLength(2)
    harness.autoAnswer = () => WRITTEN
    harness.offer(...to('fast', 20))
    await harness.clock.flush()
    expect(harness.writer.status().written).toBe(20)
  })

  test('is left alone while it is paused, and what came meanwhile is sent then', async () => {
    const harness = several({ maxTimeInBufferMS: 100 })
    harness.offer(...to('x', 4))
    await (await harness.only()).answer({ retryAll: reason('429'), afterMs: 5000 })
    harness.offer(...to('x', 2, 4))
    harness.writer.hasten()
    await harness.clock.advance(4999)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    const sent = harness.sent()
    expect(sent[0]).toMatchObject({ names: ['x0', 'x1', 'x2', 'x3'], sentAt: 5000 })
    expect(sent.flatMap(({ names: each }) => each)).toEqual(['x0', 'x1', 'x2', 'x3', 'x4', 'x5'])
  })

  test('stays paused although nothing of it is in hand any more', async () => {
    const harness = several({ retry: { maxAttempts: 1 }, rateLimitingStrategy: noRateLimit() })
    harness.offer(...to('x', 4))
    await (await harness.only()).answer({ retryAll: reason('429'), afterMs: 5000 })
    expect(harness.writer.status()).toMatchObject({ deadLettered: 4, ...NOTHING_LEFT })
    harness.offer(...to('x', 4, 4))
    harness.offer(...to('y', 4))
    expect((await harness.only()).destination).toBe('y')
    await harness.clock.advance(4999)
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1)
    expect((await harness.only()).names).toEqual(['x4', 'x5', 'x6', 'x7'])
  })

  test('keeps what its limiter has learnt while nothing of it is in hand', async () => {
    const harness = several({ maxInFlightRequests: 4, maxBufferedRequests: 100 })
    harness.offer(...to('x', 4))
    await (await harness.only()).answer({ retryAll: reason('429') })
    await harness.clock.advance(50)
    await (await harness.only()).answer(WRITTEN)
    expect(harness.writer.status()).toMatchObject(NOTHING_LEFT)
    harness.offer(...to('x', 40, 4))
    expect(harness.sent()).toHaveLength(2)
  })
})

describe('many destinations', () => {
  test('with one entry each are sent at their age, each alone', async () => {
    const harness = several({ maxInFlightRequests: 50, maxBufferedRequests: 2000 })
    harness.autoAnswer = () => WRITTEN
    for (let index = 0; index < 1000; index++) {
      harness.offer(...to(`t${index}-`, 1))
      if (index % 10 === 0) await harness.clock.advance(1)
    }
    expect(harness.sent()).toEqual([])
    await harness.clock.advance(1000)
    const sent = harness.sent()
    expect(sent).toHaveLength(1000)
    expect(new Set(sent.map(({ destination }) => destination)).size).toBe(1000)
    for (const [index, request] of sent.entries()) expect(request.names).toEqual([`t${index}-0`])
    expect(harness.writer.status()).toMatchObject({ written: 1000, ...NOTHING_LEFT })
    // The timer of the first request, which has become pointless.
    await harness.clock.advance(60_000)
    expect(harness.clock.pendingTimers).toBe(0)
  })

  test('fill the buffer together and make room again, although no batch is full', async () => {
    const harness = several({ maxInFlightRequests: 4, maxBufferedRequests: 50, maxTimeInBufferMS: 1_000_000 })
    harness.autoAnswer = () => WRITTEN
    let taken = 0
    for (let round = 0; taken < 500 && round < 2000; round++) {
      taken += harness.offer(...to(`t${taken % 200}-`, 1, taken))
      await harness.clock.flush()
    }
    expect(taken).toBe(500)
    expect(harness.clock.now()).toBe(0)
    expect(harness.writer.status().inHand).toBeLessThanOrEqual(50)
  })

  test('a busy one does not starve the others', async () => {
    const harness = several({ maxInFlightRequests: 1, maxBufferedRequests: 40, maxTimeInBufferMS: 100 })
    harness.offer(...to('busy', 20), ...to('quiet', 1))
    const sent: string[] = []
    for (let round = 0; round < 30 && !sent.includes('quiet0'); round++) {
      await harness.clock.advance(20)
      const request = await harness.only()
      sent.push(...request.names)
      harness.offer(...to('busy', 4, 20 + 4 * round))
      await request.answer(WRITTEN)
    }
    expect(sent).toContain('quiet0')
    // At its age and in its turn, not when the buffer is full.
    expect(sent.length).toBeLessThanOrEqual(1 + 7 * 4)
  })

  test.each([
    ['congestion control', congestionControl()],
    ['a fixed limit', fixedRateLimit({ maxInFlightRequestsPerDestination: 1 })],
  ])('that are idle are forgotten, with %s, and come back', async (_, strategy) => {
    const made: WeakRef<RateLimiter>[] = []
    const rateLimitingStrategy: RateLimitingStrategy = {
      name: 'watched',
      createLimiter(max) {
        const limiter = strategy.createLimiter(max)
        made.push(new WeakRef(limiter))
        return limiter
      },
    }
    const harness = several({ rateLimitingStrategy, maxTimeInBufferMS: 100, maxBufferedRequests: 60 })
    harness.autoAnswer = () => WRITTEN
    for (let index = 0; index < 100; index++) {
      harness.offer(...to(`tenant-${index % 50}-`, 1, index))
      if (index === 49) await harness.clock.advance(200)
    }
    await harness.clock.advance(200)
    harness.requests.length = 0
    expect(harness.writer.status()).toMatchObject({ written: 100, ...NOTHING_LEFT })
    // Each was made anew when it came back.
    expect(made).toHaveLength(100)
    collectGarbage()
    expect(made.filter((limiter) => limiter.deref() !== undefined).length).toBeLessThan(10)
  })

  test('a limit that was chosen slows nobody down', async () => {
    const harness = several({ rateLimitingStrategy: fixedRateLimit({ maxInFlightRequestsPerDestination: 1 }) })
    harness.offer(...to('x', 8))
    expect(harness.writer.status()).not.toHaveProperty('slowed')
    await (await harness.only()).answer({ retryAll: reason('429'), afterMs: 700 })
    expect(harness.writer.status().slowed).toEqual([{ destination: 'x', maxInFlightRequests: 1, pausedMs: 700 }])
  })

  test('ten of those that are slowed down are named', async () => {
    const harness = several({ maxBatchSize: 1, maxInFlightRequests: 20, maxBufferedRequests: 100 })
    for (let index = 0; index < 15; index++) harness.offer(...to(`t${index}-`, 1))
    for (const request of harness.sent()) await request.answer({ retryAll: reason('429'), afterMs: 700 })
    expect(harness.writer.status().slowed).toHaveLength(10)
  })
})

describe('close', () => {
  test('with paused destinations leaves no timer and abandons what waits', async () => {
    const harness = several({ entryTimeoutMs: 100_000 })
    harness.offer(...to('x', 4), ...to('y', 4), ...to('z', 1))
    const [x] = harness.sent()
    await x?.answer({ retryAll: reason('429'), afterMs: 60_000 })
    const closed = harness.writer.close(1000)
    await harness.clock.advance(1000)
    await closed
    expect(harness.writer.status()).toMatchObject({ abandoned: 9, ...NOTHING_LEFT })
    expect(harness.clock.pendingTimers).toBe(0)
    expect(harness.settlement.settled).toEqual([])
    await harness.clock.advance(200_000)
    expect(harness.sent()).toEqual([])
    expect(harness.settlement.refusals).toEqual([])
  })
})

function kept(): { readonly map: Map<string, Destination<string>>; readonly destinations: Destinations<string> } {
  const map = new Map<string, Destination<string>>()
  const limits = resolveSinkOptions({
    maxBatchSize: 1,
    maxInFlightRequests: 4,
    maxBufferedRequests: 10,
    maxTimeInBufferMS: 10,
  })
  const plan = {
    destinations: map,
    limits,
    pool: new ColumnPool(1),
    clock: new VirtualClock(),
    isOrdered: () => false,
  }
  return { map, destinations: new Destinations(plan) }
}

describe('the destinations that are kept', () => {
  test('are bounded where all are slowed and idle: their limiters never climb back without traffic', () => {
    const { map, destinations } = kept()
    for (let index = 0; index < 5000; index++) {
      const destination = destinations.of(`tenant ${index}`)
      destination.limiter.onSlowDown()
      destinations.forgetIfAtRest(destination)
    }
    expect(map.size).toBeLessThanOrEqual(1000)
    expect(map.has('tenant 4999')).toBe(true)
  })

  test('are all that have something in hand, or are paused, however many', () => {
    const { map, destinations } = kept()
    for (let index = 0; index < 3000; index++) {
      const destination = destinations.of(`tenant ${index}`)
      if (index % 2 === 0) destination.inFlight = 1
      else destination.pausedUntil = 1
    }
    expect(map.size).toBe(3000)
  })
})
