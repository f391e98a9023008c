import { StatementType, type DuckDBConnection } from '@duckdb/node-api'
import { randomBytes } from 'node:crypto'
import type { Catalogue } from './catalogue.ts'
import { answerFromCatalogue, type CatalogueAnswer } from './catalogue-queries.ts'
import { unnamedColumns } from './column-names.ts'
import type { DuckStore } from './duck-store.ts'
import { ServiceError, validationError } from './errors.ts'
import { LIMITS } from './limits.ts'
import { columnType, datum, type ColumnInfo, type Datum } from './rows.ts'
import { firstWord, refusal, translate } from './translate.ts'
import { optionalInteger, optionalString, requiredString, type JsonObject } from './wire.ts'

/** A page without MaxRows ends after about this much data, as the service's does. */
const PAGE_BYTES = 1_000_000
/** Results kept for further pages, and values in all of them; beyond it the oldest go. */
const KEPT_RESULTS = 100
const KEPT_VALUES = 10_000_000

interface Row {
  readonly Data: readonly Datum[]
}

interface Result {
  readonly columns: readonly ColumnInfo[]
  readonly rowCount: number
  /** Rows are made when a page needs them, so that a large result stays in DuckDB's compact form. */
  rowAt(index: number): Row
}

interface KeptResult extends Result {
  readonly queryString: string
  /** Bytes of the rows, for QueryStatus. */
  scannedBytes: number
}

/** The Query operation over DuckDB, and CancelQuery. */
export class QueryRunner {
  readonly #catalogue: Catalogue
  readonly #store: DuckStore
  readonly #timeoutMs: number
  readonly #kept = new Map<string, KeptResult>()

  constructor(catalogue: Catalogue, store: DuckStore, timeoutMs: number) {
    this.#catalogue = catalogue
    this.#store = store
    this.#timeoutMs = timeoutMs
  }

  /** Answers a page. The caller has handed all rows to the store, so what was written before is seen. */
  async query(request: JsonObject, signal: AbortSignal | undefined): Promise<object> {
    const queryString = requiredString(request, 'QueryString')
    const maxRows = optionalInteger(request, 'MaxRows', 1, LIMITS.queryPageRows)
    const token = optionalString(request, 'NextToken')
    if (token !== undefined) return this.#nextPage(token, queryString, maxRows)

    const queryId = randomBytes(20).toString('hex').toUpperCase()
    const answer = answerFromCatalogue(this.#catalogue, queryString)
    const result = answer === undefined ? await this.#run(queryString, signal) : fromCatalogue(answer)
    return this.#page(queryId, { ...result, queryString, scannedBytes: 0 }, 0, maxRows)
  }

  /** Drops what is left of a paged query. */
  cancel(request: JsonObject): object {
    const queryId = requiredString(request, 'QueryId')
    if (!this.#kept.delete(queryId)) throw validationError(`The query ${queryId.slice(0, 64)} is not running.`)
    return { CancellationMessage: `The query ${queryId} was cancelled.` }
  }

  #nextPage(token: string, queryString: string, maxRows: number | undefined): object {
    const [queryId = '', start = ''] = token.split(':')
    const kept = this.#kept.get(queryId)
    const from = Number(start)
    if (kept === undefined || !Number.isSafeInteger(from) || from < 0 || from > kept.rowCount) {
      throw validationError('The NextToken is not valid, or its query was cancelled or is too old.')
    }
    if (kept.queryString !== queryString) throw validationError('The NextToken belongs to another QueryString.')
    return this.#page(queryId, kept, from, maxRows)
  }

  #page(queryId: string, result: KeptResult, from: number, maxRows: number | undefined): object {
    const rows: Row[] = []
    let bytes = 0
    for (let at = from; at < result.rowCount && rows.length < (maxRows ?? Infinity); at++) {
      const row = result.rowAt(at)
      const size = rowBytes(row)
      if (rows.length > 0 && bytes + size > PAGE_BYTES) break
      rows.push(row)
      bytes += size
    }
    const next = from + rows.length
    const more = next < result.rowCount
    result.scannedBytes += bytes
    // The answer to a page may get lost, so a result is kept until it is pushed out or cancelled.
    if (more || from > 0) this.#keep(queryId, result)
    return {
      QueryId: queryId,
      ColumnInfo: result.columns,
      Rows: rows,
      QueryStatus: {
        ProgressPercentage: more ? (100 * next) / result.rowCount : 100,
        CumulativeBytesScanned: result.scannedBytes,
        CumulativeBytesMetered: result.scannedBytes,
      },
      ...(more ? { NextToken: `${queryId}:${next}` } : {}),
    }
  }

  #keep(queryId: string, result: KeptResult): void {
    this.#kept.delete(queryId)
    this.#kept.set(queryId, result)
    let values = 0
    for (const one of this.#kept.values()) values += valueCount(one)
    for (const [oldestId, oldest] of this.#kept) {
      if (oldestId === queryId || (this.#kept.size <= KEPT_RESULTS && values <= KEPT_VALUES)) break
      this.#kept.delete(oldestId)
      values -= valueCount(oldest)
    }
  }

  async #run(queryString: string, signal: AbortSignal | undefined): Promise<Result> {
    if (firstWord(queryString) === undefined) {
      throw validationError('Only a single SELECT, WITH, SHOW or DESCRIBE statement can be run.')
    }
    const translated = translate(queryString)
    await this.#store.settle()
    const connection = await this.#store.connect()
    const timedOut = AbortSignal.timeout(this.#timeoutMs)
    const interrupt = (): void => connection.interrupt()
    const stop = signal === undefined ? timedOut : AbortSignal.any([signal, timedOut])
    stop.addEventListener('abort', interrupt)
    try {
      return await execute(connection, translated)
    } catch (error) {
      if (error instanceof ServiceError) throw error
      if (timedOut.aborted) {
        throw new ServiceError('QueryExecutionException', `The query ran longer than ${this.#timeoutMs} ms.`)
      }
      throw validationError(refusal(error instanceof Error ? error.message : String(error), translated))
    } finally {
      stop.removeEventListener('abort', interrupt)
      connection.closeSync()
    }
  }
}

async function execute(connection: DuckDBConnection, sql: string): Promise<Result> {
  const statements = await connection.extractStatements(sql)
  if (statements.count !== 1) throw validationError('A query must be a single statement.')
  const prepared = await statements.prepare(0)
  if (prepared.statementType !== StatementType.SELECT) {
    throw validationError('Only a single SELECT, WITH, SHOW or DESCRIBE statement can be run.')
  }
  const unnamed = await unnamedColumns(connection, sql)
  const result = await prepared.run()
  const types = result.columnTypes()
  const columns = result.deduplicatedColumnNames().map((name, index) => {
    const type = types[index]
    return { Name: unnamed.has(index) ? `_col${index}` : name, Type: type === undefined ? {} : columnType(type) }
  })
  const chunks = await result.fetchAllChunks()
  const starts: number[] = []
  let rowCount = 0
  for (const chunk of chunks) {
    starts.push(rowCount)
    rowCount += chunk.rowCount
  }
  const rowAt = (index: number): Row => {
    const at = starts.findLastIndex((start) => start <= index)
    const values = chunks[at]?.getRowValues(index - (starts[at] ?? 0)) ?? []
    return {
      Data: values.map((value, column) => {
        const type = types[column]
        return type === undefined ? { NullValue: true } : datum(value, type)
      }),
    }
  }
  return { columns, rowCount, rowAt }
}

function fromCatalogue({ columns, rows }: CatalogueAnswer): Result {
  return { columns, rowCount: rows.length, rowAt: (index) => ({ Data: rows[index] ?? [] }) }
}

function valueCount({ rowCount, columns }: Result): number {
  return rowCount * columns.length
}

function rowBytes(row: Row): number {
  let bytes = 0
  for (const { ScalarValue: text, ArrayValue: array, RowValue: nested } of row.Data) {
    bytes += text === undefined ? 8 : text.length
    if (array !== undefined) bytes += rowBytes({ Data: array })
    if (nested !== undefined) bytes += rowBytes(nested)
  }
  return bytes
}
