import { expect, test } from 'vitest'
import { seededRandom } from '../../src/testing.ts'
import { PushSource } from '../../src/standalone/push-source.ts'
import { range } from '../job/harness.ts'

function pushed(count: number): PushSource<number> {
  const source = new PushSource<number>(
    'written',
    () => undefined,
    () => false,
  )
  for (const value of range(count)) source.push(value)
  return source
}

test('settledUpTo is the first value that is not settled, in whatever order they are', () => {
  for (const seed of range(20, 1)) {
    const random = seededRandom(seed)
    const source = pushed(50)
    const left = new Set(range(50))
    while (left.size > 0) {
      const ordinals = [...left]
      const ordinal = ordinals[Math.floor(random() * ordinals.length)] as number
      left.delete(ordinal)
      source.settle(ordinal)
      if (random() < 0.3) {
        left.add(source.next)
        source.push(source.next)
      }
      expect(source.settledUpTo, `seed ${seed}`).toBe(Math.min(source.next, ...left))
      expect(source.size).toBe(left.size)
      if (source.next > 200) break
    }
  }
})

test('looking at it after each value costs the same however many are not settled', () => {
  // Were each look to step over what was deleted before, these would be tens of billions of steps.
  const count = 500_000
  const source = pushed(count)
  let wrong = 0
  for (let ordinal = 0; ordinal < count; ordinal++) {
    source.settle(ordinal)
    if (source.settledUpTo !== ordinal + 1) wrong++
  }
  expect(wrong).toBe(0)
})
