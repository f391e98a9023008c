import type { AggregationTemporality, DataPointType } from '@opentelemetry/sdk-metrics'

// The numbers of the SDK's enums: whoever only imports this package need not have the SDK. A test compares them.
export const CUMULATIVE: AggregationTemporality.CUMULATIVE = 1 as AggregationTemporality.CUMULATIVE
export const HISTOGRAM: DataPointType.HISTOGRAM = 0 as DataPointType.HISTOGRAM
export const EXPONENTIAL_HISTOGRAM: DataPointType.EXPONENTIAL_HISTOGRAM = 1 as DataPointType.EXPONENTIAL_HISTOGRAM
export const GAUGE: DataPointType.GAUGE = 2 as DataPointType.GAUGE
export const SUM: DataPointType.SUM = 3 as DataPointType.SUM
