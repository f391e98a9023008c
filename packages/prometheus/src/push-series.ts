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
  /** It says nothing of where a collection begins. */
  readonly isInEveryPart?: boolean
}

interface Known {
  readonly metricName: string
  readonly labels: readonly Label[]
  readonly hasHistogram: boolean
  lastTimestamp: number
  /** That of the last observation, which `lastTimestamp` may be later than. */
  observedAt: number
  /** The one in which it was observed last. */
  round: number
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
  /** The rounds with which the collection before and this one began. */
  #previousStart = 0
  #start = 0
  /** When this one began, and when the last round did. */
  #startedAtMs = Number.NEGATIVE_INFINITY
  #roundAtMs = Number.NEGATIVE_INFINITY
  /** Those whose markers were made last. */
  #ending: readonly string[] = []
  /** The time of the exemplar of each that has one in this collection. */
  readonly #exemplars = new Map<Known, number>()

  get size(): number {
    return this.#known.size
  }

  /** What is observed from here on is one whole collection. {@link PushedSeries.endMissing} ends what is not. */
  begin(): void {
    this.#beginRound()
    this.#beginCollection()
  }

  /**
   * What is observed from here on may be another part of the same collection, whose values need not have one time: the next collection
   * begins with the part that has a series of this one again. One with nothing in common with this one is taken for a part of it, but not
   * for longer than a receiver shows its values.
   *
   * @param nowMs - of a clock that is never set back.
   */
  beginPart(nowMs: number): void {
    this.#beginRound()
    this.#roundAtMs = nowMs
    if (nowMs - this.#startedAtMs > LOOKBACK_MS) this.#beginCollection()
  }

  /**
   * The series with this one value; undefined when this part of the collection has a value of this series already. Its timestamp is later than the
   * last one, also when the clock was set back: receivers refuse what is older than what they have.
   */
  observe(observation: Observation): PrometheusTimeSeries | undefined {
    const { value, histogram, exemplar, startTimestamp, metadata } = observation
    const known = this.#find(observation)
    if (known.round === this.#round) return undefined
    // Of the same time it is another value of the same collection, not the next one.
    const isNext = known.round >= this.#start && known.observedAt !== observation.timestamp
    if (isNext && observation.isInEveryPart !== true) this.#beginCollection()
    known.round = this.#round
    known.observedAt = observation.timestamp
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

  /** A stale marker for each series that this collection, which is whole, does not have. */
  endMissing(timestamp: number): PrometheusTimeSeries[] {
    return this.#end(timestamp, ({ round }) => round < this.#start)
  }

  /** A stale marker for each series that neither the collection before has nor what there is of this one. */
  endMissingBefore(timestamp: number): PrometheusTimeSeries[] {
    return this.#end(timestamp, ({ round }) => round < this.#previousStart)
  }

  /** A stale marker for every series. */
  endAll(timestamp: number): PrometheusTimeSeries[] {
    return this.#end(timestamp, () => true)
  }

  #beginRound(): void {
    this.#round++
    this.#exemplars.clear()
  }

  #beginCollection(): void {
    this.#previousStart = this.#start
    this.#start = this.#round
    this.#startedAtMs = this.#roundAtMs
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
        observedAt: Number.NEGATIVE_INFINITY,
        round: -1,
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
