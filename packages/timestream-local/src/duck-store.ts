import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  DuckDBDataChunk,
  DuckDBInstance,
  DuckDBTimestampNanosecondsValue,
  INTEGER,
  TIMESTAMP_NS,
  VARCHAR,
  type DuckDBConnection,
  type DuckDBType,
  type DuckDBValue,
} from '@duckdb/node-api'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from './options.ts'
import type { RowBuffer } from './row-buffer.ts'
import { MACROS } from './macros.ts'
import { STORE_CATALOG, STORE_SCHEMA } from './names.ts'
import { quote, storeTables, viewName, viewSql } from './store-sql.ts'
import type { Series, Table } from './table.ts'
import { timeNanos, type Value, type ValueType } from './values.ts'

const CHUNK_ROWS = 2048
const DUCK_TYPES: Readonly<Record<ValueType, DuckDBType>> = {
  DOUBLE,
  BIGINT,
  VARCHAR,
  BOOLEAN,
  TIMESTAMP: TIMESTAMP_NS,
}

interface FilledColumns {
  dimensions: number
  measures: ValueType[]
}

/**
 * The query store: a DuckDB file that is made anew at every start and filled behind the journal. Per table it has the
 * series (dimensions and measure name), the rows, and a view that joins them under the name that queries use.
 */
export class DuckStore {
  readonly #instance: DuckDBInstance
  readonly #filler: DuckDBConnection
  readonly #logger: Logger | undefined
  readonly #filled = new Map<Table, FilledColumns>()
  #tail: Promise<void> = Promise.resolve()
  #queuedRows = 0
  #failure: unknown

  private constructor(instance: DuckDBInstance, filler: DuckDBConnection, logger: Logger | undefined) {
    this.#instance = instance
    this.#filler = filler
    this.#logger = logger
  }

  static async open(dataDir: string, memoryBytes: number, logger: Logger | undefined): Promise<DuckStore> {
    const path = join(dataDir, `${STORE_CATALOG}.duckdb`)
    for (const leftover of [path, `${path}.wal`]) rmSync(leftover, { force: true })
    const instance = await DuckDBInstance.create(path, {
      threads: '2',
      memory_limit: `${Math.ceil(memoryBytes / 1_048_576)}MiB`,
      enable_external_access: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
      // As in Timestream, 7 / 2 is 3.
      integer_division: 'true',
    })
    const filler = await instance.connect()
    // Whatever the zone of the machine; a setting that DuckDB does not take at its start.
    await filler.run("SET GLOBAL TimeZone = 'UTC'")
    await filler.run('SET GLOBAL lock_configuration = true')
    await filler.run(`CREATE SCHEMA ${STORE_SCHEMA}`)
    for (const macro of MACROS) await filler.run(macro)
    return new DuckStore(instance, filler, logger)
  }

  /** Rows handed over and not yet in DuckDB. */
  get queuedRows(): number {
    return this.#queuedRows
  }

  connect(): Promise<DuckDBConnection> {
    return this.#instance.connect()
  }

  createDatabase(name: string): void {
    this.#enqueue(async () => {
      await this.#filler.run(`CREATE SCHEMA IF NOT EXISTS ${quote(name)}`)
    })
  }

  dropDatabase(name: string): void {
    this.#enqueue(async () => {
      if (name.toLowerCase() !== 'main') await this.#filler.run(`DROP SCHEMA ${quote(name)}`)
    })
  }

  createTable(table: Table): void {
    this.#enqueue(async () => {
      const { data, series } = storeTables(table)
      await this.#filler.run(`CREATE TABLE ${data} (slot INTEGER, series INTEGER, time TIMESTAMP_NS)`)
      await this.#filler.run(`CREATE TABLE ${series} (id INTEGER, measure_name VARCHAR)`)
      this.#filled.set(table, { dimensions: 0, measures: [] })
      await this.#filler.run(viewSql(table, 0, 0))
    })
  }

  dropTable(table: Table): void {
    this.#enqueue(async () => {
      const { data, series } = storeTables(table)
      await this.#filler.run(`DROP VIEW ${viewName(table)}; DROP TABLE ${data}; DROP TABLE ${series}`)
      this.#filled.delete(table)
    })
  }

  /** Takes the rows that wait in a table; they are in DuckDB when a later `settle` returns. */
  fill(table: Table): void {
    if (table.buffer.rows === 0) return
    const { rows, series } = table.takeBuffer()
    if (this.#failure !== undefined) return
    this.#queuedRows += rows.rows
    this.#enqueue(async () => {
      await this.#append(table, rows, series)
      this.#queuedRows -= rows.rows
    })
  }

  /** Waits until everything handed over so far is in DuckDB. Throws when DuckDB refused some of it. */
  async settle(): Promise<void> {
    await this.#tail
    if (this.#failure !== undefined) {
      throw new Error('The query store could not take what the journal holds; restart the server to rebuild it.', {
        cause: this.#failure,
      })
    }
  }

  /** Waits like `settle`, without judging. */
  async caughtUp(): Promise<void> {
    await this.#tail
  }

  async close(): Promise<void> {
    await this.#tail
    this.#filler.closeSync()
    this.#instance.closeSync()
  }

  #enqueue(task: () => Promise<void>): void {
    this.#tail = this.#runAfter(this.#tail, task)
  }

  async #runAfter(before: Promise<void>, task: () => Promise<void>): Promise<void> {
    await before
    if (this.#failure !== undefined) return
    try {
      await task()
    } catch (error) {
      this.#failure = error
      this.#logger?.error({ error }, 'The query store failed; writes go on, queries fail until a restart rebuilds it')
    }
  }

  async #append(table: Table, rows: RowBuffer, series: readonly Series[]): Promise<void> {
    await this.#addColumns(table)
    await this.#filler.run('BEGIN')
    await this.#appendSeries(table, series)
    if (rows.replaced.length > 0) {
      const slots = [...new Set(rows.replaced)].join(',')
      await this.#filler.run(`DELETE FROM ${storeTables(table).data} WHERE slot IN (${slots})`)
    }
    const measures = this.#filled.get(table)?.measures ?? []
    const types = [INTEGER, INTEGER, TIMESTAMP_NS, ...measures.map((type) => DUCK_TYPES[type])]
    await this.#appendChunks(`d${table.id}`, types, rows.currentRows(), (column, row) => {
      if (column === 0) return rows.slots[row] ?? null
      if (column === 1) return rows.series[row] ?? null
      if (column === 2) return new DuckDBTimestampNanosecondsValue(timeNanos(rows.times[row] ?? 0))
      return cell(measures[column - 3], rows.columns[column - 3]?.[row])
    })
    await this.#filler.run('COMMIT')
  }

  async #appendSeries(table: Table, series: readonly Series[]): Promise<void> {
    if (series.length === 0) return
    const dimensions = [...table.dimensionColumns.keys()].slice(0, this.#filled.get(table)?.dimensions ?? 0)
    const types = [INTEGER, VARCHAR, ...dimensions.map(() => VARCHAR)]
    await this.#appendChunks(`s${table.id}`, types, Array.from(series.keys()), (column, row) => {
      if (column === 0) return series[row]?.id ?? null
      if (column === 1) return series[row]?.measureName ?? null
      return series[row]?.dimensions.get(dimensions[column - 2] ?? '') ?? null
    })
  }

  async #appendChunks(
    name: string,
    types: readonly DuckDBType[],
    rows: readonly number[],
    value: (column: number, row: number) => DuckDBValue,
  ): Promise<void> {
    const appender = await this.#filler.createAppender(name, STORE_SCHEMA)
    try {
      for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
        const part = rows.slice(from, from + CHUNK_ROWS)
        const chunk = DuckDBDataChunk.create(types, part.length)
        for (let column = 0; column < types.length; column++) {
          chunk.setColumnValues(
            column,
            part.map((row) => value(column, row)),
          )
        }
        appender.appendDataChunk(chunk)
        // A large fill must not keep requests waiting.
        await nextTurn()
      }
    } finally {
      appender.closeSync()
    }
  }

  async #addColumns(table: Table): Promise<void> {
    const filled = this.#filled.get(table)
    if (filled === undefined) return
    const dimensions = table.dimensionColumns.size
    const measures = [...table.measureColumns.values()].slice(filled.measures.length)
    if (dimensions === filled.dimensions && measures.length === 0) return
    const { data, series } = storeTables(table)
    for (let d = filled.dimensions; d < dimensions; d++) {
      await this.#filler.run(`ALTER TABLE ${series} ADD COLUMN d${d} VARCHAR`)
    }
    for (const { index, type } of measures) {
      await this.#filler.run(`ALTER TABLE ${data} ADD COLUMN m${index} ${DUCK_TYPES[type].toString()}`)
    }
    filled.dimensions = dimensions
    filled.measures.push(...measures.map(({ type }) => type))
    await this.#filler.run(viewSql(table, dimensions, filled.measures.length))
  }
}

function cell(type: ValueType | undefined, value: Value | undefined): DuckDBValue {
  if (value === undefined) return null
  if (type === 'BIGINT') return BigInt(value)
  if (type === 'TIMESTAMP') return new DuckDBTimestampNanosecondsValue(BigInt(value))
  return value
}
