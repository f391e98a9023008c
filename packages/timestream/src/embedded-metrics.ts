import type { Counter, MetricDefinition, MetricGroup, SinkContext, Timer } from '@sluice/core'
import { SINK_METRICS } from '@sluice/core'

const INTERVAL_MS = 60_000

/** The group under which the original's metrics reach CloudWatch. */
const NAMESPACE = 'kinesisanalytics'

const UNITS: Partial<Record<MetricDefinition['unit'], string>> = {
  bytes: 'Bytes',
  milliseconds: 'Milliseconds',
  none: 'None',
}

interface Figure {
  readonly definition: MetricDefinition
  readonly read: () => number
  /** Of a counter, at the last line: CloudWatch adds up what it is told. */
  last: number
}

/**
 * Writes the sink's metrics as one line a minute in the embedded metric format, from which CloudWatch makes metrics where it has
 * the output of the process (Lambda, ECS with awslogs, the CloudWatch agent).
 *
 * See https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export class EmbeddedMetrics {
  /** Where the sink makes its metrics: they reach the job's registry as well. */
  readonly group: MetricGroup
  readonly #context: SinkContext
  readonly #table: string
  readonly #figures: Figure[] = []
  readonly #write: (line: string) => void
  #timer: Timer | undefined

  constructor(
    context: SinkContext,
    { databaseName = '', tableName = '' }: { databaseName: string | undefined; tableName: string | undefined },
    write: (line: string) => void = (line) => void process.stdout.write(line),
  ) {
    this.#context = context
    this.#table = `${databaseName}/${tableName}`
    this.#write = write
    const { metrics } = context
    const note = (definition: MetricDefinition, read: () => number): void => {
      this.#figures.push({ definition, read, last: 0 })
    }
    this.group = {
      counter: (definition, labels): Counter => {
        const counter = metrics.counter(definition, labels)
        if (definition.kind === 'counter' && !this.#knows(definition)) note(definition, () => counter.value)
        return counter
      },
      gauge: (definition, read, labels) => {
        note(definition, read)
        return metrics.gauge(definition, read, labels)
      },
      group: (labels) => metrics.group(labels),
    }
    for (const name of ['numRecordsOut', 'numBytesOut', 'numRecordsSend', 'numBytesSend'] as const) {
      this.group.counter(SINK_METRICS[name])
    }
    this.#schedule()
  }

  close(): void {
    this.#timer?.cancel()
    this.#emit()
  }

  #knows(definition: MetricDefinition): boolean {
    return this.#figures.some(({ definition: known }) => known.name === definition.name)
  }

  #schedule(): void {
    this.#timer = this.#context.clock.after(INTERVAL_MS, () => {
      this.#emit()
      this.#schedule()
    })
  }

  #emit(): void {
    const values: Record<string, number> = {}
    const metrics: { readonly Name: string; readonly Unit: string }[] = []
    for (const figure of this.#figures) {
      const { name, kind, unit } = figure.definition
      const value = figure.read()
      if (!Number.isFinite(value)) continue
      values[name] = kind === 'counter' ? value - figure.last : value
      figure.last = value
      metrics.push({ Name: name, Unit: UNITS[unit] ?? 'Count' })
    }
    const directive = { Namespace: NAMESPACE, Dimensions: [['sink', 'table']], Metrics: metrics }
    const line = {
      _aws: { Timestamp: this.#context.clock.wallNow(), CloudWatchMetrics: [directive] },
      sink: this.#context.sinkUid,
      table: this.#table,
      ...values,
    }
    this.#write(`${JSON.stringify(line)}\n`)
  }
}
