import type { Entry } from './series.ts'

/** What is known of a destination's health. */
interface Health {
  /** When it last wrote samples, see {@link ServerErrorRule}. */
  writtenAt: number
  /** Of what it wrote then, the last. */
  last: Entry | undefined
  /** Records that were charged with a 500 since then. */
  charged: number
}

/** What is known of an entry that was answered with 500. */
export interface ServerErrors {
  count: number
  /** When the last one came, see {@link ServerErrorRule}. */
  lastAt: number
}

/** So many destinations are remembered. */
const MAX_DESTINATIONS = 10_000

/**
 * Tells a 500 for what a request holds from that of a receiver in trouble. Prometheus answers 500 to repeated label names and to
 * samples that are older than its out-of-order window, and would be asked for ever. Charged is a request that was answered so as often as
 * the option says, while the receiver takes others: since the error before, it wrote another request, or it answers an empty one now.
 *
 * A receiver whose disk is full also takes empty requests. Hence a second record is not charged before samples were written again: an
 * outage costs one record of a destination at most, and that one goes where refused records go. Hence too it outlives the attempt.
 * Whatever could be written may wait behind that second record: what was written last is then written once more, an exact repeat.
 */
export class ServerErrorRule {
  readonly #after: number
  readonly #health = new Map<string, Health>()
  /** Counts what happens: which of two events was first is all that matters of their times. */
  #now = 0

  constructor(isolateAfterServerErrors: number) {
    this.#after = isolateAfterServerErrors
  }

  /** Samples were written to the destination. */
  written(destination: string, last: Entry | undefined): void {
    const health = this.#healthOf(destination)
    health.last = last
    health.writtenAt = ++this.#now
    health.charged = 0
  }

  /**
   * A request was answered with 500.
   *
   * @param errors - of the request's oldest entry; counted here.
   * @param isAlone - the request holds one record, which would be charged.
   * @param probe - sends a request with these entries, or none; true when it was taken.
   * @returns true when what the request holds is at fault.
   */
  async isAtFault(
    destination: string,
    errors: ServerErrors,
    isAlone: boolean,
    probe: (entries: readonly Entry[]) => Promise<boolean>,
  ): Promise<boolean> {
    const before = errors.lastAt
    errors.count++
    errors.lastAt = ++this.#now
    if (errors.count < this.#after) return false
    const health = this.#healthOf(destination)
    // Of what was written before the first error nothing follows.
    const wroteSince = Number.isFinite(before) && health.writtenAt > before
    if (!wroteSince) {
      const needsSamples = isAlone && health.charged > 0
      if (needsSamples && health.last === undefined) return false
      if (!(await probe(needsSamples && health.last !== undefined ? [health.last] : []))) return false
      if (needsSamples) health.charged = 0
    }
    if (isAlone) health.charged++
    return true
  }

  #healthOf(destination: string): Health {
    const known = this.#health.get(destination)
    if (known !== undefined) return known
    if (this.#health.size >= MAX_DESTINATIONS) this.#health.clear()
    const health: Health = { writtenAt: Number.NEGATIVE_INFINITY, last: undefined, charged: 0 }
    this.#health.set(destination, health)
    return health
  }
}
