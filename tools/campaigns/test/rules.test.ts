import { compareLedger } from '@sluice/core/testing'
import { describe, expect, test } from 'vitest'
import type { KillRecord } from '../src/kill/record.ts'
import { brokenRules, type KillFacts } from '../src/kill/rules.ts'
import { COMMON_WINDOWS as WINDOWS } from '../src/kill/windows.ts'
import { entry, kill } from './support.ts'

const RECORDS = [1, 2, 3].map((sequence) => entry(sequence))
const KILLS = [...WINDOWS, ...WINDOWS].map((window, index) => kill(index + 1, window))

/** Facts of a run that kept every rule. */
function facts(more: Partial<KillFacts> = {}): KillFacts {
  const kills = more.kills ?? KILLS
  return {
    planned: kills.length,
    windows: WINDOWS,
    kills,
    ledger: compareLedger(RECORDS, RECORDS),
    repeats: {
      afterLife: kills.map(() => 3),
      coveredAfterLife: kills.map(() => 0),
      withinLife: 0,
      within: [],
      requests: 9,
    },
    ordered: false,
    refusesRepeats: false,
    rejected: 0,
    conflicts: 0,
    acknowledgedEarly: 0,
    dropped: 0,
    returned: 0,
    abandoned: 0,
    deadLettered: 0,
    ...more,
  }
}

function changed(change: (kill: KillRecord) => Partial<KillRecord>): readonly KillRecord[] {
  return KILLS.map((each) => ({ ...each, ...change(each) }))
}

function idle(count: number): readonly KillRecord[] {
  return changed(({ number, figures }) => ({ figures: { ...figures, unsettled: number <= count ? 0 : 5 } }))
}

describe('rules of the kill campaign', () => {
  test('a run that kept them passes', () => {
    expect(brokenRules(facts())).toEqual([])
  })

  describe('faults must have landed', () => {
    test('a kill that was planned and did not come', () => {
      const broken = brokenRules(facts({ planned: KILLS.length + 1 }))
      expect(broken).toEqual(['only 12 of 13 planned kills landed where they were aimed'])
    })

    test('an aimed kill that hit another window', () => {
      const kills = changed(({ number }) => (number === 1 ? { window: 'buffered' } : {}))
      expect(brokenRules(facts({ kills }))).toEqual([
        'only 11 of 12 planned kills landed where they were aimed',
        'window fetch was hit 1 times, not 2',
      ])
    })

    test('no kill at all', () => {
      expect(brokenRules(facts({ planned: 14, kills: [] }))).toContain(
        'only 0 of 14 planned kills landed where they were aimed',
      )
    })

    test.each(WINDOWS)('window %s hit once only', (window) => {
      const kills = [...KILLS.filter((each) => each.window !== window), kill(12, window), kill(13, undefined)]
      expect(brokenRules(facts({ kills }))).toEqual([`window ${window} was hit 1 times, not 2`])
    })

    test('nothing unsettled at more than a fifth of the kills', () => {
      expect(brokenRules(facts({ kills: idle(2) }))).toEqual([])
      expect(brokenRules(facts({ kills: idle(3) }))).toEqual([
        'only 9 of 12 kills found something unsettled; at least 80 % must',
      ])
    })

    test('processes that complete no checkpoint', () => {
      const kills = changed(({ number, figures }) => ({ figures: { ...figures, advanced: number === 2 ? 9 : 0 } }))
      expect(brokenRules(facts({ kills }))).toEqual(['a checkpoint completed between two kills only 1 times of 11'])
    })

    test('a request that was applied and never answered, and is not repeated', () => {
      const afterLife = KILLS.map(({ window }) => (window === 'applied-unanswered' ? 0 : 3))
      const broken = brokenRules(facts({ repeats: { ...facts().repeats, afterLife } }))
      expect(broken).toEqual(
        [4, 10].map((n) => `kill ${n} left a request applied and unanswered, and nothing was repeated`),
      )
    })
  })

  describe('records', () => {
    test('one missing and one repeated do not cancel out', () => {
      const [first, second] = RECORDS
      const ledger = compareLedger(
        RECORDS,
        [first, second, second].flatMap((each) => each ?? []),
      )
      expect(brokenRules(facts({ ledger }))).toEqual([
        expect.stringMatching(/^1 of 3 records are missing, .*"sequence":3/),
      ])
    })

    test('where keys have an order, one that comes before an earlier one', () => {
      const ledger = compareLedger(RECORDS, RECORDS.toReversed())
      expect(brokenRules(facts({ ledger }))).toEqual([])
      expect(brokenRules(facts({ ledger, ordered: true }))).toEqual([
        '2 records came before an earlier one of their key',
      ])
    })

    test('where the store refuses repeats, they are dropped', () => {
      expect(brokenRules(facts({ dropped: 3 }))).toEqual(['3 dropped, none was planned'])
      expect(brokenRules(facts({ dropped: 3, refusesRepeats: true }))).toEqual([])
    })

    test('a record that was altered is corrupted, and the right one missing', () => {
      const arrived = RECORDS.map((each) => (each.sequence === 2 ? { ...each, hash: 'other' } : each))
      expect(brokenRules(facts({ ledger: compareLedger(RECORDS, arrived) }))).toEqual([
        expect.stringContaining('1 of 3 records are missing'),
        '1 stored records were never produced like that',
      ])
    })

    test('an empty run proves nothing', () => {
      expect(brokenRules(facts({ ledger: compareLedger([], []) }))).toEqual(['no record was produced'])
    })

    test.each(['rejected', 'conflicts', 'dropped', 'returned', 'abandoned', 'deadLettered'] as const)(
      '%s records are not planned',
      (what) => {
        expect(brokenRules(facts({ [what]: 2 }))).toEqual([`2 ${what}, none was planned`])
      },
    )

    test('a record that is acknowledged before it is written', () => {
      expect(brokenRules(facts({ acknowledgedEarly: 1 }))).toEqual([
        '1 records were acknowledged before they were written',
      ])
    })

    test('a checkpoint that covers what the store does not hold, told when it grows', () => {
      const lost = [0, 0, 4, 4, 4, 6, 6, 6, 6, 6, 6, 6]
      const kills = changed(({ number }) => ({ coveredButMissing: lost[number - 1] ?? 0 }))
      expect(brokenRules(facts({ kills }))).toEqual([
        'at kill 3, 4 records were covered or acknowledged that the store did not hold',
        'at kill 6, 6 records were covered or acknowledged that the store did not hold',
      ])
    })
  })

  describe('repeats', () => {
    test('as many as were emitted since the last checkpoint are allowed, one more is not', () => {
      const afterLife = KILLS.map(() => 10)
      expect(brokenRules(facts({ repeats: { ...facts().repeats, afterLife } }))).toEqual([])
      afterLife[4] = 11
      expect(brokenRules(facts({ repeats: { ...facts().repeats, afterLife } }))).toEqual([
        'kill 5 led to 11 repeats, but 10 were emitted and not yet covered',
      ])
    })

    test('of records that the checkpoint covered, or without a kill', () => {
      const coveredAfterLife = KILLS.map(({ number }) => (number === 2 ? 1 : 0))
      expect(brokenRules(facts({ repeats: { ...facts().repeats, coveredAfterLife, withinLife: 7 } }))).toEqual([
        'after kill 2, 1 records were repeated that were covered or acknowledged',
        '7 repeats without a kill between',
      ])
    })
  })
})
