import type {
  Exemplar,
  MetricMetadata,
  NativeHistogram,
  PrometheusRecord,
  PrometheusTimeSeries,
  Sample,
} from './model.ts'
import { METRIC_TYPES } from './encode-metadata.ts'
import { describe, InvalidSeriesError } from './problems.ts'
import type { SeriesRules } from './series-layout.ts'
import type { SeriesTable } from './series-table.ts'
import { Entry, type Series } from './series.ts'
import { checkedExemplar, throwIfAny } from './validate-exemplar.ts'
import { histogramProblems, numberProblem, timeProblems } from './validate-histogram.ts'

const NOTHING: readonly never[] = []

/**
 * Turns a flat record into an entry.
 *
 * @throws InvalidSeriesError with everything that is wrong with it.
 */
export function recordEntry(table: SeriesTable, record: PrometheusRecord): Entry {
  const { name, labels, value, timestamp, startTimestamp = 0, stale = false, exemplar, metadata } = record
  // The way of nearly all: nothing but a sample, and nothing wrong with it.
  if (isEncodable(record) && exemplar === undefined && metadata === undefined) {
    return new Entry(table.passing(name, labels), value, timestamp, startTimestamp, stale, undefined)
  }
  const problems = [...sampleProblems(record, 'the sample')]
  const exemplars = exemplar === undefined ? [] : [checkedExemplar(exemplar, table.rules, 'exemplar', problems)]
  const series = seriesOf(table, name, labels, metadata, problems)
  if (exemplars.length === 0) return new Entry(series, value, timestamp, startTimestamp, stale, undefined)
  return entryOf(series, [record], NOTHING, exemplars)
}

/**
 * Turns a series into entries, in order: one, or several where it holds more than `maxSize` samples or histograms.
 *
 * @throws InvalidSeriesError with everything that is wrong with it; nothing is emitted then.
 */
export function emitTimeSeries(
  table: SeriesTable,
  timeSeries: PrometheusTimeSeries,
  maxSize: number,
  emit: (entry: Entry) => void,
): void {
  const { metricName, labels, samples = NOTHING, histograms = NOTHING, exemplars = NOTHING, metadata } = timeSeries
  // The way of nearly all: nothing but samples, and nothing wrong with them.
  if (isEmpty(histograms) && isEmpty(exemplars) && metadata === undefined && arePlain(samples, maxSize)) {
    emit(entryOf(table.passing(metricName, labels), samples, NOTHING, NOTHING))
    return
  }
  const { rules } = table
  const problems: string[] = []
  const orderedSamples = checkedSamples(listOf(samples, 'samples', problems), rules, problems)
  const orderedHistograms = checkedHistograms(listOf(histograms, 'histograms', problems), rules, problems)
  const checkedExemplars = listOf(exemplars, 'exemplars', problems).map((exemplar, index) =>
    checkedExemplar(exemplar, rules, `exemplar ${index}`, problems),
  )
  if (isEmpty(samples) && isEmpty(histograms) && rules.validation !== 'off') {
    problems.push('it must have at least one sample or histogram, got none')
  }
  const series = seriesOf(table, metricName, labels, metadata, problems)
  emitSlices(series, orderedSamples, NOTHING, checkedExemplars, maxSize, emit)
  if (histograms.length > 0) {
    emitSlices(series, NOTHING, orderedHistograms, samples.length === 0 ? checkedExemplars : NOTHING, maxSize, emit)
  } else if (samples.length === 0) emit(entryOf(series, NOTHING, NOTHING, checkedExemplars))
}

/**
 * A part of an entry: its samples and histograms, samples first, `from` (inclusive) to `to` (exclusive). Exemplars stay with the last.
 */
export function sliceEntry(entry: Entry, from: number, to: number): Entry {
  const { series, parts, size, tenant } = entry
  if (parts === undefined || (from === 0 && to === size)) return entry
  const { samples, histograms, exemplars } = parts
  const split = samples.length
  const slice = entryOf(
    series,
    samples.slice(from, to),
    histograms.slice(Math.max(0, from - split), Math.max(0, to - split)),
    to === size ? exemplars : NOTHING,
  )
  slice.tenant = tenant
  return slice
}

/** Looks up the series, and throws what is wrong with it together with all that was found before. */
function seriesOf(
  table: SeriesTable,
  metricName: string | undefined,
  labels: PrometheusTimeSeries['labels'],
  metadata: MetricMetadata | undefined,
  problems: string[],
): Series {
  problems.push(...metadataProblems(metadata))
  try {
    const series = table.series(metricName, labels, problems.length === 0 ? metadata : undefined)
    throwIfAny(metricName, problems)
    return series
  } catch (error) {
    if (!(error instanceof InvalidSeriesError) || error.problems === problems) throw error
    throw new InvalidSeriesError(metricName, [...error.problems, ...problems])
  }
}

function emitSlices(
  series: Series,
  samples: readonly Sample[],
  histograms: readonly NativeHistogram[],
  exemplars: readonly Exemplar[],
  maxSize: number,
  emit: (entry: Entry) => void,
): void {
  const size = samples.length + histograms.length
  for (let from = 0; from < size; from += maxSize) {
    const to = from + maxSize
    const isLast = to >= size
    const isWhole = isLast && from === 0
    emit(
      entryOf(
        series,
        isWhole ? samples : samples.slice(from, to),
        isWhole ? histograms : histograms.slice(from, to),
        isLast ? exemplars : NOTHING,
      ),
    )
  }
}

function entryOf(
  series: Series,
  samples: readonly Sample[],
  histograms: readonly NativeHistogram[],
  exemplars: readonly Exemplar[],
): Entry {
  const only = samples[0]
  if (samples.length === 1 && histograms.length === 0 && exemplars.length === 0 && only !== undefined) {
    return new Entry(series, only.value, only.timestamp, only.startTimestamp ?? 0, only.stale ?? false, undefined)
  }
  const first = only ?? histograms[0]
  return new Entry(series, Number.NaN, first?.timestamp ?? 0, 0, false, { samples, histograms, exemplars })
}

function checkedSamples(
  samples: readonly Sample[],
  { validation }: SeriesRules,
  problems: string[],
): readonly Sample[] {
  let isOrdered = true
  let last = Number.NEGATIVE_INFINITY
  for (let index = 0; index < samples.length; index++) {
    const sample = samples[index] as Sample
    if (!isEncodable(sample)) problems.push(...sampleProblems(sample, `sample ${index}`))
    else {
      if (sample.timestamp < last) {
        isOrdered = false
        if (validation === 'strict') {
          problems.push(`sample ${index}: timestamps must ascend, got ${sample.timestamp} after ${last}`)
        }
      }
      last = sample.timestamp
    }
  }
  return isOrdered || validation === 'off' || problems.length > 0 ? samples : samples.toSorted(byTime)
}

function checkedHistograms(
  histograms: readonly NativeHistogram[],
  { validation }: SeriesRules,
  problems: string[],
): readonly NativeHistogram[] {
  if (histograms.length === 0) return histograms
  for (const [index, histogram] of histograms.entries()) {
    const found = [...histogramProblems(histogram, `histogram ${index}`, validation === 'off')]
    problems.push(...found)
    const last = histograms[index - 1]?.timestamp ?? Number.NEGATIVE_INFINITY
    if (validation === 'strict' && found.length === 0 && histogram.timestamp < last) {
      problems.push(`histogram ${index}: timestamps must ascend, got ${histogram.timestamp} after ${last}`)
    }
  }
  return validation === 'off' || problems.length > 0 ? histograms : histograms.toSorted(byTime)
}

function isEmpty(list: readonly unknown[]): boolean {
  return Array.isArray(list) && list.length === 0
}

function listOf<T>(given: readonly T[], name: string, problems: string[]): readonly T[] {
  if (Array.isArray(given)) return given
  problems.push(`${name} must be a list, got ${describe(given)}`)
  return NOTHING
}

/** Whether these make one entry just as they are. */
function arePlain(samples: readonly Sample[], maxSize: number): boolean {
  if (!Array.isArray(samples)) return false
  const { length } = samples
  if (length === 0 || length > maxSize) return false
  let last = Number.NEGATIVE_INFINITY
  for (let index = 0; index < length; index++) {
    const sample = samples[index] as Sample | undefined
    if (!isEncodable(sample) || (sample as Sample).timestamp < last) return false
    last = (sample as Sample).timestamp
  }
  return true
}

/** What has no place in the bytes is refused even where validation is off. */
function isEncodable(sample: Sample | undefined): boolean {
  if (typeof sample !== 'object' || sample === null) return false
  const { startTimestamp, stale } = sample
  return (
    (typeof sample.value === 'number' || stale === true) &&
    Number.isSafeInteger(sample.timestamp) &&
    (startTimestamp === undefined || Number.isSafeInteger(startTimestamp)) &&
    (stale === undefined || typeof stale === 'boolean')
  )
}

function* sampleProblems(sample: Sample, place: string): Generator<string> {
  if (typeof sample !== 'object' || sample === null) {
    yield `${place} must be an object, got ${describe(sample)}`
    return
  }
  const { stale } = sample
  if (stale !== true) yield* numberProblem(sample.value, `${place}: value`)
  if (stale !== undefined && typeof stale !== 'boolean')
    yield `${place}: stale must be a boolean, got ${describe(stale)}`
  yield* timeProblems(sample, place)
}

function* metadataProblems(metadata: MetricMetadata | undefined): Generator<string> {
  if (metadata === undefined) return
  if (typeof metadata !== 'object' || metadata === null) {
    yield `metadata must be an object, got ${describe(metadata)}`
    return
  }
  const { type = 'unknown', help = '', unit = '' } = metadata
  if (!Object.hasOwn(METRIC_TYPES, type)) {
    yield `metadata: type must be one of ${Object.keys(METRIC_TYPES).join(', ')}, got ${describe(type)}`
  }
  if (typeof help !== 'string') yield `metadata: help must be a string, got ${describe(help)}`
  if (typeof unit !== 'string') yield `metadata: unit must be a string, got ${describe(unit)}`
}

function byTime(a: { readonly timestamp: number }, b: { readonly timestamp: number }): number {
  return a.timestamp - b.timestamp
}
