import { seededRandom } from '@sluice/core/testing'
import { describe, expect, test } from 'vitest'
import { KINDS, signalPlan, signalProblems } from '../src/sigterm/plan.ts'
import { brokenSignalRules, type SignalRecord } from '../src/sigterm/rules.ts'
import { coveredUpTo, IDLE } from './support.ts'

function signal(number: number, more: Partial<SignalRecord> = {}): SignalRecord {
  return {
    number,
    kind: 'running',
    landed: true,
    unsettled: 5,
    tookMs: 100,
    code: 0,
    endedBy: null,
    figures: { ...IDLE, emitted: 20 },
    firstWriteAtNs: BigInt(number) * 100n,
    coverage: coveredUpTo(0),
    coveredButMissing: 0,
    storedUncovered: 0,
    ...more,
  }
}

const broken = (more: Partial<SignalRecord>, after = 0, within = 0): readonly string[] =>
  brokenSignalRules([signal(1), signal(2, more)], [0, after], [0, within])

describe('plan of the signals', () => {
  test('every kind comes, and a seed replays', () => {
    const plan = signalPlan(10, seededRandom(1))
    expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(KINDS))
    expect(signalPlan(10, seededRandom(1))).toEqual(plan)
    expect(signalPlan(10, seededRandom(2))).not.toEqual(plan)
  })

  test('a size that cannot prove anything is refused', () => {
    expect(signalProblems({ faults: 10, records: 200 })).toEqual([])
    expect(signalProblems({ faults: 9, records: 10 })).toHaveLength(2)
  })
})

describe('rules of the sigterm campaign', () => {
  test('a run that kept them passes', () => {
    expect(broken({})).toEqual([])
    expect(broken({ kind: 'short', code: 3, storedUncovered: 4 }, 4)).toEqual([])
    expect(broken({ kind: 'restart', code: 3 }, 4, 4)).toEqual([])
  })

  test.each([
    [
      'a repeat although the grace sufficed',
      {},
      1,
      'signal 2 (running): the grace sufficed, and 1 records were repeated',
    ],
    ['another exit code', { code: 3 }, 0, 'signal 2 (running): the grace sufficed, and it ended with code 3'],
    [
      'a crash',
      { code: null, endedBy: 'SIGSEGV' },
      0,
      'signal 2 (running): the grace sufficed, and it ended with SIGSEGV',
    ],
    ['a hang', { tookMs: 9_000 }, 0, 'signal 2 (running): the process took 9000 ms to end'],
    [
      '0 with records left',
      { storedUncovered: 3 },
      0,
      'signal 2 (running): exit code 0, and 3 stored records will be read again',
    ],
    [
      '0 after a grace that did not suffice',
      { kind: 'second' },
      0,
      'signal 2 (second): records were left, and it ended with code 0, not with 3',
    ],
    [
      'a loss',
      { coveredButMissing: 2 },
      0,
      'signal 2 (running): 2 records were covered or acknowledged that the store did not hold',
    ],
  ] as const)('%s', (_, more, after, message) => {
    expect(broken(more, after)).toEqual([message])
  })

  test('before there is a job, the signal itself ends the process', () => {
    const before = { code: null, endedBy: 'SIGTERM', figures: undefined, unsettled: 0 } as const
    expect(broken({ ...before, kind: 'start' })).toEqual([])
    expect(broken({ ...before, kind: 'running', unsettled: 1 })).toHaveLength(1)
  })

  test('signals that find nothing in hand prove nothing', () => {
    const idle = [1, 2, 3].map((number) => signal(number, { unsettled: number === 1 ? 5 : 0 }))
    expect(brokenSignalRules(idle, [0, 0, 0], [0, 0, 0])).toEqual([
      'only 1 of 3 signals found records in hand; at least half must',
    ])
  })
})
