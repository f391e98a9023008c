import { afterEach, expect, test } from 'vitest'

import { failpoint, setFailpoint } from '../../src/runtime/failpoints.ts'

const removals: (() => void)[] = []
afterEach(() => {
  for (const remove of removals.splice(0)) remove()
})

function set(...given: Parameters<typeof setFailpoint>): () => void {
  const remove = setFailpoint(...given)
  removals.push(remove)
  return remove
}

test('does nothing as long as nobody set it', () => {
  expect(failpoint('nobody')).toBe(false)
})

test('takes the sabotaged branch only when its action says true', () => {
  set('says-nothing', () => {})
  set('says-true', () => true)
  expect(['says-nothing', 'says-true', 'other'].map((name) => failpoint(name))).toEqual([false, true, false])
})

test('passes on what its action throws', () => {
  set('throws', () => {
    throw new Error('killed here')
  })
  expect(() => failpoint('throws')).toThrow('killed here')
})

test('is gone once it is removed, and the others stay', () => {
  const remove = set('first', () => true)
  set('second', () => true)
  remove()
  expect([failpoint('first'), failpoint('second')]).toEqual([false, true])
})

test('a removal that is called again takes nothing that was set later', () => {
  const remove = set('name', () => true)
  remove()
  set('name', () => true)
  set('other', () => true)
  remove()
  expect([failpoint('name'), failpoint('other')]).toEqual([true, true])
})
