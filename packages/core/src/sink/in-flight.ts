import type { Request } from './request.ts'

/**
 * The requests without an answer, in no order.
 *
 * A list and not a Set: a Set that grows past its deletions leaves its old table behind, which still refers to what was in it and to the
 * table after it. Once one of these has become old, the collector keeps every later request, with its entries, until the next full
 * collection; that cost more than everything else in the engine.
 */
export class InFlight<Entry> {
  readonly #list: Request<Entry>[] = []

  get size(): number {
    return this.#list.length
  }

  add(request: Request<Entry>): void {
    request.slot = this.#list.length
    this.#list.push(request)
  }

  /** False if it was taken out before. */
  delete(request: Request<Entry>): boolean {
    const { slot } = request
    if (this.#list[slot] !== request) return false
    const last = this.#list.pop() as Request<Entry>
    if (last !== request) {
      this.#list[slot] = last
      last.slot = slot
    }
    request.slot = -1
    return true
  }

  /** Those that were sent at this time or before, oldest first. */
  sentBy(time: number): Request<Entry>[] {
    return this.#list.filter(({ sentAt }) => sentAt <= time).sort((a, b) => a.sentAt - b.sentAt)
  }

  /** When the oldest was sent; undefined if there is none. */
  get oldestSentAt(): number | undefined {
    let oldest: number | undefined
    for (const { sentAt } of this.#list) if (oldest === undefined || sentAt < oldest) oldest = sentAt
    return oldest
  }

  clear(): void {
    this.#list.length = 0
  }

  [Symbol.iterator](): Iterator<Request<Entry>> {
    return this.#list[Symbol.iterator]()
  }
}
