import type { CloudWatchSender, MetricDatum } from '@sluice/aws/cloudwatch'
import { VirtualClock } from '@sluice/core/testing'
import { expect, test } from 'vitest'
import { CloudWatchReports } from '../src/cloudwatch-reports.ts'
import { SinkMetrics } from '../src/metrics.ts'
import { TimestreamSink } from '../src/sink.ts'
import type { Transport } from '../src/transport/transport.ts'
import { FakeService, STORED } from './fake-service.ts'
import { Harness, until } from './harness.ts'

test('a report a minute has the metrics of the sink; counters tell what was added', async () => {
  const clock = new VirtualClock()
  const { context } = new Harness(clock)
  const sent: { readonly Namespace: string; readonly MetricData: readonly MetricDatum[] }[] = []
  const sender: CloudWatchSender = { putMetricData: (input) => Promise.resolve(sent.push(input)) }
  const transport = { control: new FakeService(() => STORED).client } as unknown as Transport
  const reports = new CloudWatchReports(context, transport, sender)
  const metrics = new SinkMetrics(reports.group, clock)
  metrics.writesSuccess.value += 3
  await clock.advance(60_000)
  metrics.writesSuccess.value += 2
  await clock.advance(60_000)
  metrics.writesSuccess.value += 1
  await reports.close(1000)
  await clock.advance(600_000)
  const told = sent.map(({ MetricData }) => MetricData.find(({ MetricName }) => MetricName === 'numWritesSuccess'))
  expect(told.map((datum) => datum?.Value)).toEqual([3, 2, 1])
  expect(told[0]?.Dimensions).toContainEqual({ Name: 'sink', Value: 'timestream' })
  expect(sent[0]?.Namespace).toBe('kinesisanalytics')
  expect(clock.pendingTimers).toBe(0)
})

test('a uid that CloudWatch does not take as it is does not end the job', async () => {
  const clock = new VirtualClock()
  const { context } = new Harness(clock)
  const sent: MetricDatum[] = []
  const sender: CloudWatchSender = { putMetricData: ({ MetricData }) => Promise.resolve(sent.push(...MetricData)) }
  const transport = { control: new FakeService(() => STORED).client } as unknown as Transport
  const reports = new CloudWatchReports({ ...context, sinkUid: 'Düsseldorf' }, transport, sender)
  new SinkMetrics(reports.group, clock).writesSuccess.value += 3
  await reports.close(1000)
  expect(sent.find(({ MetricName }) => MetricName === 'numWritesSuccess')?.Dimensions).toEqual([
    { Name: 'sink', Value: 'D?sseldorf' },
  ])
})

test('a CloudWatch without an answer does not hold the end up', async () => {
  const clock = new VirtualClock()
  const { context } = new Harness(clock)
  const sender: CloudWatchSender = { putMetricData: () => new Promise(() => undefined) }
  const transport = { control: new FakeService(() => STORED).client } as unknown as Transport
  const reports = new CloudWatchReports(context, transport, sender)
  new SinkMetrics(reports.group, clock).writesSuccess.value += 3
  let closed = false
  void reports.close(1000).then(() => (closed = true))
  await clock.advance(1000)
  expect(closed).toBe(true)
})

/** What a sink logs of reports that fail. */
async function warnings(emitSinkMetricsToCloudWatch: boolean): Promise<readonly string[]> {
  const harness = new Harness()
  const { client } = new FakeService(() => STORED)
  const sink = new TimestreamSink<number>({
    databaseName: 'metrics',
    tableName: 'hosts',
    elementConverter: (cpu) => ({
      Dimensions: [{ Name: 'host', Value: 'a' }],
      MeasureName: 'cpu',
      MeasureValue: cpu,
      Time: 1,
    }),
    emitSinkMetricsToCloudWatch,
    client,
  })
  const writer = sink.createWriter(harness.context)
  await harness.write(writer, [1])
  await until('settled', () => harness.settlement.settled.length === 1)
  client.config.region = () => Promise.reject(new Error('no region'))
  await writer.close(5000)
  return harness.lines('CloudWatch').map(({ fields }) => String(fields['reason']))
}

test('a sink reports only if it was asked to, and what fails does not touch it', async () => {
  expect(await warnings(false)).toEqual([])
  expect(await warnings(true)).toEqual(['no region'])
})
