import { validationError } from './errors.ts'
import { isObject, notInSet, wrongType, type JsonObject } from './wire.ts'

const TYPES = ['DIMENSION', 'MEASURE'] as const
const ENFORCEMENT = ['REQUIRED', 'OPTIONAL'] as const

/**
 * Checks the `Schema` of a table: a partition key of one dimension, or the measure name, which is the default.
 *
 * Source: https://docs.aws.amazon.com/timestream/latest/developerguide/API_PartitionKey.html
 *
 * @throws {ServiceError} ValidationException that names the rule.
 */
export function checkSchema(schema: JsonObject): void {
  const keys = schema['CompositePartitionKey']
  if (keys === undefined || keys === null) return
  if (!Array.isArray(keys)) throw wrongType('Schema.CompositePartitionKey', 'an array', keys)
  if (keys.length !== 1) {
    throw validationError(`A table takes one partition key; Schema.CompositePartitionKey has ${keys.length}.`)
  }
  const place = 'Schema.CompositePartitionKey[0]'
  const key: unknown = keys[0]
  if (!isObject(key)) throw wrongType(place, 'an object', key)
  const { Type: type, Name: name, EnforcementInRecord: enforcement } = key
  if (!TYPES.includes(type as 'DIMENSION')) throw notInSet(`${place}.Type`, JSON.stringify(type), TYPES)
  if (type === 'MEASURE' && (name !== undefined || enforcement !== undefined)) {
    throw validationError(`${place} of Type MEASURE takes neither Name nor EnforcementInRecord.`)
  }
  if (type === 'DIMENSION' && (typeof name !== 'string' || name === '')) {
    throw validationError(`${place} of Type DIMENSION must have the Name of a dimension.`)
  }
  if (enforcement !== undefined && !ENFORCEMENT.includes(enforcement as 'REQUIRED')) {
    throw notInSet(`${place}.EnforcementInRecord`, JSON.stringify(enforcement), ENFORCEMENT)
  }
}

/** Checks a change of a table's schema: only whether records must have the dimension can be changed. */
export function checkSchemaChange(before: JsonObject, after: JsonObject): void {
  const [held, wanted] = [keyOf(before), keyOf(after)]
  if (held['Type'] !== wanted['Type'] || held['Name'] !== wanted['Name']) {
    throw validationError('The partition key of a table cannot be changed, only its EnforcementInRecord.')
  }
}

/** The dimension that every record of a table must have, or undefined. */
export function requiredDimension(schema: JsonObject): string | undefined {
  const { Type: type, Name: name, EnforcementInRecord: enforcement } = keyOf(schema)
  return type === 'DIMENSION' && enforcement === 'REQUIRED' ? String(name) : undefined
}

function keyOf(schema: JsonObject): JsonObject {
  const keys = schema['CompositePartitionKey']
  const key: unknown = Array.isArray(keys) ? keys[0] : undefined
  return isObject(key) ? key : { Type: 'MEASURE' }
}
