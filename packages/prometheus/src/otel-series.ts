import type { HrTime } from '@opentelemetry/api'
import type { DataPoint, MetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { CUMULATIVE, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM } from './otel-numbers.ts'
import type { MetricMetadata, PrometheusTimeSeries } from './model.ts'
import { classicParts, nativeHistogram } from './otel-histogram.ts'
import { labelsOf, type NamedKind, prometheusMetricName, unitInWords } from './otel-names.ts'
import type { LabelPair, Observation, PushedSeries } from './push-series.ts'

/** Why data points were left out. */
export type LeftOutReason = 'delta' | 'scale' | 'name' | 'collision' | 'unknownType'

/** Data points of a metric that Prometheus cannot have. */
export interface LeftOut {
  readonly metric: string
  readonly reason: LeftOutReason
  points: number
}

/** What an export became. */
export interface Translated {
  readonly series: PrometheusTimeSeries[]
  readonly leftOut: readonly LeftOut[]
}

const IDENTITY: ReadonlySet<string> = new Set(['service.name', 'service.namespace', 'service.instance.id'])

/** The time of the newest data point, in milliseconds since 1970; undefined where there is none. */
export function newestOf({ scopeMetrics }: ResourceMetrics): number | undefined {
  let newest = 0
  for (const { metrics } of scopeMetrics) {
    for (const { dataPoints } of metrics) {
      for (const { endTime } of dataPoints) newest = Math.max(newest, millisecondsOf(endTime))
    }
  }
  return newest === 0 ? undefined : newest
}

/**
 * Translates what a reader collected, each data point at its own time.
 *
 * @param collectedAt - of its newest data point.
 */
export function translate(
  { resource, scopeMetrics }: ResourceMetrics,
  pushed: PushedSeries,
  scopeLabels: boolean,
  collectedAt: number | undefined,
): Translated {
  const translation = new Translation(pushed)
  const identity = identityOf(resource.attributes)
  for (const { scope, metrics } of scopeMetrics) {
    const fixed: LabelPair[] = [...identity]
    if (scopeLabels) fixed.push(['otel_scope_name', scope.name], ['otel_scope_version', scope.version ?? ''])
    for (const metric of metrics) translation.add(metric, fixed)
  }
  const rest = Object.entries(resource.attributes).filter(([key]) => !IDENTITY.has(key))
  if (identity.length > 0 && rest.length > 0 && collectedAt !== undefined) {
    const metadata: MetricMetadata = { type: 'gauge', help: 'Attributes of the resource.' }
    const labels = labelsOf(Object.fromEntries(rest), identity)
    translation.observe('target_info', {
      metricName: 'target_info',
      labels,
      timestamp: collectedAt,
      value: 1,
      metadata,
      isInEveryPart: true,
    })
  }
  return { series: translation.series, leftOut: [...translation.leftOut.values()] }
}

/** `job` and `instance`, as far as the resource has them. */
function identityOf(attributes: ResourceMetrics['resource']['attributes']): LabelPair[] {
  const text = (key: string): string => {
    const value = attributes[key]
    return typeof value === 'string' ? value.toWellFormed() : ''
  }
  const namespace = text('service.namespace')
  const name = text('service.name')
  const job = namespace === '' || name === '' ? name : `${namespace}/${name}`
  const pairs: LabelPair[] = [
    ['job', job],
    ['instance', text('service.instance.id')],
  ]
  return pairs.filter(([, value]) => value !== '')
}

class Translation {
  readonly series: PrometheusTimeSeries[] = []
  readonly leftOut = new Map<string, LeftOut>()
  readonly #pushed: PushedSeries

  constructor(pushed: PushedSeries) {
    this.#pushed = pushed
  }

  add(metric: MetricData, fixed: readonly LabelPair[]): void {
    const { name, unit, description } = metric.descriptor
    const kind = kindOf(metric)
    if (kind === undefined) return this.#leaveOut(name, 'unknownType', metric.dataPoints.length)
    const isCumulative = metric.aggregationTemporality === CUMULATIVE
    if (!isCumulative && kind !== 'gauge') return this.#leaveOut(name, 'delta', metric.dataPoints.length)
    const metricName = prometheusMetricName(name, unit, kind)
    if (metricName === '') return this.#leaveOut(name, 'name', metric.dataPoints.length)
    const type = kind === 'updown' ? 'gauge' : kind
    const metadata: MetricMetadata = { type, help: description.toWellFormed(), unit: unitInWords(unit) }
    const common = { metricName, metadata }
    switch (metric.dataPointType) {
      case SUM:
      case GAUGE:
        for (const point of metric.dataPoints) {
          const { value } = point
          const times = kind === 'counter' ? this.#times(point) : { timestamp: this.#times(point).timestamp }
          this.observe(name, { ...common, ...times, labels: labelsOf(point.attributes, fixed), value })
        }
        return undefined
      case HISTOGRAM:
        for (const point of metric.dataPoints) {
          const times = this.#times(point)
          for (const { suffix, extra, value } of classicParts(point.value)) {
            const labels = labelsOf(point.attributes, [...fixed, ...extra])
            this.observe(name, { ...common, ...times, metricName: `${metricName}${suffix}`, labels, value })
          }
        }
        return undefined
      case EXPONENTIAL_HISTOGRAM:
        for (const point of metric.dataPoints) {
          const { timestamp, startTimestamp } = this.#times(point)
          const histogram = nativeHistogram(point.value, timestamp, startTimestamp)
          if (histogram === undefined) this.#leaveOut(name, 'scale', 1)
          else this.observe(name, { ...common, timestamp, labels: labelsOf(point.attributes, fixed), histogram })
        }
    }
    return undefined
  }

  observe(metric: string, observation: Observation): void {
    const series = this.#pushed.observe(observation)
    if (series === undefined) this.#leaveOut(metric, 'collision', 1)
    else this.series.push(series)
  }

  #times({ startTime, endTime }: DataPoint<unknown>): { timestamp: number; startTimestamp?: number } {
    const timestamp = millisecondsOf(endTime)
    const startTimestamp = millisecondsOf(startTime)
    return startTimestamp > 0 && startTimestamp <= timestamp ? { timestamp, startTimestamp } : { timestamp }
  }

  #leaveOut(metric: string, reason: LeftOutReason, points: number): void {
    const key = JSON.stringify([metric, reason])
    const known = this.leftOut.get(key)
    if (known === undefined) this.leftOut.set(key, { metric, reason, points })
    else known.points += points
  }
}

function kindOf(metric: MetricData): NamedKind | undefined {
  switch (metric.dataPointType) {
    case SUM:
      return metric.isMonotonic ? 'counter' : 'updown'
    case GAUGE:
      return 'gauge'
    case HISTOGRAM:
    case EXPONENTIAL_HISTOGRAM:
      return 'histogram'
    default:
      return undefined
  }
}

function millisecondsOf([seconds, nanoseconds]: HrTime): number {
  return seconds * 1000 + Math.floor(nanoseconds / 1e6)
}
