import { type CloudWatchReporter, type CloudWatchSender, cloudWatchMetrics, tapMetrics } from '@sluice/aws/cloudwatch'
import type { MetricGroup, MetricSample, SinkContext } from '@sluice/core'
import type { Transport } from './transport/transport.ts'

/** Where the original's metrics are found, which a managed Flink service reports under this name. */
const NAMESPACE = 'kinesisanalytics'

/** Reports the metrics of one sink to CloudWatch, once a minute and at the end. */
export class CloudWatchReports {
  /** Where the writer makes its metrics: they reach the job's registry as well. */
  readonly group: MetricGroup
  readonly #reporter: CloudWatchReporter

  /** @param sender - instead of CloudWatch, which is reached with the region and the credentials of the transport's client. */
  constructor({ metrics, sinkUid, clock, logger }: SinkContext, transport: Transport, sender?: CloudWatchSender) {
    const tap = tapMetrics(metrics)
    this.group = tap.group
    // A label and not a dimension of the reporter, which takes ASCII only: a uid is any text.
    const collect = (): MetricSample[] =>
      tap.collect().map((sample) => ({ ...sample, labels: { ...sample.labels, sink: sinkUid } }))
    this.#reporter = cloudWatchMetrics(
      { collect },
      {
        ...(sender === undefined ? { client: transport.control } : { sender }),
        namespace: NAMESPACE,
        clock,
        logger,
      },
    )
  }

  /** Reports what is left, within the deadline. Never rejects. */
  close(deadlineMs: number): Promise<void> {
    return this.#reporter.close(deadlineMs)
  }
}
