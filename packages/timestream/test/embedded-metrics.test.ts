import { VirtualClock } from '@sluice/core/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { EmbeddedMetrics } from '../src/embedded-metrics.ts'
import { SinkMetrics, TIMESTREAM_METRICS } from '../src/metrics.ts'
import { FakeService, STORED } from './fake-service.ts'
import { Harness, until } from './harness.ts'
import { TimestreamSink } from '../src/sink.ts'

interface Line extends Readonly<Record<string, unknown>> {
  readonly _aws: {
    readonly Timestamp: number
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string
      readonly Dimensions: readonly (readonly string[])[]
      readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[]
    }[]
  }
}

afterEach(() => {
  vi.restoreAllMocks()
})

test('a line a minute has every metric of the sink; counters tell what was added', async () => {
  const clock = new VirtualClock()
  const { context } = new Harness(clock)
  const lines: Line[] = []
  const embedded = new EmbeddedMetrics(context, { databaseName: 'd', tableName: 't' }, (line) => {
    expect(line.endsWith('\n')).toBe(true)
    lines.push(JSON.parse(line) as Line)
  })
  const metrics = new SinkMetrics(embedded.group, clock)
  metrics.writesSuccess.value += 3
  await clock.advance(60_000)
  metrics.writesSuccess.value += 2
  await clock.advance(60_000)
  metrics.writesSuccess.value += 1
  embedded.close()
  await clock.advance(600_000)
  expect(lines.map(({ numWritesSuccess }) => numWritesSuccess)).toEqual([3, 2, 1])
  const [directive] = lines[0]?._aws.CloudWatchMetrics ?? []
  expect(directive).toMatchObject({ Namespace: 'kinesisanalytics', Dimensions: [['sink', 'table']] })
  expect(lines[0]).toMatchObject({ sink: 'timestream', table: 'd/t' })
  const told = directive?.Metrics.map(({ Name }) => Name) ?? []
  expect(new Set(told).size).toBe(told.length)
  for (const [name, { kind }] of Object.entries(TIMESTREAM_METRICS)) {
    expect([name, kind === 'counter' && !told.includes(name)]).toEqual([name, false])
  }
  for (const name of told) expect(lines[0]).toHaveProperty(name)
})

test('a sink writes them only if it was asked to', async () => {
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  const linesOf = async (emitSinkMetricsToCloudWatch: boolean): Promise<readonly string[]> => {
    written.mockClear()
    const harness = new Harness()
    const sink = new TimestreamSink<number>({
      databaseName: 'd',
      tableName: 't',
      elementConverter: (cpu) => ({
        Dimensions: [{ Name: 'host', Value: 'a' }],
        MeasureName: 'cpu',
        MeasureValue: cpu,
        Time: 1,
      }),
      emitSinkMetricsToCloudWatch,
      client: new FakeService(() => STORED).client,
    })
    const writer = sink.createWriter(harness.context)
    await harness.write(writer, [1])
    await until('settled', () => harness.settlement.settled.length === 1)
    await writer.close(1000)
    return written.mock.calls.map(([line]) => String(line)).filter((line) => line.includes('_aws'))
  }
  expect(await linesOf(false)).toEqual([])
  const [line, ...more] = await linesOf(true)
  expect(more).toEqual([])
  expect(JSON.parse(line ?? '')).toMatchObject({ numWritesSuccess: 1, numRecordsOut: 1, inFlightRequests: 0 })
})
