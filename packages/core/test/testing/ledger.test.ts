import { expect, test } from 'vitest'

import { compareLedger, type LedgerEntry, payloadHash } from '../../src/testing/ledger.ts'

function entry(key: string, sequence: number, payload = `${key}${sequence}`): LedgerEntry {
  return { source: 'generator', key, sequence, hash: payloadHash(payload) }
}

const produced = [entry('a', 1), entry('a', 2), entry('b', 1), entry('b', 2)]

test('everything arrived', () => {
  expect(compareLedger(produced, produced)).toEqual({
    produced: 4,
    stored: 4,
    missing: 0,
    corrupted: 0,
    duplicates: 0,
    reordered: 0,
    examplesMissing: [],
  })
})

test('one missing and one duplicate do not cancel out', () => {
  const arrived = [entry('a', 1), entry('a', 1), entry('b', 1), entry('b', 2)]
  expect(compareLedger(produced, arrived)).toMatchObject({
    stored: 3,
    missing: 1,
    duplicates: 1,
    examplesMissing: [entry('a', 2)],
  })
})

test('an altered record is corrupted, and the one that was produced is missing', () => {
  const arrived = [entry('a', 1), entry('a', 2, 'altered'), entry('b', 1), entry('b', 2)]
  expect(compareLedger(produced, arrived)).toMatchObject({ stored: 3, missing: 1, corrupted: 1, duplicates: 0 })
})

test('a record that was never produced is corrupted', () => {
  expect(compareLedger(produced, [...produced, entry('c', 1)])).toMatchObject({ stored: 4, corrupted: 1 })
})

test('order is judged by key and by first arrival: a repeat is no disorder', () => {
  const repeated = [entry('a', 1), entry('b', 1), entry('a', 2), entry('a', 1), entry('b', 2)]
  expect(compareLedger(produced, repeated)).toMatchObject({ duplicates: 1, reordered: 0 })
  const swapped = [entry('a', 2), entry('b', 1), entry('a', 1), entry('b', 2)]
  expect(compareLedger(produced, swapped)).toMatchObject({ duplicates: 0, reordered: 1 })
})

test('keys that only look alike are different records', () => {
  const first = { source: 'x', key: 'y","z', sequence: 1, hash: 'h' }
  const second = { source: 'x","y', key: 'z', sequence: 1, hash: 'h' }
  expect(compareLedger([first], [second])).toMatchObject({ missing: 1, corrupted: 1 })
})

test('the report shows no more than five examples', () => {
  const many = Array.from({ length: 9 }, (_, sequence) => entry('a', sequence))
  const report = compareLedger(many, [])
  expect([report.missing, report.examplesMissing.length]).toEqual([9, 5])
})
