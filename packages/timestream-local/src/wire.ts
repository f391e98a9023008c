import { ServiceError, validationError } from './errors.ts'

/** A decoded JSON object of a request. */
export type JsonObject = Readonly<Record<string, unknown>>

// A quote inside a JSON string is always preceded by a backslash, so this never changes the text of a value.
const LONG_VERSION = /("Version"\s*:\s*)(-?\d{16,})/g

/** Parses a request body. Versions beyond 2^53 arrive as text, because a number would lose digits. */
export function parseBody(text: string): JsonObject {
  LONG_VERSION.lastIndex = 0
  const exact = LONG_VERSION.test(text) ? text.replace(LONG_VERSION, '$1"$2"') : text
  let value: unknown
  try {
    value = exact === '' ? {} : JSON.parse(exact)
  } catch {
    throw new ServiceError('SerializationException', 'The request body is not valid JSON.')
  }
  if (!isObject(value)) throw new ServiceError('SerializationException', 'The request body is not a JSON object.')
  return value
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Member as text; undefined when absent. Another JSON type is a serialization error that names the place. */
export function optionalString(object: JsonObject, name: string, place: string = ''): string | undefined {
  const value = object[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw wrongType(`${place}${name}`, 'a string', value)
  return value
}

export function requiredString(object: JsonObject, name: string): string {
  const value = optionalString(object, name)
  if (value === undefined) throw missing(lowerFirst(name))
  return value
}

export function optionalObject(object: JsonObject, name: string): JsonObject | undefined {
  const value = object[name]
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw wrongType(name, 'an object', value)
  return value
}

export function optionalBoolean(object: JsonObject, name: string): boolean | undefined {
  const value = object[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value)
  return value
}

/** Member as a whole number from `min` to `max`; undefined when absent. */
export function optionalInteger(object: JsonObject, name: string, min: number, max: number): number | undefined {
  const value = object[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(name, 'a whole number', value)
  const place = `1 validation error detected: Value '${value}' at '${lowerFirst(name)}' failed to satisfy constraint: Member must`
  if (value < min) throw validationError(`${place} have value greater than or equal to ${min}`)
  if (value > max) throw validationError(`${place} have value less than or equal to ${max}`)
  return value
}

export function missing(place: string): ServiceError {
  return validationError(
    `1 validation error detected: Value null at '${place}' failed to satisfy constraint: Member must not be null`,
  )
}

export function wrongType(place: string, wanted: string, value: unknown): ServiceError {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
  return new ServiceError('SerializationException', `${place} must be ${wanted}; got ${kind}.`)
}

function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

/** The first name that is in the list twice, or undefined. */
export function firstRepeated(names: readonly string[]): string | undefined {
  if (names.length < 2) return undefined
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) return name
    seen.add(name)
  }
  return undefined
}

export function notInSet(place: string, value: string, allowed: readonly string[]): ServiceError {
  return validationError(
    `1 validation error detected: Value '${value.slice(0, 80)}' at '${place}' failed to satisfy constraint: Member must satisfy enum value set: [${allowed.join(', ')}]`,
  )
}
