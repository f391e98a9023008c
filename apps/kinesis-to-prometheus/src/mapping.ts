import type { PrometheusRecord } from '@sluice/prometheus'
import type { HostRecord } from './records.ts'

/** The metrics of all measures begin with it. */
export const PREFIX = 'host_'

/** A host record as one sample for each of its measures; its dimensions are the labels of all of them. */
export function toSamples({ dimensions, measures, timeMs }: HostRecord): readonly PrometheusRecord[] {
  return Object.entries(measures).map(([measure, value]) => ({
    name: `${PREFIX}${measure}`,
    labels: dimensions,
    value,
    timestamp: timeMs,
  }))
}
