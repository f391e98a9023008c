import { existsSync } from 'node:fs'
import { Catalogue } from './catalogue.ts'
import { ControlPlane } from './control-plane.ts'
import type { MutableCounters } from './counters.ts'
import type { DataDir } from './data-dir.ts'
import { DuckStore } from './duck-store.ts'
import { TimestreamLocalError } from './errors.ts'
import { Journal } from './journal.ts'
import { isControlOperation, readLines } from './journal-reader.ts'
import type { ResolvedOptions } from './options.ts'
import { unknownOperation } from './protocol.ts'
import { QueryRunner } from './query.ts'
import { isObject, parseBody, type JsonObject } from './wire.ts'
import { RecordWriter, type RejectFault } from './write-records.ts'

/** What an operation is given besides its request. */
export interface OperationContext {
  readonly requestId: string
  /** The body as it arrived; the journal keeps it. */
  readonly body: Buffer
  /** Of queries: fires when the client has gone. */
  readonly signal: AbortSignal | undefined
  /** A fault that rejects records. */
  readonly reject: RejectFault | undefined
}

/** State and operations, without HTTP. */
export class Engine {
  readonly #control: ControlPlane
  readonly #writer: RecordWriter
  readonly #queries: QueryRunner
  readonly #store: DuckStore
  readonly #journal: Journal

  private constructor(
    store: DuckStore,
    journal: Journal,
    control: ControlPlane,
    writer: RecordWriter,
    queries: QueryRunner,
  ) {
    this.#store = store
    this.#journal = journal
    this.#control = control
    this.#writer = writer
    this.#queries = queries
  }

  /** Rebuilds the state from the journal of a folder. */
  static async open(folder: DataDir, options: ResolvedOptions, counters: MutableCounters): Promise<Engine> {
    const store = await DuckStore.open(folder.path, options.queryMemoryBytes, options.logger)
    try {
      const catalogue = new Catalogue()
      const control = new ControlPlane(catalogue, store)
      const writer = new RecordWriter(catalogue, store, options.discard, counters)
      const { bytes, lastSequence } = await replay(folder.journalPath, control, writer)
      const journal = new Journal(folder.journalPath, bytes, lastSequence)
      if (lastSequence > 0) options.logger?.info({ entries: lastSequence, bytes }, 'State rebuilt from the journal')
      return new Engine(store, journal, control, writer, new QueryRunner(catalogue, store, options.queryTimeoutMs))
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async run(operation: string, context: OperationContext): Promise<object> {
    const text = context.body.toString('utf8')
    if (operation === 'WriteRecords') {
      await this.#writer.ready()
      return this.#writer.write(text, context, this.#journal)
    }
    const request = parseBody(text)
    switch (operation) {
      case 'Query':
        this.#writer.fillAll()
        return await this.#queries.query(request, context.signal)
      case 'CancelQuery':
        return this.#queries.cancel(request)
      case 'DescribeDatabase':
      case 'DescribeTable':
        return this.#control.describe(operation, request)
      case 'ListDatabases':
      case 'ListTables':
        return this.#control.list(operation, request)
      default:
        return this.#change(operation, request, context)
    }
  }

  async close(): Promise<void> {
    this.#writer.stop()
    this.#journal.close()
    await this.#store.close()
  }

  #change(operation: string, request: JsonObject, context: OperationContext): object {
    if (!isControlOperation(operation)) throw unknownOperation(operation)
    this.#journal.assertWritable()
    if (operation === 'DeleteTable') this.#writer.fillAll()
    const result = this.#control.change(operation, request, Date.now())
    this.#journal.appendControl(operation, context.requestId, request)
    return result
  }
}

async function replay(
  journalPath: string,
  control: ControlPlane,
  writer: RecordWriter,
): Promise<{ readonly bytes: number; readonly lastSequence: number }> {
  let bytes = 0
  let lastSequence = 0
  if (!existsSync(journalPath)) return { bytes, lastSequence }
  for await (const { json, line, endBytes } of readLines(journalPath)) {
    const operation = String(json['operation'])
    const request = isObject(json['request']) ? json['request'] : {}
    try {
      if (operation === 'WriteRecords') await writer.replay(json, request)
      else if (isControlOperation(operation)) control.change(operation, request, Number(json['wallMs']))
      else throw new Error(`the operation ${operation} is not known`)
    } catch (error) {
      throw new TimestreamLocalError(
        'TIMESTREAM_LOCAL_JOURNAL',
        [`Line ${line} of the journal ${journalPath} cannot be repeated: ${(error as Error).message}`],
        { cause: error },
      )
    }
    bytes = endBytes
    lastSequence = Number(json['seq'])
  }
  writer.fillAll()
  return { bytes, lastSequence }
}
