/* oxlint-disable typescript/no-unsafe-enum-assignment -- an enum's value would load its package */
import type { AggregationTemporality, DataPointType } from '@opentelemetry/sdk-metrics'

// The numbers of the SDK's enums: whoever only imports this package need not have the SDK. A test compares them.
export const CUMULATIVE: AggregationTemporality.CUMULATIVE = 1
export const HISTOGRAM: DataPointType.HISTOGRAM = 0
export const EXPONENTIAL_HISTOGRAM: DataPointType.EXPONENTIAL_HISTOGRAM = 1
export const GAUGE: DataPointType.GAUGE = 2
export const SUM: DataPointType.SUM = 3
