import type { Exemplar, Label, MetricMetadata, NativeHistogram, PrometheusTimeSeries } from './model.ts'

/** A name and a value. */
export type LabelPair = readonly [name: string, value: string]

/** One value of a series, as it was collected. */
export interface Observation {
  readonly metricName: string
  readonly labels: readonly LabelPair[]
  readonly timestamp: number
  readonly value?: number
  readonly histogram?: NativeHistogram
  readonly startTimestamp?: number
  readonly exemplar?: Exemplar
  readonly metadata?: MetricMetadata
}

interface Known {
  readonly metricName: string
  readonly labels: readonly Label[]
  readonly hasHistogram: boolean
  lastTimestamp: number
  /** Those in which it was observed last. */
  round: number
  collection: number
  /** Of the marker that was made of it, where nothing was observed since. */
  markerTimestamp: number | undefined
  /** Of the last one that was confirmed. */
  exemplarTimestamp: number | undefined
}

/** A receiver shows the last value of a series for so long: after it a marker changes nothing. */
const LOOKBACK_MS = 300_000

/**
 * The series that were pushed and have not ended. Their labels are made once and are the same objects at every collection, so that
 * whoever sends them finds them again cheaply.
 */
export class PushedSeries {
  readonly #known = new Map<string, Known>()
  #round = 0
  #collection = 0
  #collectedAt: number | undefined
  /** Those whose markers were made last. */
  #ending: readonly string[] = []
  /** The time of the exemplar of each that has one in this collection. */
  readonly #exemplars = new Map<Known, number>()

  get size(): number {
    return this.#known.size
  }

  /**
   * What is observed from here on is of one collection. {@link PushedSeries.endMissing} ends what is not.
   *
   * @param collectedAt - the same as before where it is another part of the same collection. @default it is a new one
   */
  begin(collectedAt?: number): void {
    if (collectedAt === undefined || collectedAt !== this.#collectedAt) this.#collection++
    this.#collectedAt = collectedAt
    this.#round++
    this.#exemplars.clear()
  }

  /**
   * The series with this one value; undefined when the collection has a value of this series already. Its timestamp is later than the
   * last one, also when the clock was set back: receivers refuse what is older than what they have.
   */
  observe(observation: Observation): PrometheusTimeSeries | undefined {
    const { value, histogram, exemplar, startTimestamp, metadata } = observation
    const known = this.#find(observation)
    if (known.round === this.#round) return undefined
    known.round = this.#round
    known.collection = this.#collection
    const last = known.markerTimestamp ?? known.lastTimestamp
    const timestamp = Math.max(observation.timestamp, last + 1)
    known.markerTimestamp = undefined
    known.lastTimestamp = timestamp
    // An exemplar is sent until it is confirmed, not until the next one comes.
    const isNew = exemplar !== undefined && exemplar.timestamp !== known.exemplarTimestamp
    if (isNew) this.#exemplars.set(known, exemplar.timestamp)
    return {
      metricName: known.metricName,
      labels: known.labels,
      ...(value === undefined
        ? {}
        : { samples: [{ value, timestamp, ...(startTimestamp === undefined ? {} : { startTimestamp }) }] }),
      ...(histogram === undefined ? {} : { histograms: [{ ...histogram, timestamp }] }),
      ...(isNew ? { exemplars: [exemplar] } : {}),
      ...(metadata === undefined ? {} : { metadata }),
    }
  }

  /** The receiver has confirmed the markers that were made last, and the exemplars: before that they are made again. */
  confirm(): void {
    for (const key of this.#ending) this.#known.delete(key)
    this.#ending = []
    for (const [known, timestamp] of this.#exemplars) known.exemplarTimestamp = timestamp
    this.#exemplars.clear()
  }

  /** A stale marker for each series that so many collections did not have, this one among them. */
  endMissing(timestamp: number, collections: number): PrometheusTimeSeries[] {
    return this.#end(timestamp, ({ collection }) => this.#collection - collection >= collections)
  }

  /** A stale marker for every series. */
  endAll(timestamp: number): PrometheusTimeSeries[] {
    return this.#end(timestamp, () => true)
  }

  #end(timestamp: number, isOver: (known: Known) => boolean): PrometheusTimeSeries[] {
    const markers: PrometheusTimeSeries[] = []
    const ending: string[] = []
    for (const [key, known] of this.#known) {
      if (!isOver(known)) continue
      if (known.markerTimestamp !== undefined && timestamp - known.lastTimestamp > LOOKBACK_MS) {
        this.#known.delete(key)
        continue
      }
      known.markerTimestamp = Math.max(timestamp, known.markerTimestamp ?? known.lastTimestamp + 1)
      ending.push(key)
      markers.push(staleSeries(known, known.markerTimestamp))
    }
    this.#ending = ending
    return markers
  }

  #find({ metricName, labels, histogram }: Observation): Known {
    const sorted = labels.toSorted(([a], [b]) => (a < b ? -1 : 1))
    const key = JSON.stringify([metricName, sorted])
    let known = this.#known.get(key)
    if (known === undefined) {
      known = {
        metricName,
        labels: sorted.map(([name, value]) => ({ name, value })),
        hasHistogram: histogram !== undefined,
        lastTimestamp: Number.NEGATIVE_INFINITY,
        round: this.#round - 1,
        collection: this.#collection,
        markerTimestamp: undefined,
        exemplarTimestamp: undefined,
      }
      this.#known.set(key, known)
    }
    return known
  }
}

/** Of a native histogram the marker is one too: its sum is stale. */
function staleSeries({ metricName, labels, hasHistogram }: Known, timestamp: number): PrometheusTimeSeries {
  return hasHistogram
    ? { metricName, labels, histograms: [{ kind: 'int', timestamp, stale: true, sum: 0, count: 0, schema: 0 }] }
    : { metricName, labels, samples: [{ value: 0, timestamp, stale: true }] }
}
