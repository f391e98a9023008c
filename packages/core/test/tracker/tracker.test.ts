import { describe, expect, test } from 'vitest'

import type { RecordBatch } from '../../src/index.ts'
import { Tracker } from '../../src/tracker/tracker.ts'
import { collectGarbage } from './collect-garbage.ts'

function batchOf(splitId: string, positions: readonly string[] = []): RecordBatch<unknown> {
  return {
    splitId,
    values: positions,
    byteLengths: new Uint32Array(positions.length),
    raw: (index: number) => ({ position: positions[index] ?? '' }),
  } as unknown as RecordBatch<unknown>
}

function watch(promise: Promise<void>): () => Promise<boolean> {
  let resolved = false
  void promise.then(() => (resolved = true))
  return async () => {
    await new Promise(setImmediate)
    return resolved
  }
}

describe('tracker', () => {
  test('tokens are dense, and the watermark is the lowest that is not settled', () => {
    const tracker = new Tracker()
    tracker.open('source', batchOf('s'), 0)
    expect([tracker.emit(1), tracker.emit(1), tracker.emit(1)]).toEqual([0, 1, 2])
    expect([tracker.next, tracker.watermark, tracker.unsettled]).toEqual([3, 0, 3])
    tracker.settle(1)
    expect([tracker.watermark, tracker.unsettled]).toEqual([0, 2])
    tracker.settle(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([2, 1])
    tracker.settle(2)
    expect([tracker.watermark, tracker.unsettled]).toEqual([3, 0])
  })

  test('an input is settled with the last of its entries', () => {
    const tracker = new Tracker()
    const token = tracker.emit(3)
    tracker.settle(token)
    tracker.settle(token)
    expect(tracker.watermark).toBe(0)
    tracker.settle(token)
    expect(tracker.watermark).toBe(1)
  })

  test('an input without entries is settled at once, behind an unsettled one too', () => {
    const tracker = new Tracker()
    tracker.emit(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([1, 0])
    const token = tracker.emit(1)
    tracker.emit(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([1, 1])
    tracker.settle(token)
    expect(tracker.watermark).toBe(3)
  })

  test('add changes the number of entries that are to come', () => {
    const tracker = new Tracker()
    const many = tracker.emit(1)
    tracker.add(many, 2)
    tracker.add(many, 0)
    for (let count = 0; count < 3; count++) {
      expect(tracker.watermark).toBe(0)
      tracker.settle(many)
    }
    const none = tracker.emit(1)
    tracker.add(none, -1)
    expect([tracker.watermark, tracker.unsettled]).toEqual([2, 0])
  })

  test.each([
    ['settled twice, below the watermark', (tracker: Tracker) => tracker.settle(0)],
    ['settled twice, above the watermark', (tracker: Tracker) => tracker.settle(2)],
    ['never emitted', (tracker: Tracker) => tracker.settle(4)],
    ['settled more often than it has entries', (tracker: Tracker) => tracker.add(3, -3)],
    ['settled and then given entries', (tracker: Tracker) => tracker.add(2, 1)],
  ])('a token that was %s throws and changes nothing', (_, act) => {
    const tracker = new Tracker()
    for (const references of [1, 1, 1, 2]) tracker.emit(references)
    tracker.settle(0)
    tracker.settle(2)
    expect(() => act(tracker)).toThrow(/token \d was settled more often than it has entries/)
    expect([tracker.watermark, tracker.unsettled]).toEqual([1, 2])
    tracker.settle(1)
    tracker.settle(3)
    tracker.settle(3)
    expect(tracker.watermark).toBe(4)
  })

  test('grows while tokens are unsettled, and keeps every count', () => {
    const tracker = new Tracker()
    const count = 5000
    for (let token = 0; token < count; token++) tracker.emit(1 + (token % 3))
    expect(tracker.unsettled).toBe(count)
    for (let token = count - 1; token > 0; token--) tracker.add(token, -(1 + (token % 3)))
    expect([tracker.watermark, tracker.unsettled]).toEqual([0, 1])
    tracker.settle(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([count, 0])
  })

  test('reuses its slots: a window that moves on does not mix tokens up', () => {
    const tracker = new Tracker()
    const open: number[] = []
    for (let round = 0; round < 10_000; round++) {
      open.push(tracker.emit(1))
      if (open.length > 1000) tracker.settle(open.shift() ?? Number.NaN)
    }
    expect([tracker.watermark, tracker.unsettled]).toEqual([9000, 1000])
  })
})

describe('barriers', () => {
  test('resolve when everything before them is settled, whatever came after', async () => {
    const tracker = new Tracker()
    tracker.emit(1)
    tracker.emit(1)
    const settled = watch(tracker.settledUpTo(tracker.next))
    tracker.emit(1)
    tracker.settle(1)
    expect(await settled()).toBe(false)
    tracker.settle(0)
    expect(await settled()).toBe(true)
    expect(tracker.unsettled).toBe(1)
  })

  test('resolve at once when nothing is open', async () => {
    const tracker = new Tracker()
    expect(await watch(tracker.settledUpTo(0))()).toBe(true)
    tracker.emit(0)
    expect(await watch(tracker.settledUpTo(1))()).toBe(true)
  })

  test('several wait, each for its own', async () => {
    const tracker = new Tracker()
    const waits = [0, 1, 2].map(() => {
      tracker.emit(1)
      return watch(tracker.settledUpTo(tracker.next))
    })
    tracker.settle(0)
    tracker.settle(1)
    expect(await Promise.all(waits.map((wait) => wait()))).toEqual([true, true, false])
    tracker.settle(2)
    expect(await waits[2]?.()).toBe(true)
  })
})

describe('origins', () => {
  test('lead to the source, the split and the raw record', () => {
    const tracker = new Tracker()
    tracker.open('orders', batchOf('shard-1', ['10', '11', '12', '13']), 2)
    const first = tracker.emit(1)
    const second = tracker.emit(1)
    tracker.open('clicks', batchOf('shard-2', ['90']), 0)
    const third = tracker.emit(1)
    expect(tracker.origin(first)).toEqual({ source: 'orders', splitId: 'shard-1', raw: { position: '12' } })
    expect(tracker.origin(second)).toEqual({ source: 'orders', splitId: 'shard-1', raw: { position: '13' } })
    expect(tracker.origin(third)).toEqual({ source: 'clicks', splitId: 'shard-2', raw: { position: '90' } })
    expect(tracker.origin(99)).toBeUndefined()
  })

  test('of settled batches are let go, with the raw bytes; those of batches in hand stay', () => {
    const tracker = new Tracker()
    for (let batch = 0; batch < 500; batch++) {
      tracker.open('source', batchOf(`s${batch}`, [`${batch}`]), 0)
      tracker.emit(1)
    }
    for (let token = 0; token < 450; token++) tracker.settle(token)
    for (const token of [0, 1, 63, 64, 449]) expect(tracker.origin(token)).toBeUndefined()
    for (const token of [450, 499]) {
      expect(tracker.origin(token)).toMatchObject({ splitId: `s${token}`, raw: { position: `${token}` } })
    }
  })

  test('a settled batch can be collected at once, not with many others', async () => {
    const tracker = new Tracker()
    const batches: WeakRef<RecordBatch<unknown>>[] = []
    const emit = (): void => {
      const batch = batchOf('s', ['0'])
      batches.push(new WeakRef(batch))
      tracker.open('source', batch, 0)
      tracker.emit(1)
    }
    for (let count = 0; count < 3; count++) emit()
    tracker.settle(0)
    tracker.settle(1)
    // A WeakRef holds its target until the turn in which it was made has ended.
    await new Promise(setImmediate)
    collectGarbage()
    expect(batches.map((reference) => reference.deref() !== undefined)).toEqual([false, false, true])
  })

  test('unsettled inputs are counted by split, filtered and settled ones left out', () => {
    const tracker = new Tracker()
    tracker.open('source', batchOf('a'), 0)
    for (const references of [1, 0, 2]) tracker.emit(references)
    tracker.open('source', batchOf('b'), 0)
    for (const references of [1, 1]) tracker.emit(references)
    tracker.open('source', batchOf('a'), 0)
    tracker.emit(1)
    tracker.settle(0)
    tracker.settle(2)
    tracker.settle(3)
    expect(tracker.unsettledBySplit()).toEqual(
      new Map([
        ['a', 2],
        ['b', 1],
      ]),
    )
    expect(new Tracker().unsettledBySplit()).toEqual(new Map())
  })
})

describe('after the end', () => {
  test('late calls are counted and ignored', () => {
    let late = 0
    const tracker = new Tracker(() => late++)
    const token = tracker.emit(1)
    tracker.end()
    tracker.settle(token)
    tracker.settle(token)
    tracker.add(token, 3)
    expect(late).toBe(3)
    expect([tracker.watermark, tracker.unsettled]).toEqual([0, 1])
  })

  test('barriers never resolve', async () => {
    const tracker = new Tracker()
    tracker.emit(1)
    const settled = watch(tracker.settledUpTo(1))
    tracker.end()
    tracker.settle(0)
    expect(await settled()).toBe(false)
  })
})
