import { expect, test } from 'vitest'
import { Cuts } from '../../src/standalone/cuts.ts'
import { SplitTable } from '../../src/tracker/splits.ts'

const table = new SplitTable()

function ended(splitId: string): ReturnType<SplitTable['of']> {
  const split = table.of(splitId)
  split.unsettled = 1
  return split
}

test('without an end that is not settled, a checkpoint is what is there now', () => {
  const cuts = new Cuts()
  const splits = [{ splitId: 'a' }]
  expect(cuts.now(() => 'now')(splits)).toEqual({ enumerator: 'now', splits })
})

test('the state of the enumerator is that of the instant, and the splits are those of later', () => {
  const cuts = new Cuts()
  let state = 'before'
  const partsOf = cuts.now(() => state)
  state = 'after'
  expect(partsOf([{ splitId: 'a' }])).toEqual({ enumerator: 'before', splits: [{ splitId: 'a' }] })
})

test('a split of the cut that left its reader is stored as it left, unless it came back', () => {
  const cuts = new Cuts()
  const parent = ended('parent')
  cuts.add(parent, 'before', ['parent', 'released'])
  const left = { splitId: 'released', next: 3 }
  cuts.keep([left, { splitId: 'later' }])
  const parentState = { splitId: 'parent' }
  const parts = cuts.now(() => 'now')([parentState, { splitId: 'later' }])
  expect(parts).toEqual({ enumerator: 'before', splits: [parentState, left] })
  const back = { splitId: 'released', next: 5 }
  expect(cuts.now(() => 'now')([parentState, back]).splits).toEqual([parentState, back])
  parent.unsettled = 0
  expect(cuts.now(() => 'now')([parentState]).splits).toEqual([parentState])
})

test('what left is forgotten with the last cut that has it', () => {
  const cuts = new Cuts()
  const [first, second] = [ended('first'), ended('second')]
  cuts.add(first, '1', ['first', 'x'])
  cuts.add(second, '2', ['first', 'second'])
  cuts.keep([{ splitId: 'x' }])
  first.unsettled = 0
  expect(cuts.now(() => 'now')([]).enumerator).toBe('2')
  cuts.add(ended('third'), '3', ['x', 'third'])
  second.unsettled = 0
  expect(cuts.now(() => 'now')([])).toEqual({ enumerator: '3', splits: [] })
})
