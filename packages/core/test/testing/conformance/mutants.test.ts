import { afterEach, expect, test } from 'vitest'

import { setFailpoint } from '../../../src/runtime/failpoints.ts'
import { describeSink } from '../../../src/testing/conformance/runner.ts'
import { collect } from '../collect.ts'
import { MUTANTS, sinkOf } from './mutants.ts'
import { plainSubject } from './plain-sink.ts'
import { engineSubject, PER_ENTRY } from './subjects.ts'

let restore = (): void => {}
afterEach(() => restore())

test.each(MUTANTS.map((mutant) => [mutant.fault, mutant] as const))('%s', async (_, mutant) => {
  const { fault, caughtBy, alone, writer, abilities } = mutant
  const { failed, passed } = await collect(
    (runner) => describeSink(runner, plainSubject(fault, writer, abilities, sinkOf(mutant))),
    // Whether no other case fails takes all of them.
    (name) => alone === true || name === caughtBy,
  )
  expect([...failed.keys()]).toEqual([caughtBy])
  expect(passed.length > 60).toBe(alone === true)
})

test('the engine with sabotage:ack-early', async () => {
  restore = setFailpoint('sabotage:ack-early', () => true)
  const { failed } = await collect(
    (runner) => describeSink(runner, engineSubject('sabotaged', PER_ENTRY)),
    (title) => title.startsWith('every value'),
  )
  expect([...failed.keys()]).toEqual(['every value is stored, and settled once'])
  expect([...failed.values()].join()).toContain('was settled before the store confirmed it')
})
