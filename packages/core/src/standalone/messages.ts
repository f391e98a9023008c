import type { AnySource } from '../job/plan.ts'
import type { Source, SourceSplit } from '../source/spi.ts'
import type { Hand } from './hand.ts'
import { type MessagesOptions, resolveMessagesOptions } from './options.ts'
import { type MessagesStatus, Session } from './session.ts'

/**
 * One record, handed out until it is acknowledged or refused. Only the first `ack` or `nack` counts; one that comes after the end, or
 * after the split went to another consumer, does nothing and is counted (`status().late`).
 */
export class Message<T> {
  readonly value: T
  readonly splitId: string
  /** 1 at first; with `maxAttempts`, one more after each `nack`. */
  readonly attempt: number
  /** Monotonic time at which it was first handed out. */
  readonly handedOutAt: number
  readonly #hand: Hand
  readonly #token: number
  #ended = false

  /** @internal made by {@link messages} */
  constructor(hand: Hand, token: number, value: T, splitId: string, attempt: number, handedOutAt: number) {
    this.#hand = hand
    this.#token = token
    this.value = value
    this.splitId = splitId
    this.attempt = attempt
    this.handedOutAt = handedOutAt
    hand.add(token, this)
  }

  /** It has been dealt with. The service is told soon, in the background: see `acknowledgeIntervalMs`. */
  ack(): void {
    if (this.#ended) return
    this.#ended = true
    this.#hand.acknowledge(this.#token, this)
  }

  /**
   * It could not be dealt with. A source that acknowledges one by one gives it back to its service. Otherwise it is handed out again
   * until `maxAttempts`; then it goes to `deadLetters`, or ends the iteration when there are none.
   *
   * @param reason - a text for dead letters and errors, or what was thrown.
   */
  nack(reason?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#hand.refuse(this.#token, this, this.splitId, this.value, reason)
  }

  /** True when `ack` and `nack` have no effect although none was called: its split was released, or the iteration has ended. */
  get isReleased(): boolean {
    return !this.#ended && !this.#hand.holds(this.#token, this)
  }
}

/** The messages of a source, see {@link messages}. */
export class Messages<T> implements AsyncIterableIterator<Message<T>>, AsyncDisposable {
  readonly #session: Session

  /** @internal use {@link messages} */
  constructor(session: Session) {
    this.#session = session
  }

  /**
   * The next message. At the end of the source, `done`: what was handed out may still be acknowledged, and when all was, it closes.
   *
   * @throws SluiceError what ended the reading.
   */
  async next(): Promise<IteratorResult<Message<T>, undefined>> {
    const session = this.#session
    const { hand } = session
    const taken = await session.take(1)
    if (taken === undefined) return { done: true, value: undefined }
    const { token } = taken
    if (!('batch' in taken)) {
      const { splitId, attempt, handedOutAt } = taken
      return { done: false, value: new Message(hand, token, taken.value as T, splitId, attempt, handedOutAt) }
    }
    const { batch, from } = taken
    const value = batch.values[from] as T
    return { done: false, value: new Message(hand, token, value, batch.splitId, 1, session.clock.now()) }
  }

  /** What leaving a `for await` loop calls: {@link Messages.close}, unless the source had ended. */
  async return(): Promise<IteratorResult<Message<T>, undefined>> {
    await this.#session.leave()
    return { done: true, value: undefined }
  }

  /**
   * Acknowledges what was acked, gives back the rest, and closes the source, within `closeDeadlineMs`. Idempotent.
   *
   * @throws SluiceError what ended the reading, or why the last acknowledgement failed.
   */
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
    // The error was the caller's in the loop; a disposer that threw it again would hide it behind a SuppressedError.
    await this.#session.close().catch(() => undefined)
  }
}

/**
 * Reads a source without a job: each message is acknowledged by hand, in any order. Nothing is read before the first pull, and
 * nothing is handed out ahead of one.
 *
 * Where the service remembers one position a split, it follows the oldest unacknowledged message of the split, at intervals and at the
 * end, however long that message takes. A source whose positions are in checkpoints needs `checkpoints.storage` to survive a restart of
 * the process. Leaving the loop, by `break` or by a throw, acknowledges
 * what was acked and nothing else. A failure of the source is thrown by the loop; to go on, call `messages` again.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options, `SLUICE_SPI_MISMATCH`.
 * @example
 * ```ts
 * for await (const message of messages(new SqsSource({ queueUrl }))) {
 *   await handle(message.value)
 *   message.ack()
 * }
 * ```
 */
export function messages<T, Split extends SourceSplit, State>(
  source: Source<T, Split, State>,
  options: MessagesOptions = {},
): Messages<T> {
  const given: AnySource = source
  return new Messages<T>(new Session(given, resolveMessagesOptions('messages', given, options)))
}
