import { describe, expect, test } from 'vitest'
import { attributeRepeats, coveredButMissing, type Life } from '../src/ledger/repeats.ts'
import { arrival, coveredUpTo, produced } from './support.ts'

const PRODUCED = [1, 2, 3, 4].map((sequence) => produced(sequence))

function lives(...firstWrites: (number | undefined)[]): readonly Life[] {
  return firstWrites.map((at) => ({
    firstWriteAtNs: at === undefined ? undefined : BigInt(at),
    coverage: coveredUpTo(0),
  }))
}

describe('repeats', () => {
  test('are those of the process in which the record had arrived last', () => {
    const arrivals = [arrival(1, 110), arrival(2, 120), arrival(2, 210), arrival(3, 220), arrival(3, 310)]
    const { afterLife, withinLife, requests } = attributeRepeats(arrivals, lives(100, 200, 300), PRODUCED)
    expect(afterLife).toEqual([1, 1, 0])
    expect(withinLife).toBe(0)
    expect(requests).toBe(2)
  })

  test('of a process that died before it came to the record again are not charged to it', () => {
    const arrivals = [arrival(1, 110), arrival(2, 120), arrival(1, 210), arrival(1, 310), arrival(2, 320)]
    const { afterLife } = attributeRepeats(arrivals, lives(100, 200, 300), PRODUCED)
    expect(afterLife).toEqual([2, 1, 0])
  })

  test('skip a process that wrote nothing', () => {
    const { afterLife } = attributeRepeats([arrival(1, 110), arrival(1, 310)], lives(100, undefined, 300), PRODUCED)
    expect(afterLife).toEqual([1, 0, 0])
  })

  test('within one process are counted apart', () => {
    const { afterLife, withinLife } = attributeRepeats([arrival(1, 110), arrival(1, 120)], lives(100, 200), PRODUCED)
    expect(afterLife).toEqual([0, 0])
    expect(withinLife).toBe(1)
  })

  test('of records that were refused the first time are none', () => {
    const arrivals = [arrival(1, 110, { outcome: 'rejected' }), arrival(1, 210)]
    expect(attributeRepeats(arrivals, lives(100, 200), PRODUCED).afterLife).toEqual([0, 0])
  })

  test('below the checkpoint of the process that died are named', () => {
    const [first, second] = lives(100, 200)
    const covering = [{ ...first, firstWriteAtNs: 100n, coverage: coveredUpTo(1) }, second].flatMap(
      (life) => life ?? [],
    )
    const arrivals = [arrival(1, 110), arrival(2, 120), arrival(1, 210), arrival(2, 210)]
    const { afterLife, coveredAfterLife } = attributeRepeats(arrivals, covering, PRODUCED)
    expect(afterLife).toEqual([2, 0])
    expect(coveredAfterLife).toEqual([1, 0])
  })
})

describe('coveredButMissing', () => {
  test('counts records that a checkpoint covers and the store does not hold', () => {
    const arrivals = [arrival(1, 1), arrival(2, 2, { outcome: 'rejected' }), arrival(4, 3)]
    expect(coveredButMissing(coveredUpTo(1), PRODUCED, arrivals)).toBe(0)
    expect(coveredButMissing(coveredUpTo(3), PRODUCED, arrivals)).toBe(2)
  })
})
