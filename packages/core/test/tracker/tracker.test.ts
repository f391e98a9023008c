import { describe, expect, test } from 'vitest'

import type { RecordBatch } from '../../src/index.ts'
import { MAX_INPUTS_ABOVE_WATERMARK } from '../../src/tracker/room.ts'
import type { TrackedBatch } from '../../src/tracker/run.ts'
import { Tracker } from '../../src/tracker/tracker.ts'
import { collectGarbage } from './collect-garbage.ts'

function batchOf(splitId: string, positions: readonly string[] = []): RecordBatch<unknown> {
  return {
    splitId,
    values: positions,
    byteLengths: new Uint32Array(positions.length).fill(10),
    raw: (index: number) => ({ position: positions[index] ?? '' }),
  } as unknown as RecordBatch<unknown>
}

/** A batch of so many records, of 10 bytes each. */
function batchIn(tracker: Tracker, records: number): TrackedBatch {
  return tracker.track('source', batchOf('s', Array<string>(records).fill('')))
}

/** A tracker with one batch, whose inputs are emitted without more ado. */
function single(onLateCall?: () => void): { readonly tracker: Tracker; readonly emit: (references: number) => number } {
  const tracker = new Tracker(onLateCall === undefined ? {} : { onLateCall })
  const tracked = tracker.track('source', batchOf('s'))
  let index = 0
  return { tracker, emit: (references) => tracker.emit(tracked, index++, references) }
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
    const { tracker, emit } = single()
    expect([emit(1), emit(1), emit(1)]).toEqual([0, 1, 2])
    expect([tracker.next, tracker.watermark, tracker.unsettled]).toEqual([3, 0, 3])
    tracker.settle(1)
    expect([tracker.watermark, tracker.unsettled]).toEqual([0, 2])
    tracker.settle(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([2, 1])
    tracker.settle(2)
    expect([tracker.watermark, tracker.unsettled]).toEqual([3, 0])
  })

  test('an input is settled with the last of its entries', () => {
    const { tracker, emit } = single()
    const token = emit(3)
    tracker.settle(token)
    tracker.settle(token)
    expect(tracker.watermark).toBe(0)
    tracker.settle(token)
    expect(tracker.watermark).toBe(1)
  })

  test('an input without entries is settled at once, behind an unsettled one too', () => {
    const { tracker, emit } = single()
    emit(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([1, 0])
    const token = emit(1)
    emit(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([1, 1])
    tracker.settle(token)
    expect(tracker.watermark).toBe(3)
  })

  test('add changes the number of entries that are to come', () => {
    const { tracker, emit } = single()
    const many = emit(1)
    tracker.add(many, 2)
    tracker.add(many, 0)
    for (let count = 0; count < 3; count++) {
      expect(tracker.watermark).toBe(0)
      tracker.settle(many)
    }
    const none = emit(1)
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
    const { tracker, emit } = single()
    for (const references of [1, 1, 1, 2]) emit(references)
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
    const { tracker, emit } = single()
    const count = 5000
    for (let token = 0; token < count; token++) emit(1 + (token % 3))
    expect(tracker.unsettled).toBe(count)
    for (let token = count - 1; token > 0; token--) tracker.add(token, -(1 + (token % 3)))
    expect([tracker.watermark, tracker.unsettled]).toEqual([0, 1])
    tracker.settle(0)
    expect([tracker.watermark, tracker.unsettled]).toEqual([count, 0])
  })

  test('reuses its slots: a window that moves on does not mix tokens up', () => {
    const { tracker, emit } = single()
    const open: number[] = []
    for (let round = 0; round < 10_000; round++) {
      open.push(emit(1))
      if (open.length > 1000) tracker.settle(open.shift() ?? Number.NaN)
    }
    expect([tracker.watermark, tracker.unsettled]).toEqual([9000, 1000])
  })
})

describe('barriers', () => {
  test('resolve when everything before them is settled, whatever came after', async () => {
    const { tracker, emit } = single()
    emit(1)
    emit(1)
    const settled = watch(tracker.settledUpTo(tracker.next))
    emit(1)
    tracker.settle(1)
    expect(await settled()).toBe(false)
    tracker.settle(0)
    expect(await settled()).toBe(true)
    expect(tracker.unsettled).toBe(1)
  })

  test('resolve at once when nothing is open', async () => {
    const { tracker, emit } = single()
    expect(await watch(tracker.settledUpTo(0))()).toBe(true)
    emit(0)
    expect(await watch(tracker.settledUpTo(1))()).toBe(true)
  })

  test('several wait, each for its own', async () => {
    const { tracker, emit } = single()
    const waits = [0, 1, 2].map(() => {
      emit(1)
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
    const orders = tracker.track('orders', batchOf('shard-1', ['10', '11', '12', '13']))
    const clicks = tracker.track('clicks', batchOf('shard-2', ['90']))
    const first = tracker.emit(orders, 2, 1)
    tracker.emit(clicks, 0, 1)
    const third = tracker.emit(orders, 3, 1)
    expect(tracker.origin(first)).toEqual({ source: 'orders', splitId: 'shard-1', raw: { position: '12' } })
    expect(tracker.origin(1)).toEqual({ source: 'clicks', splitId: 'shard-2', raw: { position: '90' } })
    expect(tracker.origin(third)).toEqual({ source: 'orders', splitId: 'shard-1', raw: { position: '13' } })
    for (const token of [-1, 3, 99]) expect(tracker.origin(token)).toBeUndefined()
  })

  test('are those of inputs in hand, whatever lies below them', () => {
    const tracker = new Tracker()
    for (let index = 0; index < 5000; index++) {
      tracker.emit(tracker.track('source', batchOf(`s${index}`, [`${index}`])), 0, 1)
    }
    for (let token = 1; token < 4500; token++) tracker.settle(token)
    for (const token of [1, 63, 4499]) expect(tracker.origin(token)).toBeUndefined()
    for (const token of [0, 4500, 4999]) {
      expect(tracker.origin(token)).toMatchObject({ splitId: `s${token}`, raw: { position: `${token}` } })
    }
  })

  test('unsettled inputs are counted by split, filtered and settled ones left out', () => {
    const tracker = new Tracker()
    const [a, b, again] = ['a', 'b', 'a'].map((splitId) => tracker.track('source', batchOf(splitId)))
    if (a === undefined || b === undefined || again === undefined) throw new Error('three batches')
    for (const references of [1, 0, 2]) tracker.emit(a, 0, references)
    for (const references of [1, 1]) tracker.emit(b, 0, references)
    tracker.emit(again, 0, 1)
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

describe('what is retained', () => {
  test('a batch is let go when its own inputs are settled, whatever lies below it', async () => {
    const tracker = new Tracker()
    const batches: WeakRef<RecordBatch<unknown>>[] = []
    const emit = (references: number): void => {
      const batch = batchOf('s', ['0'])
      batches.push(new WeakRef(batch))
      tracker.emit(tracker.track('source', batch), 0, references)
    }
    for (const references of [1, 1, 0, 1, 1]) emit(references)
    tracker.settle(1)
    tracker.settle(4)
    expect([tracker.watermark, tracker.retainedBytes]).toEqual([0, 20])
    // A WeakRef holds its target until the turn in which it was made has ended.
    await new Promise(setImmediate)
    collectGarbage()
    expect(batches.map((reference) => reference.deref() !== undefined)).toEqual([true, false, false, true, false])
  })

  test('a batch counts once and whole while one of its inputs is unsettled', () => {
    const tracker = new Tracker()
    const tracked = tracker.track('source', batchOf('s', ['0', '1', '2', '3']))
    const counted = [tracker.retainedBytes]
    const note = (): void => void counted.push(tracker.retainedBytes)
    for (const references of [0, 1, 2]) {
      tracker.emit(tracked, 0, references)
      note()
    }
    for (const token of [1, 2, 2]) {
      tracker.settle(token)
      note()
    }
    // Emission goes on after everything before was settled.
    tracker.emit(tracked, 3, 1)
    note()
    tracker.add(3, -1)
    note()
    expect(counted).toEqual([0, 0, 40, 40, 40, 40, 0, 40, 0])
  })
})

describe('room', () => {
  test('there is none for a batch that would go above the bound, until others are settled', async () => {
    const tracker = new Tracker({ maxRetainedBytes: 100 })
    const held = [batchIn(tracker, 4), batchIn(tracker, 4)]
    for (const tracked of held) {
      expect(tracker.room(tracked, 1)).toBeUndefined()
      tracker.emit(tracked, 0, 1)
    }
    const next = batchIn(tracker, 4)
    const room = watch(tracker.room(next, 1) ?? Promise.resolve())
    expect(await room()).toBe(false)
    expect(tracker.waitsFor).toBe('maxRetainedBytes')
    tracker.settle(1)
    expect(await room()).toBe(true)
    expect(tracker.room(next, 1)).toBeUndefined()
    expect(tracker.waitsFor).toBeUndefined()
  })

  test('the rest of a batch that is counted already may always be emitted', () => {
    const tracker = new Tracker({ maxRetainedBytes: 10 })
    const large = batchIn(tracker, 50)
    // Alone it passes, although it is larger than the bound.
    expect(tracker.room(large, 1)).toBeUndefined()
    tracker.emit(large, 0, 1)
    expect(tracker.room(batchIn(tracker, 1), 1)).toBeInstanceOf(Promise)
    expect(tracker.room(large, 1)).toBeUndefined()
  })

  test('is given first come, first served: a large batch does not starve', async () => {
    const tracker = new Tracker({ maxRetainedBytes: 100 })
    const small = [batchIn(tracker, 3), batchIn(tracker, 3)]
    for (const tracked of small) tracker.emit(tracked, 0, 1)
    const large = batchIn(tracker, 9)
    const later = batchIn(tracker, 1)
    expect(tracker.room(large, 1)).toBeInstanceOf(Promise)
    const laterRoom = tracker.room(later, 1)
    expect(laterRoom).toBeInstanceOf(Promise)
    tracker.settle(0)
    await laterRoom
    expect(tracker.room(later, 1)).toBeInstanceOf(Promise)
    tracker.settle(1)
    expect(tracker.room(large, 1)).toBeUndefined()
    tracker.emit(large, 0, 1)
    expect(tracker.room(later, 1)).toBeUndefined()
  })

  test('one unsettled input lets no more than a window of others pass above it', async () => {
    const tracker = new Tracker()
    const tracked = batchIn(tracker, 1)
    tracker.emit(tracked, 0, 1)
    let emitted = 1
    while (tracker.room(tracked, 100) === undefined && emitted <= 2 * MAX_INPUTS_ABOVE_WATERMARK) {
      for (let index = 0; index < 100; index++) tracker.emit(tracked, 0, 0)
      emitted += 100
    }
    expect(emitted).toBeLessThanOrEqual(MAX_INPUTS_ABOVE_WATERMARK)
    expect(emitted).toBeGreaterThan(MAX_INPUTS_ABOVE_WATERMARK - 100)
    expect(tracker.waitsFor).toBe('maxInputsAboveWatermark')
    const room = tracker.room(tracked, 100)
    tracker.settle(0)
    await room
    expect(tracker.room(tracked, 100)).toBeUndefined()
  })

  test('nobody waits after the stop', async () => {
    const tracker = new Tracker({ maxRetainedBytes: 1 })
    tracker.emit(batchIn(tracker, 1), 0, 1)
    const room = tracker.room(batchIn(tracker, 1), 1)
    tracker.stopWaiting()
    await room
    expect(tracker.waitsFor).toBeUndefined()
  })
})

describe('after the end', () => {
  test('late calls are counted and ignored', () => {
    let late = 0
    const { tracker, emit } = single(() => late++)
    const token = emit(1)
    tracker.end()
    tracker.settle(token)
    tracker.settle(token)
    tracker.add(token, 3)
    expect(late).toBe(3)
    expect([tracker.watermark, tracker.unsettled]).toEqual([0, 1])
  })

  test('barriers never resolve', async () => {
    const { tracker, emit } = single()
    emit(1)
    const settled = watch(tracker.settledUpTo(1))
    tracker.end()
    tracker.settle(0)
    expect(await settled()).toBe(false)
  })
})
