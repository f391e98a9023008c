import type { Exemplar, MetricMetadata, MetricType, PrometheusTimeSeries } from './model.ts'
import type { LabelPair, PushedSeries } from './push-series.ts'

/** One value of a metric of prom-client. */
export interface CollectedValue {
  readonly value: number
  readonly labels: Readonly<Partial<Record<string, string | number>>>
}

/** A metric of prom-client with its values. */
export interface CollectedMetric {
  readonly name: string
  readonly help: string
  /** `counter`, `gauge`, `histogram` or `summary`. */
  readonly type: unknown
  readonly values: readonly CollectedValue[]
}

/** What is used of a registry of prom-client. */
export interface MetricsRegistry {
  getMetricsAsJSON(): Promise<readonly CollectedMetric[]>
  /** That of OpenMetrics means that counters end with `_total`, whatever their names. */
  readonly contentType?: string
}

/** What a collection became. */
export interface Collected {
  readonly series: PrometheusTimeSeries[]
  /** Names of metrics with values that have a label no receiver takes, or that another metric has already. */
  readonly invalid: readonly string[]
}

/** As Prometheus 2 and remote write 1.0 have it. */
export const LABEL_NAME: RegExp = /^[A-Za-z_][A-Za-z0-9_]*$/

const TYPES: readonly unknown[] = ['counter', 'gauge', 'histogram', 'summary'] satisfies MetricType[]

/** Whether a scrape of the registry shows OpenMetrics. */
export function isOpenMetrics({ contentType }: MetricsRegistry): boolean {
  return contentType?.startsWith('application/openmetrics-text') === true
}

/**
 * The values of a registry as series, all with one timestamp.
 *
 * @param labels - added to each series that does not have them itself.
 * @param openMetrics - names are those that a scrape of OpenMetrics shows.
 */
export function toSeries(
  metrics: readonly CollectedMetric[],
  pushed: PushedSeries,
  labels: readonly LabelPair[],
  timestamp: number,
  openMetrics: boolean,
): Collected {
  const series: PrometheusTimeSeries[] = []
  const invalid = new Set<string>()
  for (const { name: given, help, type, values } of metrics) {
    // A scrape takes `_total` away from the name that prom-client keeps, and adds it when it prints.
    const name = openMetrics && type === 'counter' ? `${given.replace(/_total$/, '')}_total` : given
    const metadata: MetricMetadata = { help, ...(TYPES.includes(type) ? { type: type as MetricType } : {}) }
    for (const each of values) {
      const pairs = labelPairs(each, labels)
      if (pairs === undefined) {
        invalid.add(name)
        continue
      }
      const exemplar = exemplarOf(each)
      const metricName = textAt(each, 'metricName') ?? name
      const observed = pushed.observe({
        metricName,
        labels: pairs,
        timestamp,
        value: each.value,
        metadata,
        ...(exemplar === undefined ? {} : { exemplar }),
      })
      if (observed === undefined) invalid.add(name)
      else series.push(observed)
    }
  }
  return { series, invalid: [...invalid] }
}

function labelPairs({ labels: own }: CollectedValue, added: readonly LabelPair[]): LabelPair[] | undefined {
  const pairs: LabelPair[] = []
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined || value === '') continue
    if (!LABEL_NAME.test(name) || name === '__name__') return undefined
    pairs.push([name, String(value).toWellFormed()])
  }
  for (const pair of added) if (!pairs.some(([name]) => name === pair[0])) pairs.push(pair)
  return pairs
}

/** With `enableExemplars` prom-client adds them, with a time in seconds; its types do not say so. */
function exemplarOf(collected: CollectedValue): Exemplar | undefined {
  const given: unknown = Reflect.get(collected, 'exemplar')
  if (typeof given !== 'object' || given === null) return undefined
  const value: unknown = Reflect.get(given, 'value')
  const timestamp: unknown = Reflect.get(given, 'timestamp')
  if (typeof value !== 'number' || typeof timestamp !== 'number') return undefined
  const labels: LabelPair[] = []
  for (const [name, text] of Object.entries<unknown>(Object(Reflect.get(given, 'labelSet')))) {
    const isText = typeof text === 'string' || typeof text === 'number'
    if (LABEL_NAME.test(name) && isText && text !== '') labels.push([name, String(text).toWellFormed()])
  }
  return { value, timestamp: Math.round(timestamp * 1000), labels: Object.fromEntries(labels) }
}

function textAt(collected: CollectedValue, name: string): string | undefined {
  const value: unknown = Reflect.get(collected, name)
  return typeof value === 'string' ? value : undefined
}
