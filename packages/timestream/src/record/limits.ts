import { short } from './shown.ts'

/**
 * Limits of Amazon Timestream for LiveAnalytics on one record.
 * Source: https://docs.aws.amazon.com/timestream/latest/developerguide/ts-limits.html
 */
export const MAX_DIMENSIONS = 128
const MAX_DIMENSION_NAME_BYTES = 60
/** All dimension names and values of a record together. */
export const MAX_DIMENSION_BYTES = 2048
const MAX_MEASURE_NAME_BYTES = 256
export const MAX_MEASURES = 256
/** One value, and all values of a multi-measure record together. */
export const MAX_VALUE_BYTES = 2048
export const MAX_RECORD_BYTES = 2048
/** Records may lie this far in the future. */
export const MAX_FUTURE_MS = 900_000

/** Names that the service keeps for columns of its own. */
const RESERVED: ReadonlySet<string> = new Set(['measure_value', 'ts_non_existent_col', 'time'])

/**
 * Adds every reason for which the service does not take the name.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/ts-limits.html#limits.naming
 */
export function checkName(kind: 'dimension' | 'measure', name: unknown, problems: string[]): void {
  if (typeof name !== 'string' || name === '') {
    problems.push(`a ${kind} name must be a non-empty string, got ${name === '' ? "''" : typeof name}`)
    return
  }
  const limit = kind === 'dimension' ? MAX_DIMENSION_NAME_BYTES : MAX_MEASURE_NAME_BYTES
  const bytes = Buffer.byteLength(name)
  if (bytes > limit) problems.push(`the ${kind} name '${short(name)}' has ${bytes} bytes; allowed are ${limit}`)
  if (!name.isWellFormed()) problems.push(`the ${kind} name '${short(name)}' is not well-formed Unicode`)
  if (RESERVED.has(name)) problems.push(`the ${kind} name '${name}' is reserved`)
  else if (name.startsWith('ts_') || name.startsWith('measure_name')) {
    problems.push(`the ${kind} name '${short(name)}' must not start with 'ts_' or 'measure_name'`)
  } else if (kind === 'dimension' && (name.startsWith('measure_value') || name.includes(':'))) {
    problems.push(`the dimension name '${short(name)}' must not start with 'measure_value' or contain a colon`)
  }
}
