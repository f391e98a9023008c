import { requireOrSkip } from '@sluice/testkit'
import { describe, expect, test } from 'vitest'
import { MUTANTS, VARIANTS } from '../src/catalogue.ts'
import { checkModel, type Outcome } from '../src/check.ts'
import { findTools, type Tools, ToolsMissing } from '../src/tools.ts'

/** Two compilations and short searches; the others are `npm run model`. */
const TIMEOUT_MS = 120_000

function tools(): { readonly found: Tools | undefined; readonly reason: string } {
  try {
    // On a developer's machine nothing is fetched behind anybody's back; on CI a skip would prove nothing.
    return { found: findTools(process.env['CI'] !== undefined), reason: '' }
  } catch (error) {
    if (error instanceof ToolsMissing) return { found: undefined, reason: error.message.split('\n')[0] ?? '' }
    throw error
  }
}

const { found, reason } = tools()

async function check(variants: readonly string[], mutants: readonly string[], trail: boolean): Promise<Outcome> {
  if (found === undefined) throw new Error(reason)
  const plan = {
    variants: VARIANTS.filter(({ name }) => variants.includes(name)),
    mutants: MUTANTS.filter(({ name }) => mutants.includes(name)),
    complete: false,
    trail,
    jobs: 2,
  }
  expect(plan.variants.length + plan.mutants.length).toBe(variants.length + mutants.length)
  return checkModel(found, plan, new AbortController().signal, () => undefined)
}

describe.skipIf(requireOrSkip('spin', found !== undefined, reason))('the model', () => {
  test(
    'holds for messages that are acknowledged one by one, and reaches every statement',
    { timeout: TIMEOUT_MS },
    async () => {
      const { rows, failures } = await check(['individual', 'individual-progress'], [], false)
      expect(failures).toEqual([])
      const searched = rows.map(({ result }) => result)
      expect(searched.every(({ states, truncated }) => states > 10_000 && truncated.length === 0)).toBe(true)
      expect(rows.find(({ name }) => name === 'individual')?.result.unreached).toEqual([])
    },
  )

  test('is broken by each of four bugs, by the property that the bug breaks', { timeout: TIMEOUT_MS }, async () => {
    const mutants = ['ack-early', 'late-callback-settles', 'restart-overtakes-store', 'acknowledge-released']
    const { rows, failures } = await check([], mutants, true)
    expect(failures).toEqual([])
    expect(rows.map(({ name }) => name).toSorted()).toEqual(mutants.toSorted())
    for (const { result } of rows) {
      expect(result.trail?.[0]).toBe('job: an attempt begins')
      expect(result.trail?.length).toBeGreaterThan(5)
    }
  })
})
