import { ServiceError } from './errors.ts'
import type { Table } from './table.ts'

export interface Database {
  readonly name: string
  readonly createdMs: number
  updatedMs: number
  kmsKeyId: string | undefined
  readonly tables: Map<string, Table>
}

/** Databases and their tables, by name. */
export class Catalogue {
  readonly databases: Map<string, Database> = new Map()
  #tableIds = 0

  nextTableId(): number {
    return ++this.#tableIds
  }

  database(name: string): Database {
    const database = this.databases.get(name)
    if (database === undefined) {
      throw new ServiceError('ResourceNotFoundException', `The database ${name.slice(0, 256)} does not exist.`)
    }
    return database
  }

  table(databaseName: string, tableName: string): Table {
    const table = this.database(databaseName).tables.get(tableName)
    if (table === undefined) {
      throw new ServiceError('ResourceNotFoundException', `The table ${tableName.slice(0, 256)} does not exist.`)
    }
    return table
  }

  *tables(): Iterable<Table> {
    for (const database of this.databases.values()) yield* database.tables.values()
  }
}
