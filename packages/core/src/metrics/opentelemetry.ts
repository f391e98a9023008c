import type { BatchObservableCallback, Meter, MeterProvider, Observable } from '@opentelemetry/api'
import { OptionsCheck } from '../options.ts'
import { JOB_METRICS } from './job-metrics.ts'
import { prometheusName } from './prometheus-text.ts'
import type { MetricDefinition, MetricRegistry } from './registry.ts'

export interface OpenTelemetryOptions {
  /** Where the instruments are made. Give this or `meterProvider`. */
  readonly meter?: Meter
  /** Gives the meter, under the name `@sluice/core`. Give this or `meter`. */
  readonly meterProvider?: MeterProvider
  /** Namespace of the metrics' names. @default 'sluice' */
  readonly prefix?: string
}

/**
 * Reports every metric of a registry (`job.metrics`) through OpenTelemetry, until the result is disposed.
 *
 * `numRecordsOut` becomes `sluice.num_records_out`: the prefix, a dot, the name in snake case. Counters are observable counters,
 * gauges observable gauges; labels become attributes under their own names (`job`, `sink`, `split`, ...), the unit is UCUM's
 * (`{record}`, `By`, `ms`, `1` for none), the description says what is counted. A pipeline that goes on to Prometheus gives counters the
 * names that `/metrics` of the job gives them: `sluice_num_records_out_total`.
 *
 * Values are read when a reader collects; a record costs nothing. Metrics that appear later are found at the next collection.
 * Counters span the attempts of a job, and so never fall. A gauge without a value, or taken out of the registry, is not
 * observed; the JavaScript SDK (3.1) repeats the last value of such a series to readers with cumulative temporality all the same, and
 * stops for those that want delta temporality for observable gauges.
 *
 * Disposing ends the observation. Collect before (`meterProvider.forceFlush()`), or the last values are not exported.
 *
 * See https://opentelemetry.io/docs/specs/semconv/general/naming/ and https://opentelemetry.io/docs/specs/otel/metrics/api/
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * const meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
 * await using job = stream(source).sinkTo(sink).start({ name: 'hosts' })
 * using exported = exportToOpenTelemetry(job.metrics, { meterProvider })
 * await job.done
 * await meterProvider.forceFlush()
 * ```
 */
export function exportToOpenTelemetry(
  registry: Pick<MetricRegistry, 'collect'>,
  options: OpenTelemetryOptions,
): Disposable {
  const check = new OptionsCheck('exportToOpenTelemetry', options, ['meter', 'meterProvider', 'prefix'])
  check.string('prefix', {
    pattern: PREFIX,
    says: "1 to 100 letters, digits, '_', '.', '-' or '/', the first a letter",
  })
  const { meter, meterProvider, prefix = 'sluice' }: OpenTelemetryOptions = Object(options)
  checkMethod(check, 'meter', meter, 'addBatchObservableCallback', 'a Meter of @opentelemetry/api')
  checkMethod(check, 'meterProvider', meterProvider, 'getMeter', 'a MeterProvider of @opentelemetry/api')
  if ((meter === undefined) === (meterProvider === undefined)) check.problem('give either meter or meterProvider')
  check.throwIfAny()
  const exported = new RegistryExport(registry, (meter ?? meterProvider?.getMeter('@sluice/core')) as Meter, prefix)
  return { [Symbol.dispose]: () => exported.end() }
}

/** With the longest of our names, a name stays below the limit of 255. */
const PREFIX = /^[A-Za-z][\w./-]{0,99}$/

const UNITS: Readonly<Record<MetricDefinition['unit'], string>> = {
  records: '{record}',
  requests: '{request}',
  bytes: 'By',
  milliseconds: 'ms',
  batches: '{batch}',
  checkpoints: '{checkpoint}',
  restarts: '{restart}',
  splits: '{split}',
  events: '{event}',
  dimensions: '{dimension}',
  measures: '{measure}',
  none: '1',
}

/** One callback observes all instruments, so that a collection reads the registry once for all values. */
class RegistryExport {
  readonly #registry: Pick<MetricRegistry, 'collect'>
  readonly #meter: Meter
  readonly #prefix: string
  /** By kind and name: of two definitions that spell one name, the first describes the instrument. */
  readonly #instruments = new Map<string, Observable>()
  readonly #scout: Observable
  /** The instruments that the batch callback is registered for. */
  #observed: Observable[] = []

  constructor(registry: Pick<MetricRegistry, 'collect'>, meter: Meter, prefix: string) {
    this.#registry = registry
    this.#meter = meter
    this.#prefix = prefix
    this.#scout = this.#instrument(JOB_METRICS.numRestarts)
    this.#scout.addCallback(this.#findNew)
    this.#findNew()
  }

  end(): void {
    this.#scout.removeCallback(this.#findNew)
    this.#meter.removeBatchObservableCallback(this.#observe, this.#observed)
  }

  /**
   * Makes instruments for metrics that appeared. The SDK calls the callbacks of single instruments before those of several, so
   * what this registers is observed in the same collection; with another order it would be in the next.
   */
  readonly #findNew = (): void => {
    for (const { definition } of this.#registry.collect()) this.#instrument(definition)
    if (this.#instruments.size === this.#observed.length) return
    this.#meter.removeBatchObservableCallback(this.#observe, this.#observed)
    this.#observed = [...this.#instruments.values()]
    this.#meter.addBatchObservableCallback(this.#observe, this.#observed)
  }

  readonly #observe: BatchObservableCallback = (result) => {
    for (const { definition, labels, value } of this.#registry.collect()) {
      const instrument = this.#instruments.get(keyOf(definition))
      if (instrument !== undefined) result.observe(instrument, value, labels)
    }
  }

  #instrument(definition: MetricDefinition): Observable {
    const key = keyOf(definition)
    const known = this.#instruments.get(key)
    if (known !== undefined) return known
    const name = `${this.#prefix}.${snakeCase(definition)}`
    const about = { description: definition.help, unit: UNITS[definition.unit] }
    const made =
      definition.kind === 'counter'
        ? this.#meter.createObservableCounter(name, about)
        : this.#meter.createObservableGauge(name, about)
    this.#instruments.set(key, made)
    return made
  }
}

function keyOf(definition: MetricDefinition): string {
  return `${definition.kind} ${snakeCase(definition)}`
}

/** The exporters agree on it. */
function snakeCase({ name }: MetricDefinition): string {
  return prometheusName(name, 'gauge').slice('sluice_'.length)
}

function checkMethod(check: OptionsCheck, name: string, value: unknown, method: string, rule: string): void {
  if (value === undefined) return
  if (typeof value !== 'object' || value === null || typeof Reflect.get(value, method) !== 'function') {
    check.refuse(name, rule)
  }
}
