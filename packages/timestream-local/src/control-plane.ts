import type { Catalogue, Database } from './catalogue.ts'
import type { DuckStore } from './duck-store.ts'
import { ServiceError, validationError } from './errors.ts'
import type { ControlOperation } from './journal-reader.ts'
import { LIMITS } from './limits.ts'
import { createNameProblem } from './names.ts'
import { checkSchema, checkSchemaChange } from './partition-key.ts'
import type { Retention } from './retention.ts'
import { Table } from './table.ts'
import {
  missing,
  optionalBoolean,
  optionalInteger,
  optionalObject,
  optionalString,
  requiredString,
  type JsonObject,
} from './wire.ts'

const ARN = 'arn:aws:timestream:local:000000000000:database'

/** Changes and descriptions of databases and tables. A change is checked as a whole before anything is touched. */
export class ControlPlane {
  readonly #catalogue: Catalogue
  readonly #store: DuckStore

  constructor(catalogue: Catalogue, store: DuckStore) {
    this.#catalogue = catalogue
    this.#store = store
  }

  /** Applies a change and returns the answer; also used to repeat the changes of a journal. */
  change(operation: ControlOperation, request: JsonObject, nowMs: number): object {
    switch (operation) {
      case 'CreateDatabase':
        return this.#createDatabase(request, nowMs)
      case 'UpdateDatabase': {
        const database = this.#catalogue.database(requiredString(request, 'DatabaseName'))
        database.kmsKeyId = requiredString(request, 'KmsKeyId')
        database.updatedMs = nowMs
        return { Database: describeDatabase(database) }
      }
      case 'DeleteDatabase': {
        const database = this.#catalogue.database(requiredString(request, 'DatabaseName'))
        if (database.tables.size > 0) {
          throw validationError(`The database ${database.name} has ${database.tables.size} tables; delete them first.`)
        }
        this.#catalogue.databases.delete(database.name)
        this.#store.dropDatabase(database.name)
        return {}
      }
      case 'CreateTable':
        return this.#createTable(request, nowMs)
      case 'UpdateTable': {
        const table = this.#table(request)
        const settings = settingsOf(request, table.settings)
        checkSchemaChange(table.settings.schema, settings.schema)
        table.settings = settings
        table.updatedMs = nowMs
        return { Table: describeTable(table) }
      }
      case 'DeleteTable':
      default: {
        const table = this.#table(request)
        this.#catalogue.database(table.databaseName).tables.delete(table.name)
        this.#store.dropTable(table)
        return {}
      }
    }
  }

  describe(operation: 'DescribeDatabase' | 'DescribeTable', request: JsonObject): object {
    if (operation === 'DescribeTable') return { Table: describeTable(this.#table(request)) }
    return { Database: describeDatabase(this.#catalogue.database(requiredString(request, 'DatabaseName'))) }
  }

  list(operation: 'ListDatabases' | 'ListTables', request: JsonObject): object {
    if (operation === 'ListDatabases') {
      const { items, token } = page([...this.#catalogue.databases.values()], request)
      return { Databases: items.map(describeDatabase), ...token }
    }
    const name = optionalString(request, 'DatabaseName')
    const tables =
      name === undefined ? [...this.#catalogue.tables()] : [...this.#catalogue.database(name).tables.values()]
    const { items, token } = page(tables, request)
    return { Tables: items.map(describeTable), ...token }
  }

  #table(request: JsonObject): Table {
    return this.#catalogue.table(requiredString(request, 'DatabaseName'), requiredString(request, 'TableName'))
  }

  #createDatabase(request: JsonObject, nowMs: number): object {
    const name = requiredString(request, 'DatabaseName')
    const kmsKeyId = optionalString(request, 'KmsKeyId')
    const databases = this.#catalogue.databases
    checkNewName('databaseName', name, databases)
    if (databases.size >= LIMITS.databases) {
      throw new ServiceError('ServiceQuotaExceededException', `The limit of ${LIMITS.databases} databases is reached.`)
    }
    const database: Database = { name, createdMs: nowMs, updatedMs: nowMs, kmsKeyId, tables: new Map() }
    databases.set(name, database)
    this.#store.createDatabase(name)
    return { Database: describeDatabase(database) }
  }

  #createTable(request: JsonObject, nowMs: number): object {
    const name = requiredString(request, 'TableName')
    const database = this.#catalogue.database(requiredString(request, 'DatabaseName'))
    checkNewName('tableName', name, database.tables)
    const settings = settingsOf(request, {
      retention: {
        MemoryStoreRetentionPeriodInHours: LIMITS.memoryRetentionHours.default,
        MagneticStoreRetentionPeriodInDays: LIMITS.magneticRetentionDays.default,
      },
      magneticWrites: { EnableMagneticStoreWrites: false },
      schema: { CompositePartitionKey: [{ Type: 'MEASURE' }] },
    })
    if ([...this.#catalogue.tables()].length >= LIMITS.tables) {
      throw new ServiceError('ServiceQuotaExceededException', `The limit of ${LIMITS.tables} tables is reached.`)
    }
    const table = new Table(this.#catalogue.nextTableId(), database.name, name, settings, nowMs)
    database.tables.set(name, table)
    this.#store.createTable(table)
    return { Table: describeTable(table) }
  }
}

function checkNewName(field: 'databaseName' | 'tableName', name: string, existing: ReadonlyMap<string, unknown>): void {
  const problem = createNameProblem(field, name)
  if (problem !== undefined) throw validationError(`1 validation error detected: ${problem}`)
  if (existing.has(name)) {
    throw new ServiceError(
      'ConflictException',
      `${field === 'tableName' ? 'Table' : 'Database'} already exists: ${name}.`,
    )
  }
  const lower = name.toLowerCase()
  for (const other of existing.keys()) {
    if (other.toLowerCase() === lower) {
      throw validationError(
        `The name '${name}' differs from the existing '${other}' by case only, which DuckDB cannot hold.`,
      )
    }
  }
}

function settingsOf(request: JsonObject, before: Table['settings']): Table['settings'] {
  const properties = optionalObject(request, 'RetentionProperties')
  let retention: Retention = before.retention
  if (properties !== undefined) {
    const hours = LIMITS.memoryRetentionHours
    const days = LIMITS.magneticRetentionDays
    retention = {
      MemoryStoreRetentionPeriodInHours:
        optionalInteger(properties, 'MemoryStoreRetentionPeriodInHours', hours.min, hours.max) ??
        absent('retentionProperties.memoryStoreRetentionPeriodInHours'),
      MagneticStoreRetentionPeriodInDays:
        optionalInteger(properties, 'MagneticStoreRetentionPeriodInDays', days.min, days.max) ??
        absent('retentionProperties.magneticStoreRetentionPeriodInDays'),
    }
  }
  const magneticWrites = optionalObject(request, 'MagneticStoreWriteProperties') ?? before.magneticWrites
  if (optionalBoolean(magneticWrites, 'EnableMagneticStoreWrites') === undefined) {
    absent('magneticStoreWriteProperties.enableMagneticStoreWrites')
  }
  const schema = optionalObject(request, 'Schema') ?? before.schema
  checkSchema(schema)
  return { retention, magneticWrites, schema }
}

function absent(place: string): never {
  throw missing(place)
}

function describeDatabase(database: Database): object {
  return {
    Arn: `${ARN}/${database.name}`,
    DatabaseName: database.name,
    TableCount: database.tables.size,
    KmsKeyId: database.kmsKeyId ?? 'arn:aws:kms:local:000000000000:key/none',
    CreationTime: database.createdMs / 1000,
    LastUpdatedTime: database.updatedMs / 1000,
  }
}

function describeTable(table: Table): object {
  return {
    Arn: `${ARN}/${table.databaseName}/table/${table.name}`,
    DatabaseName: table.databaseName,
    TableName: table.name,
    TableStatus: 'ACTIVE',
    RetentionProperties: table.settings.retention,
    MagneticStoreWriteProperties: table.settings.magneticWrites,
    Schema: table.settings.schema,
    CreationTime: table.createdMs / 1000,
    LastUpdatedTime: table.updatedMs / 1000,
  }
}

function page<Item>(
  items: readonly Item[],
  request: JsonObject,
): { readonly items: readonly Item[]; readonly token: object } {
  const size = optionalInteger(request, 'MaxResults', 1, LIMITS.listPage) ?? LIMITS.listPage
  const text = optionalString(request, 'NextToken')
  const from = Number(text ?? 0)
  if (text !== undefined && !/^\d{1,9}$/.test(text)) throw validationError('Invalid pagination token.')
  const next = from + size
  return { items: items.slice(from, next), token: next < items.length ? { NextToken: String(next) } : {} }
}
