import { seededRandom } from '@sluice/core/testing'
import { describe, expect, test } from 'vitest'
import { HITS_PER_WINDOW, killPlan, sizeProblems } from '../src/kill/plan.ts'
import { COMMON_WINDOWS, type Evidence, windowOf, WINDOWS, windowsOf } from '../src/kill/windows.ts'
import { IDLE } from './support.ts'

describe('plan of the kills', () => {
  test.each([
    [14, 'checkpoint'],
    [16, 'external'],
    [40, 'checkpoint'],
    [40, 'external'],
    [200, 'external'],
  ] as const)('%i kills, authority %s: every window often enough, random ones too', (kills, authority) => {
    const windows = windowsOf(authority)
    const plan = killPlan(kills, seededRandom(1), windows)
    expect(plan).toHaveLength(kills)
    for (const window of windows) {
      expect(plan.filter(({ aim }) => aim === window).length).toBeGreaterThanOrEqual(HITS_PER_WINDOW)
    }
    expect(plan.filter(({ aim }) => aim === 'random').length).toBeGreaterThanOrEqual(2)
  })

  test('a seed replays', () => {
    const [first, again, other] = [3, 3, 4].map((seed) => killPlan(40, seededRandom(seed), WINDOWS))
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
  })

  test('a size that cannot prove anything is refused', () => {
    expect(sizeProblems({ faults: 14, records: 280 }, COMMON_WINDOWS)).toEqual([])
    expect(sizeProblems({ faults: 13, records: 10 }, COMMON_WINDOWS)).toHaveLength(2)
    expect(sizeProblems({ faults: 15, records: 300 }, WINDOWS)).toHaveLength(1)
    expect(sizeProblems({ faults: 16, records: 320 }, WINDOWS)).toEqual([])
  })
})

const nothing: Evidence = { figures: IDLE, held: 0, unanswered: 0, checkpointBefore: 5, checkpointAfter: 5 }

function died(diedAt: string, lastCheckpointId: number, checkpointAfter: number): Evidence {
  return { ...nothing, figures: { ...IDLE, diedAt, lastCheckpointId }, checkpointAfter }
}

describe('window of a kill', () => {
  test('none when nothing is under way', () => {
    expect(windowOf(nothing, 'random')).toBeUndefined()
    expect(windowOf(nothing, 'buffered')).toBeUndefined()
  })

  test.each([
    ['fetch', { figures: { ...IDLE, fetched: 3, emitted: 2 } }],
    ['buffered', { figures: { ...IDLE, buffered: 1, unsettled: 1 } }],
    ['in-flight', { held: 1 }],
    ['applied-unanswered', { unanswered: 1 }],
    ['settled-before-store', { figures: { ...IDLE, diedAt: 'checkpoint:settled' } }],
    ['stored-before-ack', { figures: { ...IDLE, diedAt: 'checkpoint:stored' }, checkpointAfter: 6 }],
  ] as const)('%s', (window, more) => {
    expect(windowOf({ ...nothing, ...more }, 'random')).toBe(window)
    expect(windowOf({ ...nothing, ...more }, window)).toBe(window)
  })

  test('the checkpoint on disk decides, not what the process says', () => {
    expect(windowOf(died('checkpoint:settled', 7, 7), 'settled-before-store')).toBe('settled-before-store')
    expect(windowOf(died('checkpoint:settled', 7, 8), 'settled-before-store')).toBeUndefined()
    expect(windowOf(died('checkpoint:stored', 7, 7), 'stored-before-ack')).toBeUndefined()
    expect(windowOf(died('checkpoint:stored', 7, 8), 'stored-before-ack')).toBe('stored-before-ack')
  })

  test('where the service keeps the positions, its journal decides', () => {
    const external = { storedUnacknowledged: 3, unanswered: 0 }
    const stored = { ...died('checkpoint:stored', 7, 0), external }
    expect(windowOf(stored, 'stored-before-ack')).toBe('stored-before-ack')
    expect(windowOf({ ...stored, external: { ...external, storedUnacknowledged: 0 } }, 'random')).toBeUndefined()
    expect(windowOf({ ...died('checkpoint:settled', 7, 0), external }, 'random')).toBe('settled-before-store')
    expect(windowOf({ ...nothing, external }, 'during-ack')).toBeUndefined()
    expect(windowOf({ ...nothing, external: { ...external, unanswered: 1 } }, 'during-ack')).toBe('during-ack')
  })

  test('of several, the one that was aimed at', () => {
    const evidence = { ...nothing, held: 1, unanswered: 1, figures: { ...IDLE, buffered: 4 } }
    expect(windowOf(evidence, 'buffered')).toBe('buffered')
    expect(windowOf(evidence, 'in-flight')).toBe('in-flight')
    expect(windowOf(evidence, 'random')).toBe('applied-unanswered')
  })
})
