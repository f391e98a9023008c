import type { Delivery } from '../dead-letters/delivery.ts'
import { kindOf } from '../errors.ts'
import type { Counter } from '../metrics/registry.ts'
import type { Tracker } from '../tracker/tracker.ts'

/** What was handed out under one token or several: only the holder that has a token last may end it. */
export interface Holder {
  /** 1 at first, one more each time that it is handed out again. */
  readonly attempt: number
  /** Monotonic time at which it was first handed out. */
  readonly handedOutAt: number
}

/** A message that is to be handed out again. */
export interface Retry {
  readonly token: number
  readonly value: unknown
  readonly splitId: string
  readonly attempt: number
  readonly handedOutAt: number
}

export interface HandPlan {
  readonly tracker: Tracker
  readonly delivery: Delivery
  readonly late: Counter
  /** `individual`: a nack gives the message back to the service. */
  readonly acknowledgement: 'prefix' | 'individual'
  readonly maxAttempts: number
  /** Something ended: there may be room, or nothing left to wait for. */
  readonly onEnded: () => void
}

/** The messages that the caller has and has not acknowledged. */
export class Hand {
  readonly #plan: HandPlan
  /** In the order in which they were first handed out. */
  readonly #open = new Map<number, Holder>()
  readonly #retries: Retry[] = []
  #takesRetries = true
  #late = 0

  constructor(plan: HandPlan) {
    this.#plan = plan
  }

  /** Messages handed out, or waiting to be handed out again. */
  get size(): number {
    return this.#open.size
  }

  /** Acknowledgements and refusals that came too late to count. */
  get late(): number {
    return this.#late
  }

  /** The token and the holder that was handed out before all others. */
  get oldest(): readonly [number, Holder] | undefined {
    return this.#open.entries().next().value
  }

  add(token: number, holder: Holder): void {
    this.#open.set(token, holder)
  }

  holds(token: number, holder: Holder): boolean {
    return this.#open.get(token) === holder
  }

  acknowledge(token: number, holder: Holder): void {
    if (!this.#take(token, holder)) return
    this.#plan.tracker.settle(token)
    this.#plan.onEnded()
  }

  refuse(token: number, holder: Holder, splitId: string, value: unknown, reason: unknown): void {
    const { tracker, acknowledgement, maxAttempts, onEnded } = this.#plan
    const { attempt, handedOutAt } = holder
    if (acknowledgement === 'prefix' && attempt < maxAttempts && this.#takesRetries && this.holds(token, holder)) {
      const retry = { token, value, splitId, attempt: attempt + 1, handedOutAt }
      // In its place: it was first handed out when it was.
      this.#open.set(token, retry)
      this.#retries.push(retry)
    } else if (!this.#take(token, holder)) {
      return
    } else if (acknowledgement === 'individual') {
      tracker.returned(token)
    } else {
      void this.#deadLetter(token, holder, value, reason)
    }
    onEnded()
  }

  /** The message to hand out again, before anything new. */
  takeRetry(): Retry | undefined {
    for (let retry = this.#retries.shift(); retry !== undefined; retry = this.#retries.shift()) {
      if (this.holds(retry.token, retry)) return retry
    }
    return undefined
  }

  /** The input has ended and nobody asks for more: what is refused from here on is not handed out again. */
  refuseRetries(): void {
    this.#takesRetries = false
  }

  /** Gives back what is of released splits: what the caller does with it has no effect any more. */
  release(): number {
    const { tracker } = this.#plan
    let released = 0
    for (const token of this.#open.keys()) {
      if (!tracker.isReleased(token)) continue
      this.#open.delete(token)
      tracker.returned(token)
      released++
    }
    return released
  }

  /** Whatever comes from here on is late. */
  end(): void {
    this.#open.clear()
    this.#retries.length = 0
  }

  #take(token: number, holder: Holder): boolean {
    if (!this.holds(token, holder)) {
      this.#late++
      this.#plan.late.value++
      return false
    }
    this.#open.delete(token)
    return true
  }

  async #deadLetter(token: number, { attempt }: Holder, value: unknown, given: unknown): Promise<void> {
    const { tracker, delivery, onEnded } = this.#plan
    // What was thrown may quote the record.
    const thrown = given !== undefined && typeof given !== 'string'
    const message = given === undefined ? 'no reason was given' : thrown ? kindOf(given) : given
    const reason = { code: 'nacked', message, ...(thrown ? { cause: given } : {}) }
    const refusal = { token, stage: 'operator' as const, reason, value, attempts: attempt }
    if (await delivery.refused(undefined, refusal)) tracker.settle(token)
    onEnded()
  }
}
