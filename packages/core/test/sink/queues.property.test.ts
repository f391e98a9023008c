import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { DueQueue } from '../../src/sink/due-queue.ts'
import { ColumnPool, EntryQueue } from '../../src/sink/entry-queue.ts'
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
    }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new EntryQueue<number>(new ColumnPool(90))
      const model: { readonly id: number; readonly size: number; readonly weight: number }[] = []
      const taken: unknown[] = []
      const wanted: unknown[] = []
      let id = 0
      for (const each of steps) {
        if ('push' in each) {
          for (const { size, weight } of each.push) {
            queue.push(id, id + 1000, id * 2, size, weight, size + 1, 0)
            model.push({ id: id++, size, weight })
          }
        } else {
          const expected: typeof model = []
          let bytes = 0
          let weight = 0
          while (model[0] !== undefined && expected.length < each.entries) {
            bytes += model[0].size
            weight += model[0].weight
            if (expected.length > 0 && (bytes > each.bytes || weight > each.weight)) break
            expected.push(...model.splice(0, 1))
          }
          const parcel = new Parcel<number>()
          queue.moveTo(parcel, {
            maxBatchSize: each.entries,
            maxBatchSizeInBytes: each.bytes,
            maxBatchWeight: each.weight,
          })
          taken.push(contentOf(parcel))
          wanted.push({
            entries: expected.map((item) => item.id),
            tokens: expected.map((item) => item.id + 1000),
            enqueuedAt: expected.map((item) => item.id * 2),
            sizes: expected.map((item) => item.size),
            weight: expected.reduce((total, item) => total + item.weight, 0),
            charges: expected.map((item) => item.size + 1),
          })
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
