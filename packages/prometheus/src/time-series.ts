import type {
  Exemplar,
  Label,
  Labels,
  MetricMetadata,
  NativeHistogram,
  PrometheusTimeSeries as TimeSeries,
  Sample,
} from './model.ts'

/** See {@link TimeSeries}. */
export type PrometheusTimeSeries = TimeSeries

/** Makes builders of series. */
export const PrometheusTimeSeries: {
  /** A builder that begins with nothing. */
  builder(): PrometheusTimeSeriesBuilder
  /** A builder that begins with a copy of a series. */
  builderFrom(timeSeries: TimeSeries): PrometheusTimeSeriesBuilder
} = {
  builder: () => new PrometheusTimeSeriesBuilder(),
  builderFrom: (timeSeries) => new PrometheusTimeSeriesBuilder(timeSeries),
}

/**
 * Builds a series step by step. Nothing is validated before it is sent.
 *
 * @example
 * ```ts
 * const series = PrometheusTimeSeries.builder()
 *   .withMetricName('CPU')
 *   .addLabel('InstanceID', 'i-1')
 *   .addSample(0.5, Date.now())
 *   .build()
 * ```
 */
export class PrometheusTimeSeriesBuilder {
  #metricName: string | undefined
  #metadata: MetricMetadata | undefined
  readonly #labels: Label[]
  readonly #samples: Sample[]
  readonly #histograms: NativeHistogram[]
  readonly #exemplars: Exemplar[]

  /** @param from - what to begin with; it is copied. */
  constructor(from: TimeSeries = {}) {
    this.#metricName = from.metricName
    this.#metadata = from.metadata
    this.#labels = labelList(from.labels)
    this.#samples = [...(from.samples ?? [])]
    this.#histograms = [...(from.histograms ?? [])]
    this.#exemplars = [...(from.exemplars ?? [])]
  }

  withMetricName(metricName: string): this {
    this.#metricName = metricName
    return this
  }

  withMetadata(metadata: MetricMetadata): this {
    this.#metadata = metadata
    return this
  }

  addLabel(name: string, value: string): this {
    this.#labels.push({ name, value })
    return this
  }

  /** @param timestamp - milliseconds since 1970. */
  addSample(value: number, timestamp: number, more: Pick<Sample, 'startTimestamp' | 'stale'> = {}): this {
    this.#samples.push({ value, timestamp, ...more })
    return this
  }

  addHistogram(histogram: NativeHistogram): this {
    this.#histograms.push(histogram)
    return this
  }

  addExemplar(exemplar: Exemplar): this {
    this.#exemplars.push(exemplar)
    return this
  }

  /** The series as it is now; the builder may go on. */
  build(): TimeSeries {
    return {
      ...(this.#metricName === undefined ? {} : { metricName: this.#metricName }),
      labels: [...this.#labels],
      samples: [...this.#samples],
      ...(this.#histograms.length === 0 ? {} : { histograms: [...this.#histograms] }),
      ...(this.#exemplars.length === 0 ? {} : { exemplars: [...this.#exemplars] }),
      ...(this.#metadata === undefined ? {} : { metadata: this.#metadata }),
    }
  }
}

/**
 * The labels as a list, in the order in which they were given.
 *
 * @throws TypeError for what {@link isOtherIterable} tells.
 */
export function labelList(labels: Labels | undefined): Label[] {
  if (labels === undefined) return []
  if (isLabelList(labels)) return [...labels]
  if (isOtherIterable(labels)) throw new TypeError(notLabels(labels))
  return Object.entries(labels).map(([name, value]) => ({ name, value }))
}

export function isLabelList(labels: Labels): labels is readonly Label[] {
  return Array.isArray(labels)
}

/** True for a Map and the like, which have their pairs somewhere else than in their properties: they would be lost. */
export function isOtherIterable(labels: object): boolean {
  return Symbol.iterator in labels && !Array.isArray(labels)
}

/** What is said of it. */
export function notLabels(given: object): string {
  return `labels must be an object or a list, got a ${Object.prototype.toString.call(given).slice('[object '.length, -1)}`
}
