import { delay, type Clock } from '../runtime/clock.ts'
import { WakeUp } from '../runtime/signal.ts'
import { orAborted } from './memory-log.ts'

export interface InMemoryQueueOptions {
  /** Time by which messages become visible again: that of the jobs that read the queue. */
  readonly clock: Clock
  /** How long a received message is hidden from others, in milliseconds. @default 30000 */
  readonly visibilityMs?: number
}

/** What a message is deleted or given back with; each delivery has its own, and only the newest one works. */
export interface QueueReceipt {
  readonly messageId: string
  /** Counts the deliveries of the message, from 1. */
  readonly delivery: number
}

/** A message as it was received. */
export interface QueueDelivery<T> {
  readonly receipt: QueueReceipt
  readonly body: T
  /** Messages of one group are delivered in their order. */
  readonly group: string | undefined
  readonly undecodable: boolean
}

/** What was asked of the queue, in order. */
export interface QueueRequest {
  readonly kind: 'delete' | 'giveBack'
  readonly receipt: QueueReceipt
  readonly atMs: number
  /** False for a receipt that is not the message's newest any more: then nothing was done. */
  readonly effective: boolean
}

interface Message<T> {
  readonly id: string
  readonly body: T
  readonly group: string | undefined
  readonly undecodable: boolean
  deliveries: number
  /** In hand of a receiver until then. */
  hiddenUntil: number
}

/**
 * A message queue that outlives jobs, and that several of them may read: each message is hidden while it is in hand, deleted by its
 * receipt, and delivered again when neither happened in time. While a message of a group is in hand, the others of that group
 * are not delivered.
 *
 * @example
 * ```ts
 * const queue = new InMemoryQueue<number>({ clock })
 * queue.send(1)
 * queue.send(2, 'group')
 * const source = new InMemoryQueueSource({ queue })
 * ```
 */
export class InMemoryQueue<T> {
  /** Every delete and give-back, in order. */
  readonly requests: QueueRequest[] = []
  /** Receive requests that were answered with messages. */
  receives = 0
  /** Receivers that wait for a message. */
  waiting = 0
  readonly #clock: Clock
  readonly #visibilityMs: number
  readonly #messages = new Map<string, Message<T>>()
  readonly #changed = new WakeUp()
  readonly #receiveFailures: Error[] = []
  readonly #deleteFailures: Error[] = []
  readonly #deleteHolds: Promise<void>[] = []
  #sent = 0

  constructor(options: InMemoryQueueOptions) {
    this.#clock = options.clock
    this.#visibilityMs = options.visibilityMs ?? 30_000
  }

  /** Ids of the messages that are not deleted, in order. */
  get messageIds(): readonly string[] {
    return [...this.#messages.keys()]
  }

  /** Ids of the messages that are hidden, in order. */
  get inHand(): readonly string[] {
    return [...this.#messages.values()].filter((message) => this.#isHidden(message)).map(({ id }) => id)
  }

  /** Ids of the messages that were deleted, in the order of the deletes. */
  get deleted(): readonly string[] {
    return this.requests
      .filter(({ kind, effective }) => kind === 'delete' && effective)
      .map(({ receipt }) => receipt.messageId)
  }

  /** @returns the id of the message. */
  send(body: T, group?: string): string {
    return this.#add(body, group, false)
  }

  /** Sends a message that cannot be decoded. */
  sendUndecodable(body: T, group?: string): string {
    return this.#add(body, group, true)
  }

  /** Makes messages visible that are in hand, as when their time had passed. @default all of them */
  redeliver(messageIds: readonly string[] = this.messageIds): void {
    for (const messageId of messageIds) {
      const message = this.#messages.get(messageId)
      if (message !== undefined) message.hiddenUntil = 0
    }
    this.#changed.wake()
  }

  /** The next receive fails with this error. */
  failNextReceive(error: Error): void {
    this.#receiveFailures.push(error)
    this.#changed.wake()
  }

  /** The next delete request fails with this error, and deletes nothing. */
  failNextDelete(error: Error): void {
    this.#deleteFailures.push(error)
  }

  /** The next delete request waits until the returned function is called. */
  holdNextDelete(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#deleteHolds.push(promise)
    return () => resolve()
  }

  /** Waits for visible messages and hides them. Empty when the signal aborts. */
  async receive(maxMessages: number, signal: AbortSignal): Promise<readonly QueueDelivery<T>[]> {
    this.waiting++
    try {
      for (;;) {
        const failure = this.#receiveFailures.shift()
        if (failure !== undefined) throw failure
        const messages = signal.aborted ? [] : this.#visible(maxMessages)
        if (messages.length > 0) this.receives++
        if (messages.length > 0 || signal.aborted) return messages.map((message) => this.#deliver(message))
        await this.#nextChange(signal)
      }
    } finally {
      this.waiting--
    }
  }

  /**
   * @param signal - a request that waits is given up when it aborts.
   * @throws the error of {@link InMemoryQueue.failNextDelete}.
   */
  async delete(receipts: readonly QueueReceipt[], signal?: AbortSignal): Promise<void> {
    const hold = this.#deleteHolds.shift()
    if (hold !== undefined) await orAborted(hold, signal)
    signal?.throwIfAborted()
    const failure = this.#deleteFailures.shift()
    if (failure !== undefined) throw failure
    for (const receipt of receipts) {
      const message = this.#newest(receipt)
      this.#note('delete', receipt, message !== undefined)
      if (message !== undefined) this.#messages.delete(message.id)
    }
    this.#changed.wake()
  }

  /** Makes a message visible before its time. */
  giveBack(receipt: QueueReceipt): void {
    const message = this.#newest(receipt)
    this.#note('giveBack', receipt, message !== undefined)
    if (message !== undefined) message.hiddenUntil = 0
    this.#changed.wake()
  }

  #add(body: T, group: string | undefined, undecodable: boolean): string {
    const id = `m${++this.#sent}`
    this.#messages.set(id, { id, body, group, undecodable, deliveries: 0, hiddenUntil: 0 })
    this.#changed.wake()
    return id
  }

  #note(kind: QueueRequest['kind'], receipt: QueueReceipt, effective: boolean): void {
    this.requests.push({ kind, receipt, atMs: this.#clock.now(), effective })
  }

  #newest({ messageId, delivery }: QueueReceipt): Message<T> | undefined {
    const message = this.#messages.get(messageId)
    return message?.deliveries === delivery ? message : undefined
  }

  #isHidden({ hiddenUntil }: Message<T>): boolean {
    return hiddenUntil > this.#clock.now()
  }

  #visible(maxMessages: number): readonly Message<T>[] {
    const all = [...this.#messages.values()]
    const busyGroups = new Set(all.filter((message) => this.#isHidden(message)).map(({ group }) => group))
    return all
      .filter((message) => !this.#isHidden(message))
      .filter(({ group }) => group === undefined || !busyGroups.has(group))
      .slice(0, maxMessages)
  }

  #deliver(message: Message<T>): QueueDelivery<T> {
    message.deliveries++
    message.hiddenUntil = this.#clock.now() + this.#visibilityMs
    const { id, deliveries, body, group, undecodable } = message
    return { receipt: { messageId: id, delivery: deliveries }, body, group, undecodable }
  }

  /** A message was sent, deleted or given back, or the time of one has passed. */
  async #nextChange(signal: AbortSignal): Promise<void> {
    const now = this.#clock.now()
    const dueAt = Math.min(
      ...[...this.#messages.values()].map(({ hiddenUntil }) => hiddenUntil).filter((at) => at > now),
    )
    const waited = new AbortController()
    const stop = (): void => waited.abort()
    signal.addEventListener('abort', stop, { once: true })
    const { promise: aborted, resolve } = Promise.withResolvers<void>()
    const due = Number.isFinite(dueAt) ? delay(this.#clock, dueAt - now, waited.signal) : aborted
    waited.signal.addEventListener('abort', () => resolve(), { once: true })
    await Promise.race([this.#changed.wait(), due, aborted])
    signal.removeEventListener('abort', stop)
    stop()
  }
}
