import { hashLabels, type LabelHash, lanes } from './label-hash.ts'
import type { Label, Labels, MetricMetadata } from './model.ts'
import { describe, InvalidSeriesError, quote } from './problems.ts'
import { SeriesIndex } from './series-index.ts'
import { isLegacyMetricName, layoutKey, SeriesLayout, type SeriesRules } from './series-layout.ts'
import { Series } from './series.ts'
import { isLabelList } from './time-series.ts'

/** Sets of label names; a stream with more makes them up, and is not worth remembering. */
const MAX_LAYOUTS = 4096

export interface SeriesTableOptions extends SeriesRules {
  /** Series that are remembered, at most: those that were looked up last. At least 2. @default 100000 */
  readonly maxSeries?: number
}

/**
 * The series that were sent lately, found by their labels. The first look-up of a series validates and sorts its labels; the others
 * compare them, and cost a fraction of it.
 *
 * It remembers the series in two generations: when the younger is full, what is only in the elder is forgotten.
 */
export class SeriesTable {
  readonly rules: SeriesRules
  readonly #generationSize: number
  readonly #hash: LabelHash
  readonly #seed = (Math.random() * 0x1_0000_0000) | 0
  #young = new SeriesIndex()
  #old = new SeriesIndex()
  #generation = 1
  #layouts = new Map<string, SeriesLayout>()
  /** The first layout of each set of names, whatever their order. */
  #primaries = new Map<string, SeriesLayout>()
  #lastLayout: SeriesLayout | undefined

  /** @param hash - another hash, for tests of collisions. */
  constructor({ maxSeries = 100_000, ...rules }: SeriesTableOptions, hash: LabelHash = hashLabels) {
    this.rules = rules
    this.#generationSize = Math.max(1, Math.floor(maxSeries / 2))
    this.#hash = hash
  }

  /** Series that it remembers, those counted twice that were looked up in both generations. */
  get size(): number {
    return this.#young.size + this.#old.size
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
    return series.isEvicted ? this.series(series.metricName, series.spelled, series.metadata) : series
  }

  #find(metricName: string, labels: Labels | undefined): Series {
    const count = this.#hash(metricName, labels, this.#seed)
    if (count < 0) throw new InvalidSeriesError(metricName, labelTypeProblems(metricName, labels))
    const high = lanes[0] as number
    const low = lanes[1] as number
    const found = this.#young.find(high, low, metricName, labels, count)
    if (found !== undefined) return found
    const elder = this.#old.find(high, low, metricName, labels, count)
    if (elder !== undefined) {
      this.#remember(elder)
      return elder
    }
    return this.#miss(metricName, labels, high, low)
  }

  #miss(metricName: string, labels: Labels | undefined, high: number, low: number): Series {
    const { validation } = this.rules
    const { names, values } = spelling(labels)
    const hasName = metricName !== ''
    const layout = this.#layoutOf(hasName, names)
    let hasEmpty = false
    if (validation !== 'off') {
      let isBad = layout.problems.length > 0 || !this.#isMetricName(hasName ? metricName : values[layout.namePosition])
      for (const value of values) {
        if (value === '') hasEmpty = true
        else if (!value.isWellFormed()) isBad = true
      }
      if (isBad || (hasEmpty && validation === 'strict')) {
        throw new InvalidSeriesError(metricName, [...this.#problems(layout, metricName, values)])
      }
    }
    // Each of these leads to the one spelling under which the table has the series.
    if (!hasName && layout.namePosition >= 0) {
      const rest = labelsOf(names, values).filter((_, position) => position !== layout.namePosition)
      const name = values[layout.namePosition] as string
      if (name !== '') return this.#find(name, rest)
    }
    if (hasEmpty) {
      const kept = labelsOf(names, values).filter(({ value }) => value !== '')
      return this.#find(metricName, kept)
    }
    if (layout.permutation !== undefined && validation !== 'off') {
      const given = labelsOf(names, values)
      return this.#find(
        metricName,
        Array.from(layout.permutation, (position) => given[position] as Label),
      )
    }
    const series = new Series(layout, metricName, values, high, low)
    this.#remember(series)
    return series
  }

  #remember(series: Series): void {
    if (this.#young.size >= this.#generationSize) this.#turn()
    series.generation = this.#generation
    series.isEvicted = false
    this.#young.add(series)
  }

  /** The young become the old, and those of the old that were not looked up since are forgotten. */
  #turn(): void {
    for (const series of this.#old) if (series.generation < this.#generation) series.isEvicted = true
    this.#old = this.#young
    this.#young = new SeriesIndex()
    this.#generation++
  }

  #layoutOf(hasName: boolean, names: readonly string[]): SeriesLayout {
    const last = this.#lastLayout
    if (last !== undefined && last.hasName === hasName && areEqual(last.names, names)) return last
    const key = layoutKey(hasName, names)
    let layout = this.#layouts.get(key)
    if (layout === undefined) {
      layout = this.#newLayout(hasName, names)
      this.#layouts.set(key, layout)
    }
    this.#lastLayout = layout
    return layout
  }

  #newLayout(hasName: boolean, names: readonly string[]): SeriesLayout {
    if (this.#layouts.size >= MAX_LAYOUTS) {
      this.#layouts = new Map()
      this.#primaries = new Map()
      // Which spelling is the first is forgotten too, and with it under which the series are found.
      this.#turn()
      this.#turn()
    }
    const layout = new SeriesLayout(hasName, names, this.rules)
    const { canonicalKey } = layout
    const first = this.#primaries.get(canonicalKey)
    if (first !== undefined) return new SeriesLayout(hasName, names, this.rules, first)
    this.#primaries.set(canonicalKey, layout)
    return layout
  }

  #isMetricName(name: string | undefined): boolean {
    if (name === undefined || name === '') return false
    return this.rules.protocol === '1.0' ? isLegacyMetricName(name) : name.isWellFormed()
  }

  *#problems(layout: SeriesLayout, metricName: string, values: readonly string[]): Generator<string> {
    const hasName = metricName !== ''
    const name = hasName ? metricName : values[layout.namePosition]
    if (name !== undefined && !this.#isMetricName(name)) {
      yield name === ''
        ? "a metric name must not be empty, got ''"
        : this.rules.protocol === '1.0'
          ? `remote write 1.0 wants metric names of letters, digits, '_' and ':' that do not begin with a digit, got ${quote(name)}`
          : `a metric name must be well-formed Unicode, got ${quote(name)}`
    }
    yield* layout.problems
    for (const [index, value] of values.entries()) {
      const label = `label ${quote(layout.nameAt(index))}`
      if (index === layout.namePosition && !hasName) continue
      if (value === '' && this.rules.validation === 'strict') yield `${label}: a value must not be empty, got ''`
      if (!value.isWellFormed()) yield `${label}: a value must be well-formed Unicode, got ${quote(value)}`
    }
  }
}

function spelling(labels: Labels | undefined): { names: string[]; values: string[] } {
  const names: string[] = []
  const values: string[] = []
  if (labels === undefined) return { names, values }
  if (isLabelList(labels)) {
    for (const { name, value } of labels) {
      names.push(name)
      values.push(value)
    }
  } else {
    for (const name in labels) {
      names.push(name)
      values.push(labels[name] as string)
    }
  }
  return { names, values }
}

function labelsOf(names: readonly string[], values: readonly string[]): Label[] {
  return names.map((name, position) => ({ name, value: values[position] as string }))
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  const { length } = a
  if (length !== b.length) return false
  for (let index = 0; index < length; index++) if (a[index] !== b[index]) return false
  return true
}

/** What is not a string, or not labels at all. */
function labelTypeProblems(metricName: unknown, labels: unknown): string[] {
  const problems: string[] = []
  if (typeof metricName !== 'string') problems.push(`a metric name must be a string, got ${describe(metricName)}`)
  if (labels === undefined) return problems
  if (typeof labels !== 'object' || labels === null) {
    return [...problems, `labels must be an object or a list, got ${describe(labels)}`]
  }
  const pairs: readonly (readonly [unknown, unknown])[] = Array.isArray(labels)
    ? labels.map((label: Partial<Label> | null | undefined) => [label?.name, label?.value])
    : Object.entries(labels)
  for (const [index, [name, value]] of pairs.entries()) {
    if (typeof name !== 'string') problems.push(`label ${index}: a name must be a string, got ${describe(name)}`)
    if (typeof value !== 'string') {
      problems.push(`label ${describe(name ?? index)}: a value must be a string, got ${describe(value)}`)
    }
  }
  return problems
}
