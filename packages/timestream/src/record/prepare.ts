import type { TimestreamRecord } from './record.ts'
import { Entry, type EntryParts } from './entry.ts'
import { checkName, MAX_MEASURES, MAX_RECORD_BYTES, MAX_VALUE_BYTES } from './limits.ts'
import { type Series, SeriesCache } from './series.ts'
import { label, shown } from './shown.ts'
import {
  type NumberRules,
  OMITTED,
  TIME_UNITS,
  timeText,
  type TimeUnit,
  typeOf,
  VALUE_TYPES,
  valueText,
  type ValueType,
  versionOf,
} from './values.ts'

const TIME_BYTES = 8
const NONE: readonly string[] = Object.freeze([])

export interface PrepareRules {
  readonly numbers: NumberRules
  /** True where a `batchConverter` may give what a record lacks as a common attribute. */
  readonly mayLack: boolean
}

/** What was found out about a measure's name. */
interface Measure {
  readonly name: unknown
  readonly bytes: number
  readonly problems: readonly string[]
  /** `,{"Name":"cpu","Value":"` */
  readonly head: string
  /** The record in which it was seen last: finds one that is given twice without a set for each record. */
  seenIn: number
}

/** Measures of one record, as they are read. */
interface Read {
  values: string
  measures: number
  bytes: number
}

/** Checks records, all reasons at once, and writes their values as JSON. Total: a bad record becomes an entry with problems. */
export class Preparer {
  readonly #rules: PrepareRules
  readonly #series = new SeriesCache()
  readonly #measures = new Map<unknown, Measure>()
  /** Those of the record before, by place: most records have the same ones, and to compare is faster than to look up. */
  readonly #places: Measure[] = []
  #records = 0

  constructor(rules: PrepareRules) {
    this.#rules = rules
  }

  /** @param version - for a record that has none of its own; undefined for none. */
  prepare(given: TimestreamRecord, table: string, version: unknown): Entry {
    const problems: string[] = []
    const { mayLack } = this.#rules
    const series = this.#series.of(given.Dimensions)
    this.#checkSeries(given, series, problems)
    const { TimeUnit: givenUnit, Time: givenTime, MeasureName: name } = given
    const unit = unitOf(givenUnit, problems)
    let time = ''
    if (givenTime !== undefined || !mayLack) {
      time = timeText(givenTime, unit) ?? ''
      if (time === '') problems.push(timeProblem(givenTime, unit))
    }
    let nameBytes = 0
    if (name !== undefined || !mayLack) {
      const measure = this.#measure(name)
      nameBytes = measure.bytes
      for (const problem of measure.problems) problems.push(problem)
    }
    const type = given.MeasureValueType ?? singleType(given)
    const read: Read = { values: '', measures: 0, bytes: series.bytes + nameBytes + (time === '' ? 0 : TIME_BYTES) }
    if (type === 'MULTI') this.#readMany(given, unit, read, problems)
    else this.#readOne(given, type, unit, read, problems)
    if (read.bytes > MAX_RECORD_BYTES) {
      problems.push(`the record has ${read.bytes} bytes; allowed are ${MAX_RECORD_BYTES}`)
    }
    const parts: EntryParts = {
      given,
      table,
      series,
      measureName: typeof name === 'string' ? name : '',
      type,
      values: read.values,
      measures: read.measures,
      time,
      unit,
      hasUnit: givenUnit !== undefined,
      version: checkedVersion(given.Version ?? version, problems),
      sizeInBytes: read.bytes,
      problems: problems.length === 0 ? NONE : problems,
    }
    return new Entry(parts)
  }

  #checkSeries(given: TimestreamRecord, series: Series, problems: string[]): void {
    for (const problem of series.problems) problems.push(problem)
    if (series.dimensions.length > 0 || (this.#rules.mayLack && given.Dimensions === undefined)) return
    problems.push('at least one dimension is required')
  }

  #measure(name: unknown): Measure {
    const known = this.#measures.get(name)
    if (known !== undefined) return known
    const problems: string[] = []
    checkName('measure', name, problems)
    const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0
    const quoted = JSON.stringify(typeof name === 'string' ? name : '')
    const measure = { name, bytes, problems, head: `,{"Name":${quoted},"Value":"`, seenIn: 0 }
    if (typeof name === 'string' && this.#measures.size < MAX_KNOWN_MEASURES) this.#measures.set(name, measure)
    return measure
  }

  #readOne(given: TimestreamRecord, type: string | undefined, unit: TimeUnit, read: Read, problems: string[]): void {
    const { MeasureValue: value, MeasureValues: list } = given
    if (list !== undefined && list !== null && !(Array.isArray(list) && list.length === 0)) {
      problems.push(`MeasureValues needs MeasureValueType MULTI, got ${label(type)}`)
    }
    if (value === undefined && this.#rules.mayLack) return
    read.measures = 1
    if (value === undefined || value === null) {
      problems.push('a measure value is required')
      return
    }
    if (type === 'TIMESTAMP') problems.push('a TIMESTAMP is allowed in a multi-measure record only')
    if (type !== undefined && !isValueType(type)) {
      problems.push(`MeasureValueType must be one of ${VALUE_TYPES.join(', ')} and MULTI, got ${shown(type)}`)
      return
    }
    // The service takes a text without a type for a DOUBLE, unless a common attribute names another type.
    const as = type ?? (this.#rules.mayLack && typeof value === 'string' ? 'VARCHAR' : 'DOUBLE')
    const text = valueText(as, value, unit, this.#rules.numbers)
    if (typeof text !== 'string') {
      const why = text === OMITTED ? 'is NaN or infinite, and the record has no other' : text.text
      problems.push(`the measure value ${why}`)
      return
    }
    read.values = `"MeasureValue":${as === 'VARCHAR' ? JSON.stringify(text) : `"${text}"`}`
    read.bytes += bytesOf(type, text)
  }

  #readMany(given: TimestreamRecord, unit: TimeUnit, read: Read, problems: string[]): void {
    const { MeasureValues: list, MeasureValue: single } = given
    if (single !== undefined) problems.push('MeasureValue must not be given when MeasureValueType is MULTI')
    if (list === undefined && this.#rules.mayLack) return
    if (!Array.isArray(list)) {
      problems.push('a record of MeasureValueType MULTI needs a list of MeasureValues')
      return
    }
    const record = ++this.#records
    let valueBytes = 0
    let values = ''
    let place = 0
    for (const item of list as readonly (NonNullable<TimestreamRecord['MeasureValues']>[number] | undefined)[]) {
      const { Name: name, Value: value, Type: named } = item ?? {}
      let measure = this.#places[place]
      if (measure?.name !== name || measure === undefined) {
        measure = this.#measure(name)
        if (place < MAX_MEASURES) this.#places[place] = measure
      }
      place++
      if (measure.problems.length > 0) problems.push(...measure.problems)
      if (measure.seenIn === record) problems.push(`the measure '${label(name)}' is given twice`)
      measure.seenIn = record
      const type = named ?? typeOf(value)
      if (!isValueType(type)) {
        problems.push(`the type of measure '${label(name)}' must be one of ${VALUE_TYPES.join(', ')}`)
        continue
      }
      const text = valueText(type, value, unit, this.#rules.numbers)
      if (text === OMITTED) continue
      if (typeof text !== 'string') {
        problems.push(`the value of measure '${label(name)}' ${text.text}`)
        continue
      }
      const bytes = bytesOf(type, text)
      valueBytes += bytes
      read.bytes += measure.bytes + bytes
      read.measures++
      // Few and long parts: each piece that is added costs.
      values += measure.head + (type === 'VARCHAR' ? escaped(text) : text) + TYPE_TAILS[type]
    }
    read.values = `"MeasureValues":[${values.slice(1)}]`
    if (read.measures === 0 && problems.length === 0) problems.push('at least one measure value is required')
    if (read.measures > MAX_MEASURES) problems.push(`${read.measures} measures; allowed are ${MAX_MEASURES}`)
    if (valueBytes > MAX_VALUE_BYTES) {
      problems.push(`the measure values have ${valueBytes} bytes; allowed are ${MAX_VALUE_BYTES}`)
    }
  }
}

/** Names that are kept with what was found out about them. */
const MAX_KNOWN_MEASURES = 10_000

const TYPE_TAILS: Readonly<Record<ValueType, string>> = {
  DOUBLE: '","Type":"DOUBLE"}',
  BIGINT: '","Type":"BIGINT"}',
  VARCHAR: '","Type":"VARCHAR"}',
  BOOLEAN: '","Type":"BOOLEAN"}',
  TIMESTAMP: '","Type":"TIMESTAMP"}',
}

/** A text as it stands between quotes in JSON. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** The type of a single value that names none: that of JavaScript; of a text, what the service takes it for, a DOUBLE. */
function singleType({ MeasureValue: value, MeasureValues: list }: TimestreamRecord): string | undefined {
  if (value === undefined) return Array.isArray(list) ? 'MULTI' : undefined
  return typeof value === 'string' || value === null ? undefined : typeOf(value)
}

function unitOf(given: unknown, problems: string[]): TimeUnit {
  if (given === undefined) return 'MILLISECONDS'
  if (TIME_UNITS.includes(given as TimeUnit)) return given as TimeUnit
  problems.push(`TimeUnit must be one of ${TIME_UNITS.join(', ')}`)
  return 'MILLISECONDS'
}

function timeProblem(given: unknown, unit: TimeUnit): string {
  if (given === undefined || given === null) return 'a time is required'
  return `Time must be a whole number of ${unit} from 1970-01-01 to 2262-04-11, got ${shown(given)}`
}

function checkedVersion(given: unknown, problems: string[]): number | bigint | undefined {
  if (given === undefined) return undefined
  const version = versionOf(given)
  if (version === undefined) {
    problems.push(`Version must be a whole number from 1 to 2^63 - 1 (beyond 2^53 a bigint), got ${shown(given)}`)
  }
  return version
}

function isValueType(type: unknown): type is ValueType {
  return typeof type === 'string' && Object.hasOwn(TYPE_TAILS, type)
}

/** As the service meters a value. Without a type it takes a DOUBLE. */
function bytesOf(type: string | undefined, text: string): number {
  if (type === 'VARCHAR') return Buffer.byteLength(text)
  return type === 'BOOLEAN' ? 1 : 8
}
