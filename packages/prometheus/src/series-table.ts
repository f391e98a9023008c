import type { Label, Labels, MetricMetadata } from './model.ts'
import { InvalidSeriesError } from './problems.ts'
import { hashIds, type IdHash } from './series-index.ts'
import { METRIC_NAME, type SeriesLayout, type SeriesRules } from './series-layout.ts'
import { NameNode, type NodeCount, settle } from './series-names.ts'
import { Series } from './series.ts'
import { isLabelList } from './time-series.ts'
import { isMetricName, labelProblems, labelTypeProblems, valuesOf } from './validate-labels.ts'

/** Values that are remembered for each series, at most. */
const VALUES_PER_SERIES = 4
/** Of the trees of names: a stream with more makes them up, and is not worth remembering. */
const MAX_NAMES = 65_536

export interface SeriesTableOptions extends SeriesRules {
  /** Series that are remembered, at most; when there are more, all are forgotten and looked at anew. @default 100000 */
  readonly maxSeries?: number
}

/**
 * The series that were sent lately, found by their labels. The first look-up of a series validates and sorts its labels; the others
 * turn the values into numbers and compare those, at a fraction of the cost.
 */
export class SeriesTable {
  readonly rules: SeriesRules
  readonly #maxSeries: number
  readonly #hash: IdHash
  /** Numbers of values, and of metric names. */
  #ids = new Map<string, number>()
  #names: NodeCount = { nodes: 0 }
  #named = new NameNode(true, [], this.#names)
  #nameless = new NameNode(false, [], this.#names)
  #spellings = 0
  #isForgetting = false
  /** The numbers of the labels under way; used again, since making a list costs more than filling it. */
  readonly #scratch: number[] = []

  /** @param hash - another hash, for tests of collisions. */
  constructor({ maxSeries = 100_000, ...rules }: SeriesTableOptions, hash: IdHash = hashIds) {
    this.rules = rules
    this.#maxSeries = maxSeries
    this.#hash = hash
  }

  /** Series that it remembers. A series that was given in two ways, such as with labels in another order, counts twice. */
  get size(): number {
    return this.#spellings
  }

  /**
   * The series of these labels.
   *
   * @param metricName - undefined or empty where the labels have `__name__`.
   * @throws InvalidSeriesError with everything that is wrong with the labels.
   */
  series(metricName: string | undefined, labels: Labels | undefined, metadata?: MetricMetadata): Series {
    const series = this.#find(metricName ?? '', labels)
    if (metadata !== undefined) series.metadata = metadata
    return series
  }

  /** The object that stands for the series now: another one if the table has forgotten this one since. */
  current(series: Series): Series {
    return series.isEvicted ? this.series(series.spelledName, series.spelled, series.metadata) : series
  }

  #find(metricName: string, labels: Labels | undefined): Series {
    const scratch = this.#scratch
    const ids = this.#ids
    if (typeof metricName !== 'string') this.#refuseTypes(metricName, labels)
    scratch[0] = ids.get(metricName) ?? this.#newId(metricName)
    let node = metricName === '' ? this.#nameless : this.#named
    let count = 1
    if (labels === undefined) {
      // A metric name is a series.
    } else if (typeof labels !== 'object' || labels === null) this.#refuseTypes(metricName, labels)
    else if (isLabelList(labels)) {
      for (let index = 0; index < labels.length; index++) {
        const label = labels[index] as Label | null | undefined
        const name = label?.name
        const value = label?.value
        if (typeof name !== 'string' || typeof value !== 'string') this.#refuseTypes(metricName, labels)
        else {
          scratch[count++] = ids.get(value) ?? this.#newId(value)
          node = node.next(name)
        }
      }
    } else {
      for (const name in labels) {
        const value = labels[name]
        if (typeof value !== 'string') this.#refuseTypes(metricName, labels)
        else {
          scratch[count++] = ids.get(value) ?? this.#newId(value)
          node = node.next(name)
        }
      }
    }
    return node.index?.find(scratch, count) ?? this.#miss(node, metricName, labels, scratch.slice(0, count))
  }

  #miss(node: NameNode, metricName: string, labels: Labels | undefined, ids: readonly number[]): Series {
    if (this.#isFull() && !this.#isForgetting) {
      this.#isForgetting = true
      try {
        this.#forget()
        return this.#find(metricName, labels)
      } finally {
        this.#isForgetting = false
      }
    }
    const { layout, index } = settle(node, this.rules, this.#hash)
    const series = this.#make(layout, metricName, valuesOf(labels))
    index.add(ids, series)
    this.#spellings++
    return series
  }

  #make(layout: SeriesLayout, metricName: string, values: string[]): Series {
    const { validation } = this.rules
    const { namePosition, hasName } = layout
    const name = hasName ? metricName : (values[namePosition] ?? '')
    if (validation === 'off') return new Series(layout, name, values)
    let hasEmpty = false
    let isBad = layout.problems.length > 0 || !isMetricName(name, this.rules)
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as string
      if (value === '') hasEmpty = true
      else if (!value.isWellFormed()) isBad = true
    }
    if (isBad || (hasEmpty && validation === 'strict')) {
      throw new InvalidSeriesError(metricName, labelProblems(layout, metricName, values, this.rules))
    }
    if (layout.isCanonical && !hasEmpty) return new Series(layout, name, values)
    // The one way of giving the series under which it is known; the way in which it was given leads to it from now on.
    const canonical: Label[] = []
    for (const position of layout.sorted) {
      if (position === METRIC_NAME || position === namePosition || values[position] === '') continue
      canonical.push({ name: layout.nameAt(position), value: values[position] as string })
    }
    return this.#find(name, canonical)
  }

  #isFull(): boolean {
    return (
      this.#spellings >= this.#maxSeries ||
      this.#ids.size > this.#maxSeries * VALUES_PER_SERIES ||
      this.#names.nodes > MAX_NAMES
    )
  }

  #forget(): void {
    for (const root of [this.#named, this.#nameless]) {
      for (const node of root) for (const series of node.index ?? []) series.isEvicted = true
    }
    this.#ids = new Map()
    this.#names = { nodes: 0 }
    this.#named = new NameNode(true, [], this.#names)
    this.#nameless = new NameNode(false, [], this.#names)
    this.#spellings = 0
  }

  #newId(value: string): number {
    const id = this.#ids.size
    this.#ids.set(value, id)
    return id
  }

  #refuseTypes(metricName: unknown, labels: unknown): never {
    // What came before the problem was remembered.
    if (this.#isFull()) this.#forget()
    throw new InvalidSeriesError(metricName, labelTypeProblems(metricName, labels))
  }
}
