import type { BucketSpan, NativeHistogram } from './model.ts'
import { describe } from './problems.ts'

const CUSTOM_BUCKETS = -53
const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n
const MAX_UINT64 = 2n ** 64n - 1n
const RESET_HINTS: ReadonlySet<unknown> = new Set([undefined, 'unknown', 'yes', 'no', 'gauge'])

/**
 * What is wrong with a native histogram.
 *
 * @param isEncodable - look only at what has no place in the bytes, such as a text where a number is wanted.
 */
export function* histogramProblems(histogram: NativeHistogram, place: string, isEncodable: boolean): Generator<string> {
  if (typeof histogram !== 'object' || histogram === null) {
    yield `${place} must be an object, got ${describe(histogram)}`
    return
  }
  const { kind, schema, resetHint, zeroThreshold = 0 } = histogram
  if (kind !== 'int' && kind !== 'float') {
    yield `${place}: kind must be 'int' or 'float', got ${describe(kind)}`
    return
  }
  if (!RESET_HINTS.has(resetHint)) {
    yield `${place}: resetHint must be 'unknown', 'yes', 'no' or 'gauge', got ${describe(resetHint)}`
  }
  const noLists = [...listProblems(histogram, place)]
  if (noLists.length > 0) {
    yield* noLists
    return
  }
  yield* timeProblems(histogram, place)
  if (histogram.stale !== true) yield* numberProblem(histogram.sum, `${place}: sum`)
  yield* numberProblem(zeroThreshold, `${place}: zeroThreshold`)
  yield* counts(histogram, place)
  if (!Number.isInteger(schema) || schema !== (schema | 0)) {
    yield `${place}: schema must be an integer, got ${describe(schema)}`
    return
  }
  const buckets = bucketsOf(histogram)
  const noSpans = [
    ...spanTypes(histogram.negativeSpans, `${place}: negativeSpans`),
    ...spanTypes(histogram.positiveSpans, `${place}: positiveSpans`),
  ]
  yield* noSpans
  for (const [index, value] of (histogram.customValues ?? []).entries()) {
    yield* numberProblem(value, `${place}: customValues[${index}]`)
  }
  if (isEncodable || noSpans.length > 0) return
  if (schema !== CUSTOM_BUCKETS && (schema < -4 || schema > 8)) {
    yield `${place}: schema must be -53 or -4 to 8, got ${schema}`
  }
  if (schema !== CUSTOM_BUCKETS && (histogram.customValues?.length ?? 0) > 0) {
    yield `${place}: customValues are for schema -53, got schema ${schema}`
  }
  yield* spanShape(histogram.negativeSpans, buckets.negative, `${place}: negativeSpans`)
  yield* spanShape(histogram.positiveSpans, buckets.positive, `${place}: positiveSpans`)
  if (schema === CUSTOM_BUCKETS) yield* customProblems(histogram, place)
}

const LISTS = [
  'negativeSpans',
  'positiveSpans',
  'negativeDeltas',
  'positiveDeltas',
  'negativeCounts',
  'positiveCounts',
  'customValues',
] as const

function* listProblems(histogram: NativeHistogram, place: string): Generator<string> {
  for (const name of LISTS) {
    const list: unknown = Reflect.get(histogram, name)
    if (list !== undefined && !Array.isArray(list)) yield `${place}: ${name} must be a list, got ${describe(list)}`
  }
}

export function* timeProblems(
  { timestamp, startTimestamp = 0 }: { readonly timestamp: number; readonly startTimestamp?: number },
  place: string,
): Generator<string> {
  if (!Number.isSafeInteger(timestamp)) {
    yield `${place}: timestamp must be an integer of milliseconds, got ${describe(timestamp)}`
  }
  if (!Number.isSafeInteger(startTimestamp)) {
    yield `${place}: startTimestamp must be an integer of milliseconds, got ${describe(startTimestamp)}`
  }
}

export function* numberProblem(value: unknown, place: string): Generator<string> {
  if (typeof value !== 'number') yield `${place} must be a number, got ${describe(value)}`
}

function* counts(histogram: NativeHistogram, place: string): Generator<string> {
  if (histogram.kind === 'float') {
    yield* numberProblem(histogram.count, `${place}: count`)
    yield* numberProblem(histogram.zeroCount ?? 0, `${place}: zeroCount`)
  } else {
    yield* integerProblem(histogram.count, 0n, MAX_UINT64, `${place}: count`)
    yield* integerProblem(histogram.zeroCount ?? 0, 0n, MAX_UINT64, `${place}: zeroCount`)
  }
  const { negative, positive } = bucketsOf(histogram)
  const names = histogram.kind === 'int' ? ['negativeDeltas', 'positiveDeltas'] : ['negativeCounts', 'positiveCounts']
  for (const [list, values] of [negative, positive].entries()) {
    for (const [index, value] of values.entries()) {
      const where = `${place}: ${names[list]}[${index}]`
      if (histogram.kind === 'int') yield* integerProblem(value, MIN_INT64, MAX_INT64, where)
      else yield* numberProblem(value, where)
    }
  }
}

function* integerProblem(value: unknown, min: bigint, max: bigint, place: string): Generator<string> {
  const isInteger = typeof value === 'bigint' || Number.isSafeInteger(value)
  if (isInteger && BigInt(value as number) >= min && BigInt(value as number) <= max) return
  yield `${place} must be an integer from ${min} to ${max}, and a bigint beyond 2^53, got ${describe(value)}`
}

function bucketsOf(histogram: NativeHistogram): {
  readonly negative: readonly (number | bigint)[]
  readonly positive: readonly (number | bigint)[]
} {
  return histogram.kind === 'int'
    ? { negative: histogram.negativeDeltas ?? [], positive: histogram.positiveDeltas ?? [] }
    : { negative: histogram.negativeCounts ?? [], positive: histogram.positiveCounts ?? [] }
}

function* spanTypes(spans: readonly BucketSpan[] = [], place: string): Generator<string> {
  for (const [index, given] of spans.entries()) {
    const { offset, length }: Partial<BucketSpan> = Object(given)
    if (offset === undefined || offset !== (offset | 0))
      yield `${place}[${index}]: offset must be an integer of 32 bits, got ${describe(offset)}`
    if (length === undefined || length !== length >>> 0)
      yield `${place}[${index}]: length must be an integer from 0 to 2^32 - 1, got ${describe(length)}`
  }
}

function* spanShape(spans: readonly BucketSpan[] = [], buckets: readonly unknown[], place: string): Generator<string> {
  let length = 0
  for (const [index, span] of spans.entries()) {
    length += span.length
    if (index > 0 && span.offset < 0) yield `${place}[${index}]: offset must not be negative, got ${span.offset}`
  }
  if (length !== buckets.length)
    yield `${place} must have as many buckets as there are counts, got ${length} and ${buckets.length}`
}

function* customProblems(histogram: NativeHistogram, place: string): Generator<string> {
  const { customValues = [], negativeSpans = [] } = histogram
  for (let index = 1; index < customValues.length; index++) {
    const [before, value] = [customValues[index - 1] as number, customValues[index] as number]
    if (!(value > before)) yield `${place}: customValues must ascend, got ${value} after ${before}`
  }
  if (negativeSpans.length > 0) yield `${place}: schema -53 has no negative buckets, got ${negativeSpans.length} spans`
}
