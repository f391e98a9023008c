import type { MetricType } from './model.ts'

/** The numbers of `MetricMetadata.MetricType` (1.0) and `Metadata.MetricType` (2.0). */
export const METRIC_TYPES: Readonly<Record<MetricType, number>> = {
  unknown: 0,
  counter: 1,
  gauge: 2,
  histogram: 3,
  gaugehistogram: 4,
  summary: 5,
  info: 6,
  stateset: 7,
}
