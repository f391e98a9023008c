import { type ResolvedOptions, type TableRouter } from './options.ts'
import { type Entry, ONLY_TABLE } from './record/entry.ts'
import { Preparer } from './record/prepare.ts'
import type { TimestreamRecord } from './record/record.ts'
import { shown } from './record/shown.ts'
import { RESOURCE_NAME } from './tables/names.ts'
import { ignoreRejection, ignoreRejectionsIn, isThenable } from './unread.ts'

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
    if (Array.isArray(converted)) {
      // All are looked at before the first is taken: a value is refused whole or not at all.
      for (const record of converted) if (!isRecord(record)) throw refused(record, converted)
      if (converted.length === 0) return
    } else if (!isRecord(converted)) throw refused(converted, [converted])
    const table = router === undefined ? ONLY_TABLE : this.#route(router, value, converted)
    const sourceVersion = version(value)
    // What is no number is refused with the record, or not asked for by one with a version of its own.
    if (typeof sourceVersion === 'object') ignoreRejection(sourceVersion)
    if (!Array.isArray(converted)) {
      emit(this.#preparer.prepare(converted as TimestreamRecord, table, sourceVersion))
      return
    }
    for (const record of converted as readonly TimestreamRecord[]) {
      emit(this.#preparer.prepare(record, table, sourceVersion))
    }
  }

  #route(router: TableRouter<In>, value: In, converted: object): string {
    const chosen: unknown = router(value)
    const tableName = typeof chosen === 'string' ? chosen : Reflect.get(Object(chosen), 'tableName')
    const database = typeof chosen === 'string' ? undefined : Reflect.get(Object(chosen), 'databaseName')
    const databaseName: unknown = database ?? this.#options.databaseName
    if (isName(databaseName) && isName(tableName)) return `${databaseName}/${tableName}`
    for (const given of [chosen, tableName, databaseName]) ignoreRejection(given)
    for (const record of [converted].flat()) ignoreRejectionsIn(record)
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

/** @param all - that were given with it. */
function refused(given: unknown, all: readonly unknown[]): TypeError {
  for (const one of all) ignoreRejection(one)
  const got = given === null ? 'null' : Array.isArray(given) ? 'an array' : typeof given
  const what = got === 'object' ? 'a promise' : got
  return new TypeError(`elementConverter must return a record, a list of records or undefined, got ${what}`)
}
