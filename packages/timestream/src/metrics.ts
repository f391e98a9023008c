import { type Clock, type Counter, type MetricDefinition, type MetricGroup, SINK_METRICS } from '@sluice/core'
import { TIMESTREAM_EXCEPTIONS, type TimestreamException } from './classify.ts'
import { billedUnits, type WriteRequest } from './request/request.ts'

const EXCEPTIONS: readonly TimestreamException[] = [...TIMESTREAM_EXCEPTIONS, 'UNKNOWN']

type ExceptionMetric = `numOf${TimestreamException}`

type Name =
  | 'numRecordsSuccess'
  | 'numRecordsDrop'
  | 'numWritesSuccess'
  | 'numWritesNonSDKRetries'
  | 'numOfRecordsPerWriteRecordRequest'
  | 'numOfMeasuresPerWriteRecordRequest'
  | 'numOfCommonAttributesDimensionsPerWriteRecordRequest'
  | 'millisTimeBetweenFlushes'
  | 'numOfUNKNOWNEXCEPTION'
  | 'numApiCalls'
  | 'numBilledUnits'
  | 'numRecordsInvalid'

const exceptionMetrics = Object.fromEntries(
  EXCEPTIONS.map((exception): [string, MetricDefinition] => {
    const name: ExceptionMetric = `numOf${exception}`
    const help =
      exception === 'UNKNOWN'
        ? 'Requests that ended with any other error, when the SDK gave up repeating them.'
        : `Requests that ended with ${exception}, when the SDK gave up repeating them.`
    return [name, { name, kind: 'counter', unit: 'requests', help }]
  }),
) as Record<ExceptionMetric, MetricDefinition>

/**
 * Metrics that this sink adds to those of every sink (`SINK_METRICS` of `@sluice/core`, among them `inFlightRequests`,
 * `bufferedRecords`, `currentSendTime`, `numRecordsOut` and `numBytesOut`).
 */
export const TIMESTREAM_METRICS: Readonly<Record<Name | ExceptionMetric, MetricDefinition>> = {
  numRecordsSuccess: counter(
    'numRecordsSuccess',
    'records',
    'Records that the service confirmed; equals numRecordsOut.',
  ),
  numRecordsDrop: counter(
    'numRecordsDrop',
    'records',
    'Records dropped by failureHandlerConfig; equals numRecordsDropped.',
  ),
  numWritesSuccess: counter(
    'numWritesSuccess',
    'requests',
    'Requests of which at least one record was confirmed, counted at the answer.',
  ),
  numWritesNonSDKRetries: counter(
    'numWritesNonSDKRetries',
    'requests',
    'Requests whose records the sink sends again because the SDK gave up repeating them, counted at the answer.',
  ),
  numOfRecordsPerWriteRecordRequest: gauge(
    'numOfRecordsPerWriteRecordRequest',
    'records',
    'Records in the request sent last.',
  ),
  numOfMeasuresPerWriteRecordRequest: gauge(
    'numOfMeasuresPerWriteRecordRequest',
    'measures',
    'Measure values in the request sent last.',
  ),
  numOfCommonAttributesDimensionsPerWriteRecordRequest: gauge(
    'numOfCommonAttributesDimensionsPerWriteRecordRequest',
    'dimensions',
    'Dimensions in the common attributes of the request sent last.',
  ),
  millisTimeBetweenFlushes: gauge(
    'millisTimeBetweenFlushes',
    'milliseconds',
    'Time between the last two requests sent.',
  ),
  numOfUNKNOWNEXCEPTION: counter('numOfUNKNOWNEXCEPTION', 'requests', 'The same figure as numOfUNKNOWN.'),
  numApiCalls: counter(
    'numApiCalls',
    'requests',
    'Calls of WriteRecords, repeats by the SDK included, counted when the request has ended.',
  ),
  numBilledUnits: counter(
    'numBilledUnits',
    'none',
    'Writes of 1 KiB that the service bills for the requests sent, estimated: each request is rounded up; repeats count again.',
  ),
  numRecordsInvalid: counter(
    'numRecordsInvalid',
    'records',
    'Records that broke a rule of the service and were not sent.',
  ),
  ...exceptionMetrics,
}

/** Keeps the metrics of one writer. */
export class SinkMetrics {
  readonly writesSuccess: Counter
  readonly retries: Counter
  readonly calls: Counter
  readonly invalid: Counter
  readonly #billed: Counter
  readonly #clock: Clock
  readonly #exceptions: Readonly<Record<string, Counter>>
  #records = Number.NaN
  #measures = Number.NaN
  #dimensions = Number.NaN
  #flushedAt = Number.NaN
  #betweenMs = Number.NaN

  constructor(group: MetricGroup, clock: Clock) {
    const metrics = TIMESTREAM_METRICS
    this.#clock = clock
    this.writesSuccess = group.counter(metrics.numWritesSuccess)
    this.retries = group.counter(metrics.numWritesNonSDKRetries)
    this.calls = group.counter(metrics.numApiCalls)
    this.invalid = group.counter(metrics.numRecordsInvalid)
    this.#billed = group.counter(metrics.numBilledUnits)
    this.#exceptions = Object.fromEntries(EXCEPTIONS.map((name) => [name, group.counter(metrics[`numOf${name}`])]))
    // Other names of figures that exist: read, never counted twice.
    const alias = (definition: MetricDefinition, of: MetricDefinition): void => {
      const counted = group.counter(of)
      group.gauge(definition, () => counted.value)
    }
    alias(metrics.numRecordsSuccess, SINK_METRICS.numRecordsOut)
    alias(metrics.numRecordsDrop, SINK_METRICS.numRecordsDropped)
    alias(metrics.numOfUNKNOWNEXCEPTION, metrics.numOfUNKNOWN)
    group.gauge(metrics.numOfRecordsPerWriteRecordRequest, () => this.#records)
    group.gauge(metrics.numOfMeasuresPerWriteRecordRequest, () => this.#measures)
    group.gauge(metrics.numOfCommonAttributesDimensionsPerWriteRecordRequest, () => this.#dimensions)
    group.gauge(metrics.millisTimeBetweenFlushes, () => this.#betweenMs)
  }

  /** A request is about to be sent. */
  sending(request: WriteRequest): void {
    const now = this.#clock.now()
    this.#betweenMs = now - this.#flushedAt
    this.#flushedAt = now
    this.#records = request.count
    this.#measures = request.measures
    this.#dimensions = request.commonDimensions
    this.#billed.value += billedUnits(request.bytes)
  }

  /** A request ended with an error. */
  failed(exception: TimestreamException): void {
    const count = this.#exceptions[exception]
    if (count !== undefined) count.value++
  }
}

function counter(name: string, unit: MetricDefinition['unit'], help: string): MetricDefinition {
  return { name, kind: 'counter', unit, help }
}

function gauge(name: string, unit: MetricDefinition['unit'], help: string): MetricDefinition {
  return { name, kind: 'gauge', unit, help }
}
