import type { ExponentialHistogram, Histogram } from '@opentelemetry/sdk-metrics'
import type { BucketSpan, IntHistogram } from './model.ts'
import type { LabelPair } from './push-series.ts'

/** A series of a classic histogram. */
export interface ClassicPart {
  readonly suffix: '_bucket' | '_sum' | '_count'
  readonly extra: readonly LabelPair[]
  readonly value: number
}

/** Explicit bounds: `_bucket`, cumulative and with the bound `+Inf`, `_sum` where it is known, and `_count`. */
export function classicParts({ buckets, sum, count }: Histogram): ClassicPart[] {
  const parts: ClassicPart[] = []
  let below = 0
  for (const [index, bound] of buckets.boundaries.entries()) {
    below += buckets.counts[index] ?? 0
    if (bound === Number.POSITIVE_INFINITY) continue
    parts.push({ suffix: '_bucket', extra: [['le', String(bound)]], value: below })
  }
  parts.push({ suffix: '_bucket', extra: [['le', '+Inf']], value: count })
  if (sum !== undefined) parts.push({ suffix: '_sum', extra: [], value: sum })
  parts.push({ suffix: '_count', extra: [], value: count })
  return parts
}

/** The resolutions that Prometheus has. */
const MIN_SCHEMA = -4
const MAX_SCHEMA = 8
/** What Prometheus takes for zero where nobody said. */
const ZERO_THRESHOLD = 1e-128
/** Empty buckets that are cheaper to send than a new span. */
const MAX_FILLED_GAP = 2

/**
 * Exponential buckets as a native histogram. Finer ones than Prometheus has are merged; undefined for coarser ones, which it cannot have.
 *
 * See https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#exponential-histograms
 */
export function nativeHistogram(
  { count, sum, scale, zeroCount, positive, negative }: ExponentialHistogram,
  timestamp: number,
  startTimestamp: number | undefined,
): IntHistogram | undefined {
  if (scale < MIN_SCHEMA) return undefined
  const schema = Math.min(scale, MAX_SCHEMA)
  const above = spansOf(positive, scale - schema)
  const below = spansOf(negative, scale - schema)
  return {
    kind: 'int',
    timestamp,
    ...(startTimestamp === undefined ? {} : { startTimestamp }),
    schema,
    count,
    sum: sum ?? Number.NaN,
    zeroThreshold: ZERO_THRESHOLD,
    zeroCount,
    positiveSpans: above.spans,
    positiveDeltas: above.deltas,
    negativeSpans: below.spans,
    negativeDeltas: below.deltas,
  }
}

/**
 * Bucket i of OpenTelemetry ends where bucket i + 1 of Prometheus does, whose index is that of its upper bound. Halving the resolution
 * merges two neighbours.
 */
function spansOf(
  { offset, bucketCounts }: ExponentialHistogram['positive'],
  halvings: number,
): { spans: BucketSpan[]; deltas: number[] } {
  const counts = new Map<number, number>()
  for (const [position, count] of bucketCounts.entries()) {
    if (count === 0) continue
    const index = Math.floor((offset + position) / 2 ** halvings) + 1
    counts.set(index, (counts.get(index) ?? 0) + count)
  }
  const spans: { offset: number; length: number }[] = []
  const deltas: number[] = []
  let last = 0
  let next = 0
  for (const [index, count] of counts) {
    const gap = index - next
    let span = spans.at(-1)
    if (span === undefined || gap > MAX_FILLED_GAP) {
      span = { offset: gap, length: 0 }
      spans.push(span)
    } else {
      for (let empty = 0; empty < gap; empty++) {
        deltas.push(-last)
        last = 0
      }
      span.length += gap
    }
    span.length++
    deltas.push(count - last)
    last = count
    next = index + 1
  }
  return { spans, deltas }
}
