import { validationError } from './errors.ts'
import { LIMITS } from './limits.ts'
import { byteLength, longNameProblem, reservedNameProblem } from './names.ts'
import { firstRepeated, isObject, notInSet, wrongType, type JsonObject } from './wire.ts'

/** Dimensions in the order in which they arrived; two orders of one set have two keys. */
export interface Dimensions {
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

export function readDimensions(holder: JsonObject, place: string): Dimensions {
  const list = holder['Dimensions']
  if (list === undefined || list === null) return NO_DIMENSIONS
  if (!Array.isArray(list)) throw wrongType(`${place}Dimensions`, 'an array', list)
  const names: string[] = []
  const values: string[] = []
  let key = ''
  for (let d = 0; d < list.length; d++) {
    const dimension: unknown = list[d]
    if (!isObject(dimension)) throw wrongType(`${place}Dimensions[${d}]`, 'an object', dimension)
    const { Name: name, Value: value, DimensionValueType: type = 'VARCHAR' } = dimension
    if (typeof name !== 'string' || typeof value !== 'string') {
      throw validationError(`${place}Dimensions[${d}] must have Name and Value as strings.`)
    }
    if (type !== 'VARCHAR') throw notInSet(`${place}Dimensions[${d}].DimensionValueType`, String(type), ['VARCHAR'])
    names.push(name)
    values.push(value)
    // Lengths make the key unambiguous whatever characters names and values hold.
    key += `${name.length}:${name}${value.length}:${value}`
  }
  return { key, names, values }
}

export function mergeDimensions(own: Dimensions, common: Dimensions): Dimensions {
  if (common.names.length === 0) return own
  if (own.names.length === 0) return common
  return {
    key: own.key + common.key,
    names: [...own.names, ...common.names],
    values: [...own.values, ...common.values],
  }
}

export function checkDimensions(dimensions: Dimensions, index: number, known: KnownDimensions): CheckedDimensions {
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
