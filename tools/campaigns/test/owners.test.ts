import { describe, expect, test } from 'vitest'
import { FREEZE_POINTS, MIN_FAULTS, ownerPlan } from '../src/owners/plan.ts'
import { brokenStale, brokenStarts } from '../src/owners/rules.ts'
import type { FileLogEvent } from '../src/pipelines/file-log-settings.ts'

const OWNED: FileLogEvent = { process: 1, what: 'owned', id: 5 }
const REFUSED: FileLogEvent = { process: 2, what: 'ended', code: 'SLUICE_STATE_OWNED' }

describe('plan', () => {
  test.each([true, false])('the smallest has races and every point of freezing (namespaces: %s)', (namespaces) => {
    const plan = ownerPlan(MIN_FAULTS, namespaces)
    expect(plan).toHaveLength(MIN_FAULTS)
    expect(plan.filter(({ kind }) => kind === 'race').length).toBeGreaterThanOrEqual(2)
    expect(new Set(plan.flatMap((fault) => (fault.kind === 'frozen' ? [fault.at] : [])))).toEqual(
      new Set(FREEZE_POINTS),
    )
    expect(plan.filter(({ kind }) => kind === 'namespace')).toHaveLength(namespaces ? 2 : 0)
  })
})

describe('starters', () => {
  test('one owns, the other is refused', () => {
    expect(brokenStarts([OWNED, REFUSED], [1, 2], 1)).toEqual([])
  })

  test.each([
    ['both own', [OWNED, { ...OWNED, process: 2 }], /2 of 2 starters own/],
    ['none owns', [{ ...REFUSED, process: 1 }, REFUSED], /0 of 2 starters own/],
    ['refused for another reason', [OWNED, { ...REFUSED, code: 'SLUICE_INTERNAL' }], /refused with SLUICE_INTERNAL/],
    ['not refused at all', [OWNED], /refused with nothing/],
  ] as const)('%s: broken', (_, events, says) => {
    expect(brokenStarts(events, [1, 2], 1).join()).toMatch(says)
  })
})

describe('an owner that was overtaken', () => {
  const stale: readonly FileLogEvent[] = [
    { process: 1, what: 'owned', id: 0 },
    { process: 1, what: 'stored', id: 4 },
    { process: 2, what: 'owned', id: 5 },
    { process: 2, what: 'stored', id: 6 },
    // In time, and noted late.
    { process: 1, what: 'stored', id: 5 },
    { process: 1, what: 'acknowledged', id: 5 },
  ]
  const fenced: FileLogEvent = { process: 1, what: 'ended', code: 'SLUICE_STATE_FENCED' }

  test('has ended as such, and stored no more than the other had loaded', () => {
    expect(brokenStale([...stale, fenced], 1, 2)).toEqual([])
  })

  test.each([
    ['goes on', stale, /ended with nothing/],
    ['ends for another reason', [...stale, { ...fenced, code: 'SLUICE_INTERNAL' }], /ended with SLUICE_INTERNAL/],
    ['stores', [...stale, { process: 1, what: 'stored', id: 6 }, fenced], /has stored checkpoint 6/],
    ['acknowledges', [...stale, { process: 1, what: 'acknowledged', id: 6 }, fenced], /has acknowledged checkpoint 6/],
    ['nobody took over', [fenced], /nobody took the place/],
  ] as const)('%s: broken', (_, events, says) => {
    expect(brokenStale(events, 1, 2).join()).toMatch(says)
  })
})
