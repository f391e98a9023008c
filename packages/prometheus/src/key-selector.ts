import type { Label } from './model.ts'
import type { SeriesLike } from './options-sink.ts'
import { labelList } from './time-series.ts'
import { compareUtf8 } from './utf8.ts'

const METRIC_NAME = '__name__'

/**
 * The key of a series for `keyBy`: its labels with the metric name among them, whatever their order, without those that are empty. Equal
 * for samples of one series, and for no others. It gives the sink the lanes that it chooses without `keyBy`, so it is needed only where
 * steps before the sink are to see each series in order, or where `keyBy` had another key before.
 *
 * What the `PrometheusTimeSeriesLabelsAndMetricNameKeySelector` of the connector for Apache Flink does, which minds the order of labels.
 *
 * @example
 * ```ts
 * stream(source).map(toSeries).keyBy(seriesKey).sinkTo(sink)
 * ```
 */
export function seriesKey(series: SeriesLike): string {
  const name = 'metricName' in series ? series.metricName : 'name' in series ? series.name : undefined
  const labels: Label[] = labelList(series.labels)
  if (name !== undefined && name !== '') labels.push({ name: METRIC_NAME, value: name })
  labels.sort((a, b) => compareUtf8(a.name, b.name))
  let key = ''
  for (const label of labels) {
    if (label.value !== '') key += `${label.name.length}:${label.name}${label.value.length}:${label.value}`
  }
  return key
}
