import { afterEach, expect, test } from 'vitest'

import { setFailpoint } from '../../../src/runtime/failpoints.ts'
import { collect } from './collect.ts'
import { MUTANTS, sinkOf } from './mutants.ts'
import { plainSubject } from './plain-sink.ts'
import { engineSubject, PER_ENTRY } from './subjects.ts'

let restore = (): void => {}
afterEach(() => restore())

const caseOf = (title: string): string => title.replace(/ \(promise .*$/, '')

test.each(MUTANTS.map((mutant) => [mutant.fault, mutant] as const))('%s', async (_, mutant) => {
  const { fault, caughtBy, alone, writer, abilities } = mutant
  const { failed, passed } = await collect(
    plainSubject(fault, writer, abilities, sinkOf(mutant)),
    // Whether no other case fails takes all of them.
    (title) => alone === true || caseOf(title) === caughtBy,
  )
  expect([...failed.keys()].map(caseOf)).toEqual([caughtBy])
  expect(passed.length > 60).toBe(alone === true)
})

test('the engine with sabotage:ack-early', async () => {
  restore = setFailpoint('sabotage:ack-early', () => true)
  const { failed } = await collect(engineSubject('sabotaged', PER_ENTRY), (title) => title.startsWith('every value'))
  expect([...failed.keys()].map(caseOf)).toEqual(['every value is stored, and settled once'])
  expect([...failed.values()].join()).toContain('was settled before the store confirmed it')
})
