import { expect, test, vi } from 'vitest'

import { prometheusName, prometheusText } from '../../src/metrics/prometheus-text.ts'
import { MetricRegistry } from '../../src/metrics/registry.ts'
import { SINK_METRICS } from '../../src/metrics/sink-metrics.ts'

test.each([
  ['numRecordsOut', 'counter', 'sluice_num_records_out_total'],
  ['bufferedBytes', 'gauge', 'sluice_buffered_bytes'],
  ['eventLoopDelayP99Ms', 'gauge', 'sluice_event_loop_delay_p99_ms'],
  ['numOfUNKNOWN', 'counter', 'sluice_num_of_unknown_total'],
  ['numSQSMessages', 'counter', 'sluice_num_sqs_messages_total'],
] as const)('%s becomes a %s named %s', (name, kind, expected) => {
  expect(prometheusName(name, kind)).toBe(expected)
})

test('text format: help, type, labels and values', async () => {
  const registry = new MetricRegistry()
  registry.group({ job: 'orders', sink: 'a "b"' }).counter(SINK_METRICS.numRecordsOut).value = 42
  registry.group({ job: 'orders' }).counter(SINK_METRICS.numBatches, { trigger: 'size' }).value = 3
  registry.group({ job: 'orders' }).counter(SINK_METRICS.numBatches, { trigger: 'time', sink: 's' }).value = 4
  registry.gauge(SINK_METRICS.inHand, () => 7)
  const text = await prometheusText(registry)
  expect(text?.contentType).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(text?.body.split('\n').filter((line) => line !== '')).toEqual([
    `# HELP sluice_num_records_out_total ${SINK_METRICS.numRecordsOut.help}`,
    '# TYPE sluice_num_records_out_total counter',
    String.raw`sluice_num_records_out_total{job="orders",sink="a \"b\""} 42`,
    `# HELP sluice_num_batches_total ${SINK_METRICS.numBatches.help}`,
    '# TYPE sluice_num_batches_total counter',
    'sluice_num_batches_total{job="orders",trigger="size"} 3',
    'sluice_num_batches_total{job="orders",trigger="time",sink="s"} 4',
    `# HELP sluice_in_hand ${SINK_METRICS.inHand.help}`,
    '# TYPE sluice_in_hand gauge',
    'sluice_in_hand 7',
  ])
})

test('two collections do not add up', async () => {
  const registry = new MetricRegistry()
  registry.counter(SINK_METRICS.numRecordsOut).value = 1
  await prometheusText(registry)
  expect((await prometheusText(registry))?.body).toContain('sluice_num_records_out_total 1')
})

test('without the optional package there is no text', async () => {
  vi.doMock('prom-client', () => {
    throw new Error('not installed')
  })
  try {
    expect(await prometheusText(new MetricRegistry())).toBeUndefined()
  } finally {
    vi.doUnmock('prom-client')
  }
})
