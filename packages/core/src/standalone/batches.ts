import type { AnySource } from '../job/plan.ts'
import type { Source, SourceSplit } from '../source/spi.ts'
import type { Hand } from './hand.ts'
import { type BatchesOptions, resolveMessagesOptions } from './options.ts'
import { type MessagesStatus, Session } from './session.ts'

/**
 * Records of one split, in their order, each to be acknowledged or refused. For each index only the first call counts, as with
 * `Message`.
 */
export class MessageBatch<T> {
  readonly values: readonly T[]
  readonly splitId: string
  /** 1 at first; a value that is handed out again comes in a batch of its own. */
  readonly attempt: number
  /** Monotonic time at which it was first handed out. */
  readonly handedOutAt: number
  readonly #hand: Hand
  readonly #token: number
  readonly #ended: Uint8Array

  /** @internal made by {@link batches} */
  constructor(hand: Hand, token: number, values: readonly T[], splitId: string, attempt: number, handedOutAt: number) {
    this.#hand = hand
    this.#token = token
    this.values = values
    this.splitId = splitId
    this.attempt = attempt
    this.handedOutAt = handedOutAt
    this.#ended = new Uint8Array(values.length)
    for (let index = 0; index < values.length; index++) hand.add(token + index, this)
  }

  /** Acknowledges every value that is neither acknowledged nor refused. */
  ackAll(): void {
    for (let index = 0; index < this.values.length; index++) this.ack(index)
  }

  /** As `Message.ack`. @throws RangeError when there is no such index. */
  ack(index: number): void {
    if (this.#end(index)) this.#hand.acknowledge(this.#token + index, this)
  }

  /** As `Message.nack`. @throws RangeError when there is no such index. */
  nack(index: number, reason?: unknown): void {
    if (this.#end(index)) this.#hand.refuse(this.#token + index, this, this.splitId, this.values[index], reason)
  }

  /** True when `ack` and `nack` of this value have no effect although none was called. */
  isReleased(index: number): boolean {
    return this.#ended[index] === 0 && !this.#hand.holds(this.#token + index, this)
  }

  #end(index: number): boolean {
    const ended = this.#ended[index]
    if (ended === undefined)
      throw new RangeError(`the batch has ${this.values.length} values, there is no index ${index}`)
    this.#ended[index] = 1
    return ended === 0
  }
}

/** The batches of a source, see {@link batches}. */
export class Batches<T> implements AsyncIterableIterator<MessageBatch<T>>, AsyncDisposable {
  readonly #session: Session
  readonly #maxBatchSize: number

  /** @internal use {@link batches} */
  constructor(session: Session, maxBatchSize: number) {
    this.#session = session
    this.#maxBatchSize = maxBatchSize
  }

  /** As `Messages.next`. */
  async next(): Promise<IteratorResult<MessageBatch<T>, undefined>> {
    const session = this.#session
    const { hand } = session
    const taken = await session.take(this.#maxBatchSize)
    if (taken === undefined) return { done: true, value: undefined }
    const { token } = taken
    if (!('batch' in taken)) {
      const { splitId, attempt, handedOutAt } = taken
      return { done: false, value: new MessageBatch(hand, token, [taken.value as T], splitId, attempt, handedOutAt) }
    }
    const { batch, from, count } = taken
    const values = batch.values.slice(from, from + count) as T[]
    return { done: false, value: new MessageBatch(hand, token, values, batch.splitId, 1, session.clock.now()) }
  }

  /** As `Messages.return`. */
  async return(): Promise<IteratorResult<MessageBatch<T>, undefined>> {
    await this.#session.leave()
    return { done: true, value: undefined }
  }

  /** As `Messages.close`. */
  close(): Promise<void> {
    return this.#session.close()
  }

  status(): MessagesStatus {
    return this.#session.status()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.close().catch(() => undefined)
  }
}

/**
 * As {@link messages}, a batch at a time: for stores that take many values in one call.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options, `SLUICE_SPI_MISMATCH`.
 * @example
 * ```ts
 * for await (const batch of batches(source, { maxBatchSize: 1000 })) {
 *   await database.insert(batch.values)
 *   batch.ackAll()
 * }
 * ```
 */
export function batches<T, Split extends SourceSplit, State>(
  source: Source<T, Split, State>,
  options: BatchesOptions = {},
): Batches<T> {
  const given: AnySource = source
  const resolved = resolveMessagesOptions('batches', given, options)
  return new Batches<T>(new Session(given, resolved), resolved.maxBatchSize)
}
