import { WakeUp } from '../runtime/signal.ts'
import { type OnPositionLost, positionLost } from '../source/position-lost.ts'
import type { Fetched, FetchedBatch } from '../source/source-reader-base.ts'
import type { SourceContext, SourceSplit } from '../source/spi.ts'

export interface MemorySplit extends SourceSplit {
  /** Values before this index were emitted. */
  readonly next: number
}

interface LogRecord<T> {
  readonly value: T
  readonly undecodable: boolean
}

interface LogSplit<T> {
  readonly records: LogRecord<T>[]
  /** Records before this index are gone. */
  oldest: number
  ended: boolean
}

/** How records are read from a log. */
export interface LogReading<T> {
  readonly maxBatchSize: number
  readonly onPositionLost: OnPositionLost
  readonly byteLengthOf: (value: T) => number
}

/** Records by split, in order, as a service keeps them: they outlive whoever reads them. */
export class MemoryLog<T> {
  /** Values handed out by fetches. */
  fetched = 0
  /** Fetches that were begun, and those of them that wait for records. */
  fetches = 0
  waiting = 0
  readonly #owner: string
  readonly #splits = new Map<string, LogSplit<T>>()
  readonly #changed = new WakeUp()
  #ended = false
  #failure: Error | undefined

  /** @param owner - for errors. */
  constructor(owner: string, splitIds: readonly string[]) {
    this.#owner = owner
    for (const splitId of splitIds) this.addSplit(splitId)
  }

  get splitIds(): readonly string[] {
    return [...this.#splits.keys()]
  }

  get ended(): boolean {
    return this.#ended
  }

  addSplit(splitId: string): void {
    if (this.#splits.has(splitId)) throw new RangeError(`${this.#owner} has a split '${splitId}' already`)
    this.#splits.set(splitId, { records: [], oldest: 0, ended: false })
    this.#changed.wake()
  }

  push(splitId: string, values: readonly T[], undecodable = false): void {
    const { records } = this.#split(splitId)
    for (const value of values) records.push({ value, undecodable })
    this.#changed.wake()
  }

  endSplit(splitId: string): void {
    this.#split(splitId).ended = true
    this.#changed.wake()
  }

  end(): void {
    this.#ended = true
    this.#changed.wake()
  }

  expire(splitId: string, before: number): void {
    const split = this.#split(splitId)
    split.oldest = Math.max(split.oldest, Math.min(before, split.records.length))
  }

  failNextFetch(error: Error): void {
    this.#failure = error
    this.#changed.wake()
  }

  /** Where reading that begins at the oldest or behind the newest record begins. */
  position(splitId: string, at: 'earliest' | 'latest'): number {
    const { oldest, records } = this.#split(splitId)
    return at === 'earliest' ? oldest : records.length
  }

  /** Resolves at the next change; of the splits, the records or the end. */
  changed(): Promise<void> {
    return this.#changed.wait()
  }

  /**
   * Reads the next batch from index `next` on; waits until there is a record, or none will follow.
   *
   * @throws SluiceError `SLUICE_POSITION_LOST` if that position is gone, unless reading goes on elsewhere.
   */
  async fetch<Split extends MemorySplit>(
    context: SourceContext,
    from: Split,
    reading: LogReading<T>,
    signal: AbortSignal,
  ): Promise<Fetched<T, Split>> {
    this.fetches++
    this.waiting++
    const wake = (): void => this.#changed.wake()
    signal.addEventListener('abort', wake, { once: true })
    const split = this.#split(from.splitId)
    let first = from.next
    try {
      for (;;) {
        if (first < split.oldest) first = this.#lost(context, from, split, reading.onPositionLost)
        if (first < split.records.length || this.#isOver(split) || this.#failure !== undefined || signal.aborted) break
        await this.#changed.wait()
      }
    } finally {
      signal.removeEventListener('abort', wake)
      this.waiting--
    }
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
    const records = split.records.slice(first, first + reading.maxBatchSize)
    this.fetched += records.length
    const last = this.#isOver(split) && first + records.length >= split.records.length
    return { delayMs: 0, batch: batchOf(records, { ...from, next: first }, reading, last) }
  }

  #lost(context: SourceContext, { splitId, next }: MemorySplit, split: LogSplit<T>, policy: OnPositionLost): number {
    const { oldest, records } = split
    const goesOn = { fail: next, earliest: oldest, latest: records.length }
    const at = positionLost(context, policy, {
      splitId,
      wanted: String(next),
      oldest: String(oldest),
      newest: String(records.length - 1),
      skippedRecords: goesOn[policy] - next,
    })
    return goesOn[at]
  }

  #isOver(split: LogSplit<T>): boolean {
    return this.#ended || split.ended
  }

  #split(splitId: string): LogSplit<T> {
    const split = this.#splits.get(splitId)
    if (split === undefined) throw new RangeError(`${this.#owner} has no split '${splitId}'`)
    return split
  }
}

function batchOf<T, Split extends MemorySplit>(
  records: readonly LogRecord<T>[],
  from: Split,
  { byteLengthOf }: LogReading<T>,
  lastOfSplit: boolean,
): FetchedBatch<T, Split> {
  const values = records.map(({ value }) => value)
  const decodeErrors = new Map<number, unknown>()
  for (const [index, { undecodable }] of records.entries()) {
    if (undecodable) decodeErrors.set(index, new SyntaxError('not decodable'))
  }
  return {
    splitId: from.splitId,
    values,
    byteLengths: Uint32Array.from(values, byteLengthOf),
    decodeErrors,
    lastOfSplit,
    raw: (index) => ({ ...rawOf(values[index]), key: from.splitId, position: String(from.next + index) }),
    splitAfter: (index) => ({ ...from, next: from.next + index + 1 }),
  }
}

/** The bytes of a value as a raw record. */
export function rawOf(value: unknown): { readonly bytes: Uint8Array } {
  return { bytes: Buffer.from(JSON.stringify(value) ?? '') }
}

/** Resolves with the promise, or when the signal aborts. */
export async function orAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  const stop = (): void => resolve()
  signal?.addEventListener('abort', stop, { once: true })
  if (signal?.aborted === true) stop()
  await Promise.race([promise, aborted])
  signal?.removeEventListener('abort', stop)
}
