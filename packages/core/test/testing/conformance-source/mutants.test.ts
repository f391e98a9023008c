import { expect, test } from 'vitest'

import { describeSource } from '../../../src/testing/conformance-source/runner.ts'
import { collect } from '../collect.ts'
import { MUTANTS } from './mutants.ts'

test.each(MUTANTS.map((mutant) => [mutant.fault, mutant] as const))('a source that %s', async (_, mutant) => {
  const { failed } = await collect(
    (runner) => describeSource(runner, mutant.subject),
    (name) => name === mutant.caughtBy,
  )
  expect([...failed.keys()]).toEqual([mutant.caughtBy])
})
