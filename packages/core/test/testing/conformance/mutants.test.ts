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
  const { failed } = await collect(plainSubject(mutant.fault, mutant.writer, mutant.abilities, sinkOf(mutant)))
  const cases = [...failed.keys()].map(caseOf)
  expect(cases).toContain(mutant.caughtBy)
  expect(mutant.alone === true ? cases.length : 1).toBe(1)
})

test('the engine with sabotage:ack-early', async () => {
  restore = setFailpoint('sabotage:ack-early', () => true)
  const { failed } = await collect(engineSubject('sabotaged', PER_ENTRY), (title) => title.startsWith('every value'))
  expect([...failed.keys()].map(caseOf)).toEqual(['every value is stored, and settled once'])
  expect([...failed.values()].join()).toContain('was settled before the store confirmed it')
})
