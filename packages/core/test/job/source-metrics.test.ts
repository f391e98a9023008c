import { describe, expect, test } from 'vitest'
import { type MetricRegistry, SOURCE_METRICS } from '../../src/index.ts'
import { batch, bench, type Split } from '../source/reader-bench.ts'
import { InMemorySink, InMemorySource, settled, start, until, VirtualClock } from './harness.ts'

const at = (splitId: string): Split => ({ splitId, next: 0 })

function values(metrics: MetricRegistry, name: string): readonly number[] {
  return metrics.collect().flatMap(({ definition, value }) => (definition.name === name ? [value] : []))
}

describe('a reader', () => {
  test('counts records and bytes once a batch', async () => {
    const { clock, reader, metrics } = bench()
    reader.answer = () => Promise.resolve({ ...batch('a', 0, 5), delayMs: 1e9 })
    reader.addSplits([at('a')])
    await clock.flush()
    expect(values(metrics, 'numRecordsIn')).toEqual([5])
    expect(values(metrics, 'numBytesIn')).toEqual([50])
  })

  test('has a fetch lag from the first record with an event time on, until it is closed', async () => {
    const { clock, reader, metrics } = bench()
    let eventTimeMs: number | undefined
    reader.answer = () => {
      const answer = batch('a', 0, 2)
      if (answer.batch === undefined || eventTimeMs === undefined) return Promise.resolve({ ...answer, delayMs: 10 })
      const eventTimesMs = Float64Array.of(0, eventTimeMs)
      return Promise.resolve({ delayMs: 1e9, batch: { ...answer.batch, eventTimesMs } })
    }
    reader.addSplits([at('a')])
    await clock.flush()
    expect(values(metrics, 'currentFetchEventTimeLag')).toEqual([])
    eventTimeMs = clock.wallNow() - 5000
    await clock.advance(10)
    expect(values(metrics, 'currentFetchEventTimeLag')).toEqual([5010])
    // The last value, not the age of it.
    await clock.advance(1000)
    expect(values(metrics, 'currentFetchEventTimeLag')).toEqual([5010])
    const closing = reader.close(0)
    await clock.advance(0)
    await closing
    expect(metrics.collect().filter(({ definition }) => definition.kind === 'gauge')).toEqual([])
  })

  test('is idle from the poll that finds nothing to the one that finds something', async () => {
    const { clock, reader, metrics } = bench()
    const answers: (() => void)[] = []
    reader.answer = () => new Promise((resolve) => void answers.push(() => resolve(batch('a', 0, 1))))
    reader.addSplits([at('a')])
    await clock.flush()
    expect(values(metrics, 'sourceIdleTime')).toEqual([0])
    reader.poll()
    await clock.advance(700)
    reader.poll()
    expect(values(metrics, 'sourceIdleTime')).toEqual([700])
    answers[0]?.()
    await clock.flush()
    expect(reader.poll()).toBeDefined()
    expect(values(metrics, 'sourceIdleTime')).toEqual([0])
  })

  test('tells what is pending in all its splits, where the service says it', async () => {
    const { clock, reader, metrics } = bench()
    reader.answer = (splitId) =>
      Promise.resolve(splitId === 'c' ? { delayMs: 1e9 } : { delayMs: 1e9, pendingRecords: 7, pendingBytes: 900 })
    reader.addSplits([at('c')])
    await clock.flush()
    expect(values(metrics, 'pendingRecords')).toEqual([])
    reader.addSplits([at('a'), at('b')])
    await clock.flush()
    expect(values(metrics, 'pendingRecords')).toEqual([14])
    expect(values(metrics, 'pendingBytes')).toEqual([1800])
    await reader.releaseSplits([{ split: at('a'), receipts: [] }], 'lost', 0)
    expect(values(metrics, 'pendingRecords')).toEqual([7])
  })
})

test('a job has no emit lag without event times', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  const job = start(source, new InMemorySink<number>(), clock)
  source.push('0', 1)
  await until(clock, () => job.status().emitted === 1)
  expect(values(job.metrics, SOURCE_METRICS.currentEmitEventTimeLag.name)).toEqual([])
  expect(values(job.metrics, SOURCE_METRICS.numRecordsIn.name)).toEqual([1])
  await settled(clock, job.close())
})
