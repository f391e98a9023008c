import type { Logger } from '../logger.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { Hand } from './hand.ts'

/** The message that was handed out before all others and is not acknowledged. */
export interface OldestMessage {
  readonly splitId: string
  /** As the service spells it; undefined when the source cannot tell. */
  readonly position: string | undefined
  /** Milliseconds since it was first handed out. */
  readonly ageMs: number
}

export interface WindowPlan {
  readonly name: string
  readonly clock: Clock
  readonly logger: Logger
  readonly tracker: Tracker
  readonly hand: Hand
  readonly acknowledgement: 'prefix' | 'individual'
  readonly maxUnacked: number
}

const LOG_INTERVAL_MS = 60_000

/** How many more messages may be handed out, and what holds them back when none may. */
export class Window {
  readonly #plan: WindowPlan
  #loggedAt = Number.NEGATIVE_INFINITY

  constructor(plan: WindowPlan) {
    this.#plan = plan
  }

  /** Messages that may be handed out now. */
  get room(): number {
    const { tracker, acknowledgement, maxUnacked } = this.#plan
    const { next, watermark, unsettled } = tracker
    // A position cannot move past the oldest message: what lies behind it is repeated with it.
    return maxUnacked - (acknowledgement === 'prefix' ? next - watermark : unsettled)
  }

  get oldest(): OldestMessage | undefined {
    const { hand, tracker, clock } = this.#plan
    const { oldest } = hand
    if (oldest === undefined) return undefined
    const [token, { handedOutAt }] = oldest
    const origin = tracker.origin(token)
    return { splitId: origin?.splitId ?? '', position: origin?.raw?.position, ageMs: clock.now() - handedOutAt }
  }

  #describeOldest(): string {
    const { oldest } = this
    if (oldest === undefined) return 'a dead letter that is not confirmed'
    const { splitId, position = 'unknown', ageMs } = oldest
    return `split ${splitId}, position ${position}, handed out ${Math.round(ageMs)} ms ago and not acknowledged`
  }

  /** The bound that is reached; undefined when none is. */
  get waitingFor(): string | undefined {
    const { maxUnacked, tracker } = this.#plan
    const bound = this.room <= 0 ? `maxUnacked (${maxUnacked})` : tracker.waitsFor
    return bound === undefined ? undefined : `room below ${bound}; oldest: ${this.#describeOldest()}`
  }

  /** Tells, once a minute, why nothing is handed out. */
  logStall(): void {
    const { clock, logger, name } = this.#plan
    const { waitingFor } = this
    if (waitingFor === undefined || clock.now() - this.#loggedAt < LOG_INTERVAL_MS) return
    this.#loggedAt = clock.now()
    logger.warn(
      { job: name, waitingFor },
      'Nothing is handed out until messages are acknowledged. Options: maxUnacked, maxRetainedBytes',
    )
  }
}
