import { validationError } from './errors.ts'
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
import { isObject, missing, optionalString, wrongType, type JsonObject } from './wire.ts'

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

/** Dimensions in the order in which they arrived; two orders of one set have two keys. */
interface Dimensions {
  readonly key: string
  readonly names: readonly string[]
  readonly values: readonly string[]
}

/** Answers whether a dimension list was checked before, so that a known series is not checked again. */
export interface KnownDimensions {
  get(key: string): CheckedDimensions | undefined
  set(key: string, checked: CheckedDimensions): unknown
}

export interface CheckedDimensions extends Dimensions {
  readonly bytes: number
  readonly limitProblem: string | undefined
}

const NO_DIMENSIONS: Dimensions = { key: '', names: [], values: [] }

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
  const parsed: ParsedRecord[] = new Array<ParsedRecord>(records.length)
  for (let index = 0; index < records.length; index++) {
    const record: unknown = records[index]
    if (!isObject(record)) throw wrongType(`Records[${index}]`, 'an object', record)
    parsed[index] = parseRecord(record, common, commonDimensions, index, known)
  }
  return parsed
}

function parseRecord(
  record: JsonObject,
  common: JsonObject,
  commonDimensions: Dimensions,
  index: number,
  known: KnownDimensions,
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
  const singleText = text('MeasureValue')
  const multiList = record['MeasureValues'] ?? common['MeasureValues'] ?? []
  if (!Array.isArray(multiList)) throw wrongType(`${place}MeasureValues`, 'an array', multiList)
  const names: string[] = []
  const types: ValueType[] = []
  const values: Value[] = []
  let measureBytes = 0
  let nameBytes = byteLength(measureName)
  let limitProblem = dimensions.limitProblem ?? longNameProblem('measure', measureName)

  const add = (name: string, valueType: ValueType, valueText: string, where: string): void => {
    const long = longValueProblem(valueText)
    if (long !== undefined) throw validationError(`Record ${index}: ${where} ${long}.`)
    const value = parseValue(valueType, valueText, unit)
    if (value instanceof ValueProblem) {
      throw validationError(`Record ${index}: ${where} ${value.text}: '${valueText.slice(0, 80)}'.`)
    }
    names.push(name)
    types.push(valueType)
    values.push(value)
    measureBytes += valueBytes(valueType, valueText)
  }

  if (multi) {
    if (singleText !== undefined) {
      throw validationError(`Record ${index}: MeasureValue must not be given when MeasureValueType is MULTI.`)
    }
    if (multiList.length === 0) throw validationError(`Record ${index}: MeasureValues must have at least one value.`)
    for (let m = 0; m < multiList.length; m++) {
      const measure: unknown = multiList[m]
      if (!isObject(measure)) throw wrongType(`${place}MeasureValues[${m}]`, 'an object', measure)
      const { Name: name, Value: value, Type: valueType } = measure
      if (typeof name !== 'string' || typeof value !== 'string' || typeof valueType !== 'string') {
        throw validationError(`Record ${index}: MeasureValues[${m}] must have Name, Value and Type as strings.`)
      }
      if (!VALUE_TYPES.includes(valueType as ValueType)) {
        throw notInSet(`${place}MeasureValues[${m}].Type`, valueType, VALUE_TYPES)
      }
      const nameProblem = reservedNameProblem('measure', name)
      if (nameProblem !== undefined) throw validationError(`Record ${index}: ${nameProblem}`)
      limitProblem ??= longNameProblem('measure', name)
      nameBytes += byteLength(name)
      add(name, valueType as ValueType, value, `the value of measure '${name}'`)
    }
    const repeated = firstRepeated(names)
    if (repeated !== undefined) throw validationError(`Record ${index}: the measure '${repeated}' is given twice.`)
    if (names.length > LIMITS.measuresPerRecord) {
      limitProblem ??= `The record has ${names.length} measures; the limit is ${LIMITS.measuresPerRecord}.`
    }
    if (measureBytes > LIMITS.multiMeasureValuesBytes) {
      limitProblem ??= `The measure values of the record have ${measureBytes} bytes; the limit is ${LIMITS.multiMeasureValuesBytes}.`
    }
  } else {
    if (multiList.length > 0) {
      throw validationError(`Record ${index}: MeasureValues needs MeasureValueType MULTI; the type is ${type}.`)
    }
    if (type === 'TIMESTAMP') {
      throw validationError(`Record ${index}: MeasureValueType TIMESTAMP is allowed inside MULTI only.`)
    }
    if (!VALUE_TYPES.includes(type as ValueType)) {
      throw notInSet(`${place}MeasureValueType`, type, [...VALUE_TYPES, 'MULTI'])
    }
    if (singleText === undefined) throw validationError(`Record ${index}: a measure value is required for a record.`)
    add(`measure_value::${type.toLowerCase()}`, type as ValueType, singleText, `the value of measure '${measureName}'`)
  }

  const recordBytes = 8 + dimensions.bytes + nameBytes + measureBytes
  if (recordBytes > LIMITS.recordBytes) {
    limitProblem ??= `The record has ${recordBytes} bytes; the limit is ${LIMITS.recordBytes}.`
  }
  const version = readVersion(record['Version'] ?? common['Version'], index)
  return { dimensions, measureName, multi, names, types, values, time, version, limitProblem }
}

function readDimensions(holder: JsonObject, place: string): Dimensions {
  const list = holder['Dimensions']
  if (list === undefined || list === null) return NO_DIMENSIONS
  if (!Array.isArray(list)) throw wrongType(`${place}Dimensions`, 'an array', list)
  const names: string[] = new Array<string>(list.length)
  const values: string[] = new Array<string>(list.length)
  let key = ''
  for (let d = 0; d < list.length; d++) {
    const dimension: unknown = list[d]
    if (!isObject(dimension)) throw wrongType(`${place}Dimensions[${d}]`, 'an object', dimension)
    const { Name: name, Value: value, DimensionValueType: type = 'VARCHAR' } = dimension
    if (typeof name !== 'string' || typeof value !== 'string') {
      throw validationError(`${place}Dimensions[${d}] must have Name and Value as strings.`)
    }
    if (type !== 'VARCHAR') throw notInSet(`${place}Dimensions[${d}].DimensionValueType`, String(type), ['VARCHAR'])
    names[d] = name
    values[d] = value
    // Lengths make the key unambiguous whatever characters names and values hold.
    key += `${name.length}:${name}${value.length}:${value}`
  }
  return { key, names, values }
}

function mergeDimensions(own: Dimensions, common: Dimensions): Dimensions {
  if (common.names.length === 0) return own
  if (own.names.length === 0) return common
  return {
    key: own.key + common.key,
    names: [...own.names, ...common.names],
    values: [...own.values, ...common.values],
  }
}

function checkDimensions(dimensions: Dimensions, index: number, known: KnownDimensions): CheckedDimensions {
  const before = known.get(dimensions.key)
  if (before !== undefined) return before
  const { names, values } = dimensions
  if (names.length === 0) throw validationError(`At least one dimension is required for a record. Record ${index}.`)
  if (names.length > LIMITS.dimensionsPerRecord) {
    throw validationError(`Record ${index} has ${names.length} dimensions; the limit is ${LIMITS.dimensionsPerRecord}.`)
  }
  const repeated = firstRepeated(names)
  if (repeated !== undefined) {
    throw validationError(
      `Record ${index}: the dimension '${repeated}' is given twice, in the record, in the common attributes, or in both.`,
    )
  }
  let bytes = 0
  let limitProblem: string | undefined
  for (let d = 0; d < names.length; d++) {
    const name = names[d] ?? ''
    const value = values[d] ?? ''
    const reserved = reservedNameProblem('dimension', name)
    if (reserved !== undefined) throw validationError(`Record ${index}: ${reserved}`)
    if (value === '') throw validationError(`Record ${index}: the value of dimension '${name}' is empty.`)
    limitProblem ??= longNameProblem('dimension', name)
    bytes += byteLength(name) + byteLength(value)
  }
  if (bytes > LIMITS.dimensionPairsBytes) {
    limitProblem ??= `The dimension names and values have ${bytes} bytes; the limit is ${LIMITS.dimensionPairsBytes}.`
  }
  const checked = { ...dimensions, bytes, limitProblem }
  known.set(dimensions.key, checked)
  return checked
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

function firstRepeated(names: readonly string[]): string | undefined {
  if (names.length < 2) return undefined
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) return name
    seen.add(name)
  }
  return undefined
}

function notInSet(place: string, value: string, allowed: readonly string[]): Error {
  return validationError(
    `1 validation error detected: Value '${value.slice(0, 80)}' at '${place}' failed to satisfy constraint: Member must satisfy enum value set: [${allowed.join(', ')}]`,
  )
}
