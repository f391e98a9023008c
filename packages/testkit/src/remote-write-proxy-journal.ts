import { createHash } from 'node:crypto'
import { appendFileSync, closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

import type { FaultKind, Fault, RequestInfo, ResponseInfo } from './faults.ts'

/** How a {@link RemoteWriteJournal} keeps what it is told. */
export interface RemoteWriteJournalOptions {
  /** A new file, written line by line, that outlives the process. @default none: memory alone */
  readonly journalFile?: string
  /** Whether request bodies are kept, or their length and hash alone. @default 'kept' */
  readonly bodies?: 'kept' | 'hashed'
}

/** One request as the journal has it. Times are nanoseconds of the machine's monotonic clock. */
export interface JournalledRequest {
  /** Order of arrival in whole, from 1; the request's id in the journal. */
  readonly number: number
  readonly atNs: bigint
  readonly method: string
  /** Path and query, as sent. */
  readonly path: string
  /** Names in lower case; credentials are blotted out. */
  readonly headers: Readonly<Record<string, string>>
  /** The body as sent, compressed as it was; undefined where bodies are hashed. */
  readonly body: Buffer | undefined
  readonly bodyBytes: number
  /** Of the body as sent, in hex. */
  readonly bodySha256: string
  /** What the receiver answered, whether the sender got it or not; undefined where it did not, or not yet. */
  readonly answer: { readonly atNs: bigint; readonly status: number; readonly body: string } | undefined
  /** The fault that took effect; its status where the proxy answered. */
  readonly fault: { readonly atNs: bigint; readonly kind: FaultKind; readonly status: number | undefined } | undefined
}

/** One line of the file. */
type JournalEvent =
  | {
      readonly event: 'request'
      readonly number: number
      readonly atNs: string
      readonly method: string
      readonly path: string
      readonly headers: Readonly<Record<string, string>>
      readonly body?: string
      readonly bodyBytes: number
      readonly bodySha256: string
    }
  | {
      readonly event: 'answer'
      readonly number: number
      readonly atNs: string
      readonly status: number
      readonly body: string
    }
  | {
      readonly event: 'fault'
      readonly number: number
      readonly atNs: string
      readonly kind: FaultKind
      readonly status?: number
    }

const MAX_ANSWER_CHARS = 4_096
const SECRETS = new Set(['authorization', 'proxy-authorization', 'cookie', 'x-amz-security-token'])

/**
 * Writes down requests in the order of their arrival, what the receiver answered, and the faults: each line is in the file before
 * the sender can know of what it says.
 */
export class RemoteWriteJournal {
  readonly #requests: JournalledRequest[] = []
  readonly #keepsBodies: boolean
  #file: number | undefined

  /** @throws Error when the file exists, or cannot be made */
  constructor({ journalFile, bodies = 'kept' }: RemoteWriteJournalOptions) {
    this.#keepsBodies = bodies === 'kept'
    if (journalFile !== undefined) this.#file = openSync(journalFile, 'ax')
  }

  get requests(): readonly JournalledRequest[] {
    return this.#requests
  }

  received({ number, method, path, headers, body, bodyBytes }: RequestInfo): void {
    const listed = Object.entries(headers).map(([name, value]) => [name, SECRETS.has(name) ? '***' : String(value)])
    this.#write({
      event: 'request',
      number,
      atNs: now(),
      method,
      path,
      headers: Object.fromEntries(listed),
      bodyBytes,
      bodySha256: createHash('sha256').update(body).digest('hex'),
      ...(this.#keepsBodies && { body: body.toString('base64') }),
    })
  }

  answered({ request: { number }, status, body }: ResponseInfo): void {
    this.#write({
      event: 'answer',
      number,
      atNs: now(),
      status,
      body: body.toString('utf8').slice(0, MAX_ANSWER_CHARS),
    })
  }

  fired({ number }: RequestInfo, fault: Fault): void {
    const status = 'status' in fault ? { status: fault.status } : {}
    this.#write({ event: 'fault', number, atNs: now(), kind: fault.kind, ...status })
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #write(event: JournalEvent): void {
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(event)}\n`)
    enter(this.#requests, event)
  }
}

/**
 * Reads the file of a journal, whose writer may still run or have been killed: a last line without its end is left out.
 *
 * @throws Error where the file is not a journal, with the line
 */
export async function readRemoteWriteJournal(file: string): Promise<readonly JournalledRequest[]> {
  const requests: JournalledRequest[] = []
  const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1)
  for (const [index, line] of lines.entries()) {
    try {
      const event: JournalEvent = JSON.parse(line)
      enter(requests, event)
    } catch (error) {
      throw new Error(`${file}, line ${index + 1} is not one of a remote write journal: ${String(error)}`, {
        cause: error,
      })
    }
  }
  return requests
}

function enter(requests: JournalledRequest[], event: JournalEvent): void {
  const atNs = BigInt(event.atNs)
  if (event.event === 'request') {
    const { number, method, path, headers, bodyBytes, bodySha256 } = event
    const body = event.body === undefined ? undefined : Buffer.from(event.body, 'base64')
    requests.push({
      number,
      atNs,
      method,
      path,
      headers,
      body,
      bodyBytes,
      bodySha256,
      answer: undefined,
      fault: undefined,
    })
    return
  }
  const index = event.number - 1
  const request = requests[index]
  if (request?.number !== event.number) throw new Error(`no request ${event.number} before its ${event.event}`)
  requests[index] =
    event.event === 'answer'
      ? { ...request, answer: { atNs, status: event.status, body: event.body } }
      : { ...request, fault: { atNs, kind: event.kind, status: event.status } }
}

function now(): string {
  return String(process.hrtime.bigint())
}
