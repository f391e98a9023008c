import { describe, expect, test } from 'vitest'

import type { AsyncSinkOptions, SubmitOutcome } from '../../src/index.ts'
import { fixedRateLimit, noRateLimit } from '../../src/sink/rate-limiting.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { collectGarbage } from '../tracker/collect-garbage.ts'
import { Harness, leastJitter, names, NOTHING_LEFT, reason, type Shape, WRITTEN } from './harness.ts'

/** Refuses any request that holds a bad entry. */
function refusing(bad: ReadonlySet<string>): (sent: readonly string[]) => SubmitOutcome {
  return (sent) => (sent.some((name) => bad.has(name)) ? { isolate: reason('bad') } : WRITTEN)
}

/** A writer whose batches have so many entries, and which sends one request at a time. */
function isolating(entries: number, options: Partial<AsyncSinkOptions> = {}, shape: Shape = {}): Harness {
  const limits = { maxBatchSize: entries, maxInFlightRequests: 1, maxBufferedRequests: 4 * entries, ...options }
  return new Harness(limits, leastJitter, shape)
}

async function ended(harness: Harness): Promise<readonly (readonly string[])[]> {
  for (let turn = 0; turn < 2000 && harness.writer.status().inHand > 0; turn++) await harness.clock.flush()
  expect(harness.writer.status()).toMatchObject(NOTHING_LEFT)
  expect(harness.settlement.violations).toEqual([])
  return harness.sent().map((request) => request.names)
}

function codes(harness: Harness): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const {
    reason: { code },
  } of harness.settlement.refusals)
    counts[code] = (counts[code] ?? 0) + 1
  return counts
}

/** Some of the names, anywhere. */
function some(all: readonly string[], count: number, random: () => number): ReadonlySet<string> {
  const left = [...all]
  const chosen = new Set<string>()
  while (chosen.size < count) chosen.add(left.splice(Math.floor(random() * left.length), 1)[0] ?? '')
  return chosen
}

describe('requests to find the culprits, counted at the receiver', () => {
  test.each([
    [100, 1, 14, 40],
    [100, 5, 47, 40],
    [100, 50, undefined, 10],
    [100, 100, 199, 1],
    [500, 1, 19, 40],
    [500, 5, 68, 20],
    [500, 50, 366, 5],
    [500, 250, undefined, 3],
    [500, 500, 999, 1],
  ])('of %i entries %i are bad: %s in the mean', async (entries, bad, mean, rounds) => {
    let total = 0
    for (let round = 0; round < rounds; round++) {
      const all = names('e', entries)
      const culprits = some(all, bad, seededRandom(round * 7 + entries + bad))
      const harness = isolating(entries, { maxIsolationRequests: Number.POSITIVE_INFINITY })
      harness.autoAnswer = refusing(culprits)
      harness.offer(...all)
      const requests = await ended(harness)
      total += requests.length
      expect(requests.length).toBeLessThanOrEqual(2 * entries - 1)
      // Everybody has an outcome, and nobody is blamed for another.
      const refused = harness.settlement.refusals.map(({ entry }) => (entry as { readonly name: string }).name)
      expect(new Set(refused)).toEqual(culprits)
      expect(refused).toHaveLength(bad)
      const stored = requests.filter((sent) => !sent.some((name) => culprits.has(name))).flat()
      expect(stored).toEqual(all.filter((name) => !culprits.has(name)))
      // In order, refused ones too.
      const firsts = requests.map((sent) => all.indexOf(sent[0] ?? ''))
      expect(firsts).toEqual(firsts.toSorted((a, b) => a - b))
    }
    if (mean === undefined) return
    expect(total / rounds).toBeGreaterThan(mean * 0.85)
    expect(total / rounds).toBeLessThan(mean * 1.15)
  })
})

describe('the isolation budget', () => {
  test.each([100, 500])(
    'of a batch of %i that is all bad is kept exactly, and every entry has an outcome',
    async (entries) => {
      const harness = isolating(entries, { maxIsolationRequests: 60 })
      harness.autoAnswer = () => ({ isolate: reason('bad') })
      harness.offer(...names('e', entries))
      const requests = await ended(harness)
      expect(requests).toHaveLength(1 + 60)
      const { bad = 0, isolationBudget = 0 } = codes(harness)
      expect(bad + isolationBudget).toBe(entries)
      expect(isolationBudget).toBeGreaterThan(0)
      expect(harness.writer.status().deadLettered).toBe(entries)
    },
  )

  test('that is just enough is enough, and one that is smaller by one halving gives up two', async () => {
    for (const [budget, givenUp] of [
      [198, 0],
      [197, 2],
      [196, 2],
    ] as const) {
      const harness = isolating(100, { maxIsolationRequests: budget })
      harness.autoAnswer = () => ({ isolate: reason('bad') })
      harness.offer(...names('e', 100))
      expect(await ended(harness)).toHaveLength(1 + budget - (budget % 2))
      expect(codes(harness)['isolationBudget'] ?? 0).toBe(givenUp)
    }
  })

  test('is not spent by repeats of a part that the store was too busy for', async () => {
    const harness = isolating(4, { maxIsolationRequests: 6 })
    let busy = 3
    harness.autoAnswer = (sent) => {
      if (sent.length < 4 && busy-- > 0) return { retryAll: reason('busy'), slowDown: false }
      return { isolate: reason('bad') }
    }
    harness.offer(...names('e', 4))
    await harness.clock.advance(10_000)
    expect(codes(harness)).toEqual({ bad: 4 })
    expect(harness.sent()).toHaveLength(7 + 3)
  })
})

test('entries that were answered one by one and joined by others have a budget of their own', async () => {
  const harness = isolating(4, { maxIsolationRequests: 2 })
  harness.offer(...names('e', 4))
  await (await harness.only()).answer({ isolate: reason('bad') })
  const retry = { kind: 'retry', reason: reason('busy') }
  await (await harness.only()).answer({ entries: [retry, retry] })
  await (await harness.only()).answer(WRITTEN)
  harness.offer(...names('f', 2))
  await harness.clock.advance(50)
  const joined = await harness.only()
  expect(joined.names).toEqual(['e0', 'e1', 'f0', 'f1'])
  harness.autoAnswer = () => WRITTEN
  await joined.answer({ isolate: reason('bad') })
  await ended(harness)
  expect(harness.writer.status()).toMatchObject({ written: 6, deadLettered: 0 })
})

/** What lies outside of the heap; freed some time after the collection. */
function bytesOfArrays(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

test('what a search needed is let go when it has ended', async () => {
  const harness = isolating(4)
  harness.autoAnswer = (sent) => (sent.length === 4 ? { isolate: reason('bad') } : WRITTEN)
  const search = async (): Promise<void> => {
    harness.offer(...names('e', 4))
    await harness.clock.flush()
  }
  await search()
  const before = bytesOfArrays()
  for (let round = 0; round < 300; round++) await search()
  // A search that is kept needs 3 kB and more.
  await expect.poll(() => bytesOfArrays() - before).toBeLessThan(300_000)
  expect(harness.writer.status()).toMatchObject({ written: 301 * 4, ...NOTHING_LEFT })
})

test('what a search needed is let go when its parts were given back', async () => {
  const limits = { maxInFlightRequests: 2, maxBufferedRequests: 64, rateLimitingStrategy: noRateLimit() }
  const harness = isolating(4, limits)
  harness.autoAnswer = (sent) => (sent.length === 4 ? { isolate: reason('bad') } : undefined)
  /** Its second half is given back, while the first is in flight or while both wait for the store. */
  const searchGone = async (isPaused: boolean): Promise<void> => {
    const first = harness.settlement.references.length
    harness.offer(...names('gone', 4))
    await harness.clock.flush()
    const half = harness.sent().at(-1)
    if (isPaused) await half?.answer({ retryAll: reason('429'), afterMs: 1000 })
    for (let token = first; token < first + 4; token++) harness.settlement.released.add(token)
    harness.writer.release('gone')
    if (!isPaused) await half?.answer({ retryAll: reason('busy'), slowDown: false })
    await harness.clock.advance(1000)
  }
  const search = async (): Promise<void> => {
    for (const isPaused of [false, true]) await searchGone(isPaused)
  }
  await search()
  const before = bytesOfArrays()
  for (let round = 0; round < 300; round++) await search()
  await expect.poll(() => bytesOfArrays() - before).toBeLessThan(300_000)
  expect(harness.writer.status()).toMatchObject({ returned: 301 * 8, ...NOTHING_LEFT })
})

describe('replay suspects', () => {
  test('a request says so when one of its entries is one', async () => {
    const harness = new Harness({ maxBatchSize: 2, maxInFlightRequests: 9 }, leastJitter)
    harness.settlement.suspects.add(2)
    harness.offer(...names('e', 6))
    expect(harness.sent().map(({ replaySuspect }) => replaySuspect)).toEqual([false, true, false])
  })

  test('a repeat of it says so as well', async () => {
    const harness = new Harness({ maxBatchSize: 2 }, leastJitter)
    harness.settlement.suspects.add(1)
    harness.offer(...names('e', 2))
    const first = await harness.only()
    await first.answer({ entries: [{ kind: 'retry', reason: reason('busy') }, { kind: 'written' }] })
    await harness.clock.advance(50)
    expect((await harness.only()).replaySuspect).toBe(false)
    harness.settlement.suspects.add(3)
    harness.offer(...names('f', 2))
    await (await harness.only()).answer({ retryAll: reason('busy'), slowDown: false })
    await harness.clock.advance(50)
    expect((await harness.only()).replaySuspect).toBe(true)
  })

  test.each([8, 100, 500])('a batch of %i with one may be searched to its end', async (entries) => {
    const harness = isolating(entries, { maxIsolationRequests: 2 })
    harness.settlement.suspects.add(entries - 1)
    harness.autoAnswer = () => ({ isolate: reason('bad') })
    harness.offer(...names('e', entries))
    expect(await ended(harness)).toHaveLength(2 * entries - 1)
    expect(codes(harness)).toEqual({ bad: entries })
  })

  test('a batch without one has no more than its budget', async () => {
    const harness = isolating(100, { maxIsolationRequests: 2 })
    harness.settlement.suspects.add(100)
    harness.autoAnswer = () => ({ isolate: reason('bad') })
    harness.offer(...names('e', 100))
    expect(await ended(harness)).toHaveLength(3)
    expect(codes(harness)).toEqual({ isolationBudget: 100 })
  })

  test('a batch that was halved for its size has the budget of each part', async () => {
    const harness = isolating(8, { maxIsolationRequests: 2 })
    harness.settlement.suspects.add(0)
    harness.autoAnswer = (sent) => (sent.length === 8 ? { tooLarge: reason('413') } : { isolate: reason('bad') })
    harness.offer(...names('e', 8))
    // The first four are suspects: 7 requests; the others may spend 2 beyond the first.
    expect(await ended(harness)).toHaveLength(1 + 7 + 3)
    expect(codes(harness)).toEqual({ bad: 4, isolationBudget: 4 })
  })
})

describe('while a refused request is searched', () => {
  test('new batches of a writer without order go on', async () => {
    const harness = isolating(8, { maxInFlightRequests: 2, maxBufferedRequests: 64 })
    harness.offer(...names('e', 8))
    await (await harness.only()).answer({ isolate: reason('bad') })
    const half = await harness.only()
    expect(half.names).toHaveLength(4)
    harness.offer(...names('f', 8))
    expect((await harness.only()).names).toEqual(names('f', 8))
    // The second half waits for the first.
    await harness.clock.advance(1000)
    expect(harness.sent()).toEqual([])
  })

  test.each([
    ['the writer', {}],
    [
      'the destination',
      { maxInFlightRequests: 4, rateLimitingStrategy: fixedRateLimit({ maxInFlightRequestsPerDestination: 1 }) },
    ],
  ])('it comes to its end although full batches keep coming and %s sends one request at a time', async (_, options) => {
    const harness = isolating(4, { maxBufferedRequests: 64, ...options })
    harness.offer(...names('bad', 4))
    await (await harness.only()).answer({ isolate: reason('bad') })
    let requests = 0
    harness.offer(...names('e', 12))
    while (harness.settlement.refusals.length < 4 && requests < 100) {
      const request = await harness.only()
      requests++
      harness.offer(...names(`r${requests}-`, 4))
      await request.answer(request.names[0]?.startsWith('bad') === true ? { isolate: reason('bad') } : WRITTEN)
    }
    expect(harness.settlement.refusals).toHaveLength(4)
    expect(requests).toBeLessThan(30)
  })

  test('several are searched side by side, each in its order', async () => {
    const harness = isolating(4, { maxInFlightRequests: 3, maxBufferedRequests: 64 })
    const bad = new Set(['a1', 'b2', 'c3'])
    harness.offer(...names('a', 4), ...names('b', 4), ...names('c', 4))
    const sent: string[][] = []
    for (let open = harness.sent(); open.length > 0; open = harness.sent()) {
      for (const request of open) {
        sent.push([...request.names])
        await request.answer(refusing(bad)(request.names))
      }
    }
    for (const prefix of ['a', 'b', 'c']) {
      const own = sent.map(([first = '']) => first).filter((first) => first.startsWith(prefix))
      expect(own).toEqual(own.toSorted((a, b) => a.localeCompare(b)))
    }
    expect(harness.writer.status()).toMatchObject({ written: 9, deadLettered: 3, ...NOTHING_LEFT })
  })

  test('close ends it: nothing more is sent, no timer is left, what has no outcome is abandoned', async () => {
    const harness = isolating(8, { maxInFlightRequests: 2, maxBufferedRequests: 64, entryTimeoutMs: 50_000 })
    harness.offer(...names('e', 8))
    await (await harness.only()).answer({ isolate: reason('bad') })
    const half = await harness.only()
    const closed = harness.writer.close(1000)
    expect(half.signal.aborted).toBe(true)
    await half.answer(WRITTEN)
    await closed
    expect(harness.clock.pendingTimers).toBe(0)
    expect(harness.sent()).toEqual([])
    expect(harness.writer.status()).toMatchObject({ written: 4, abandoned: 4, ...NOTHING_LEFT })
    expect(harness.imbalance()).toBe(0)
  })

  test('an answer that would go on with it after close abandons its entries', async () => {
    const harness = isolating(8)
    harness.offer(...names('e', 8))
    await (await harness.only()).answer({ isolate: reason('bad') })
    const half = await harness.only()
    const closed = harness.writer.close(1000)
    await half.answer({ isolate: reason('bad') })
    await closed
    expect(harness.sent()).toEqual([])
    expect(harness.settlement.refusals).toEqual([])
    expect(harness.writer.status()).toMatchObject({ abandoned: 8, ...NOTHING_LEFT })
  })
})
