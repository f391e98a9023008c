/** One label. A series' metric name is its label `__name__`. */
export interface Label {
  readonly name: string
  readonly value: string
}

/** The labels of a series without its metric name: an object, or a list. The order does not matter, unless validation is switched off. */
export type Labels = Readonly<Record<string, string>> | readonly Label[]

/** One value at one time. */
export interface Sample {
  /** Any double: infinities, NaN with its payload and -0 are sent bit by bit. Not looked at when `stale` is true. */
  readonly value: number
  /** Milliseconds since 1970, an integer. */
  readonly timestamp: number
  /** Milliseconds since 1970 at which a counter or a histogram began to count. Remote write 1.0 has no place for it. @default not known */
  readonly startTimestamp?: number
  /** The series ends here: the stale marker is sent instead of the value. @default false */
  readonly stale?: boolean
}

/** An example of what a sample counts, such as a trace. */
export interface Exemplar {
  /** `trace_id` by convention. @default none */
  readonly labels?: Labels
  readonly value: number
  /** Milliseconds since 1970, an integer. */
  readonly timestamp: number
}

/** What a metric is. */
export type MetricType =
  | 'unknown'
  | 'counter'
  | 'gauge'
  | 'histogram'
  | 'gaugehistogram'
  | 'summary'
  | 'info'
  | 'stateset'

/** What a metric is, in words and units. Remote write 2.0 sends it with each series, 1.0 for each metric. */
export interface MetricMetadata {
  /** @default 'unknown' */
  readonly type?: MetricType
  /** @default '' */
  readonly help?: string
  /** @default '' */
  readonly unit?: string
}

/** Consecutive buckets of a native histogram. */
export interface BucketSpan {
  /** Buckets between the end of the last span and the first of this one; of the first span its bucket, which may be negative. */
  readonly offset: number
  /** Buckets. */
  readonly length: number
}

interface HistogramShape {
  /** Milliseconds since 1970, an integer. */
  readonly timestamp: number
  /** Milliseconds since 1970 at which it began to count. @default not known */
  readonly startTimestamp?: number
  /** The series ends here: the stale marker is sent as the sum. @default false */
  readonly stale?: boolean
  /** Sum of what was observed. */
  readonly sum: number
  /** -4 to 8: a power of two is divided into 2^schema buckets; -53: the bounds are `customValues`. */
  readonly schema: number
  /** Breadth of the bucket around zero. @default 0 */
  readonly zeroThreshold?: number
  /** @default none */
  readonly negativeSpans?: readonly BucketSpan[]
  /** @default none */
  readonly positiveSpans?: readonly BucketSpan[]
  /** Upper bounds of schema -53, ascending. @default none */
  readonly customValues?: readonly number[]
  /** Whether the counts began anew. @default 'unknown' */
  readonly resetHint?: 'unknown' | 'yes' | 'no' | 'gauge'
}

/** A native histogram whose counts are integers. A bigint is for what exceeds 2^53. */
export interface IntHistogram extends HistogramShape {
  readonly kind: 'int'
  readonly count: number | bigint
  /** @default 0 */
  readonly zeroCount?: number | bigint
  /** Of each bucket the difference to the one before it. @default none */
  readonly negativeDeltas?: readonly (number | bigint)[]
  /** Of each bucket the difference to the one before it. @default none */
  readonly positiveDeltas?: readonly (number | bigint)[]
}

/** A native histogram whose counts are doubles, as recording rules make. */
export interface FloatHistogram extends HistogramShape {
  readonly kind: 'float'
  readonly count: number
  /** @default 0 */
  readonly zeroCount?: number
  /** Of each bucket the count. Here the payload of a NaN is not kept. @default none */
  readonly negativeCounts?: readonly number[]
  /** Of each bucket the count. @default none */
  readonly positiveCounts?: readonly number[]
}

/** A native histogram. See https://prometheus.io/docs/specs/native_histograms/ */
export type NativeHistogram = IntHistogram | FloatHistogram

/**
 * A series with samples, or with native histograms. `PrometheusTimeSeries.builder()` makes one too.
 *
 * It is sent later, and perhaps repeatedly: do not change it, nor anything in it, once it was handed over.
 *
 * @example
 * ```ts
 * const series: PrometheusTimeSeries = {
 *   metricName: 'cpu_seconds_total',
 *   labels: { instance: 'a:9100', mode: 'idle' },
 *   samples: [{ value: 1.5, timestamp: Date.now() }],
 * }
 * ```
 */
export interface PrometheusTimeSeries {
  /** The label `__name__`. May be left out where the labels have it. */
  readonly metricName?: string
  /** @default none */
  readonly labels?: Labels
  /** @default none */
  readonly samples?: readonly Sample[]
  /** @default none */
  readonly histograms?: readonly NativeHistogram[]
  /** @default none */
  readonly exemplars?: readonly Exemplar[]
  readonly metadata?: MetricMetadata
}

/**
 * One sample with its series: what a row of a table or a message of a queue becomes.
 *
 * @example
 * ```ts
 * const record: PrometheusRecord = { name: 'up', labels: { instance: 'a:9100' }, value: 1, timestamp: Date.now() }
 * ```
 */
export interface PrometheusRecord extends Sample {
  /** The metric name. */
  readonly name: string
  /** @default none */
  readonly labels?: Labels
  /** @default none */
  readonly exemplar?: Exemplar
  readonly metadata?: MetricMetadata
}

/**
 * What becomes of series that break the rules of remote write.
 *
 * - `normalise`: labels are sorted, those with an empty value dropped, samples sorted by time; what cannot be put right is refused.
 * - `strict`: nothing is put right, everything is refused.
 * - `off`: everything is sent as it is. Receivers then drop samples that are out of order without a word, answer 5xx to repeated
 *   labels, and refuse a whole request for one bad series: `written` no longer means stored.
 */
export type ValidationPolicy = 'normalise' | 'strict' | 'off'
