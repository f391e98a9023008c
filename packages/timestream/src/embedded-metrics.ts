import type { Counter, MetricDefinition, MetricGroup, SinkContext, Timer } from '@sluice/core'

const INTERVAL_MS = 60_000

/** The group under which the original's metrics reach CloudWatch. */
const NAMESPACE = 'kinesisanalytics'

const UNITS: Partial<Record<MetricDefinition['unit'], string>> = {
  bytes: 'Bytes',
  milliseconds: 'Milliseconds',
  none: 'None',
}

/** One metric; under several labels it is told as their sum. */
interface Figure {
  readonly definition: MetricDefinition
  readonly reads: Map<unknown, () => number>
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
  /** Where the writer makes its metrics: they reach the job's registry as well. */
  readonly group: MetricGroup
  readonly #context: SinkContext
  readonly #table: string
  readonly #figures = new Map<string, Figure>()
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
    this.group = {
      counter: (definition, labels): Counter => {
        const counter = metrics.counter(definition, labels)
        this.#note(definition, counter, () => counter.value)
        return counter
      },
      gauge: (definition, read, labels) => {
        this.#note(definition, JSON.stringify(labels ?? {}), read)
        return metrics.gauge(definition, read, labels)
      },
      group: (labels) => metrics.group(labels),
    }
    this.#schedule()
  }

  /** Writes the last line. */
  close(): void {
    if (this.#timer === undefined) return
    this.#timer.cancel()
    this.#timer = undefined
    this.#emit()
  }

  #note(definition: MetricDefinition, key: unknown, read: () => number): void {
    const figure = this.#figures.get(definition.name) ?? { definition, reads: new Map(), last: 0 }
    figure.reads.set(key, read)
    this.#figures.set(definition.name, figure)
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
    for (const figure of this.#figures.values()) {
      const { name, kind, unit } = figure.definition
      const value = [...figure.reads.values()].reduce((sum, read) => sum + read(), 0)
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
