import { LIMITS } from './limits.ts'

/** Names that the service keeps for columns of its own. */
const RESERVED: ReadonlySet<string> = new Set(['measure_value', 'ts_non_existent_col', 'time'])
const CREATE_NAME = /^[a-zA-Z0-9_.-]+$/
/** Names that DuckDB cannot tell from its own schemas and catalogs. */
const STORE_NAMES: ReadonlySet<string> = new Set(['information_schema', 'pg_catalog', 'system', 'temp', 'memory'])

/** Schema that holds the tables behind the views which queries see. */
export const STORE_SCHEMA = 'sluice_store_data'
/** File name without extension; DuckDB names the catalog after it. */
export const STORE_CATALOG = 'sluice_store'

export function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

/** Why a column name is not allowed at all, or undefined. */
export function reservedNameProblem(kind: 'dimension' | 'measure', name: string): string | undefined {
  if (name === '') return `The ${kind} name is empty; it must have at least one character.`
  if (RESERVED.has(name)) return `The ${kind} name '${name}' is reserved.`
  if (name.startsWith('ts_') || name.startsWith('measure_name')) {
    return `The ${kind} name '${name}' is not allowed: names must not start with 'ts_' or 'measure_name'.`
  }
  if (kind === 'dimension' && (name.startsWith('measure_value') || name.includes(':'))) {
    return `The dimension name '${name}' is not allowed: it must not start with 'measure_value' or contain a colon.`
  }
  return undefined
}

/** Why a name is longer than the service takes, or undefined. */
export function longNameProblem(kind: 'dimension' | 'measure', name: string): string | undefined {
  const limit = kind === 'dimension' ? LIMITS.dimensionNameBytes : LIMITS.measureNameBytes
  const bytes = byteLength(name)
  return bytes > limit
    ? `The ${kind} name '${name.slice(0, 80)}' has ${bytes} bytes; the limit is ${limit}.`
    : undefined
}

/** Why a database or table cannot be created under this name, or undefined. */
export function createNameProblem(field: 'databaseName' | 'tableName', name: string): string | undefined {
  const place = `Value '${name.slice(0, 300)}' at '${field}' failed to satisfy constraint: Member must`
  if (name.length < LIMITS.resourceNameMinLength) {
    return `${place} have length greater than or equal to ${LIMITS.resourceNameMinLength}`
  }
  if (name.length > LIMITS.resourceNameMaxLength) {
    return `${place} have length less than or equal to ${LIMITS.resourceNameMaxLength}`
  }
  if (!CREATE_NAME.test(name)) return `${place} satisfy regular expression pattern: [a-zA-Z0-9_.-]+`
  const lower = name.toLowerCase()
  if (field === 'databaseName' && (STORE_NAMES.has(lower) || lower === STORE_SCHEMA || lower === STORE_CATALOG)) {
    return `The name '${name}' at '${field}' is kept by the query engine of timestream-local.`
  }
  return undefined
}
