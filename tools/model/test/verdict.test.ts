import { expect, test } from 'vitest'
import { type Mutant, MUTANTS, type Property, type Shape, type Variant, VARIANTS } from '../src/catalogue.ts'
import type { PanReport } from '../src/pan-output.ts'
import { judgeMutant, judgeVariant, neverReached } from '../src/verdict.ts'

const FULL: PanReport = {
  errors: 0,
  violated: undefined,
  states: 10,
  transitions: 20,
  depth: 5,
  seconds: 0,
  truncated: [],
  unreached: [],
}

function brokenBy(violated: Property): PanReport {
  return { ...FULL, errors: 1, violated }
}

function searched(shape: Shape, ...statements: string[]): { variant: Variant; report: PanReport } {
  return {
    variant: { name: shape, shape, summary: '', search: 'states', defines: [] },
    report: { ...FULL, unreached: statements.map((statement) => ({ process: 'proctype World', statement })) },
  }
}

test('a variant holds only after a full search without errors', () => {
  expect(judgeVariant(FULL)).toEqual({ ok: true, text: 'holds' })
  expect(judgeVariant(brokenBy('everything_is_kept'))).toEqual({ ok: false, text: 'BROKEN: everything_is_kept' })
  expect(judgeVariant({ ...FULL, truncated: ['the depth limit was reached'] }).ok).toBe(false)
})

test('a mutant is refuted only by the property that its bug breaks', () => {
  const mutant = { name: 'm', summary: '', defines: [], breaks: 'repeats_are_bounded' } satisfies Mutant
  expect(judgeMutant(mutant, brokenBy('repeats_are_bounded')).ok).toBe(true)
  expect(judgeMutant(mutant, brokenBy('every_run_ends')).ok).toBe(false)
  expect(judgeMutant(mutant, FULL)).toEqual({ ok: false, text: 'SURVIVED' })
})

test('a statement is never reached when no variant of its shape reaches it', () => {
  expect(
    neverReached([
      searched('PREFIX', 'a', 'b'),
      searched('PREFIX', 'b', 'c'),
      searched('CHECKPOINT', 'a'),
      searched('CHECKPOINT'),
      searched('INDIVIDUAL'),
    ]),
  ).toEqual(['PREFIX, proctype World: b'])
})

// everything_is_kept follows from two others: what the end covers was not acknowledged early.
test('names are unique, every shape is searched for states and for cycles, and every other property has a mutant', () => {
  const names = [...VARIANTS, ...MUTANTS].map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  const ordinary = VARIANTS.filter(({ deep }) => deep !== true).map(({ shape, search }) => `${shape} ${search}`)
  for (const shape of ['CHECKPOINT', 'PREFIX', 'INDIVIDUAL']) {
    expect(ordinary).toContain(`${shape} states`)
    expect(ordinary).toContain(`${shape} cycles`)
  }
  expect([...new Set(MUTANTS.map(({ breaks }) => breaks))].toSorted()).toEqual([
    'a_clean_end_leaves_nothing',
    'checkpoints_never_go_backwards',
    'every_run_ends',
    'late_callbacks_settle_nothing',
    'nothing_is_acknowledged_early',
    'nothing_is_settled_twice',
    'one_checkpoint_is_open',
    'repeats_are_bounded',
  ])
})
