import type { MetricRegistry } from '@sluice/core'
import { type CloudWatchMetricsOptions, resolvedOptions } from './cloudwatch/options.ts'
import { type CloudWatchReporter, Reporter } from './cloudwatch/reporter.ts'

export type { CloudWatchMetricsOptions } from './cloudwatch/options.ts'
export type { CloudWatchReporter } from './cloudwatch/reporter.ts'
export type { CloudWatchSender, MetricDatum } from './cloudwatch/sender.ts'
export { type MetricTap, tapMetrics } from './cloudwatch/tap.ts'

/**
 * Reports every metric of a registry (`job.metrics`) to Amazon CloudWatch, once a minute and when it is closed.
 *
 * A metric has its own name (`numRecordsOut`), its labels as dimensions (`job`, `sink`), and a unit. Counters are reported by their
 * growth since the last report, so that the statistic `Sum` counts what happened in a period; a counter that has never counted is not
 * reported. Gauges are reported as they are. A request holds at most 1000 values and 1 MB.
 *
 * A failure is logged and never touches the job. What a failed report would have said of counters is in the next one; if CloudWatch had
 * taken it in spite of a lost answer, it counts twice. Needs the right `cloudwatch:PutMetricData`.
 *
 * See https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * await using job = stream(source).sinkTo(sink).start({ name: 'hosts' })
 * await using reporter = cloudWatchMetrics(job.metrics, { client: new TimestreamWriteClient({ region: 'eu-west-1' }) })
 * await job.done
 * ```
 */
export function cloudWatchMetrics(
  registry: Pick<MetricRegistry, 'collect'>,
  options: CloudWatchMetricsOptions,
): CloudWatchReporter {
  return new Reporter(registry, resolvedOptions(options))
}
