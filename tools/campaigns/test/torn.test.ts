import { seededRandom } from '@sluice/core/testing'
import { describe, expect, test } from 'vitest'
import { damaged, damagePlan } from '../src/torn/damage.ts'
import { judge } from '../src/torn/judge.ts'
import { entry } from './support.ts'

describe('damage', () => {
  test('within the limit every byte is cut and flipped', () => {
    const plan = damagePlan(50, 100, seededRandom(1))
    for (const how of ['cut', 'flipped']) {
      expect(plan.filter((each) => each.how === how).map(({ at }) => at)).toEqual(
        Array.from({ length: 50 }, (_, at) => at),
      )
    }
  })

  test('above it the bytes are spread evenly, and those of the position are all there', () => {
    const at = damagePlan(1_000, 100, seededRandom(1)).flatMap((each) => (each.how === 'cut' ? [each.at] : []))
    expect(at.slice(-24)).toEqual(Array.from({ length: 24 }, (_, index) => 976 + index))
    expect(at.length).toBeLessThan(80)
    expect(at.slice(0, 4)).toEqual([0, 20, 40, 60])
  })

  test('a cut leaves what is before it, a flip changes one bit', () => {
    const whole = Buffer.from('abc')
    expect(damaged(whole, { how: 'cut', at: 1, bit: 0 }).toString()).toBe('a')
    expect(damaged(whole, { how: 'flipped', at: 1, bit: 0 }).toString()).toBe('acc')
    expect(whole.toString()).toBe('abc')
  })
})

describe('a start on damaged state', () => {
  const produced = [1, 2, 3, 4].map((sequence) => entry(sequence))
  const start = (stored: readonly number[], code?: string): ReturnType<typeof judge> =>
    judge({ fault: 'cut', code, stored: stored.map((sequence) => entry(sequence)) }, produced, 2)

  test('resumes from the checkpoint before, with repeats or without', () => {
    expect(start([3, 4])).toEqual({ outcome: 'resumed', missing: 0 })
    expect(start([4, 3, 3])).toEqual({ outcome: 'resumed', missing: 0 })
  })

  test('may be refused, as long as nothing is stored', () => {
    expect(start([], 'SLUICE_STATE_CORRUPTED')).toEqual({ outcome: 'refused', missing: 0 })
    expect(start([3], 'SLUICE_STATE_CORRUPTED').outcome).toBe('wrong')
    expect(start([], 'SLUICE_INTERNAL').outcome).toBe('wrong')
  })

  test('is wrong on a later position, and on an earlier one', () => {
    expect(start([4])).toMatchObject({
      outcome: 'wrong',
      missing: 1,
      failure: expect.stringContaining('1 records missing'),
    })
    expect(start([2, 3, 4])).toMatchObject({
      outcome: 'wrong',
      missing: 0,
      failure: expect.stringContaining('1 from before'),
    })
  })
})
