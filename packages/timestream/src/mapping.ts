import { OptionsCheck } from '@sluice/core'
import { fieldOf } from './fields.ts'
import type { ElementConverter } from './options.ts'
import { checkName } from './record/limits.ts'
import type { TimestreamMeasure, TimestreamRecord } from './record/record.ts'
import { label, shown } from './record/shown.ts'
import { TIME_UNITS, type TimeUnit, VALUE_TYPES, type ValueInput, type ValueType } from './record/values.ts'
import { ignoreRejections } from './unread.ts'
import { checkVersion, type VersionFrom } from './versions.ts'

/** The name of a field of the value (`host`, or `host.name` for one inside another), or a function. */
export type FieldOrFunction<In, Out> = string | ((value: In) => Out)

/** Where a measure comes from, with a type that is not that of JavaScript. */
export interface MeasureMapping<In> {
  readonly from: FieldOrFunction<In, ValueInput | null | undefined>
  /** @default that of the value: number DOUBLE, bigint BIGINT, boolean BOOLEAN, Date TIMESTAMP, text VARCHAR */
  readonly type?: ValueType
}

type Lookup<In, From> = readonly (keyof In & string)[] | Readonly<Record<string, From>>

/**
 * Says how a value becomes one multi-measure record, instead of an `elementConverter`.
 *
 * Dimensions and measures without a value (undefined, null; of dimensions also empty text) are left out; a record needs one of each.
 *
 * @example
 * ```ts
 * mapping: {
 *   time: 'timeMs',
 *   dimensions: ['host', 'region'],
 *   measures: { cpu: 'cpu', requests: { from: 'requestCount', type: 'BIGINT' } },
 *   measureName: { literal: 'host_metrics' },
 * }
 * ```
 */
export interface RecordMapping<In> {
  /** A Date, or a whole number of `timeUnit`. */
  readonly time: FieldOrFunction<In, Date | number | bigint | string>
  /** @default 'MILLISECONDS' */
  readonly timeUnit?: TimeUnit
  /** Names of fields, or where the dimension of each name comes from. Numbers and booleans become text. */
  readonly dimensions: Lookup<In, FieldOrFunction<In, string | number | bigint | boolean | null | undefined>>
  /** Names of fields, or where the measure of each name comes from. */
  readonly measures: Lookup<In, FieldOrFunction<In, ValueInput | null | undefined> | MeasureMapping<In>>
  /** A field or a function that gives the measure name, or the name itself as `{ literal }`. */
  readonly measureName: FieldOrFunction<In, string> | { readonly literal: string }
  /** As the option `version` of the sink, which it excludes. @default none: the service takes 1, and the first value of a key stays */
  readonly version?: VersionFrom<In>
}

type Reader<In> = (value: In) => unknown

const MAPPING_OPTIONS = ['time', 'timeUnit', 'dimensions', 'measures', 'measureName', 'version'] as const

/** The converter that the mapping describes. */
export function mappingConverter<In>(mapping: RecordMapping<In>): ElementConverter<In> {
  const time = readerOf<In>(mapping.time)
  const dimensions = lookupOf<In>(mapping.dimensions)
  const measures = lookupOf<In>(mapping.measures)
  const { measureName: nameFrom, timeUnit } = mapping
  const name = typeof nameFrom === 'object' ? (): unknown => nameFrom.literal : readerOf<In>(nameFrom)
  return (value) => {
    const Dimensions: { Name: string; Value: string }[] = []
    const MeasureValues: TimestreamMeasure[] = []
    let measureName: unknown
    let at: unknown
    try {
      for (const { name: Name, read } of dimensions) {
        const found = read(value)
        if (found !== undefined && found !== null && found !== '') Dimensions.push({ Name, Value: textOf(found) })
      }
      for (const { name: Name, read, type } of measures) {
        const found = read(value)
        if (found === undefined || found === null) continue
        const Value = found as ValueInput
        MeasureValues.push(type === undefined ? { Name, Value } : { Name, Value, Type: type })
      }
      measureName = name(value)
      at = time(value)
    } catch (error) {
      ignoreRejections([Dimensions, MeasureValues, measureName])
      throw error
    }
    const record: TimestreamRecord = {
      Dimensions,
      MeasureName: measureName as string,
      MeasureValueType: 'MULTI',
      MeasureValues,
      Time: at as string,
      ...(timeUnit === undefined ? {} : { TimeUnit: timeUnit }),
    }
    return record
  }
}

/** What is neither text nor a plain value stays as it is, and is refused as a dimension. */
function textOf(value: unknown): string {
  const isPlain = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
  return isPlain ? String(value) : (value as string)
}

interface Column<In> {
  readonly name: string
  readonly read: Reader<In>
  readonly type: ValueType | undefined
}

function lookupOf<In>(given: Lookup<In, unknown>): readonly Column<In>[] {
  if (isList(given)) return given.map((name) => ({ name, read: readerOf(name), type: undefined }))
  return Object.entries(given).map(([name, from]) => {
    if (typeof from !== 'object' || from === null) return { name, read: readerOf(from as string), type: undefined }
    const { from: source, type } = from as MeasureMapping<In>
    return { name, read: readerOf(source as string), type }
  })
}

function readerOf<In>(from: string | ((value: In) => unknown)): Reader<In> {
  return typeof from === 'function' ? from : (value) => fieldOf(value, from)
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value)
}

/** Adds every problem of a mapping; `check` is over the whole options. */
export function checkMapping(check: OptionsCheck, mapping: unknown): void {
  if (!isObject(mapping)) {
    const got = mapping === null ? 'null' : Array.isArray(mapping) ? 'array' : typeof mapping
    check.problem(`mapping must be an object with time, dimensions, measures and measureName, got ${got}`)
    return
  }
  checkNames(check, 'mapping', mapping, MAPPING_OPTIONS)
  if (!isSource(mapping['time'])) check.problem('mapping.time must be the name of a field or a function')
  const { timeUnit } = mapping
  checkMeasureName(check, mapping['measureName'])
  if (timeUnit !== undefined && !TIME_UNITS.includes(timeUnit as TimeUnit)) {
    check.problem(`mapping.timeUnit must be one of ${TIME_UNITS.join(', ')}`)
  }
  checkVersion(check, 'mapping.version', mapping['version'])
  const dimensions = checkLookup(check, 'dimension', mapping['dimensions'])
  // Both become columns of the table.
  for (const name of checkLookup(check, 'measure', mapping['measures'])) {
    if (dimensions.has(name)) check.problem(`mapping.measures: ${shown(name)} is a dimension too`)
  }
}

function checkMeasureName(check: OptionsCheck, given: unknown): void {
  const literal = isObject(given) ? given['literal'] : undefined
  if (typeof literal === 'string' && literal !== '') {
    checkNames(check, 'mapping.measureName', given, ['literal'])
    checkFor(check, 'mapping.measureName', 'measure', literal)
  } else if (!isSource(given)) {
    check.problem('mapping.measureName must be the name of a field, a function, or { literal: name }')
  }
}

/** @returns the names of the columns. */
function checkLookup(check: OptionsCheck, kind: 'dimension' | 'measure', given: unknown): ReadonlySet<string> {
  const option = `mapping.${kind}s`
  const entries: readonly (readonly [string, unknown])[] = isList(given)
    ? given.map((field) => [typeof field === 'string' ? field : shown(field), field])
    : Object.entries(isObject(given) ? given : {})
  if (entries.length === 0) {
    check.problem(`${option} must be a list of field names, or an object of field names and functions; not empty`)
  }
  const names = new Set<string>()
  for (const [name, from] of entries) {
    checkFor(check, option, kind, name)
    if (names.has(name)) check.problem(`${option}: the ${kind} '${label(name)}' is given twice`)
    names.add(name)
    checkColumn(check, `${option}.${label(name)}`, kind, from)
  }
  return names
}

function checkColumn(check: OptionsCheck, option: string, kind: 'dimension' | 'measure', from: unknown): void {
  if (isSource(from)) return
  if (kind === 'measure' && isObject(from) && isSource(from['from'])) {
    const { type } = from
    checkNames(check, option, from, ['from', 'type'])
    if (type === undefined || VALUE_TYPES.includes(type as ValueType)) return
  }
  const typed = kind === 'measure' ? `, or { from, type } with a type of ${VALUE_TYPES.join(', ')}` : ''
  check.problem(`${option} must be the name of a field or a function${typed}`)
}

/** Of an object inside the options, what nobody reads. */
function checkNames(check: OptionsCheck, option: string, given: unknown, known: readonly string[]): void {
  for (const problem of new OptionsCheck('', given, known, `${option}.`).problems) check.problem(problem)
}

/** What the service refuses of a name, it would refuse in every record. */
function checkFor(check: OptionsCheck, option: string, kind: 'dimension' | 'measure', name: string): void {
  const problems: string[] = []
  checkName(kind, name, problems)
  for (const problem of problems) check.problem(`${option}: ${problem}`)
}

function isSource(from: unknown): boolean {
  return typeof from === 'function' || (typeof from === 'string' && from !== '')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
