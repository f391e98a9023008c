import { type ResolvedOptions, type TableRouter } from './options.ts'
import { type Entry, ONLY_TABLE } from './record/entry.ts'
import { Preparer } from './record/prepare.ts'
import type { TimestreamRecord } from './record/record.ts'
import { shown } from './record/shown.ts'
import { RESOURCE_NAME } from './tables/names.ts'

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
      for (const record of converted) checked(record)
      if (converted.length === 0) return
    } else checked(converted)
    const table = router === undefined ? ONLY_TABLE : this.#route(router, value)
    const sourceVersion = version(value)
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
    throw new TypeError(
      'tableName must return the name of a table, or { databaseName, tableName }, ' +
        `each ${RESOURCE_NAME.says}; got database ${shown(databaseName)} and table ${shown(tableName)}`,
    )
  }
}

function isName(name: unknown): name is string {
  return typeof name === 'string' && RESOURCE_NAME.pattern.test(name)
}

function checked(record: unknown): void {
  if (typeof record !== 'object' || record === null || Array.isArray(record) || 'then' in record) {
    const got = record === null ? 'null' : Array.isArray(record) ? 'an array' : typeof record
    const what = got === 'object' ? 'a promise' : got
    throw new TypeError(`elementConverter must return a record, a list of records or undefined, got ${what}`)
  }
}
