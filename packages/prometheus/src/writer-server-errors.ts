/** What is known of an entry that was answered with 500. */
export interface ServerErrors {
  count: number
  /** When the last one came, see {@link ServerErrorRule.now}. */
  lastAt: number
  /** It came to a request of the entry alone, and the destination was well before and after it. */
  isSuspected: boolean
}

/** What a 500 says: nothing of what the request holds, or that this is at fault, or that it is to be sent once more to know. */
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
  /** When it was answered, in milliseconds. */
  readonly nowMs: number
  /** It cannot be sent again: what is to be decided is decided now. */
  readonly isLastTry: boolean
  /** Has the destination write a sample of no consequence; true when it did. */
  readonly probe: () => Promise<boolean>
}

/** What is known of a destination. */
interface Health {
  /** When it last wrote samples, see {@link ServerErrorRule.now}. */
  writtenAt: number
  /** When the first of the answers with 500 came that follow one another, and the last, in milliseconds. */
  firstErrorAtMs: number
  lastErrorAtMs: number
}

/** So many destinations are remembered; when there are more, what is forgotten is proved anew. */
const MAX_DESTINATIONS = 10_000
/** After so many milliseconds without such an answer the next is one of new trouble: longer than from one try of a record to the next. */
const MIN_PEACE_MS = 120_000

/**
 * Tells a 500 for what a request holds from that of a receiver in trouble. Prometheus answers 500 to repeated label names and to
 * samples that are older than its out-of-order window, and would be asked for ever.
 *
 * When its destination has answered so for some time, what was answered so as often as the option says is divided if samples are
 * written right after. What cannot be divided any more is at fault only if it is answered so twice more, each time between two proofs
 * of health: the destination wrote samples before that request was sent, and does right after its answer. Whatever trouble there was
 * before had ended. Where nothing else is written a probe is. It is a sample, since a receiver whose disk is full takes requests
 * without any.
 *
 * Of trouble with a part of its series, a shard, a destination gives no other proof than time.
 */
export class ServerErrorRule {
  readonly #after: number
  readonly #minAgeMs: number
  readonly #health = new Map<string, Health>()
  /** Counts what happens: which of two events was first is all that matters of their times. */
  #now = 0

  /**
   * @param after - so many answers; Infinity for never.
   * @param minAgeMs - for so many milliseconds a destination has to answer so.
   */
  constructor(after: number, minAgeMs: number) {
    this.#after = after
    this.#minAgeMs = minAgeMs
  }

  /** Another time each time. */
  now(): number {
    return ++this.#now
  }

  /** The destination wrote samples. */
  written(destination: string): void {
    this.#healthOf(destination).writtenAt = this.now()
  }

  /** Counts the answer, and says what follows from it. */
  async judge(answer: ServerErrorAnswer): Promise<ServerErrorVerdict> {
    const { destination, errors, isAlone, sentAt, nowMs, isLastTry, probe } = answer
    const now = this.now()
    let count = 0
    let before = Number.NEGATIVE_INFINITY
    for (const each of errors) {
      count = Math.max(count, ++each.count)
      before = Math.max(before, each.lastAt)
      each.lastAt = now
    }
    const health = this.#healthOf(destination)
    if (!(nowMs - health.lastErrorAtMs < Math.max(MIN_PEACE_MS, this.#minAgeMs))) health.firstErrorAtMs = nowMs
    health.lastErrorAtMs = nowMs
    const isDue = count >= this.#after && (isLastTry || nowMs - health.firstErrorAtMs >= this.#minAgeMs)
    // Of what was written before the first answer nothing follows.
    const wasWell = Number.isFinite(before) && health.writtenAt > before && health.writtenAt < sentAt
    // Of what is alone one answer earlier: the probe is then what was written before the next request.
    const asks = isDue || (isAlone && count >= this.#after - 1)
    if (!asks || !(await probe())) return 'unclear'
    this.written(destination)
    if (!isDue || (isAlone && !wasWell)) return 'unclear'
    if (!isAlone) return 'atFault'
    const wasSuspected = errors.every(({ isSuspected }) => isSuspected)
    for (const each of errors) each.isSuspected = !wasSuspected
    return wasSuspected ? 'atFault' : 'askAgain'
  }

  #healthOf(destination: string): Health {
    const known = this.#health.get(destination)
    if (known !== undefined) return known
    if (this.#health.size >= MAX_DESTINATIONS) this.#health.clear()
    const health: Health = {
      writtenAt: Number.NEGATIVE_INFINITY,
      firstErrorAtMs: Number.NaN,
      lastErrorAtMs: Number.NEGATIVE_INFINITY,
    }
    this.#health.set(destination, health)
    return health
  }
}
