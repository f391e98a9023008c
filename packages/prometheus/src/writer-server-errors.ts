/** What is known of an entry that was answered with 500. */
export interface ServerErrors {
  count: number
  /** When the last one came, see {@link ServerErrorRule.now}. */
  lastAt: number
  /** It came to a request of the entry alone, and the destination was well before and after it. */
  isSuspected: boolean
}

/** What a 500 says: nothing of what the request holds, or that this is at fault, or it is to be sent once more at once. */
export type ServerErrorVerdict = 'unclear' | 'askAgain' | 'atFault'

/** A request that was answered with 500. */
export interface ServerErrorAnswer {
  readonly destination: string
  /** Of its entries; counted by the rule. */
  readonly errors: readonly ServerErrors[]
  /** What it holds would be given up, not divided. */
  readonly isAlone: boolean
  /** When it was sent, see {@link ServerErrorRule.now}. */
  readonly sentAt: number
  /** Has the destination write a sample of no consequence; true when it did. */
  readonly probe: () => Promise<boolean>
}

/** So many destinations are remembered; when there are more, what is forgotten is proved anew. */
const MAX_DESTINATIONS = 10_000

/**
 * Tells a 500 for what a request holds from that of a receiver in trouble. Prometheus answers 500 to repeated label names and to
 * samples that are older than its out-of-order window, and would be asked for ever.
 *
 * What was answered so as often as the option says is divided if the destination writes samples right after. What cannot be divided
 * any more is at fault only if it is answered so twice more, each time between two proofs of health: the destination wrote samples
 * before that request was sent, and does right after its answer. Whatever trouble there was before had ended. Where nothing else is
 * written a probe is. It is a sample, since a receiver whose disk is full takes requests without any.
 */
export class ServerErrorRule {
  readonly #after: number
  /** When each destination last wrote samples. */
  readonly #writtenAt = new Map<string, number>()
  /** Counts what happens: which of two events was first is all that matters of their times. */
  #now = 0

  /** @param after - so many answers; Infinity for never. */
  constructor(after: number) {
    this.#after = after
  }

  /** Another time each time. */
  now(): number {
    return ++this.#now
  }

  /** The destination wrote samples. */
  written(destination: string): void {
    if (this.#writtenAt.size >= MAX_DESTINATIONS && !this.#writtenAt.has(destination)) this.#writtenAt.clear()
    this.#writtenAt.set(destination, this.now())
  }

  /** Counts the answer, and says what follows from it. */
  async judge({ destination, errors, isAlone, sentAt, probe }: ServerErrorAnswer): Promise<ServerErrorVerdict> {
    const now = this.now()
    let count = 0
    let before = Number.NEGATIVE_INFINITY
    for (const each of errors) {
      count = Math.max(count, ++each.count)
      before = Math.max(before, each.lastAt)
      each.lastAt = now
    }
    const writtenAt = this.#writtenAt.get(destination) ?? Number.NEGATIVE_INFINITY
    // Of what was written before the first answer nothing follows.
    const wasWell = Number.isFinite(before) && writtenAt > before && writtenAt < sentAt
    // One answer earlier: the probe is then what was written before the next request.
    if (count < (isAlone ? this.#after - 1 : this.#after) || !(await probe())) return 'unclear'
    this.written(destination)
    if (!isAlone) return 'atFault'
    if (count < this.#after || !wasWell) return 'unclear'
    const wasSuspected = errors.every(({ isSuspected }) => isSuspected)
    for (const each of errors) each.isSuspected = !wasSuspected
    return wasSuspected ? 'atFault' : 'askAgain'
  }
}
