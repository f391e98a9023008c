import { validationError } from './errors.ts'
import {
  checkDimensions,
  mergeDimensions,
  readDimensions,
  type CheckedDimensions,
  type Dimensions,
  type KnownDimensions,
} from './dimensions.ts'
import { LIMITS } from './limits.ts'
import { byteLength, longNameProblem, reservedNameProblem } from './names.ts'
import {
  longValueProblem,
  parseTime,
  parseValue,
  TIME_UNITS,
  VALUE_TYPES,
  valueBytes,
  ValueProblem,
  type TimeUnit,
  type Value,
  type ValueType,
} from './values.ts'
import type { TimeKey } from './versions.ts'
import { firstRepeated, isObject, missing, notInSet, optionalString, wrongType, type JsonObject } from './wire.ts'

/** One record of a request after the common attributes were merged in and everything was read. */
export interface ParsedRecord {
  readonly dimensions: CheckedDimensions
  readonly measureName: string
  readonly multi: boolean
  readonly names: readonly string[]
  readonly types: readonly ValueType[]
  readonly values: readonly Value[]
  readonly time: TimeKey
  readonly version: bigint
  /** A limit that this record alone exceeds: it is rejected, the others are not. */
  readonly limitProblem: string | undefined
}

/**
 * Reads the records of a WriteRecords request. What the service refuses as a whole throws a ValidationException that
 * names the record; what it rejects per record is left in `limitProblem`.
 */
export function parseRecords(request: JsonObject, known: KnownDimensions): readonly ParsedRecord[] {
  const records = request['Records']
  if (records === undefined || records === null) throw missing('records')
  if (!Array.isArray(records)) throw wrongType('Records', 'an array', records)
  if (records.length < 1 || records.length > LIMITS.recordsPerRequest) {
    const rule = records.length < 1 ? 'greater than or equal to 1' : `less than or equal to ${LIMITS.recordsPerRequest}`
    throw validationError(
      `1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length ${rule}; ${records.length} were sent`,
    )
  }
  const common = request['CommonAttributes'] ?? {}
  if (!isObject(common)) throw wrongType('CommonAttributes', 'an object', common)
  const commonDimensions = readDimensions(common, 'CommonAttributes')
  const parsed: ParsedRecord[] = []
  const checkedNames = new MeasureNames()
  for (let index = 0; index < records.length; index++) {
    const record: unknown = records[index]
    if (!isObject(record)) throw wrongType(`Records[${index}]`, 'an object', record)
    parsed.push(parseRecord(record, common, commonDimensions, index, known, checkedNames))
  }
  return parsed
}

function parseRecord(
  record: JsonObject,
  common: JsonObject,
  commonDimensions: Dimensions,
  index: number,
  known: KnownDimensions,
  checkedNames: MeasureNames,
): ParsedRecord {
  const place = `Records[${index}].`
  const dimensions = checkDimensions(mergeDimensions(readDimensions(record, place), commonDimensions), index, known)
  const text = (name: string): string | undefined => optionalString(record, name, place) ?? optionalString(common, name)

  const unit = (text('TimeUnit') ?? 'MILLISECONDS') as TimeUnit
  if (!TIME_UNITS.includes(unit)) throw notInSet(`${place}TimeUnit`, unit, TIME_UNITS)
  const timeText = text('Time')
  const time = timeText === undefined ? undefined : parseTime(timeText, unit)
  if (time === undefined) {
    const got = timeText === undefined ? 'no Time was given' : `Time is '${timeText.slice(0, 40)}' in ${unit}`
    throw validationError(`Invalid time for record. Record ${index}: ${got}.`)
  }
  const measureName = text('MeasureName')
  if (measureName === undefined) throw validationError(`Record ${index}: a measure name is required for a record.`)
  const reserved = reservedNameProblem('measure', measureName)
  if (reserved !== undefined) throw validationError(`Record ${index}: ${reserved}`)

  const type = text('MeasureValueType') ?? 'DOUBLE'
  const multi = type === 'MULTI'
  const single = text('MeasureValue')
  const list = record['MeasureValues'] ?? common['MeasureValues'] ?? []
  if (!Array.isArray(list)) throw wrongType(`${place}MeasureValues`, 'an array', list)
  const measures = new Measures(index, unit, byteLength(measureName))
  measures.limitProblem = dimensions.limitProblem ?? longNameProblem('measure', measureName)
  if (multi) {
    if (single !== undefined) {
      throw validationError(`Record ${index}: MeasureValue must not be given when MeasureValueType is MULTI.`)
    }
    measures.addAll(list, checkedNames)
  } else {
    if (list.length > 0) {
      throw validationError(`Record ${index}: MeasureValues needs MeasureValueType MULTI; the type is ${type}.`)
    }
    if (type === 'TIMESTAMP') {
      throw validationError(`Record ${index}: MeasureValueType TIMESTAMP is allowed inside MULTI only.`)
    }
    if (!isValueType(type)) throw notInSet(`${place}MeasureValueType`, type, [...VALUE_TYPES, 'MULTI'])
    if (single === undefined) throw validationError(`Record ${index}: a measure value is required for a record.`)
    measures.add(`measure_value::${type.toLowerCase()}`, type, single, measureName)
  }
  const recordBytes = TIME_BYTES + dimensions.bytes + measures.nameBytes + measures.valueBytes
  if (recordBytes > LIMITS.recordBytes) {
    measures.limitProblem ??= `The record has ${recordBytes} bytes; the limit is ${LIMITS.recordBytes}.`
  }
  const version = readVersion(record['Version'] ?? common['Version'], index)
  const { names, types, values, limitProblem } = measures
  return { dimensions, measureName, multi, names, types, values, time, version, limitProblem }
}

/** Bytes of a record's time as the service meters it. */
export const TIME_BYTES = 8

/** Collects the measures of one record. */
class Measures {
  readonly names: string[] = []
  readonly types: ValueType[] = []
  readonly values: Value[] = []
  nameBytes: number
  valueBytes = 0
  limitProblem: string | undefined
  readonly #index: number
  readonly #unit: TimeUnit

  constructor(index: number, unit: TimeUnit, nameBytes: number) {
    this.#index = index
    this.#unit = unit
    this.nameBytes = nameBytes
  }

  /** `shown` is what the writer calls the measure. */
  add(name: string, type: ValueType, text: string, shown: string = name): void {
    const value = parseValue(type, text, this.#unit)
    const problem = value instanceof ValueProblem ? value.text : longValueProblem(text)
    if (problem !== undefined || value instanceof ValueProblem) {
      const start = JSON.stringify(text.slice(0, 80))
      throw validationError(`Record ${this.#index}: the value of measure '${shown}' ${problem}: ${start}.`)
    }
    this.names.push(name)
    this.types.push(type)
    this.values.push(value)
    this.valueBytes += valueBytes(type, text)
  }

  /** Adds the MeasureValues of a multi-measure record. */
  addAll(list: readonly unknown[], checkedNames: MeasureNames): void {
    const record = `Record ${this.#index}`
    if (list.length === 0) throw validationError(`${record}: MeasureValues must have at least one value.`)
    for (const [m, measure] of list.entries()) {
      const place = `Records[${this.#index}].MeasureValues[${m}]`
      if (!isObject(measure)) throw wrongType(place, 'an object', measure)
      const { Name: name, Value: value, Type: type } = measure
      if (typeof name !== 'string' || typeof value !== 'string' || typeof type !== 'string') {
        throw validationError(`${place} must have Name, Value and Type as strings.`)
      }
      if (!isValueType(type)) throw notInSet(`${place}.Type`, type, VALUE_TYPES)
      const { bytes, reserved, tooLong } = checkedNames.check(name)
      if (reserved !== undefined) throw validationError(`${record}: ${reserved}`)
      this.limitProblem ??= tooLong
      this.nameBytes += bytes
      this.add(name, type, value)
    }
    const repeated = checkedNames.repeated(this.names)
    if (repeated !== undefined) throw validationError(`${record}: the measure '${repeated}' is given twice.`)
    if (list.length > LIMITS.measuresPerRecord) {
      this.limitProblem ??= `The record has ${list.length} measures; the limit is ${LIMITS.measuresPerRecord}.`
    }
    if (this.valueBytes > LIMITS.multiMeasureValuesBytes) {
      this.limitProblem ??= `The measure values of the record have ${this.valueBytes} bytes; the limit is ${LIMITS.multiMeasureValuesBytes}.`
    }
  }
}

interface CheckedName {
  readonly bytes: number
  readonly reserved: string | undefined
  readonly tooLong: string | undefined
}

/** Remembers what was found about measure names, since most records of a request have the same ones. */
class MeasureNames {
  readonly #checked = new Map<string, CheckedName>()
  #distinct: readonly string[] = []

  check(name: string): CheckedName {
    let checked = this.#checked.get(name)
    if (checked === undefined) {
      const reserved = reservedNameProblem('measure', name)
      checked = { bytes: byteLength(name), reserved, tooLong: longNameProblem('measure', name) }
      this.#checked.set(name, checked)
    }
    return checked
  }

  /** The first name that is in the list twice, or undefined. */
  repeated(names: readonly string[]): string | undefined {
    const before = this.#distinct
    if (names.length === before.length && names.every((name, index) => name === before[index])) return undefined
    const repeated = firstRepeated(names)
    if (repeated === undefined) this.#distinct = names
    return repeated
  }
}

function isValueType(type: string): type is ValueType {
  return VALUE_TYPES.includes(type as ValueType)
}

function readVersion(value: unknown, index: number): bigint {
  if (value === undefined || value === null) return 1n
  const exact = typeof value === 'string' ? /^-?\d{16,}$/.test(value) : Number.isSafeInteger(value)
  if (!exact) throw wrongType(`Records[${index}].Version`, 'a whole number', value)
  const version = BigInt(value as string | number)
  if (version < 1n || version > 9_223_372_036_854_775_807n) {
    throw validationError(`Record ${index}: Version must be from 1 to 9223372036854775807; got ${version}.`)
  }
  return version
}
