import { readFileSync } from 'node:fs'
import { MetricRegistry } from '@sluice/core'
import { expect, test } from 'vitest'
import { PROMETHEUS_METRICS, SinkMetrics } from '../src/metrics.ts'

test('every metric of the list exists from the start, under its name and the label of its group', () => {
  const registry = new MetricRegistry()
  expect(new SinkMetrics(registry, 'mine').counters.numSamplesOut.value).toBe(0)
  const collected = registry.collect()
  const names = Object.keys(PROMETHEUS_METRICS)
  expect(collected.map(({ definition }) => definition.name).toSorted()).toStrictEqual(names.toSorted())
  expect(collected.every(({ labels, value }) => labels['group'] === 'mine' && value === 0)).toBe(true)
  for (const [name, definition] of Object.entries(PROMETHEUS_METRICS)) expect(definition.name).toBe(name)
})

test('every metric is in the README', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const name of Object.keys(PROMETHEUS_METRICS)) expect(readme).toContain(`\`${name}\``)
})
