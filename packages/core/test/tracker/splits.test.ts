import { describe, expect, test } from 'vitest'

import type { RecordBatch } from '../../src/index.ts'
import type { TrackedBatch, TrackedSplit } from '../../src/tracker/run.ts'
import { Leaving } from '../../src/tracker/splits.ts'
import { Tracker } from '../../src/tracker/tracker.ts'
import { collectGarbage } from './collect-garbage.ts'

function batchOf(splitId: string, records = 4): RecordBatch<unknown> {
  return {
    splitId,
    byteLengths: new Uint32Array(records).fill(10),
    raw: (index: number) => ({ position: `${splitId}:${index}` }),
    splitAfter: (index: number) => ({ splitId, next: index + 1 }),
    receipts: Array.from({ length: records }, (_, index) => index),
  } as unknown as RecordBatch<unknown>
}

function track(tracker: Tracker, splitId: string, records?: number): TrackedBatch {
  return tracker.track('source', batchOf(splitId, records), { splitId })
}

/** The split's position: records of the batch that are settled with all before them, or undefined for all that were emitted. */
function position(tracker: Tracker, split: TrackedSplit | undefined): number | undefined {
  const before = split === undefined ? undefined : tracker.firstNotSettled(split)?.before
  return before === undefined ? undefined : 'next' in before ? Number(before.next) : 0
}

function settle(tracker: Tracker, ...tokens: readonly number[]): void {
  tracker.settleAll(Float64Array.from(tokens), tokens.length)
}

/** Receipts that may be acknowledged, which are the indexes in their batches, by split. */
function taken(tracker: Tracker, below?: number): readonly (readonly unknown[])[] {
  return tracker.takeSettled(below).map(({ splitId, receipts }) => [splitId, ...receipts])
}

describe('runs', () => {
  test('give consecutive tokens, each with so many entries', () => {
    const tracker = new Tracker()
    const tracked = track(tracker, 's', 10)
    expect(tracker.emitRun(tracked, 0, 3, 2)).toBe(0)
    expect(tracker.emitRun(tracked, 3, 2, 1)).toBe(3)
    expect([tracker.next, tracker.unsettled]).toEqual([5, 5])
    settle(tracker, 0, 1, 2, 0, 1)
    expect([tracker.watermark, tracker.unsettled]).toEqual([2, 3])
    settle(tracker, 4, 3, 2)
    expect([tracker.watermark, tracker.unsettled, tracker.retainedBytes]).toEqual([5, 0, 0])
  })

  test('that became nothing are settled at once, and part nobody from their record', () => {
    const tracker = new Tracker()
    const tracked = track(tracker, 's', 10)
    tracker.emitRun(tracked, 0, 2, 0)
    expect([tracker.watermark, tracker.retainedBytes]).toEqual([2, 0])
    tracker.emitRun(tracked, 2, 2, 1)
    tracker.emitRun(tracked, 4, 3, 0)
    tracker.emitRun(tracked, 7, 1, 1)
    expect(tracker.origin(7)?.raw).toEqual({ position: 's:7' })
    expect([2, 3, 7].map((token) => tracker.origin(token)?.raw)).toEqual(
      [2, 3, 7].map((index) => ({ position: `s:${index}` })),
    )
    settle(tracker, 2, 3)
    expect(tracker.watermark).toBe(7)
  })

  test('of several batches lie between each other, and keep their records', () => {
    const tracker = new Tracker()
    const [a, b] = [track(tracker, 'a', 9), track(tracker, 'b', 9)]
    const expected: string[] = []
    for (let index = 0; index < 9; index += 3) {
      for (const tracked of [a, b]) {
        tracker.emitRun(tracked, index, 3, 1)
        for (let at = 0; at < 3; at++) expected.push(`${tracked.batch.splitId}:${index + at}`)
      }
    }
    expect(expected.map((_, token) => tracker.origin(token)?.raw)).toEqual(
      expected.map((place) => ({ position: place })),
    )
    expect(tracker.unsettledBySplit()).toEqual(
      new Map([
        ['a', 9],
        ['b', 9],
      ]),
    )
  })

  test('longer than the ring grow it', () => {
    const tracker = new Tracker()
    tracker.emitRun(track(tracker, 'a', 1), 0, 1, 1)
    const long = track(tracker, 'b', 1)
    expect(tracker.emitRun(long, 0, 100_000, 3)).toBe(1)
    expect(tracker.unsettled).toBe(100_001)
    const tokens = Float64Array.from({ length: 100_000 }, (_, index) => index + 1)
    for (let round = 0; round < 3; round++) {
      expect(tracker.unsettled).toBe(100_001)
      tracker.settleAll(tokens, tokens.length)
    }
    expect([tracker.watermark, tracker.unsettled]).toEqual([0, 1])
    tracker.settle(0)
    expect([tracker.watermark, tracker.unsettled, tracker.retainedBytes]).toEqual([100_001, 0, 0])
  })

  test.each([1, 7, 256, 1023, 1024, 1500])('of %i go around the ring and mix nothing up', (length) => {
    const tracker = new Tracker()
    let open: number[] = []
    let emitted = 0
    for (let round = 0; round < 40; round++) {
      const tracked = track(tracker, `s${round}`, 1)
      const first = tracker.emitRun(tracked, 0, length, 1)
      expect(first).toBe(emitted)
      emitted += length
      open.push(...Array.from({ length }, (_, index) => first + index))
      // One in seven of what is older stays for the next round.
      const leaving = open.filter((token) => token < first && token % 7 !== round % 7)
      settle(tracker, ...leaving)
      const left = new Set(leaving)
      open = open.filter((token) => !left.has(token))
      expect([tracker.watermark, tracker.unsettled]).toEqual([open[0], open.length])
      for (const token of open.slice(0, 3)) {
        const index = token % length
        expect(tracker.origin(token)?.raw).toEqual({ position: `s${(token - index) / length}:${index}` })
      }
    }
  })
})

describe('settleAll', () => {
  test('takes the first tokens of the list only', () => {
    const tracker = new Tracker()
    tracker.emitRun(track(tracker, 's'), 0, 4, 1)
    tracker.settleAll(Float64Array.of(0, 1, 2, 3), 2)
    expect([tracker.watermark, tracker.unsettled]).toEqual([2, 2])
    tracker.settleAll(Float64Array.of(2, 3), 0)
    expect(tracker.unsettled).toBe(2)
  })

  test('lowers an input once for each time that it is named', () => {
    const tracker = new Tracker()
    tracker.emitRun(track(tracker, 's'), 0, 2, 3)
    settle(tracker, 0, 1, 0, 0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([1, 1])
    settle(tracker, 1, 1)
    expect(tracker.watermark).toBe(2)
  })

  test('settles in any order, across runs and batches', async () => {
    const tracker = new Tracker()
    for (const id of ['a', 'b', 'c']) tracker.emitRun(track(tracker, id), 0, 4, 1)
    let isSettled = false
    void tracker.settledUpTo(12).then(() => (isSettled = true))
    settle(tracker, 11, 0, 5, 4, 1, 10, 2, 9, 3, 8, 7)
    expect([tracker.watermark, tracker.unsettled]).toEqual([6, 1])
    settle(tracker, 6)
    await Promise.resolve()
    expect(isSettled).toBe(true)
  })

  test.each([
    ['settled before', [1]],
    ['named twice', [2, 2]],
    ['never emitted', [4]],
    ['named with others', [2, 1]],
    ['negative', [-1]],
    ['no number', [Number.NaN]],
  ])('throws for a token that was %s', (_, tokens) => {
    const tracker = new Tracker()
    tracker.emitRun(track(tracker, 's'), 0, 4, 1)
    tracker.settle(1)
    expect(() => settle(tracker, ...tokens)).toThrow(/was settled more often than it has entries/)
    // Whatever was settled with it, nothing before is taken for settled.
    expect(tracker.watermark).toBe(0)
  })

  test('throws for one far below the watermark, and settles nothing in its place', () => {
    const tracker = new Tracker()
    const tracked = track(tracker, 's', 5000)
    tracker.emitRun(tracked, 0, 1000, 1)
    settle(tracker, ...Array.from({ length: 999 }, (_, token) => token))
    // The next tokens lie where the first ones lay.
    tracker.emitRun(tracked, 1000, 1000, 1)
    expect(() => settle(tracker, 999, 5)).toThrow('token 5 was settled more often than it has entries')
    expect(() => settle(tracker, 1500, 6, 7)).toThrow('token 6 was settled more often than it has entries')
    for (const token of [5, 6, 7]) expect(tracker.origin(token + 1024)).toBeDefined()
    for (const token of [5, 6, 7]) expect(() => tracker.settle(token)).toThrow(RangeError)
  })

  test('after the end each token is counted as late, and nothing is settled', () => {
    let late = 0
    const tracker = new Tracker({ onLateCall: () => late++ })
    tracker.emitRun(track(tracker, 's'), 0, 4, 1)
    tracker.end()
    settle(tracker, 0, 1, 2)
    tracker.returned(3)
    expect(late).toBe(4)
    expect([tracker.watermark, tracker.unsettled, tracker.returnedInputs]).toEqual([0, 4, 0])
  })
})

describe('several sinks', () => {
  test('an input is settled when each of them has ended all entries that it made of it', () => {
    const tracker = new Tracker()
    const tracked = track(tracker, 's')
    tracker.emitRun(tracked, 0, 2, 2)
    // One sink makes three of the first, the other none.
    tracker.add(0, 2)
    tracker.add(0, -1)
    for (let entry = 0; entry < 3; entry++) {
      expect(tracker.unsettled).toBe(2)
      tracker.settle(0)
    }
    expect([tracker.watermark, tracker.unsettled]).toEqual([1, 1])
    settle(tracker, 1)
    expect(tracker.unsettled).toBe(1)
    settle(tracker, 1)
    expect(tracker.unsettled).toBe(0)
  })

  test('an input that one gave back is returned, whatever the others did', () => {
    const tracker = new Tracker({ acknowledgement: 'individual' })
    const tracked = track(tracker, 's')
    tracker.emitRun(tracked, 0, 3, 2)
    tracker.returned(0)
    tracker.settle(0)
    tracker.settle(1)
    tracker.returned(1)
    settle(tracker, 2, 2)
    expect([tracker.returnedInputs, tracker.unsettled, tracker.watermark]).toEqual([2, 0, 3])
    expect(taken(tracker)).toEqual([['s', 2]])
  })
})

describe('individual acknowledgement', () => {
  test('hands out the receipt of each settled input once, in the order in which they were settled', () => {
    const tracker = new Tracker({ acknowledgement: 'individual' })
    const [a, b] = [track(tracker, 'a'), track(tracker, 'b')]
    tracker.emitRun(a, 0, 3, 1)
    tracker.emitRun(b, 0, 2, 1)
    tracker.emit(a, 3, 0)
    settle(tracker, 4, 2)
    expect(taken(tracker)).toEqual([
      ['a', 3, 2],
      ['b', 1],
    ])
    expect(taken(tracker)).toEqual([])
    settle(tracker, 0)
    expect(taken(tracker)).toEqual([['a', 0]])
  })

  test('below a barrier leaves the others for later', () => {
    const tracker = new Tracker({ acknowledgement: 'individual' })
    const tracked = track(tracker, 'a')
    tracker.emitRun(tracked, 0, 2, 1)
    const barrier = tracker.next
    tracker.emitRun(tracked, 2, 2, 1)
    settle(tracker, 3, 1, 2, 0)
    expect(taken(tracker, barrier)).toEqual([['a', 1, 0]])
    expect(taken(tracker, barrier)).toEqual([])
    expect(taken(tracker)).toEqual([['a', 3, 2]])
  })

  test('tells of each input that ended, once, and of none of a split that was forgotten', () => {
    const told: string[] = []
    const tracker = new Tracker({
      acknowledgement: 'individual',
      onEnded: ({ splitId }, index, how) => told.push(`${splitId}:${index} ${how}`),
    })
    tracker.emitRun(track(tracker, 'a'), 0, 4, 2)
    tracker.emit(track(tracker, 'b'), 0, 0)
    tracker.settle(0)
    expect(told).toEqual(['b:0 settled'])
    tracker.settle(0)
    const released = tracker.release('a')
    tracker.returned(1)
    tracker.settle(1)
    expect(told).toEqual(['b:0 settled', 'a:0 settled', 'a:1 returned'])
    if (released !== undefined) tracker.forget(released.split)
    settle(tracker, 2, 2, 3)
    tracker.returned(3)
    expect(told).toHaveLength(3)
    expect(taken(tracker)).toEqual([['b', 0]])
  })

  test('of a source with prefixes nothing is handed out, and nothing kept', async () => {
    const tracker = new Tracker()
    const reference = ((): WeakRef<object> => {
      const batch = batchOf('s')
      const tracked = tracker.track('source', batch)
      tracker.emitRun(tracked, 0, 4, 1)
      settle(tracker, 0, 1, 2, 3)
      return new WeakRef(batch)
    })()
    expect(tracker.takeSettled()).toEqual([])
    await new Promise(setImmediate)
    collectGarbage()
    expect(reference.deref()).toBeUndefined()
  })

  test('a batch is let go when its last run was settled before an earlier one', async () => {
    const tracker = new Tracker()
    const other = track(tracker, 'b', 9)
    const reference = ((): WeakRef<object> => {
      const batch = batchOf('a')
      const tracked = tracker.track('source', batch)
      tracker.emit(tracked, 0, 1)
      tracker.emit(other, 0, 1)
      tracker.emit(tracked, 1, 1)
      settle(tracker, 2)
      tracker.emit(other, 1, 1)
      settle(tracker, 0)
      return new WeakRef(batch)
    })()
    await new Promise(setImmediate)
    collectGarbage()
    expect(reference.deref()).toBeUndefined()
    expect(tracker.unsettledBySplit()).toEqual(new Map([['b', 2]]))
  })

  test('a batch is let go when it is settled, although its receipts wait', async () => {
    const tracker = new Tracker({ acknowledgement: 'individual' })
    const batches: WeakRef<object>[] = []
    const fill = (): void => {
      for (const records of [2, 4]) {
        const batch = batchOf('s')
        batches.push(new WeakRef(batch))
        tracker.emitRun(tracker.track('source', batch), 0, records, 1)
      }
      settle(tracker, 0, 1, 2, 3)
    }
    fill()
    await new Promise(setImmediate)
    collectGarbage()
    expect(batches.map((batch) => batch.deref() !== undefined)).toEqual([false, true])
    expect(taken(tracker)).toEqual([['s', 0, 1, 0, 1]])
  })
})

describe('release', () => {
  test('says how many inputs are unsettled, and marks them and nobody else', () => {
    const tracker = new Tracker()
    for (const id of ['a', 'b']) tracker.emitRun(track(tracker, id), 0, 4, 1)
    settle(tracker, 1)
    expect(tracker.isReleased(0)).toBe(false)
    expect(tracker.release('a')?.unsettled).toBe(3)
    expect([0, 1, 2, 3, 4, 7, 8, -1].map((token) => tracker.isReleased(token))).toEqual([
      true,
      false,
      true,
      true,
      false,
      false,
      false,
      false,
    ])
    expect(tracker.release('a')).toBeUndefined()
    expect(tracker.release('nobody')).toBeUndefined()
  })

  test('what is returned is neither waited for nor acknowledged', async () => {
    const tracker = new Tracker({ acknowledgement: 'individual' })
    tracker.emitRun(track(tracker, 'a'), 0, 4, 1)
    tracker.emitRun(track(tracker, 'b'), 0, 1, 1)
    let isSettled = false
    void tracker.settledUpTo(5).then(() => (isSettled = true))
    const released = tracker.release('a')
    for (const token of [0, 1, 2]) tracker.returned(token)
    // In flight when the split was given back, and stored: it goes with the release.
    tracker.settle(3)
    tracker.settle(4)
    await Promise.resolve()
    expect(isSettled).toBe(true)
    expect(released === undefined ? [] : tracker.forget(released.split)).toEqual([3])
    expect(tracker.hasReleased).toBe(false)
    expect([tracker.returnedInputs, tracker.unsettled, tracker.retainedBytes]).toEqual([3, 0, 0])
    expect(taken(tracker)).toEqual([['b', 0]])
  })

  test('what was settled before is acknowledged with the release, and with nothing else', () => {
    const tracker = new Tracker({ acknowledgement: 'individual' })
    tracker.emitRun(track(tracker, 'a'), 0, 4, 1)
    settle(tracker, 2)
    const released = tracker.release('a')
    for (const token of [0, 1, 3]) tracker.returned(token)
    expect(taken(tracker)).toEqual([])
    expect(position(tracker, released?.split)).toBe(0)
    expect(released === undefined ? [] : tracker.forget(released.split)).toEqual([2])
    expect(taken(tracker)).toEqual([])
  })

  test('the same split, assigned again, is another one', () => {
    const tracker = new Tracker()
    tracker.emitRun(track(tracker, 'a'), 0, 4, 1)
    tracker.release('a')
    const again = track(tracker, 'a')
    tracker.emitRun(again, 0, 3, 1)
    expect([tracker.isReleased(0), tracker.isReleased(4)]).toEqual([true, false])
    expect(tracker.splits.emitted()).toEqual(new Map([['a', 3]]))
    expect(position(tracker, again.split)).toBe(0)
    settle(tracker, 4, 5)
    expect(position(tracker, again.split)).toBe(2)
    expect(tracker.unsettledBySplit()).toEqual(new Map([['a', 5]]))
  })

  test('is told to everyone who waits for the end of what is in hand', async () => {
    const tracker = new Tracker()
    tracker.emitRun(track(tracker, 'a'), 0, 2, 1)
    const released = tracker.release('a')
    if (released === undefined) throw new Error('nothing was released')
    let ends = 0
    for (let count = 0; count < 2; count++) void tracker.splitEnded(released).then(() => ends++)
    tracker.settle(0)
    await new Promise(setImmediate)
    expect(ends).toBe(0)
    tracker.returned(1)
    await tracker.splitEnded(released)
    expect([ends, tracker.hasReleased]).toEqual([2, false])
  })

  test('the position lies before the first that was returned, whatever was settled behind it', () => {
    const tracker = new Tracker()
    tracker.emitRun(track(tracker, 'a', 6), 0, 6, 1)
    const { split } = tracker.release('a') ?? {}
    tracker.returned(4)
    expect(position(tracker, split)).toBe(0)
    settle(tracker, 0, 1, 5)
    tracker.returned(2)
    expect(position(tracker, split)).toBe(2)
    settle(tracker, 3)
    expect(position(tracker, split)).toBe(2)
  })
})

describe('the position of a split', () => {
  test('lies before its first input that is not settled', () => {
    const tracker = new Tracker()
    const [a, b] = [track(tracker, 'a'), track(tracker, 'b')]
    for (let index = 0; index < 4; index++) for (const tracked of [a, b]) tracker.emit(tracked, index, 1)
    expect([position(tracker, a.split), position(tracker, b.split)]).toEqual([0, 0])
    // a: 0 and 2; b: all but its 1.
    settle(tracker, 0, 4, 1, 5, 7)
    expect([position(tracker, a.split), position(tracker, b.split)]).toEqual([1, 1])
    settle(tracker, 3)
    expect(tracker.firstNotSettled(b.split)).toBeUndefined()
    settle(tracker, 2)
    expect(position(tracker, a.split)).toBe(3)
  })

  test('goes on over batches of the split', () => {
    const tracker = new Tracker()
    const first = track(tracker, 'a')
    // Fetched ahead: what counts is when it is emitted.
    const second = tracker.track('source', batchOf('a'), { splitId: 'a', finished: false })
    tracker.emitRun(first, 0, 4, 1)
    tracker.emitRun(second, 0, 4, 1)
    settle(tracker, 0, 1, 2, 3, 5)
    expect(tracker.firstNotSettled(first.split)).toEqual({ before: { splitId: 'a', finished: false } })
    settle(tracker, 4)
    expect(position(tracker, first.split)).toBe(2)
  })

  test('never goes back, however long a batch is and however far the window has moved on', () => {
    const tracker = new Tracker()
    const tracked = track(tracker, 's', 1)
    for (let index = 0; index < 6000; index += 250) {
      const first = tracker.emitRun(tracked, index, 250, 1)
      // The last of each run stays until the next.
      const from = Math.max(0, first - 1)
      settle(tracker, ...Array.from({ length: first + 249 - from }, (_, at) => from + at))
      expect(position(tracker, tracked.split)).toBe(index + 249)
    }
  })

  test('of a split that emitted nothing is where it was', () => {
    const tracker = new Tracker()
    const { split } = track(tracker, 'a')
    expect(tracker.firstNotSettled(split)).toBeUndefined()
    expect(tracker.splits.emitted()).toEqual(new Map([['a', 0]]))
  })
})

describe('expected repeats', () => {
  test('are the next inputs of the split, while they are in hand', () => {
    const tracker = new Tracker()
    tracker.splits.expectRepeats('a', 3)
    const [a, b] = [track(tracker, 'a'), track(tracker, 'b')]
    tracker.emitRun(a, 0, 2, 1)
    tracker.emitRun(b, 0, 2, 1)
    tracker.emitRun(a, 2, 2, 1)
    expect([0, 1, 2, 3, 4, 5].map((token) => tracker.isReplaySuspect(token))).toEqual([
      true,
      true,
      false,
      false,
      true,
      false,
    ])
    settle(tracker, 0)
    expect(tracker.isReplaySuspect(0)).toBe(false)
    expect(tracker.isReplaySuspect(99)).toBe(false)
  })

  test('go on over batches, and filtered inputs count', () => {
    const tracker = new Tracker()
    tracker.splits.expectRepeats('a', 6)
    tracker.emitRun(track(tracker, 'a'), 0, 4, 0)
    tracker.emitRun(track(tracker, 'a'), 0, 4, 1)
    expect([4, 5, 6, 7].map((token) => tracker.isReplaySuspect(token))).toEqual([true, true, false, false])
  })

  test('belong to the assignment: the split assigned again has none', () => {
    const tracker = new Tracker()
    tracker.splits.expectRepeats('a', 9)
    tracker.emitRun(track(tracker, 'a'), 0, 2, 1)
    tracker.release('a')
    tracker.emitRun(track(tracker, 'a'), 0, 2, 1)
    expect([0, 1, 2, 3].map((token) => tracker.isReplaySuspect(token))).toEqual([true, true, false, false])
  })

  test('are none without being told', () => {
    const tracker = new Tracker()
    tracker.splits.expectRepeats('a', 0)
    tracker.emitRun(track(tracker, 'a'), 0, 2, 1)
    expect(tracker.isReplaySuspect(0)).toBe(false)
  })
})

const known = (tracker: Tracker): string[] => [...tracker.splits.values()].map(({ splitId }) => splitId)

describe('splits that were read to their end', () => {
  test('are forgotten once nobody holds them and nothing of them is in hand', () => {
    const tracker = new Tracker()
    for (const splitId of ['held', 'in hand', 'over']) tracker.emitRun(track(tracker, splitId), 0, 2, 1)
    settle(tracker, 0, 1, 4, 5)
    tracker.splits.forgetFinished((splitId) => splitId === 'held')
    expect(known(tracker)).toEqual(['held', 'in hand'])
  })

  test('are not those whose repeats have not come yet, or that are on their way out', () => {
    const tracker = new Tracker()
    tracker.splits.expectRepeats('to come', 3)
    tracker.emitRun(track(tracker, 'leaving'), 0, 2, 0)
    tracker.splits.leaving.set('leaving', new Leaving(false))
    tracker.splits.forgetFinished(() => false)
    expect(known(tracker)).toEqual(['to come', 'leaving'])
  })
})

test('a batch that waits for room and is given back holds up nobody behind it', async () => {
  const tracker = new Tracker({ maxRetainedBytes: 40 })
  const first = track(tracker, 'a')
  tracker.emitRun(first, 0, 4, 1)
  const given = track(tracker, 'b')
  const behind = track(tracker, 'c')
  expect(tracker.room(given, 4)).toBeInstanceOf(Promise)
  const waits = tracker.room(behind, 4)
  tracker.release('b')
  await waits
  settle(tracker, 0, 1, 2, 3)
  expect(tracker.room(behind, 4)).toBeUndefined()
})
