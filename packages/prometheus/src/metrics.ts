import type { Counter, MetricDefinition, MetricGroup } from '@sluice/core'

type Name =
  | 'numSamplesOut'
  | 'numWriteRequestsOut'
  | 'numWriteRequestsRetries'
  | 'numSamplesDropped'
  | 'numSamplesNonRetriableDropped'
  | 'numSamplesRetryLimitDropped'
  | 'numSamplesRefusedOnReplay'
  | 'numWriteRequestsPermanentlyFailed'
  | 'numHistogramsOut'
  | 'numExemplarsOut'
  | 'numMetadataOut'
  | 'numCompressedBytesOut'
  | 'numUncompressedBytesOut'
  | 'numProtocolFallbacks'

/**
 * Metrics that this sink adds to those of every sink (`SINK_METRICS` of `@sluice/core`). They carry the label `group` with the value
 * of the option `metricGroupName`. Names and meanings of the first seven, without `numSamplesRefusedOnReplay`, are those of the
 * Prometheus connector for Apache Flink. A histogram counts as one sample wherever samples are counted, but in `numSamplesOut`.
 */
export const PROMETHEUS_METRICS: Readonly<Record<Name | 'numSamplesNonRetryableDropped', MetricDefinition>> = {
  numSamplesOut: counter(
    'numSamplesOut',
    'records',
    'Samples written, counted at the answer that confirms them; with remote write 2.0 as many as the receiver says it wrote.',
  ),
  numWriteRequestsOut: counter(
    'numWriteRequestsOut',
    'requests',
    'Requests that were written, counted at the answer. Not the empty ones that ask whether a receiver is well.',
  ),
  numWriteRequestsRetries: counter(
    'numWriteRequestsRetries',
    'requests',
    'Requests whose series are sent again for an error that may pass (429, 5xx, no answer), counted at the error.',
  ),
  numSamplesDropped: counter(
    'numSamplesDropped',
    'records',
    'Samples dropped for any reason: the sum of the three below, and those of I/O errors that onHttpClientIOFail discards.',
  ),
  numSamplesNonRetriableDropped: counter(
    'numSamplesNonRetriableDropped',
    'records',
    'Samples dropped because the receiver refused their series, or because it breaks the rules of remote write: where onPrometheusNonRetriableError is DISCARD_AND_CONTINUE, or nothing was said and there are no dead letters.',
  ),
  numSamplesNonRetryableDropped: counter(
    'numSamplesNonRetryableDropped',
    'records',
    'The same figure as numSamplesNonRetriableDropped, in the later spelling.',
    'gauge',
  ),
  numSamplesRetryLimitDropped: counter(
    'numSamplesRetryLimitDropped',
    'records',
    'Samples dropped after retryConfiguration.maxRetryCount repeats of a 429 or 5xx, where onMaxRetryExceeded is DISCARD_AND_CONTINUE.',
  ),
  numSamplesRefusedOnReplay: counter(
    'numSamplesRefusedOnReplay',
    'records',
    'Samples dropped because the receiver refused them when they were repeated after a restart or an unknown outcome: most likely it has them.',
  ),
  numWriteRequestsPermanentlyFailed: counter(
    'numWriteRequestsPermanentlyFailed',
    'requests',
    'Requests that ended for good without being written, for any reason: refused, or the last try. The one that is halved to find a culprit is not counted; that of the culprit is.',
  ),
  numHistogramsOut: counter('numHistogramsOut', 'records', 'Native histograms written, counted as numSamplesOut.'),
  numExemplarsOut: counter(
    'numExemplarsOut',
    'records',
    'Exemplars written, counted as numSamplesOut: receivers drop some without a word.',
  ),
  numMetadataOut: counter(
    'numMetadataOut',
    'records',
    'Metrics whose type, help and unit were told by remote write 1.0, in requests of their own, counted at the answer. Not counted as write requests; of 2.0 they are in those.',
  ),
  numCompressedBytesOut: counter(
    'numCompressedBytesOut',
    'bytes',
    'Bytes of the bodies that were written, as they were sent.',
  ),
  numUncompressedBytesOut: counter(
    'numUncompressedBytesOut',
    'bytes',
    'Bytes of the bodies that were written, before compression.',
  ),
  numProtocolFallbacks: counter(
    'numProtocolFallbacks',
    'events',
    'Destinations for which protocol auto fell back from 2.0 to 1.0.',
  ),
}

/** Keeps the metrics of one writer. */
export class SinkMetrics {
  readonly counters: Readonly<Record<Name, Counter>>

  constructor(context: MetricGroup, metricGroupName: string) {
    const group = context.group({ group: metricGroupName })
    const { numSamplesNonRetryableDropped: alias, ...own } = PROMETHEUS_METRICS
    this.counters = Object.fromEntries(
      Object.values(own).map((definition) => [definition.name, group.counter(definition)]),
    ) as Record<Name, Counter>
    // Another name of a figure that exists: read, never counted twice.
    const counted = this.counters.numSamplesNonRetriableDropped
    group.gauge(alias, () => counted.value)
  }

  /** Samples of one entry were given up. */
  dropped(why: 'refused' | 'retryLimit' | 'io' | 'replay', samples: number): void {
    const { counters } = this
    counters.numSamplesDropped.value += samples
    if (why === 'refused') counters.numSamplesNonRetriableDropped.value += samples
    if (why === 'retryLimit') counters.numSamplesRetryLimitDropped.value += samples
    if (why === 'replay') counters.numSamplesRefusedOnReplay.value += samples
  }
}

function counter(
  name: string,
  unit: MetricDefinition['unit'],
  help: string,
  kind: MetricDefinition['kind'] = 'counter',
): MetricDefinition {
  return { name, kind, unit, help }
}
