import { expect, test } from 'vitest'

import { JOB_METRICS } from '../../src/metrics/job-metrics.ts'
import { MetricRegistry } from '../../src/metrics/registry.ts'
import { SINK_METRICS, sinkCounters } from '../../src/metrics/sink-metrics.ts'
import { SOURCE_METRICS } from '../../src/metrics/source-metrics.ts'

test.each(Object.entries({ ...SINK_METRICS, ...SOURCE_METRICS, ...JOB_METRICS }))(
  '%s is listed under its own name, with unit and meaning',
  (name, definition) => {
    expect(definition.name).toBe(name)
    expect(definition.name).toMatch(/^[a-z][a-zA-Z0-9]+$/)
    expect(definition.help).toMatch(/^[A-Z].*\.$/)
  },
)

test('a sink has all of its counters from the start, at 0', () => {
  const registry = new MetricRegistry()
  const counters = sinkCounters(registry)
  const names = Object.values(SINK_METRICS)
    .filter(({ kind, name }) => kind === 'counter' && name !== 'numBatches')
    .map(({ name }) => name)
  expect(Object.keys(counters)).toEqual(names)
  expect(registry.collect().map(({ value }) => value)).toEqual(names.map(() => 0))
  counters.numRecordsOut.value++
  expect(registry.counter(SINK_METRICS.numRecordsOut).value).toBe(1)
})
