import { type MetricDefinition, MetricRegistry } from '@sluice/core'
import { expect, test } from 'vitest'
import { tapMetrics } from '../../src/cloudwatch.ts'

const OUT: MetricDefinition = { name: 'numRecordsOut', kind: 'counter', unit: 'records', help: 'of a test' }
const BUFFERED: MetricDefinition = { name: 'bufferedRecords', kind: 'gauge', unit: 'records', help: 'of a test' }

function tapped(): { registry: MetricRegistry; tap: ReturnType<typeof tapMetrics> } {
  const registry = new MetricRegistry()
  return { registry, tap: tapMetrics(registry.group({ job: 'j', sink: 's' })) }
}

test('metrics are in the registry, and can be collected by themselves', () => {
  const { registry, tap } = tapped()
  registry.counter(OUT, { job: 'j', sink: 'other' }).value = 9
  const counter = tap.group.counter(OUT)
  expect(tap.group.counter(OUT)).toBe(counter)
  counter.value += 3
  tap.group.group({ table: 't' }).gauge(BUFFERED, () => 7, { part: 'p' })
  tap.group.gauge(BUFFERED, () => Number.NaN)
  expect(tap.collect()).toEqual([
    { definition: OUT, labels: {}, value: 3 },
    { definition: BUFFERED, labels: { table: 't', part: 'p' }, value: 7 },
  ])
  expect(registry.collect()).toEqual([
    { definition: OUT, labels: { job: 'j', sink: 'other' }, value: 9 },
    { definition: OUT, labels: { job: 'j', sink: 's' }, value: 3 },
    { definition: BUFFERED, labels: { job: 'j', sink: 's', table: 't', part: 'p' }, value: 7 },
  ])
})

test('a counter that an attempt before has counted begins at 0', () => {
  const { registry, tap } = tapped()
  tap.group.counter(OUT).value = 5
  const next = tapMetrics(registry.group({ job: 'j', sink: 's' }))
  const counter = next.group.counter(OUT)
  expect(next.collect()).toMatchObject([{ value: 0 }])
  counter.value += 2
  expect(next.group.counter(OUT).value).toBe(7)
  expect(next.collect()).toMatchObject([{ value: 2 }])
})

test('a gauge that reads a counter begins at 0 too', () => {
  const { registry, tap } = tapped()
  const alias: MetricDefinition = { ...OUT, name: 'numRecordsSuccess' }
  const counter = tap.group.counter(OUT)
  counter.value = 5
  const next = tapMetrics(registry.group({ job: 'j', sink: 's' }))
  next.group.gauge(alias, () => counter.value)
  counter.value += 2
  expect(next.collect()).toMatchObject([{ definition: alias, value: 2 }])
  expect(registry.collect()).toContainEqual({ definition: alias, labels: { job: 'j', sink: 's' }, value: 7 })
})

test('a gauge is taken out of both, unless another has replaced it', () => {
  const { registry, tap } = tapped()
  const first = tap.group.gauge(BUFFERED, () => 1)
  const second = tap.group.gauge(BUFFERED, () => 2)
  first()
  expect(tap.collect()).toMatchObject([{ value: 2 }])
  expect(registry.collect()).toMatchObject([{ value: 2 }])
  second()
  expect(tap.collect()).toEqual([])
  expect(registry.collect()).toEqual([])
})
