import { expect, test } from 'vitest'

import { type MetricDefinition, MetricRegistry } from '../../src/metrics/registry.ts'

const COUNT: MetricDefinition = { name: 'numThings', kind: 'counter', unit: 'records', help: 'Things.' }
const SIZE: MetricDefinition = { name: 'size', kind: 'gauge', unit: 'bytes', help: 'Size.' }

test('a counter asked for again is the same, whatever the order of its labels', () => {
  const registry = new MetricRegistry()
  const counter = registry.counter(COUNT, { a: '1', b: '2' })
  counter.value += 3
  expect(registry.counter(COUNT, { b: '2', a: '1' })).toBe(counter)
  expect(registry.counter(COUNT, { a: '1' })).not.toBe(counter)
  expect(registry.collect()).toEqual([
    { definition: COUNT, labels: { a: '1', b: '2' }, value: 3 },
    { definition: COUNT, labels: { a: '1' }, value: 0 },
  ])
})

test('labels that only look alike are different metrics', () => {
  const registry = new MetricRegistry()
  registry.counter(COUNT, { a: '1","b' }).value = 1
  registry.counter(COUNT, { a: '1', b: '' }).value = 2
  expect(registry.collect().map(({ value }) => value)).toEqual([1, 2])
})

test('a gauge is read at collection; a later registration replaces it', () => {
  const registry = new MetricRegistry()
  let size = 1
  registry.gauge(SIZE, () => size)
  size = 2
  expect(registry.collect()).toEqual([{ definition: SIZE, labels: {}, value: 2 }])
  registry.gauge(SIZE, () => 7)
  expect(registry.collect()).toEqual([{ definition: SIZE, labels: {}, value: 7 }])
})

test('a gauge can be taken out, but not one that has replaced it', () => {
  const registry = new MetricRegistry()
  const group = registry.group({ job: 'j' })
  const takeOut = group.gauge(SIZE, () => 1)
  const takeOutLater = group.gauge(SIZE, () => 2)
  takeOut()
  expect(registry.collect().map(({ value }) => value)).toEqual([2])
  takeOutLater()
  takeOutLater()
  expect(registry.collect()).toEqual([])
})

test('a gauge that has no value yet is left out', () => {
  const registry = new MetricRegistry()
  registry.gauge(SIZE, () => Number.NaN)
  expect(registry.collect()).toEqual([])
})

test('groups add their labels, nested ones too; own labels win', () => {
  const registry = new MetricRegistry()
  const group = registry.group({ job: 'j', sink: 's' }).group({ sink: 't' })
  group.counter(COUNT, { trigger: 'size' }).value = 1
  group.gauge(SIZE, () => 5, { job: 'own' })
  expect(registry.collect().map(({ labels }) => labels)).toEqual([
    { job: 'j', sink: 't', trigger: 'size' },
    { job: 'own', sink: 't' },
  ])
  expect(registry.counter(COUNT, { trigger: 'size', job: 'j', sink: 't' }).value).toBe(1)
})
