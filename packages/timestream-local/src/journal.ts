import { closeSync, constants, fsyncSync, ftruncateSync, openSync, writeSync, writevSync } from 'node:fs'
import { ServiceError } from './errors.ts'
import type { RecordOutcome } from './table.ts'

/** Outcome of one rejected record as the journal holds it. */
export interface JournalRejection {
  readonly index: number
  readonly reason: string
  /** Digits, since a version may exceed what a JSON number holds. */
  readonly existingVersion?: string
}

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
const SPACE = 32
const END = Buffer.from('}\n')

/**
 * The write-ahead log: one line per change, appended before the change is answered. The kernel has the line when the
 * answer is sent, so it survives the end of the process by any signal; it is not synced to the disk each time.
 */
export class Journal {
  readonly #fd: number
  #sequence: number
  #failure: unknown
  #open = true

  /** Continues the file after `bytes` bytes; what lies behind them, a torn last line, is cut off. */
  constructor(path: string, bytes: number, lastSequence: number) {
    this.#fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600)
    ftruncateSync(this.#fd, bytes)
    this.#sequence = lastSequence
  }

  /** Appends a change of databases or tables. */
  appendControl(operation: string, requestId: string, request: object): void {
    this.#append([Buffer.from(`${this.#head(operation, requestId)},"request":${JSON.stringify(request)}}\n`)])
  }

  /** Appends the evaluated records of one WriteRecords request. */
  appendWrite(
    requestId: string,
    database: string,
    table: string,
    outcomes: readonly RecordOutcome[],
    rejections: readonly JournalRejection[],
    body: Buffer,
  ): void {
    const rejected = rejections.length > 0 ? `,"rejected":${JSON.stringify(rejections)}` : ''
    const place = `"database":${JSON.stringify(database)},"table":${JSON.stringify(table)}`
    const head = `${this.#head('WriteRecords', requestId)},${place},"outcomes":["${outcomes.join('","')}"]${rejected},"request":`
    this.#append([Buffer.from(head), onOneLine(body), END])
  }

  /** Throws when an append failed before: from then on, memory is ahead of the journal and nothing more is taken. */
  assertWritable(): void {
    if (this.#failure !== undefined) {
      throw new ServiceError('InternalServerException', 'The journal cannot be written; restart timestream-local.')
    }
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    if (this.#failure === undefined) fsyncSync(this.#fd)
    closeSync(this.#fd)
  }

  #head(operation: string, requestId: string): string {
    const monotonicNs = process.hrtime.bigint()
    return `{"v":1,"seq":${++this.#sequence},"wallMs":${Date.now()},"monotonicNs":"${monotonicNs}","requestId":"${requestId}","operation":"${operation}"`
  }

  #append(buffers: readonly Buffer[]): void {
    this.assertWritable()
    try {
      const total = buffers.reduce((sum, { length }) => sum + length, 0)
      let written = writevSync(this.#fd, buffers)
      if (written === total) return
      const whole = Buffer.concat(buffers)
      while (written < total) written += writeSync(this.#fd, whole, written)
    } catch (error) {
      this.#failure = error
      throw new ServiceError('InternalServerException', `The journal cannot be written: ${(error as Error).message}`)
    }
  }
}

/** JSON strings hold no raw line breaks, so those between tokens can become spaces. */
function onOneLine(body: Buffer): Buffer {
  for (const lineBreak of [LINE_FEED, CARRIAGE_RETURN]) {
    for (let at = body.indexOf(lineBreak); at !== -1; at = body.indexOf(lineBreak, at)) body[at] = SPACE
  }
  return body
}
