import { open } from 'node:fs/promises'
import { basename, join, resolve as resolvePath } from 'node:path'
import { SluiceError } from '../errors.ts'
import { OptionsCheck } from '../options.ts'
import { SPI_VERSION } from '../sink/spi.ts'
import { type Fetched, type FetchedBatch, SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  RawRecord,
  ReaderContext,
  RestoredSource,
  Source,
  SourceReader,
  SplitEnumerator,
  SourceSplit,
} from '../source/spi.ts'
import { parseDeadLetter } from './letter.ts'
import { letterFiles, type Line, lines } from './read.ts'
import { type DeadLetterRecord, deadLetterRecord } from './record.ts'

/** A part of one file: what had been written when the source looked. */
export interface DeadLetterSplit extends SourceSplit {
  /** Bytes before this position were emitted. */
  readonly at: number
  /** Ends with the last whole line. */
  readonly end: number
}

/** Bytes of each file that were read to their end, by name. */
export type DeadLetterSourceState = Readonly<Record<string, number>>

export interface DeadLetterSourceOptions {
  /** Names the source in metrics and checkpoints. @default 'dead-letters' */
  readonly uid?: string
}

const MAX_RECORDS_PER_FETCH = 500
const MAX_BYTES_PER_FETCH = 4 * 1024 * 1024

/**
 * A bounded source of what {@link fileDeadLetters} keeps in a folder: replays the raw records of dead letters through a pipeline,
 * file by file, with checkpoints. A later start of the same job reads only what was added since. Repeats of a letter are emitted
 * as they are: `record.letter.id` tells them. A line that cannot be read, and a letter without raw bytes, is refused at stage
 * `decode`; give the job dead letters in another folder than the one it reads.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`; `SLUICE_DEAD_LETTERS_FAILED` ends the job when the folder cannot be read.
 * @example
 * ```ts
 * await using job = stream(deadLetterSource('./dead-letters'))
 *   .map(({ bytes }) => toHostRecord(JSON.parse(bytes.toString('utf8'))))
 *   .sinkTo(sink)
 *   .start({ name: 'replay', checkpoints: { storage: fileCheckpoints('./state') } })
 * await job.done
 * ```
 */
export function deadLetterSource(
  folder: string,
  options: DeadLetterSourceOptions = {},
): Source<DeadLetterRecord, DeadLetterSplit, DeadLetterSourceState> {
  const check = new OptionsCheck('deadLetterSource', { folder, ...options }, ['folder', 'uid'])
  check.string('folder', { required: true })
  check.string('uid')
  check.throwIfAny()
  const path = resolvePath(folder)
  return {
    spiVersion: SPI_VERSION,
    uid: options.uid ?? 'dead-letters',
    stateVersion: 1,
    acknowledgement: 'prefix',
    assignment: 'enumerator',
    positionAuthority: 'checkpoint',
    createEnumerator: (context, restored) => new FileEnumerator(path, context, restored),
    createReader: (context): SourceReader<DeadLetterRecord, DeadLetterSplit> => new FileReader(path, context),
  }
}

/** Assigns one file after the other, so that letters come in their order. */
class FileEnumerator implements SplitEnumerator<DeadLetterSourceState> {
  readonly #path: string
  readonly #context: EnumeratorContext<DeadLetterSplit>
  readonly #read: Map<string, number>
  readonly #waiting: DeadLetterSplit[]
  #current: DeadLetterSplit | undefined

  constructor(
    path: string,
    context: EnumeratorContext<DeadLetterSplit>,
    restored: RestoredSource<DeadLetterSplit, DeadLetterSourceState> | undefined,
  ) {
    this.#path = path
    this.#context = context
    this.#read = new Map(Object.entries(restored?.enumerator ?? {}))
    this.#waiting = []
    for (const split of restored?.splits ?? []) {
      if (split.finished === true) this.#read.set(split.splitId, split.end)
      else this.#waiting.push(split)
    }
  }

  async start(): Promise<void> {
    const begun = new Map(this.#waiting.map((split) => [split.splitId, split.end]))
    for (const file of await letterFiles(this.#path)) {
      const splitId = basename(file)
      const at = begun.get(splitId) ?? this.#read.get(splitId) ?? 0
      const end = await endOfLastLine(file)
      // What was added to a file that is begun is read by the next start: a split has one end.
      if (end > at && !begun.has(splitId)) this.#waiting.push({ splitId, at, end })
    }
    this.#assignNext()
  }

  splitFinished(splitId: string): void {
    if (this.#current !== undefined) this.#read.set(splitId, this.#current.end)
    this.#assignNext()
  }

  snapshotState(): DeadLetterSourceState {
    return Object.fromEntries(this.#read)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  #assignNext(): void {
    this.#current = this.#waiting.shift()
    if (this.#current === undefined) this.#context.noMoreSplits()
    else this.#context.assign([this.#current], 0)
  }
}

class FileReader extends SourceReaderBase<DeadLetterRecord, DeadLetterSplit> {
  readonly #path: string

  constructor(path: string, context: ReaderContext) {
    super(context, { maxBytesPerFetch: MAX_BYTES_PER_FETCH })
    this.#path = path
  }

  protected openSplit(split: DeadLetterSplit): SplitFetcher<DeadLetterRecord, DeadLetterSplit> {
    return new FileFetcher(this.#path, split)
  }

  protected describePosition({ at, end }: DeadLetterSplit): string {
    return `byte ${at} of ${end}`
  }
}

class FileFetcher implements SplitFetcher<DeadLetterRecord, DeadLetterSplit> {
  readonly #file: string
  readonly #split: DeadLetterSplit
  #lines: AsyncGenerator<Line, void, undefined> | undefined
  #at: number

  constructor(path: string, split: DeadLetterSplit) {
    // The path may be that of a single file.
    this.#file = basename(path) === split.splitId ? path : join(path, split.splitId)
    this.#split = split
    this.#at = split.at
  }

  async fetch(signal: AbortSignal): Promise<Fetched<DeadLetterRecord, DeadLetterSplit>> {
    const { end } = this.#split
    if (this.#lines === undefined) {
      this.#lines = lines(this.#file, this.#at)
      signal.addEventListener('abort', () => void this.#close(), { once: true })
    }
    const batch = new LetterBatch(this.#split)
    while (this.#at < end && !batch.isFull && !signal.aborted) {
      const next = await this.#lines.next()
      if (next.done === true && !signal.aborted) throw this.#lost()
      if (next.done === true) break
      if (next.value.text !== '') batch.add(next.value, this.#at)
      this.#at = next.value.endsAt
    }
    if (this.#at >= end) await this.#close()
    return { batch: batch.done(this.#at >= end), delayMs: 0 }
  }

  #lost(): SluiceError {
    const { splitId, end } = this.#split
    return new SluiceError(
      'SLUICE_POSITION_LOST',
      `${this.#file} has ${this.#at} bytes, and had ${end} when it was found`,
      {
        facts: { split: splitId, wanted: end, newest: this.#at },
      },
    )
  }

  async #close(): Promise<void> {
    await this.#lines?.return()
  }
}

interface Item {
  readonly record: DeadLetterRecord | undefined
  readonly raw: RawRecord
  readonly endsAt: number
}

/** Collects the lines of one fetch. */
class LetterBatch {
  readonly #split: DeadLetterSplit
  readonly #items: Item[] = []
  readonly #errors = new Map<number, unknown>()
  #bytes = 0

  constructor(split: DeadLetterSplit) {
    this.#split = split
  }

  get isFull(): boolean {
    return this.#items.length >= MAX_RECORDS_PER_FETCH || this.#bytes >= MAX_BYTES_PER_FETCH / 2
  }

  add({ text, endsAt }: Line, from: number): void {
    const record = this.#recordOf(text)
    const position = String(from)
    const raw =
      record === undefined
        ? { bytes: Buffer.from(text), position }
        : {
            bytes: record.bytes,
            position,
            ...(record.key === undefined ? {} : { key: record.key }),
            ...(record.headers === undefined ? {} : { headers: record.headers }),
            ...(record.timestampMs === undefined ? {} : { timestampMs: record.timestampMs }),
          }
    this.#bytes += raw.bytes.length
    this.#items.push({ record, raw, endsAt })
  }

  done(lastOfSplit: boolean): FetchedBatch<DeadLetterRecord, DeadLetterSplit> {
    const split = this.#split
    const items = this.#items
    return {
      splitId: split.splitId,
      // What has no value has an error in its place.
      values: items.map(({ record }) => record as DeadLetterRecord),
      byteLengths: Uint32Array.from(items, ({ raw }) => raw.bytes.length),
      decodeErrors: this.#errors,
      lastOfSplit,
      raw: (index) => items[index]?.raw,
      splitAfter: (index) => ({ ...split, at: items[index]?.endsAt ?? split.at }),
    }
  }

  #recordOf(text: string): DeadLetterRecord | undefined {
    let problem: unknown
    try {
      const record = deadLetterRecord(parseDeadLetter(text))
      if (record !== undefined) return record
      problem = new SluiceError('SLUICE_DEAD_LETTER_INVALID', 'the dead letter has no raw bytes')
    } catch (error) {
      problem = error
    }
    this.#errors.set(this.#items.length, problem)
    return undefined
  }
}

const TAIL_BYTES = 64 * 1024

/** Bytes up to the last line break: what follows is torn, or being written. */
async function endOfLastLine(path: string): Promise<number> {
  const file = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(TAIL_BYTES)
    let { size: end } = await file.stat()
    while (end > 0) {
      const from = Math.max(0, end - TAIL_BYTES)
      const { bytesRead } = await file.read(buffer, 0, end - from, from)
      const at = buffer.subarray(0, bytesRead).lastIndexOf(0x0a)
      if (at >= 0) return from + at + 1
      end = from
    }
    return 0
  } finally {
    await file.close()
  }
}
