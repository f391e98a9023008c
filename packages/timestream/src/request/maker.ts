import { type Reason, SluiceError } from '@sluice/core'
import type { ResolvedOptions } from '../options.ts'
import { ONLY_TABLE } from '../record/entry.ts'
import { CommonFinder } from './common.ts'
import { type Item, type Layout, layOut } from './layout.ts'
import type { WriteRequest } from './request.ts'
import { batchConverterThrew, convertBatch } from './write-converted.ts'
import { EntriesRequest } from './write-entries.ts'

/** A request that could not be made. */
export type NotMade = { readonly fail: SluiceError } | { readonly isolate: Reason }

/** Makes requests: by itself, or with the user's `batchConverter`, which then says what stands where. */
export class RequestMaker<In> {
  readonly #options: ResolvedOptions<In>
  readonly #finder = new CommonFinder()

  readonly #keepsOrder: boolean

  constructor(options: ResolvedOptions<In>, isKeyed: boolean) {
    this.#options = options
    this.#keepsOrder = isKeyed || options.orderBySeries
  }

  /** What of the batch is sent together, and in which order. */
  layOut(items: readonly Item[]): Layout {
    if (this.#options.batchConverter !== undefined) return { send: items, followers: [], later: [] }
    return layOut(items, this.#keepsOrder, this.#options.policy.overwriteConflicts)
  }

  /** @param items - at least one, all for one table. */
  make(items: readonly Item[]): WriteRequest | NotMade {
    const { batchConverter } = this.#options
    const { databaseName, tableName } = this.destinationOf((items[0] as Item).entry.table)
    const entries = items.map(({ entry }) => entry)
    if (batchConverter === undefined) {
      return new EntriesRequest(databaseName ?? '', tableName ?? '', entries, this.#finder)
    }
    try {
      const records = entries.map((entry) => entry.toRecord())
      return convertBatch(records, batchConverter, databaseName, tableName)
    } catch (error) {
      return SluiceError.isInstance(error) ? { fail: error } : { isolate: batchConverterThrew(error) }
    }
  }

  /** @param table - of an entry. */
  destinationOf(table: string): { readonly databaseName: string | undefined; readonly tableName: string | undefined } {
    const { databaseName, tableName } = this.#options
    if (table === ONLY_TABLE) return { databaseName, tableName }
    const slash = table.indexOf('/')
    return { databaseName: table.slice(0, slash), tableName: table.slice(slash + 1) }
  }
}
