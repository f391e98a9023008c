import { LIMITS } from './limits.ts'
import type { CheckedDimensions } from './dimensions.ts'
import type { ParsedRecord } from './records.ts'
import { requiredDimension } from './partition-key.ts'
import { RequestScanner } from './scan-request.ts'
import type { Retention, WriteWindow } from './retention.ts'
import { RowBuffer } from './row-buffer.ts'
import { VALUE_TYPES, timeMs, type ValueType } from './values.ts'
import { hashName, ValueHash, VersionTable, type SeriesTimes } from './versions.ts'
import type { JsonObject } from './wire.ts'

/** Raw dimension lists remembered per table; a list beyond the limit is only checked and sorted once more. */
const KNOWN_LISTS = 100_000

export interface Series {
  readonly id: number
  readonly dimensions: ReadonlyMap<string, string>
  readonly measureName: string
  readonly times: SeriesTimes
  /** Types of the record that was taken last, by identity. */
  types: readonly ValueType[] | undefined
}

export interface MeasureColumn {
  readonly index: number
  readonly name: string
  readonly type: ValueType
  readonly nameHash: number
}

/** What became of one record. */
export type RecordOutcome = 'stored' | 'updated' | 'duplicate' | 'rejected'

/** Judgement of one record before anything is changed. */
export interface Judgement {
  readonly outcome: RecordOutcome
  readonly store: 'memory' | 'magnetic'
  readonly reason?: string
  readonly existingVersion?: bigint
}

interface TableSettings {
  readonly retention: Retention
  readonly magneticWrites: JsonObject
  readonly schema: JsonObject
}

/** A table: settings, keys and versions, columns, and the rows on their way to the query store. */
export class Table {
  readonly id: number
  readonly databaseName: string
  readonly name: string
  readonly createdMs: number
  updatedMs: number
  #settings: TableSettings
  #requiredDimension: string | undefined
  readonly versions: VersionTable = new VersionTable()
  readonly dimensionColumns: Map<string, number> = new Map()
  readonly measureColumns: Map<string, MeasureColumn> = new Map()
  /** Per measure name and type (`multi` for multi-measure records) the dimensions that it was seen with. */
  readonly measures: Map<string, Map<string, Set<string>>> = new Map()
  /** Series that the query store does not know yet. */
  newSeries: Series[] = []
  buffer: RowBuffer = new RowBuffer()
  readonly scanner: RequestScanner = new RequestScanner(() => this.known)
  readonly #known = new Map<string, CheckedDimensions>()
  readonly #seriesOf = new WeakMap<CheckedDimensions, Map<string, Series>>()
  readonly #series = new Map<string, Series>()
  readonly #measureNames = new Set<string>()
  #multiMeasureNames = 0
  readonly #hash = new ValueHash()
  /** The record whose columns and hash are at hand: `apply` follows `judge` on the same one. */
  #looked: ParsedRecord | undefined
  readonly #columns: (MeasureColumn | undefined)[] = []
  /** Names and types, held by identity, whose columns are all there and are in `#columns` and `#columnIndexes`. */
  #settledNames: readonly string[] | undefined
  #settledTypes: readonly ValueType[] | undefined
  #columnIndexes: readonly number[] = []

  constructor(id: number, databaseName: string, name: string, settings: TableSettings, nowMs: number) {
    this.id = id
    this.databaseName = databaseName
    this.name = name
    this.#settings = settings
    this.#requiredDimension = requiredDimension(settings.schema)
    this.createdMs = nowMs
    this.updatedMs = nowMs
  }

  get settings(): TableSettings {
    return this.#settings
  }

  set settings(settings: TableSettings) {
    this.#settings = settings
    this.#requiredDimension = requiredDimension(settings.schema)
  }

  get magneticWritesEnabled(): boolean {
    return this.settings.magneticWrites['EnableMagneticStoreWrites'] === true
  }

  /** Dimension lists that were checked before. */
  get known(): Map<string, CheckedDimensions> {
    if (this.#known.size > KNOWN_LISTS) this.#known.clear()
    return this.#known
  }

  /** Says what the rules of the service make of a record, without changing the table. */
  judge(record: ParsedRecord, window: WriteWindow): Judgement {
    if (record.limitProblem !== undefined) return rejected(record.limitProblem)
    const store = window.place(timeMs(record.time))
    if (typeof store !== 'string') return rejected(store.reason)
    const required = this.#requiredDimension
    if (required !== undefined && !record.dimensions.names.includes(required)) {
      return rejected(`The record has no dimension '${required}', which the partition key of the table requires.`)
    }
    const series = this.#findSeries(record)
    const hash = this.#look(record)
    const schemaProblem = this.#schemaProblem(record, series === undefined)
    if (schemaProblem !== undefined) return rejected(schemaProblem)
    const slot = series?.times.get(record.time)
    const outcome = this.versions.judge(slot, record.version, hash)
    if (slot === undefined || outcome === 'stored' || outcome === 'updated' || outcome === 'duplicate') {
      return OUTCOMES[store][outcome as 'stored' | 'updated' | 'duplicate']
    }
    const existingVersion = this.versions.versionOf(slot)
    const reason =
      outcome === 'older'
        ? `The record version ${record.version} is lower than the existing version ${existingVersion}. A higher version is required to update the measure value.`
        : 'A record already exists with the same time, dimensions, measure name, and record version. A higher record version must be specified in order to update the measure value. Specifying record version is supported by the latest SDKs.'
    return { outcome: 'rejected', store, reason, existingVersion }
  }

  /** Takes a record that was judged `stored` or `updated`. */
  apply(record: ParsedRecord): void {
    const series = this.#findSeries(record) ?? this.#addSeries(record)
    const hash = this.#look(record)
    let slot = series.times.get(record.time)
    if (slot === undefined) {
      slot = this.versions.add(record.version, hash)
      series.times.set(record.time, slot)
    } else {
      this.versions.set(slot, record.version, hash)
      this.buffer.replaced.push(slot)
    }
    if (series.types !== record.types) this.#noteMeasure(series, record)
    if (!this.#isSettled(record)) this.#settle(record)
    this.buffer.add(slot, series.id, record.time, this.#columnIndexes, record.values)
  }

  /** Hands over the rows that wait, and the series that they need. */
  takeBuffer(): { readonly rows: RowBuffer; readonly series: readonly Series[] } {
    const taken = { rows: this.buffer, series: this.newSeries }
    this.buffer = new RowBuffer()
    this.newSeries = []
    return taken
  }

  #noteMeasure(series: Series, record: ParsedRecord): void {
    series.types = record.types
    const type = record.multi ? 'multi' : (record.types[0] ?? '').toLowerCase()
    const kinds = this.measures.get(series.measureName) ?? new Map<string, Set<string>>()
    this.measures.set(series.measureName, kinds)
    const dimensions = kinds.get(type) ?? new Set()
    kinds.set(type, dimensions)
    for (const name of series.dimensions.keys()) dimensions.add(name)
  }

  #isSettled(record: ParsedRecord): boolean {
    return record.names === this.#settledNames && record.types === this.#settledTypes
  }

  /** Makes the columns of a record that are missing. */
  #settle(record: ParsedRecord): void {
    const indexes: number[] = []
    for (let i = 0; i < record.names.length; i++) {
      const column =
        this.#columns[i] ?? this.#addColumn(record.names[i] ?? '', record.types[i] ?? 'DOUBLE', record.multi)
      this.#columns[i] = column
      indexes.push(column.index)
    }
    this.#columnIndexes = indexes
    this.#settledNames = record.names
    this.#settledTypes = record.types
  }

  /** Finds the columns of a record, undefined for new ones, and hashes its values. */
  #look(record: ParsedRecord): ValueHash {
    const hash = this.#hash
    if (this.#looked === record) return hash
    this.#looked = record
    hash.reset()
    const { names, types, values } = record
    if (this.#isSettled(record)) {
      for (let i = 0; i < names.length; i++) {
        hash.add(this.#columns[i]?.nameHash ?? 0, VALUE_TYPES.indexOf(types[i] ?? 'DOUBLE'), values[i] ?? '')
      }
      return hash
    }
    this.#settledNames = undefined
    for (let i = 0; i < names.length; i++) {
      const name = names[i] ?? ''
      const column = this.measureColumns.get(name)
      this.#columns[i] = column
      hash.add(column?.nameHash ?? hashName(name), VALUE_TYPES.indexOf(types[i] ?? 'DOUBLE'), values[i] ?? '')
    }
    return hash
  }

  #schemaProblem(record: ParsedRecord, newSeries: boolean): string | undefined {
    if (newSeries) {
      let added = 0
      for (const name of record.dimensions.names) {
        if (this.dimensionColumns.has(name)) continue
        if (this.measureColumns.has(name)) return sameNameProblem(name)
        added++
      }
      if (this.dimensionColumns.size + added > LIMITS.dimensionsPerTable) {
        return `The table would have more than ${LIMITS.dimensionsPerTable} dimensions.`
      }
      if (!this.#measureNames.has(record.measureName) && this.#measureNames.size >= LIMITS.measureNamesPerTable) {
        return `The table would have more than ${LIMITS.measureNamesPerTable} measure names.`
      }
    }
    if (!newSeries && this.#isSettled(record)) return undefined
    let added = 0
    for (let i = 0; i < record.names.length; i++) {
      const column = this.#columns[i]
      if (column === undefined) {
        const name = record.names[i] ?? ''
        if (this.dimensionColumns.has(name) || (newSeries && record.dimensions.names.includes(name))) {
          return sameNameProblem(name)
        }
        added++
      } else if (column.type !== record.types[i]) {
        return `The measure '${column.name}' has type ${column.type} in this table; the record has ${record.types[i]}.`
      }
    }
    if (record.multi && this.#multiMeasureNames + added > LIMITS.multiMeasureNamesPerTable) {
      return `The table would have more than ${LIMITS.multiMeasureNamesPerTable} measures in multi-measure records.`
    }
    return undefined
  }

  #findSeries(record: ParsedRecord): Series | undefined {
    const dimensions = record.dimensions
    const short = this.#seriesOf.get(dimensions)
    const found = short?.get(record.measureName)
    if (found !== undefined) return found
    const series = this.#series.get(canonicalKey(record))
    if (series !== undefined) this.#remember(dimensions, series)
    return series
  }

  #remember(dimensions: CheckedDimensions, series: Series): void {
    const short = this.#seriesOf.get(dimensions)
    if (short === undefined) this.#seriesOf.set(dimensions, new Map([[series.measureName, series]]))
    else short.set(series.measureName, series)
  }

  #addSeries(record: ParsedRecord): Series {
    const { names, values } = record.dimensions
    const dimensions = new Map<string, string>()
    names.forEach((name, d) => {
      dimensions.set(name, values[d] ?? '')
      if (!this.dimensionColumns.has(name)) this.dimensionColumns.set(name, this.dimensionColumns.size)
    })
    const series: Series = {
      id: this.#series.size,
      dimensions,
      measureName: record.measureName,
      times: new Map(),
      types: undefined,
    }
    this.#series.set(canonicalKey(record), series)
    this.#measureNames.add(record.measureName)
    this.#remember(record.dimensions, series)
    this.newSeries.push(series)
    return series
  }

  #addColumn(name: string, type: ValueType, multi: boolean): MeasureColumn {
    const column: MeasureColumn = { index: this.measureColumns.size, name, type, nameHash: hashName(name) }
    this.measureColumns.set(name, column)
    if (multi) this.#multiMeasureNames++
    return column
  }
}

const OUTCOMES: Readonly<
  Record<'memory' | 'magnetic', Readonly<Record<'stored' | 'updated' | 'duplicate', Judgement>>>
> = {
  memory: {
    stored: { outcome: 'stored', store: 'memory' },
    updated: { outcome: 'updated', store: 'memory' },
    duplicate: { outcome: 'duplicate', store: 'memory' },
  },
  magnetic: {
    stored: { outcome: 'stored', store: 'magnetic' },
    updated: { outcome: 'updated', store: 'magnetic' },
    duplicate: { outcome: 'duplicate', store: 'magnetic' },
  },
}

function rejected(reason: string): Judgement {
  return { outcome: 'rejected', store: 'memory', reason }
}

function sameNameProblem(name: string): string {
  return `The name '${name}' is used for a dimension and for a measure; a table takes it for one of them only.`
}

function canonicalKey(record: ParsedRecord): string {
  const { names, values } = record.dimensions
  const order = names.map((_, index) => index).sort((a, b) => ((names[a] ?? '') < (names[b] ?? '') ? -1 : 1))
  let key = ''
  for (const index of order) {
    const name = names[index] ?? ''
    const value = values[index] ?? ''
    key += `${name.length}:${name}${value.length}:${value}`
  }
  return `${key}|${record.measureName}`
}
