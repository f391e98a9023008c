import { copyOf, type TimestreamRecord } from './record.ts'
import { Entry, type EntryParts } from './entry.ts'
import { Form, Forms } from './form.ts'
import { MAX_MEASURES, MAX_RECORD_BYTES, MAX_VALUE_BYTES } from './limits.ts'
import { jointOf, Measures, NO_TYPE, TYPE_TAILS } from './measures.ts'
import { type Series, SeriesCache } from './series.ts'
import { label, shown } from './shown.ts'
import { NO_VALUES, ValueWriter } from './value-bytes.ts'
import {
  type NumberRules,
  OMITTED,
  TIME_UNITS,
  timeText,
  type TimeUnit,
  typeOf,
  VALUE_TYPES,
  type ValueProblem,
  valueText,
  type ValueType,
  versionOf,
} from './values.ts'
import { ignoreRejections } from '../unread.ts'

const TIME_BYTES = 8
const NONE: readonly string[] = Object.freeze([])

export interface PrepareRules {
  readonly numbers: NumberRules
  /** True where a `batchConverter` may give what a record lacks as a common attribute. */
  readonly mayLack: boolean
}

/** Measures of one record, as they are read. */
interface Read {
  measures: number
  bytes: number
}

/** Checks records, all reasons at once, and writes their values as JSON. Total: a bad record becomes an entry with problems. */
export class Preparer {
  readonly #rules: PrepareRules
  readonly #series = new SeriesCache()
  readonly #measures = new Measures()
  readonly #forms = new Forms()
  /** By table: records of one that cannot be written do not keep those of others in memory. */
  readonly #writers = new Map<string, ValueWriter>()
  /** Of all tables beyond those. */
  readonly #sharedWriter = new ValueWriter()
  /** That of the record under way. */
  #writer = this.#sharedWriter
  #table: string | undefined
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
      const measure = this.#measures.of(name)
      nameBytes = measure.bytes
      for (const problem of measure.problems) problems.push(problem)
    }
    const type = given.MeasureValueType ?? singleType(given)
    if (table !== this.#table) this.#turnTo(table)
    this.#writer.begin()
    const read: Read = { measures: 0, bytes: series.bytes + nameBytes + (time === '' ? 0 : TIME_BYTES) }
    if (type === 'MULTI') this.#readMany(given, unit, read, problems)
    else this.#readOne(given, type, unit, read, problems)
    if (read.bytes > MAX_RECORD_BYTES) {
      problems.push(`the record has ${read.bytes} bytes; allowed are ${MAX_RECORD_BYTES}`)
    }
    const checked = checkedVersion(given.Version ?? version, problems)
    const isSound = problems.length === 0
    if (!isSound) ignoreRejections(given)
    const { chunk, start, end } = isSound ? this.#writer.take() : NO_VALUES
    const measureName = typeof name === 'string' ? name : ''
    const hasUnit = givenUnit !== undefined
    const parts: EntryParts = {
      given: isSound ? undefined : copyOf(given),
      table,
      series,
      // Nothing is remembered of what is refused: it may be of any size.
      form: isSound ? this.#forms.of(measureName, type, unit, hasUnit) : new Form(measureName, type, unit, hasUnit),
      chunk,
      start,
      end,
      measures: read.measures,
      time,
      version: checked,
      sizeInBytes: read.bytes,
      problems: isSound ? NONE : shortened(problems),
    }
    return new Entry(parts)
  }

  #turnTo(table: string): void {
    this.#table = table
    let writer = this.#writers.get(table)
    if (writer === undefined && this.#writers.size < MAX_WRITERS) {
      writer = new ValueWriter()
      this.#writers.set(table, writer)
    }
    this.#writer = writer ?? this.#sharedWriter
  }

  #checkSeries(given: TimestreamRecord, series: Series, problems: string[]): void {
    for (const problem of series.problems) problems.push(problem)
    if (series.dimensions.length > 0 || (this.#rules.mayLack && given.Dimensions === undefined)) return
    problems.push('at least one dimension is required')
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
    this.#writer.bytes(SINGLE_HEAD)
    const bytes = this.#value(as, value, unit)
    if (typeof bytes !== 'number') {
      const why = bytes === OMITTED ? 'is NaN or infinite, and the record has no other' : bytes.text
      problems.push(`the measure value ${why}`)
      return
    }
    this.#writer.plain('"')
    // Without a type the service takes a DOUBLE.
    read.bytes += type === undefined ? NUMBER_BYTES : bytes
  }

  /** Writes a value; gives its bytes as the service meters them. Nothing that it has written counts if it gives something else. */
  #value(type: ValueType, value: unknown, unit: TimeUnit): number | ValueProblem | typeof OMITTED {
    const writer = this.#writer
    if (typeof value === 'number') {
      if (type === 'DOUBLE' ? writer.double(value) : type === 'BIGINT' && writer.integer(value)) return NUMBER_BYTES
    }
    const text = valueText(type, value, unit, this.#rules.numbers)
    if (typeof text !== 'string') return text
    if (type === 'VARCHAR') return writer.text(text)
    writer.plain(text)
    return type === 'BOOLEAN' ? 1 : NUMBER_BYTES
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
    const writer = this.#writer
    let typeBefore = NO_TYPE
    let valueBytes = 0
    let place = 0
    for (const item of list as readonly (NonNullable<TimestreamRecord['MeasureValues']>[number] | undefined)[]) {
      const { Name: name, Value: value, Type: named } = item ?? {}
      const measure = this.#measures.at(place++, name)
      if (measure.problems.length > 0) problems.push(...measure.problems)
      if (measure.seenIn === record) problems.push(`the measure '${label(name)}' is given twice`)
      measure.seenIn = record
      const type = named ?? typeOf(value)
      const typeIndex = TYPE_INDEXES.get(type)
      if (typeIndex === undefined) {
        problems.push(`the type of measure '${label(name)}' must be one of ${VALUE_TYPES.join(', ')}`)
        continue
      }
      const { length } = writer
      writer.bytes(jointOf(measure, typeBefore))
      const bytes = this.#value(type as ValueType, value, unit)
      if (typeof bytes !== 'number') {
        writer.cut(length)
        if (bytes !== OMITTED) problems.push(`the value of measure '${label(name)}' ${bytes.text}`)
        continue
      }
      typeBefore = typeIndex
      valueBytes += bytes
      read.bytes += measure.bytes + bytes
      read.measures++
      // Of a record that is refused nothing is sent: nor may it take more room than one that is not.
      if (problems.length > 0 || read.measures > MAX_MEASURES || read.bytes > MAX_RECORD_BYTES) writer.cut(length)
    }
    writer.plain(`${TYPE_TAILS[typeBefore] ?? ''}]`)
    if (read.measures === 0 && problems.length === 0) problems.push('at least one measure value is required')
    if (read.measures > MAX_MEASURES) problems.push(`${read.measures} measures; allowed are ${MAX_MEASURES}`)
    if (valueBytes > MAX_VALUE_BYTES) {
      problems.push(`the measure values have ${valueBytes} bytes; allowed are ${MAX_VALUE_BYTES}`)
    }
  }
}

/** More are not told: a record may have any number of measures, and its problems become one line of a log. */
const MAX_PROBLEMS = 20

function shortened(problems: readonly string[]): readonly string[] {
  if (problems.length <= MAX_PROBLEMS) return problems
  return [...problems.slice(0, MAX_PROBLEMS), `and ${problems.length - MAX_PROBLEMS} more problems`]
}

/** Tables that have a writer of their own. */
const MAX_WRITERS = 256

const NUMBER_BYTES = 8

const SINGLE_HEAD = new Uint8Array(Buffer.from('"MeasureValue":"'))

const TYPE_INDEXES: ReadonlyMap<unknown, number> = new Map(VALUE_TYPES.map((type, index) => [type, index]))
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
  return TYPE_INDEXES.has(type)
}
