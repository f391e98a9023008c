import { seededRandom } from '@sluice/core/testing'
import { describe, expect, test } from 'vitest'
import { HITS_PER_WINDOW, killPlan, MIN_KILLS, sizeProblems } from '../src/kill/plan.ts'
import { type Evidence, windowOf, WINDOWS } from '../src/kill/windows.ts'
import { IDLE } from './support.ts'

describe('plan of the kills', () => {
  test.each([MIN_KILLS, 25, 40, 200])('%i kills: every window often enough, random ones too', (kills) => {
    const plan = killPlan(kills, seededRandom(1))
    expect(plan).toHaveLength(kills)
    for (const window of WINDOWS) {
      expect(plan.filter(({ aim }) => aim === window).length).toBeGreaterThanOrEqual(HITS_PER_WINDOW)
    }
    expect(plan.filter(({ aim }) => aim === 'random').length).toBeGreaterThanOrEqual(2)
  })

  test('a seed replays', () => {
    expect(killPlan(40, seededRandom(3))).toEqual(killPlan(40, seededRandom(3)))
    expect(killPlan(40, seededRandom(3))).not.toEqual(killPlan(40, seededRandom(4)))
  })

  test('a size that cannot prove anything is refused', () => {
    expect(sizeProblems({ kills: MIN_KILLS, records: MIN_KILLS * 20 })).toEqual([])
    expect(sizeProblems({ kills: MIN_KILLS - 1, records: 10 })).toHaveLength(2)
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

  test('of several, the one that was aimed at', () => {
    const evidence = { ...nothing, held: 1, unanswered: 1, figures: { ...IDLE, buffered: 4 } }
    expect(windowOf(evidence, 'buffered')).toBe('buffered')
    expect(windowOf(evidence, 'in-flight')).toBe('in-flight')
    expect(windowOf(evidence, 'random')).toBe('applied-unanswered')
  })
})
