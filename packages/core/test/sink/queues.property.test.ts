import { deepStrictEqual as same } from 'node:assert/strict'

import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { DueQueue } from '../../src/sink/due-queue.ts'
import { type BatchLimits, ColumnPool, EntryQueue } from '../../src/sink/entry-queue.ts'
import { Parcel } from '../../src/sink/parcel.ts'

function parcelOf(name: string, entries: number): Parcel<string> {
  const parcel = new Parcel<string>()
  for (let index = 0; index < entries; index++) parcel.entries.push(name)
  return parcel
}

function contentOf(parcel: Parcel<number>): unknown {
  const each = <T>(read: (index: number) => T): T[] => parcel.entries.map((_, index) => read(index))
  return {
    entries: parcel.entries,
    tokens: each((index) => parcel.token(index)),
    enqueuedAt: each((index) => parcel.enqueuedAt(index)),
    sizes: each((index) => parcel.size(index)),
    weight: parcel.weight,
    charges: each((index) => parcel.charge(index)),
    keys: each((index) => parcel.key(index)),
  }
}

test('DueQueue: earliest first, and first in, first out among equals', () => {
  const step = fc.oneof(
    fc.record({ dueAt: fc.integer({ min: 0, max: 20 }), entries: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ popAt: fc.integer({ min: 0, max: 20 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new DueQueue<string>()
      const model: { readonly name: string; readonly dueAt: number; readonly entries: number }[] = []
      const popped: unknown[] = []
      const wanted: unknown[] = []
      for (const [index, each] of steps.entries()) {
        if ('dueAt' in each) {
          queue.push(parcelOf(`p${index}`, each.entries), each.dueAt)
          model.push({ name: `p${index}`, ...each })
          model.sort((a, b) => a.dueAt - b.dueAt)
        } else {
          const expected = (model[0]?.dueAt ?? Number.POSITIVE_INFINITY) <= each.popAt ? model.shift() : undefined
          popped.push(queue.popDue(each.popAt)?.entries[0])
          wanted.push(expected?.name)
        }
        expect(popped).toEqual(wanted)
        expect(queue.nextDueAt).toBe(model[0]?.dueAt)
        expect(queue.entries).toBe(model.reduce((total, { entries }) => total + entries, 0))
        expect([...queue.parcels()].map(({ entries }) => entries[0])).toHaveLength(model.length)
      }
      queue.clear()
      expect([queue.entries, queue.nextDueAt]).toEqual([0, undefined])
    }),
  )
})

test('DueQueue: each is replaced in its place, or leaves', () => {
  const waiting = fc.record({ dueAt: fc.integer({ min: 0, max: 5 }), entries: fc.integer({ min: 1, max: 3 }) })
  fc.assert(
    fc.property(fc.array(waiting, { maxLength: 60 }), fc.nat(6), fc.nat(6), (list, leaves, shrinks) => {
      const queue = new DueQueue<string>()
      for (const [index, { dueAt, entries }] of list.entries()) queue.push(parcelOf(`p${index}`, entries), dueAt)
      const isLeaving = (index: number): boolean => index % 7 === leaves
      const isShrinking = (index: number): boolean => index % 7 === shrinks
      queue.replaceEach((parcel) => {
        const name = parcel.entries[0] ?? ''
        const index = Number(name.slice(1))
        if (isLeaving(index)) return undefined
        return isShrinking(index) ? parcelOf(name, 1) : parcel
      })
      const kept = list
        .map(({ dueAt, entries }, index) => ({ index, dueAt, entries: isShrinking(index) ? 1 : entries }))
        .filter(({ index }) => !isLeaving(index))
        .toSorted((a, b) => a.dueAt - b.dueAt || a.index - b.index)
      expect(queue.entries).toBe(kept.reduce((total, { entries }) => total + entries, 0))
      for (const { index, dueAt, entries } of kept) {
        expect(queue.nextDueAt).toBe(dueAt)
        expect(queue.popDue(dueAt)?.entries).toEqual(Array.from({ length: entries }, () => `p${index}`))
      }
      expect([queue.entries, queue.nextDueAt]).toEqual([0, undefined])
    }),
  )
})

test('DueQueue: a head that is not accepted stays', () => {
  const queue = new DueQueue<string>()
  queue.push(parcelOf('a', 1), 5)
  expect(queue.popDue(5, () => false)).toBeUndefined()
  expect(queue.popDue(4)).toBeUndefined()
  expect(queue.popDue(5, ({ entries }) => entries[0] === 'a')?.entries).toEqual(['a'])
})

test('EntryQueue: a batch is the longest prefix that fits, at least one entry; sums are those of what is left', () => {
  const entry = fc.record({ size: fc.integer({ min: 0, max: 50 }), weight: fc.integer({ min: 0, max: 9 }) })
  const step = fc.oneof(
    fc.record({ push: fc.array(entry, { maxLength: 120 }) }),
    fc.record({
      entries: fc.integer({ min: 1, max: 90 }),
      bytes: fc.integer({ min: 1, max: 900 }),
      weight: fc.integer({ min: 1, max: 200 }),
      isNew: fc.boolean(),
    }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 90 }), (steps, block) => {
      const pool = new ColumnPool(block)
      const queue = new EntryQueue<number>(pool)
      const model: { readonly id: number; readonly size: number; readonly weight: number }[] = []
      const taken: unknown[] = []
      const wanted: unknown[] = []
      let id = 0
      for (const each of steps) {
        if ('push' in each) {
          for (const { size, weight } of each.push) {
            queue.push(id, Float64Array.of(id + 1000), 0, id * 2, size, weight, size + 1, 0)
            model.push({ id: id++, size, weight })
          }
        } else {
          const expected: typeof model = []
          let bytes = 0
          let weight = 0
          const maxBatchSize = Math.min(each.entries, block)
          while (model[0] !== undefined && expected.length < maxBatchSize) {
            bytes += model[0].size
            weight += model[0].weight
            if (expected.length > 0 && (bytes > each.bytes || weight > each.weight)) break
            expected.push(...model.splice(0, 1))
          }
          const limits = {
            maxBatchSize,
            maxBatchSizeInBytes: each.bytes,
            maxBatchWeight: each.weight,
          }
          const parcel = each.isNew ? queue.take(limits) : new Parcel<number>()
          if (!each.isNew) queue.moveTo(parcel, limits)
          taken.push(contentOf(parcel), parcel.charges)
          // As after its settlement: the queue must not look at it, nor anyone at what is in it now.
          pool.give(parcel.columns)
          wanted.push({
            entries: expected.map((item) => item.id),
            tokens: expected.map((item) => item.id + 1000),
            enqueuedAt: expected.map((item) => item.id * 2),
            sizes: expected.map((item) => item.size),
            weight: expected.reduce((total, item) => total + item.weight, 0),
            charges: expected.map((item) => item.size + 1),
            keys: expected.map(() => 0),
          })
          wanted.push(expected.reduce((total, item) => total + item.size + 1, 0))
        }
        expect(taken).toEqual(wanted)
        expect(queue.length).toBe(model.length)
        expect(queue.sizeInBytes).toBe(model.reduce((total, { size }) => total + size, 0))
        expect(queue.weight).toBe(model.reduce((total, { weight }) => total + weight, 0))
        expect(queue.oldestAt).toBe(model[0] === undefined ? undefined : model[0].id * 2)
      }
      queue.clear()
      expect([queue.length, queue.sizeInBytes, queue.weight, queue.oldestAt]).toEqual([0, 0, 0, undefined])
    }),
  )
})

interface Item {
  readonly id: number
  readonly size: number
  readonly weight: number
  readonly key: number
  isHastened: boolean
}

/** The entries that a request with one of each key takes, and what they leave. */
function distinct(items: readonly Item[], limits: BatchLimits, window: number, before: readonly Item[]): Item[] {
  const taken = [...before]
  const keys = new Set(before.map(({ key }) => key))
  for (const item of items.slice(0, window)) {
    if (taken.length >= limits.maxBatchSize) break
    if (keys.has(item.key)) continue
    const bytes = sumOf(taken, 'size') + item.size
    const weight = sumOf(taken, 'weight') + item.weight
    if (taken.length > 0 && (bytes > limits.maxBatchSizeInBytes || weight > limits.maxBatchWeight)) break
    keys.add(item.key)
    taken.push(item)
  }
  return taken.slice(before.length)
}

function sumOf(items: readonly Item[], what: 'size' | 'weight'): number {
  return items.reduce((total, item) => total + item[what], 0)
}

test('EntryQueue: distinct keys, removals and hastening are those of a plain list', () => {
  const entry = fc.record({
    size: fc.integer({ min: 0, max: 50 }),
    weight: fc.integer({ min: 0, max: 9 }),
    key: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(12)),
  })
  const limits = fc.record({
    maxBatchSize: fc.integer({ min: 1, max: 40 }),
    maxBatchSizeInBytes: fc.integer({ min: 1, max: 900 }),
    maxBatchWeight: fc.integer({ min: 1, max: 150 }),
  })
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ push: fc.array(entry, { maxLength: 70 }) }) },
    {
      weight: 5,
      arbitrary: fc.record({ take: limits, window: fc.integer({ min: 1, max: 200 }), again: fc.option(limits) }),
    },
    { weight: 2, arbitrary: fc.record({ straight: limits }) },
    { weight: 2, arbitrary: fc.record({ remove: fc.integer({ min: 1, max: 5 }), rest: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ olderThan: fc.nat() }) },
    { weight: 2, arbitrary: fc.constant({ hasten: true }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new EntryQueue<number>(new ColumnPool(40))
      let model: Item[] = []
      let id = 0
      const wanted = (items: readonly Item[]): unknown => ({
        entries: items.map((item) => item.id),
        tokens: items.map((item) => item.id + 1000),
        enqueuedAt: items.map((item) => item.id * 2),
        sizes: items.map((item) => item.size),
        weight: sumOf(items, 'weight'),
        charges: items.map((item) => item.size + 1),
        keys: items.map((item) => item.key),
      })
      const without = (gone: readonly Item[]): void => {
        const left = new Set(gone)
        model = model.filter((item) => !left.has(item))
      }
      for (const each of steps) {
        if ('push' in each) {
          for (const { size, weight, key } of each.push) {
            queue.push(id, Float64Array.of(id + 1000), 0, id * 2, size, weight, size + 1, key)
            model.push({ id: id++, size, weight, key, isHastened: false })
          }
        } else if ('take' in each) {
          const parcel = new Parcel<number>()
          const taken = distinct(model, each.take, each.window, [])
          without(taken)
          queue.moveDistinctTo(parcel, each.take, each.window)
          same(contentOf(parcel), wanted(taken))
          if (each.again !== null) {
            const more = distinct(model, each.again, each.window, taken)
            without(more)
            queue.moveDistinctTo(parcel, each.again, each.window)
            same(contentOf(parcel), wanted([...taken, ...more]))
          }
        } else if ('straight' in each) {
          const parcel = new Parcel<number>()
          queue.moveTo(parcel, each.straight)
          const taken = model.slice(0, parcel.length)
          without(taken)
          same(contentOf(parcel), wanted(taken))
        } else if ('hasten' in each) {
          queue.hasten()
          for (const item of model) item.isHastened = true
        } else {
          const oldest = 'olderThan' in each ? (model[each.olderThan % Math.max(1, model.length)]?.id ?? 0) : 0
          const leaves = (number: number): boolean =>
            'remove' in each ? number % each.remove === each.rest % each.remove : number <= oldest
          const gone = model.filter((item) => leaves(item.id))
          without(gone)
          const removed = queue.remove((token, enqueuedAt) => {
            same(enqueuedAt, (token - 1000) * 2)
            return leaves(token - 1000)
          })
          same(
            removed,
            gone.map((item) => ({
              entry: item.id,
              token: item.id + 1000,
              enqueuedAt: item.id * 2,
              charge: item.size + 1,
            })),
          )
        }
        expect([queue.length, queue.sizeInBytes, queue.weight]).toEqual([
          model.length,
          sumOf(model, 'size'),
          sumOf(model, 'weight'),
        ])
        expect(queue.oldestAt).toBe(model[0] === undefined ? undefined : model[0].id * 2)
        expect(queue.isHastened).toBe(model.some(({ isHastened }) => isHastened))
      }
      // What is left comes out in its order.
      const rest = new Parcel<number>()
      for (let parcel = new Parcel<number>(); queue.length > 0; parcel = new Parcel<number>()) {
        queue.moveTo(parcel, { maxBatchSize: 40, maxBatchSizeInBytes: 900, maxBatchWeight: 150 })
        for (const [index] of parcel.entries.entries()) rest.move(parcel, index)
      }
      expect(contentOf(rest)).toEqual(wanted(model))
    }),
    { numRuns: 300 },
  )
})
