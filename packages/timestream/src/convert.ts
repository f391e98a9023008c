import { type ResolvedOptions, type TableRouter } from './options.ts'
import { type Entry, ONLY_TABLE } from './record/entry.ts'
import { Preparer } from './record/prepare.ts'
import type { TimestreamRecord } from './record/record.ts'
import { shown } from './record/shown.ts'
import { RESOURCE_NAME } from './tables/names.ts'
import { ignoreRejections, isThenable } from './unread.ts'

/** Turns values into checked records. */
export class Converter<In> {
  readonly #options: ResolvedOptions<In>
  readonly #preparer: Preparer

  constructor(options: ResolvedOptions<In>) {
    this.#options = options
    this.#preparer = new Preparer({ numbers: options.numbers, mayLack: options.batchConverter !== undefined })
  }

  /**
   * Turns a value into entries. A record that breaks a rule of the service becomes one too, with its problems.
   *
   * @throws TypeError if the converter gives something else than records, such as a promise, or the router no table; whatever the
   * user's functions throw.
   */
  convert(value: In, emit: (entry: Entry) => void): void {
    const { elementConverter, version, router } = this.#options
    const converted = elementConverter(value)
    if (converted === undefined || converted === null) return
    if (Array.isArray(converted) && converted.length === 0) return
    let table: string
    let sourceVersion: unknown
    try {
      checkRecords(converted)
      table = router === undefined ? ONLY_TABLE : this.#route(router, value)
      sourceVersion = version(value)
    } catch (error) {
      ignoreRejections(converted)
      throw error
    }
    // What is no number is refused with the record, or not asked for by one with a version of its own.
    if (typeof sourceVersion === 'object') ignoreRejections(sourceVersion)
    if (!Array.isArray(converted)) {
      emit(this.#preparer.prepare(converted as TimestreamRecord, table, sourceVersion))
      return
    }
    for (const record of converted as readonly TimestreamRecord[]) {
      emit(this.#preparer.prepare(record, table, sourceVersion))
    }
  }

  #route(router: TableRouter<In>, value: In): string {
    const chosen: unknown = router(value)
    const tableName = typeof chosen === 'string' ? chosen : Reflect.get(Object(chosen), 'tableName')
    const database = typeof chosen === 'string' ? undefined : Reflect.get(Object(chosen), 'databaseName')
    const databaseName: unknown = database ?? this.#options.databaseName
    if (isName(databaseName) && isName(tableName)) return `${databaseName}/${tableName}`
    for (const given of [chosen, tableName, databaseName]) ignoreRejections(given)
    throw new TypeError(
      'tableName must return the name of a table, or { databaseName, tableName }, ' +
        `each ${RESOURCE_NAME.says}; got database ${shown(databaseName)} and table ${shown(tableName)}`,
    )
  }
}

function isName(name: unknown): name is string {
  return typeof name === 'string' && RESOURCE_NAME.pattern.test(name)
}

function isRecord(given: unknown): boolean {
  return typeof given === 'object' && given !== null && !Array.isArray(given) && !isThenable(given)
}

/** All are looked at before the first is taken: a value is refused whole or not at all. */
function checkRecords(converted: unknown): void {
  if (!Array.isArray(converted)) {
    if (!isRecord(converted)) throw notRecord(converted)
    return
  }
  for (const record of converted as readonly unknown[]) if (!isRecord(record)) throw notRecord(record)
}

function notRecord(given: unknown): TypeError {
  const got = given === null ? 'null' : Array.isArray(given) ? 'an array' : typeof given
  const what = got === 'object' ? 'a promise' : got
  return new TypeError(`elementConverter must return a record, a list of records or undefined, got ${what}`)
}
