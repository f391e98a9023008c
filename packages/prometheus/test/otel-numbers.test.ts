import { AggregationTemporality, DataPointType } from '@opentelemetry/sdk-metrics'
import { expect, test } from 'vitest'
import { CUMULATIVE, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM } from '../src/otel-numbers.ts'

test('the numbers are those of the SDK', () => {
  expect(CUMULATIVE).toBe(AggregationTemporality.CUMULATIVE)
  expect([HISTOGRAM, EXPONENTIAL_HISTOGRAM, GAUGE, SUM]).toEqual([
    DataPointType.HISTOGRAM,
    DataPointType.EXPONENTIAL_HISTOGRAM,
    DataPointType.GAUGE,
    DataPointType.SUM,
  ])
})
