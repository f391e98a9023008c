import type { Acknowledgement, GeneratedRecord, ProducedRecord } from '../campaign.ts'
import { producedRecord } from './log.ts'
import type { Message } from './protocol.ts'

/** Names the only split of a queue, for positions. */
export const QUEUE_SPLIT = 'queue'

interface Stored {
  readonly sequenceNumber: string
  readonly record: GeneratedRecord
  /** Of the last delivery; an older one deletes nothing. */
  receipt: string
  /** Monotonic milliseconds from which it is delivered again. */
  visibleAtMs: number
}

/** Messages that are delivered again and again until their receipt is deleted. */
export class MemoryQueue {
  /** Deleted messages, in order. */
  readonly journal: Acknowledgement[] = []
  /** Sequence numbers of deleted messages. */
  readonly deleted = new Set<string>()
  readonly #visibilityTimeoutMs: number
  readonly #now: () => number
  readonly #messages = new Map<string, Stored>()
  #sequence = 0
  #deliveries = 0

  constructor(visibilityTimeoutMs: number, now: () => number = () => performance.now()) {
    this.#visibilityTimeoutMs = visibilityTimeoutMs
    this.#now = now
  }

  produce(records: readonly GeneratedRecord[]): readonly ProducedRecord[] {
    return records.map((record) => {
      const sequenceNumber = String(this.#sequence++)
      this.#messages.set(sequenceNumber, { sequenceNumber, record, receipt: '', visibleAtMs: 0 })
      return producedRecord(record, { splitId: QUEUE_SPLIT, sequenceNumber })
    })
  }

  receive(max: number): readonly Message[] {
    const now = this.#now()
    const messages: Message[] = []
    for (const message of this.#messages.values()) {
      if (messages.length === max) break
      if (message.visibleAtMs > now) continue
      message.visibleAtMs = now + this.#visibilityTimeoutMs
      message.receipt = `${message.sequenceNumber}:${++this.#deliveries}`
      messages.push({ receipt: message.receipt, sequenceNumber: message.sequenceNumber, record: message.record })
    }
    return messages
  }

  delete(receipts: readonly string[]): void {
    for (const { sequenceNumber } of this.#found(receipts)) {
      this.#messages.delete(sequenceNumber)
      this.deleted.add(sequenceNumber)
      this.journal.push({ position: { splitId: QUEUE_SPLIT, sequenceNumber }, atNs: process.hrtime.bigint() })
    }
  }

  /** Delivers them again at once. */
  giveBack(receipts: readonly string[]): void {
    for (const message of this.#found(receipts)) message.visibleAtMs = 0
  }

  /** Every visibility timeout is over. */
  expire(): void {
    for (const message of this.#messages.values()) message.visibleAtMs = 0
  }

  #found(receipts: readonly string[]): readonly Stored[] {
    return receipts.flatMap((receipt) => {
      const message = this.#messages.get(receipt.split(':', 1)[0] ?? '')
      return message?.receipt === receipt ? [message] : []
    })
  }
}
