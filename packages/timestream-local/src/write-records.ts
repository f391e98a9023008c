import type { Catalogue } from './catalogue.ts'
import type { MutableCounters } from './counters.ts'
import type { DuckStore } from './duck-store.ts'
import { ServiceError } from './errors.ts'
import type { Journal, JournalRejection } from './journal.ts'
import { outcomesOf } from './journal-reader.ts'
import { parseRecords, type ParsedRecord } from './records.ts'
import { WriteWindow } from './retention.ts'
import type { Judgement, RecordOutcome, Table } from './table.ts'
import { parseBody, requiredString, type JsonObject } from './wire.ts'

/** Rows per table that are handed to DuckDB at once. */
const FILL_ROWS = 8192
/** Rows on their way to DuckDB above which writes wait for it. */
const MAX_QUEUED_ROWS = 65_536
const IDLE_FILL_MS = 250
/** How the SDK begins a request. */
const HEAD = /^\{"DatabaseName":"([^"\\]{1,256})","TableName":"([^"\\]{1,256})",/

/** Rejects the records of a request that have these indexes, whatever they hold. */
export interface RejectFault {
  readonly indexes: readonly number[]
  readonly judgement: Judgement
}

interface WriteContext {
  readonly requestId: string
  readonly body: Buffer
  readonly reject: RejectFault | undefined
}

/** The WriteRecords operation: validates, judges and takes records, journals, and hands rows to the query store. */
export class RecordWriter {
  readonly #catalogue: Catalogue
  readonly #store: DuckStore
  readonly #discard: boolean
  readonly #counters: MutableCounters
  #idleTimer: NodeJS.Timeout | undefined

  /** With `discard`, requests are checked and counted, and nothing of them is kept. */
  constructor(catalogue: Catalogue, store: DuckStore, discard: boolean, counters: MutableCounters) {
    this.#catalogue = catalogue
    this.#store = store
    this.#discard = discard
    this.#counters = counters
  }

  /** Resolves when the query store is not too far behind. */
  async ready(): Promise<void> {
    if (this.#store.queuedRows > MAX_QUEUED_ROWS) await this.#store.caughtUp()
  }

  /**
   * Runs one request to its end without giving way, so that requests are applied and journalled in one order.
   * The journal has the request when this returns or throws RejectedRecordsException.
   */
  write(text: string, { body, requestId, reject }: WriteContext, journal: Journal): object {
    const { table, records } = this.#read(text, body)
    this.#counters.writes++
    if (this.#discard) return this.#onlyCount(records.length, reject)
    journal.assertWritable()

    const window = new WriteWindow(table.settings.retention, table.magneticWritesEnabled, Date.now())
    const outcomes: RecordOutcome[] = []
    const rejections: JournalRejection[] = []
    const rejectedRecords: string[] = []
    let magnetic = 0
    for (const [index, record] of records.entries()) {
      const judgement = reject?.indexes.includes(index) === true ? reject.judgement : table.judge(record, window)
      const { outcome, store, reason = '', existingVersion } = judgement
      outcomes.push(outcome)
      this.#counters[outcome]++
      if (outcome === 'stored' || outcome === 'updated') table.apply(record)
      if (outcome === 'rejected') {
        const version = existingVersion === undefined ? {} : { existingVersion: existingVersion.toString() }
        rejections.push({ index, reason, ...version })
        rejectedRecords.push(rejectedRecord(index, reason, existingVersion))
      } else if (store === 'magnetic') {
        magnetic++
      }
    }
    journal.appendWrite(requestId, table.databaseName, table.name, outcomes, rejections, body)
    this.#fillLater(table)
    if (rejections.length > 0) throw rejectedError(rejectedRecords)
    return ingested(records.length, magnetic)
  }

  /** Takes what a line of the journal says was taken. */
  async replay(json: JsonObject, request: JsonObject): Promise<void> {
    const table = this.#catalogue.table(String(json['database']), String(json['table']))
    const { outcomes } = outcomesOf(json)
    const records = parseRecords(request, table.known)
    records.forEach((record, index) => {
      if (outcomes[index] === 'stored' || outcomes[index] === 'updated') table.apply(record)
    })
    this.#fillLater(table)
    await this.ready()
  }

  /** Hands every waiting row to the query store. */
  fillAll(): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = undefined
    for (const table of this.#catalogue.tables()) this.#store.fill(table)
  }

  /** Hands over no more rows: the next start rebuilds the query store from the journal. */
  stop(): void {
    clearTimeout(this.#idleTimer)
  }

  #read(text: string, body: Buffer): { readonly table: Table; readonly records: readonly ParsedRecord[] } {
    const [head = '', databaseName = '', tableName = ''] = HEAD.exec(text) ?? []
    const named = this.#catalogue.databases.get(databaseName)?.tables.get(tableName)
    const scanned = named?.scanner.scan(text, head.length, body)
    if (named !== undefined && scanned !== undefined) return { table: named, records: scanned }
    const request = parseBody(text)
    const table = this.#catalogue.table(requiredString(request, 'DatabaseName'), requiredString(request, 'TableName'))
    return { table, records: parseRecords(request, table.known) }
  }

  /** Counts records that are not kept; a fault may reject some of them all the same. */
  #onlyCount(total: number, reject: RejectFault | undefined): object {
    const reason = reject?.judgement.reason ?? ''
    const indexes = Array.from({ length: total }, (_, index) => index).filter((at) => reject?.indexes.includes(at))
    this.#counters.rejected += indexes.length
    this.#counters.discarded += total - indexes.length
    if (indexes.length > 0) throw rejectedError(indexes.map((index) => rejectedRecord(index, reason, undefined)))
    return ingested(total, 0)
  }

  #fillLater(table: Table): void {
    if (table.buffer.rows >= FILL_ROWS) this.#store.fill(table)
    this.#idleTimer ??= setTimeout(() => this.fillAll(), IDLE_FILL_MS).unref()
  }
}

function ingested(total: number, magnetic: number): object {
  return { RecordsIngested: { Total: total, MemoryStore: total - magnetic, MagneticStore: magnetic } }
}

function rejectedError(records: readonly string[]): ServiceError {
  return new ServiceError(
    'RejectedRecordsException',
    'One or more records have been rejected. See RejectedRecords for details.',
    `"RejectedRecords":[${records.join(',')}]`,
  )
}

function rejectedRecord(index: number, reason: string, existingVersion: bigint | undefined): string {
  const version = existingVersion === undefined ? '' : `,"ExistingVersion":${existingVersion}`
  return `{"RecordIndex":${index},"Reason":${JSON.stringify(reason)}${version}}`
}
