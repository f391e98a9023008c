import { describe, expect, test } from 'vitest'
import { MetricRegistry, type OnPositionLost, positionLost, SluiceError, SOURCE_METRICS } from '../../src/index.ts'
import { recorder } from '../job/harness.ts'
import { readerContext } from './reader-bench.ts'

const LOST = { splitId: 'orders-3', wanted: '17', oldest: '40', newest: '99' }

function call(policy: OnPositionLost, lost: Parameters<typeof positionLost>[2] = LOST) {
  const { lines, logger } = recorder()
  const metrics = new MetricRegistry()
  let outcome: unknown
  try {
    outcome = positionLost({ ...readerContext(), logger, metrics }, policy, lost)
  } catch (error) {
    outcome = error
  }
  return { outcome, lines, metrics }
}

describe('a lost position', () => {
  test('fails with the four facts, and no restart would help', () => {
    const cause = new Error('out of range')
    const { outcome, metrics } = call('fail', { ...LOST, cause })
    expect(SluiceError.isInstance(outcome)).toBe(true)
    expect(outcome).toMatchObject({
      code: 'SLUICE_POSITION_LOST',
      restartable: false,
      cause,
      facts: { split: 'orders-3', wanted: '17', oldest: '40', newest: '99' },
      message:
        "source 'source', split orders-3: the service no longer has what follows 17: it has 40 to 99; to accept the gap, set onPositionLost to 'earliest' or 'latest'",
    })
    expect(metrics.collect()).toEqual([])
  })

  test('says what it does not know, and the advice of the connector', () => {
    const { outcome } = call('fail', { ...LOST, oldest: undefined, newest: undefined, advice: 'raise the retention' })
    expect(outcome).toMatchObject({
      message:
        "source 'source', split orders-3: the service no longer has what follows 17: it has unknown to unknown; raise the retention",
    })
  })

  test.each(['earliest', 'latest'] as const)('goes on at the %s when that was chosen, logged and counted', (policy) => {
    const { outcome, lines, metrics } = call(policy, { ...LOST, skippedRecords: 23 })
    expect(outcome).toBe(policy)
    expect(metrics.counter(SOURCE_METRICS.numPositionsLost).value).toBe(1)
    expect(metrics.counter(SOURCE_METRICS.numRecordsSkipped).value).toBe(23)
    expect(lines).toMatchObject([
      { level: 'warn', fields: { split: 'orders-3', wanted: '17', oldest: '40', newest: '99', skippedRecords: 23 } },
    ])
  })

  test('counts no records where nobody knows how many', () => {
    const { metrics } = call('latest')
    expect(metrics.collect().map(({ definition, value }) => [definition.name, value])).toEqual([
      ['numPositionsLost', 1],
    ])
  })
})
