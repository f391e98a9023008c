import { seededRandom } from '@sluice/core/testing'
import { expect, test } from 'vitest'
import { jumpPlan, jumpProblems } from '../src/clock/plan.ts'
import { brokenJumpRules, type JumpRecord, stalled } from '../src/clock/rules.ts'

const JUMP: JumpRecord = { number: 1, bySeconds: -3600, landed: true, checkpointsAfterMs: 200, storedAfterMs: 80 }

test('every jump comes as often as the others, in an order that the seed says', () => {
  const plan = jumpPlan(8, seededRandom(1))
  expect(plan.toSorted((a, b) => a - b)).toEqual([-86400, -86400, -3600, -3600, 3600, 3600, 86400, 86400])
  expect(plan).toEqual(jumpPlan(8, seededRandom(1)))
})

test('a size that proves nothing is refused, with every reason', () => {
  expect(jumpProblems({ faults: 8, records: 600 })).toEqual([])
  expect(jumpProblems({ faults: 3, records: 10 })).toHaveLength(2)
})

test('a job that goes on after each jump keeps the rules', () => {
  expect(brokenJumpRules([JUMP])).toEqual([])
  expect(stalled([JUMP])).toBe(0)
})

test.each([
  [{ checkpointsAfterMs: undefined }, 'jump 1 (by -1 h): no two checkpoints completed within 8000 ms'],
  [{ storedAfterMs: undefined }, 'jump 1 (by -1 h): what was produced after it was not stored within 8000 ms'],
])('one that stands still does not: %j', (change, says) => {
  expect(brokenJumpRules([{ ...JUMP, ...change }])).toEqual([says])
  expect(stalled([{ ...JUMP, ...change }])).toBe(1)
})
