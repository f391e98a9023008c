import { createReadStream } from 'node:fs'
import { TimestreamLocalError } from './errors.ts'
import { parseRecords, type ParsedRecord } from './records.ts'
import type { RecordOutcome } from './table.ts'
import { timeNanos, type Value, type ValueType } from './values.ts'
import { isObject, parseBody, type JsonObject } from './wire.ts'

interface JournalHead {
  /** Position in arrival order: 1, 2, 3, ... over all restarts. */
  readonly seq: number
  /** Wall clock when the line was written, ms since 1970. */
  readonly wallMs: number
  /** Monotonic clock when the line was written, ns; comparable between processes of one boot of the machine. */
  readonly monotonicNs: bigint
  /** The `x-amzn-RequestId` of the answer. */
  readonly requestId: string
}

/** One measure of a journalled record; BIGINT and TIMESTAMP (ns since 1970) are bigints. */
export interface JournalMeasure {
  readonly name: string
  readonly type: ValueType
  readonly value: number | bigint | string | boolean
}

/** One record of a journalled request, common attributes merged in, with what became of it. */
export interface JournalRecord {
  /** Index in the request. */
  readonly index: number
  /**
   * `stored`: a new key. `updated`: a higher version replaced the held one. `duplicate`: this very value and version
   * were held already. `rejected`: not taken, see `reason`.
   */
  readonly outcome: RecordOutcome
  readonly reason?: string
  readonly existingVersion?: bigint
  readonly dimensions: Readonly<Record<string, string>>
  readonly measureName: string
  /** True for a multi-measure record; otherwise `measures` has one entry, named as `measureName`. */
  readonly multi: boolean
  readonly measures: readonly JournalMeasure[]
  readonly timeNs: bigint
  readonly version: bigint
}

/** One WriteRecords request that was evaluated. */
export interface JournalWrite extends JournalHead {
  readonly operation: 'WriteRecords'
  readonly database: string
  readonly table: string
  readonly records: readonly JournalRecord[]
}

/** A change of databases or tables, with the request as it was sent. */
export interface JournalControl extends JournalHead {
  readonly operation: ControlOperation
  readonly request: JsonObject
}

export type JournalEntry = JournalWrite | JournalControl

const CONTROL_OPERATIONS = [
  'CreateDatabase',
  'UpdateDatabase',
  'DeleteDatabase',
  'CreateTable',
  'UpdateTable',
  'DeleteTable',
] as const
export type ControlOperation = (typeof CONTROL_OPERATIONS)[number]

export function isControlOperation(operation: string): operation is ControlOperation {
  return CONTROL_OPERATIONS.includes(operation as ControlOperation)
}

/**
 * Reads a journal file, also while a server writes it. A last line without its line break is left out: its answer was
 * never sent.
 *
 * @throws {TimestreamLocalError} `TIMESTREAM_LOCAL_JOURNAL` when the file cannot be read or a whole line is damaged.
 *
 * @example
 * ```ts
 * for await (const entry of readJournal(server.journalPath)) {
 *   if (entry.operation === 'WriteRecords') console.log(entry.seq, entry.records.map((record) => record.outcome))
 * }
 * ```
 */
export async function* readJournal(path: string): AsyncGenerator<JournalEntry, void, void> {
  for await (const { json, line } of readLines(path)) yield toEntry(json, path, line)
}

/** One whole line; `endBytes` is where the next one starts. */
export interface JournalLine {
  readonly json: JsonObject
  readonly line: number
  readonly endBytes: number
}

/** Reads whole lines. */
export async function* readLines(path: string): AsyncGenerator<JournalLine, void, void> {
  let rest: Buffer[] = []
  let line = 0
  let endBytes = 0
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      let from = 0
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        const bytes = Buffer.concat([...rest, chunk.subarray(from, at)])
        rest = []
        from = at + 1
        line++
        endBytes += bytes.length + 1
        yield { json: parseLine(bytes, path, line), line, endBytes }
      }
      if (from < chunk.length) rest.push(chunk.subarray(from))
    }
  } catch (error) {
    if (TimestreamLocalError.isInstance(error)) throw error
    throw damaged(`The journal ${path} cannot be read: ${(error as Error).message}`, error)
  }
}

function parseLine(bytes: Buffer, path: string, line: number): JsonObject {
  try {
    const json = parseBody(bytes.toString('utf8'))
    if (json['v'] === 1 && typeof json['seq'] === 'number') return json
  } catch (error) {
    throw damaged(`Line ${line} of the journal ${path} is damaged: ${(error as Error).message}`, error)
  }
  throw damaged(`Line ${line} of the journal ${path} is not of a version that this release reads (v: 1).`)
}

function toEntry(json: JsonObject, path: string, line: number): JournalEntry {
  const head = {
    seq: Number(json['seq']),
    wallMs: Number(json['wallMs']),
    monotonicNs: BigInt(String(json['monotonicNs'])),
    requestId: String(json['requestId']),
  }
  const request = isObject(json['request']) ? json['request'] : {}
  const operation = String(json['operation'])
  if (operation === 'WriteRecords') {
    const parsed = parseRecords(request, new Map())
    const outcomes = outcomesOf(json)
    const records = parsed.map((record, index) => toRecord(record, index, outcomes))
    return { ...head, operation, database: String(json['database']), table: String(json['table']), records }
  }
  if (isControlOperation(operation)) return { ...head, operation, request }
  throw damaged(`Line ${line} of the journal ${path} has the unknown operation '${operation}'.`)
}

interface Outcomes {
  readonly outcomes: readonly RecordOutcome[]
  readonly rejections: ReadonlyMap<number, JsonObject>
}

export function outcomesOf(json: JsonObject): Outcomes {
  const rejected = Array.isArray(json['rejected']) ? json['rejected'].filter(isObject) : []
  return {
    outcomes: Array.isArray(json['outcomes']) ? (json['outcomes'] as RecordOutcome[]) : [],
    rejections: new Map(rejected.map((rejection) => [Number(rejection['index']), rejection])),
  }
}

function toRecord(record: ParsedRecord, index: number, { outcomes, rejections }: Outcomes): JournalRecord {
  const rejection = rejections.get(index)
  const existing = rejection?.['existingVersion']
  return {
    index,
    outcome: outcomes[index] ?? 'rejected',
    ...(rejection === undefined ? {} : { reason: String(rejection['reason']) }),
    ...(typeof existing !== 'string' ? {} : { existingVersion: BigInt(existing) }),
    dimensions: Object.fromEntries(record.dimensions.names.map((name, d) => [name, record.dimensions.values[d] ?? ''])),
    measureName: record.measureName,
    multi: record.multi,
    measures: record.names.map((name, m) => {
      const type = record.types[m] ?? 'DOUBLE'
      return { name: record.multi ? name : record.measureName, type, value: exactValue(type, record.values[m] ?? '') }
    }),
    timeNs: timeNanos(record.time),
    version: record.version,
  }
}

function exactValue(type: ValueType, value: Value): Value | bigint {
  return type === 'BIGINT' || type === 'TIMESTAMP' ? BigInt(value) : value
}

function damaged(message: string, cause?: unknown): TimestreamLocalError {
  return new TimestreamLocalError('TIMESTREAM_LOCAL_JOURNAL', [message], { cause })
}
