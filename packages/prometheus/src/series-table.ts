import type { Label, Labels, MetricMetadata } from './model.ts'
import { InvalidSeriesError } from './problems.ts'
import { keptLabelMemory, labelMemory } from './label-memory.ts'
import { hashLabels, type LabelHash, NOT_LABELS, unitsOf } from './series-hash.ts'
import { isSpelled, SeriesIndex } from './series-index.ts'
import { METRIC_NAME, SeriesLayout, type SeriesRules } from './series-layout.ts'
import { SeenHashes } from './series-seen.ts'
import { LabelSweep } from './series-sweep.ts'
import { Series } from './series.ts'
import { isOtherIterable, notLabels } from './time-series.ts'
import { isMetricName, labelProblems, labelTypeProblems, namesOf, takeValues } from './validate-labels.ts'

/** Lists of label names; a stream with more makes them up, and is not worth remembering. */
const MAX_LAYOUTS = 4096

export interface SeriesTableOptions extends SeriesRules {
  /** Series that are remembered, at most; when there are more, all are forgotten and looked at anew. @default 100000 */
  readonly maxSeries?: number
}

/**
 * The series that were sent lately, found by their labels. The first look-ups of a series validate and sort its labels; the others hash
 * and compare them, at a fraction of the cost. Streams repeat themselves: where the series comes after the one that it came after before,
 * it is compared at once.
 *
 * A series that comes by is remembered from the second time on: those that come once would take the place of those that come again.
 */
export class SeriesTable {
  readonly rules: SeriesRules
  readonly #maxSeries: number
  readonly #hash: LabelHash
  /** Another one in each process: nobody can choose labels that collide. */
  readonly #seed = (Math.random() * 0x1_0000_0000) | 0
  #index = new SeriesIndex()
  readonly #seen = new SeenHashes()
  readonly #sweep = new LabelSweep()
  readonly #layouts = new Map<string, SeriesLayout>()
  /** What was looked up last. */
  #last: Series | undefined
  #lastLayout: SeriesLayout | undefined
  #hasMetadata = false

  /** @param hash - another hash, for tests of collisions. */
  constructor({ maxSeries = 100_000, ...rules }: SeriesTableOptions, hash: LabelHash = hashLabels) {
    this.rules = rules
    this.#maxSeries = maxSeries
    this.#hash = hash
  }

  /** Series that it remembers. A series that was given in two ways, such as with labels in another order, counts twice. */
  get size(): number {
    return this.#index.size
  }

  /** Whether a series was ever given with what its metric is. */
  get hasMetadata(): boolean {
    return this.#hasMetadata
  }

  /**
   * The series of these labels, remembered from now on.
   *
   * @param metricName - undefined or empty where the labels have `__name__`.
   * @throws InvalidSeriesError with everything that is wrong with the labels.
   */
  series(metricName: string | undefined, labels: Labels | undefined, metadata?: MetricMetadata): Series {
    const series = this.#find(metricName ?? '', labels, true)
    if (metadata !== undefined) {
      series.metadata = metadata
      this.#hasMetadata = true
    }
    return series
  }

  /** The object that stands for the series now: another one if the table does not have this one. */
  current(series: Series): Series {
    return series.isEvicted ? this.series(series.spelledName, series.spelled, series.metadata) : series
  }

  /**
   * The series of these labels, which came by with a value: another object each time, until it comes again.
   *
   * @param metricName - undefined or empty where the labels have `__name__`.
   * @throws InvalidSeriesError with everything that is wrong with the labels.
   */
  passing(metricName: string | undefined, labels: Labels | undefined): Series {
    return this.#find(metricName ?? '', labels, false)
  }

  #find(metricName: string, labels: Labels | undefined, isKept: boolean): Series {
    const expected = this.#last?.next
    if (expected !== undefined && isSpelled(expected, metricName, labels)) {
      this.#last = expected
      return expected
    }
    return this.#search(metricName, labels, isKept)
  }

  #search(metricName: string, labels: Labels | undefined, isKept: boolean): Series {
    const layout = this.#hash === hashLabels ? this.#lastLayout : undefined
    const swept = layout === undefined ? NOT_LABELS : this.#sweep.run(layout, metricName, labels, this.#seed)
    const hash = swept === NOT_LABELS ? this.#hash(metricName, labels, this.#seed) : swept
    if (hash === NOT_LABELS) throw new InvalidSeriesError(metricName, labelTypeProblems(metricName, labels))
    const found = this.#index.find(hash, metricName, labels)
    // What is new says nothing about what comes next.
    if (found === undefined) {
      const keeps = isKept || this.#seen.has(hash)
      return layout === undefined || swept === NOT_LABELS
        ? this.#miss(hash, metricName, labels, keeps)
        : this.#sweptMiss(hash, layout, metricName, labels, keeps)
    }
    if (this.#last !== undefined) this.#last.next = found
    this.#last = found
    return found
  }

  #miss(hash: number, metricName: string, labels: Labels | undefined, isKept: boolean): Series {
    const isWellFormed = this.#hash === hashLabels && unitsOf() < 0xd800
    const values: string[] = []
    const layout = this.#layoutOf(metricName !== '', labels, values)
    checkNoneLost(metricName, labels, layout)
    if (!isKept) {
      this.#seen.add(hash)
      return this.#make(layout, metricName, values, hash, isWellFormed, false)
    }
    if (this.#index.size >= this.#maxSeries) this.#forget()
    layout.share(values)
    const series = this.#make(layout, metricName, values, hash, isWellFormed, true)
    this.#index.add(
      hash,
      series.values === values && series.metricName === metricName
        ? series
        : { metricName, names: layout.names, values, series },
    )
    return series
  }

  /** A new series of the usual kind: what is left is the metric name. */
  #sweptMiss(
    hash: number,
    layout: SeriesLayout,
    metricName: string,
    labels: Labels | undefined,
    isKept: boolean,
  ): Series {
    checkNoneLost(metricName, labels, layout)
    const { validation } = this.rules
    const values = this.#sweep.values(layout)
    if (validation !== 'off' && (layout.problems.length > 0 || !isMetricName(metricName, this.rules))) {
      throw new InvalidSeriesError(metricName, labelProblems(layout, metricName, values, this.rules))
    }
    const { end } = this.#sweep
    if (!isKept) {
      this.#seen.add(hash)
      return new Series(layout, metricName, values, hash, true, labelMemory.take(end))
    }
    const block = keptLabelMemory.copyOf(labelMemory, end)
    if (this.#index.size >= this.#maxSeries) this.#forget()
    layout.share(values)
    const series = new Series(layout, metricName, values, hash, false, block)
    this.#index.add(hash, series)
    return series
  }

  #make(
    layout: SeriesLayout,
    metricName: string,
    values: readonly string[],
    hash: number,
    isWellFormed: boolean,
    isKept: boolean,
  ): Series {
    const { validation } = this.rules
    const { namePosition, hasName } = layout
    const name = hasName ? metricName : (values[namePosition] ?? '')
    if (validation === 'off') return new Series(layout, name, values, hash, !isKept)
    let hasEmpty = false
    let isBad = layout.problems.length > 0 || !isMetricName(name, this.rules)
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as string
      if (value === '') hasEmpty = true
      else if (!isWellFormed && !value.isWellFormed()) isBad = true
    }
    if (isBad || (hasEmpty && validation === 'strict')) {
      throw new InvalidSeriesError(metricName, labelProblems(layout, metricName, values, this.rules))
    }
    if (layout.isCanonical && !hasEmpty) return new Series(layout, name, values, hash, !isKept)
    // The one way of giving the series under which it is known; the way in which it was given leads to it from now on.
    const canonical: Label[] = []
    for (const position of layout.sorted) {
      if (position === METRIC_NAME || position === namePosition || values[position] === '') continue
      canonical.push({ name: layout.nameAt(position), value: values[position] as string })
    }
    return this.#find(name, canonical, isKept)
  }

  #forget(): void {
    for (const series of this.#index) {
      series.isEvicted = true
      // A handle that is kept would keep all of them.
      series.next = undefined
    }
    this.#last = undefined
    this.#index = new SeriesIndex()
  }

  /** @param values - gets those of the labels. */
  #layoutOf(hasName: boolean, labels: Labels | undefined, values: string[]): SeriesLayout {
    const last = this.#lastLayout
    if (last !== undefined && last.hasName === hasName && takeValues(labels, last.names, values)) return last
    const names = namesOf(labels)
    takeValues(labels, names, values)
    let key = hasName ? '+' : '-'
    for (const name of names) key += `${name.length}:${name}`
    let layout = this.#layouts.get(key)
    if (layout === undefined) {
      if (this.#layouts.size >= MAX_LAYOUTS) this.#layouts.clear()
      layout = new SeriesLayout(hasName, names, this.rules)
      this.#layouts.set(key, layout)
    }
    this.#lastLayout = layout
    return layout
  }
}

/** Of what is known nothing was lost; what is new is looked at where it has no names. */
function checkNoneLost(metricName: string, labels: Labels | undefined, { names }: SeriesLayout): void {
  if (names.length > 0 || labels === undefined || !isOtherIterable(labels)) return
  throw new InvalidSeriesError(metricName, [notLabels(labels)])
}
