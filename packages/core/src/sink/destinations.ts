import type { Clock } from '../runtime/clock.ts'
import type { ColumnPool } from './entry-queue.ts'
import { Destination } from './lane.ts'
import type { ResolvedSinkOptions } from './options.ts'

/** As many are kept before those that have nothing in hand are forgotten, whatever their limiters have learnt. */
const MAX_IDLE = 1_000

export interface DestinationsPlan<Entry> {
  readonly destinations: Map<string, Destination<Entry>>
  readonly limits: ResolvedSinkOptions
  readonly pool: ColumnPool
  readonly clock: Clock
  readonly isOrdered: () => boolean
}

/** Makes destinations when they are first named, and forgets them: they may be many and short-lived. */
export class Destinations<Entry> {
  readonly #plan: DestinationsPlan<Entry>
  #sweepAbove = MAX_IDLE
  #first: string | undefined
  #areSeveral = false

  constructor(plan: DestinationsPlan<Entry>) {
    this.#plan = plan
  }

  /** True once there has been more than one, also while all others are idle. */
  get areSeveral(): boolean {
    return this.#areSeveral
  }

  of(name: string): Destination<Entry> {
    const { destinations } = this.#plan
    const known = destinations.get(name)
    if (known !== undefined) return known
    if (destinations.size >= this.#sweepAbove) this.#sweep()
    this.#first ??= name
    this.#areSeveral ||= name !== this.#first
    const made = this.#make(name)
    destinations.set(name, made)
    return made
  }

  /** What a limiter has learnt is kept until it is back at its limit. */
  forgetIfAtRest(destination: Destination<Entry>): void {
    if (!destination.isSlowed && this.#isIdle(destination)) this.#plan.destinations.delete(destination.name)
  }

  #make(name: string): Destination<Entry> {
    const { limits, pool, isOrdered } = this.#plan
    const limiter = limits.rateLimitingStrategy.createLimiter(limits.maxInFlightRequests)
    return new Destination<Entry>(name, limiter, isOrdered() ? limits.orderedLanes : 1, isOrdered(), pool)
  }

  #isIdle(destination: Destination<Entry>): boolean {
    return destination.isEmpty && destination.pausedUntil <= this.#plan.clock.now()
  }

  #sweep(): void {
    const { destinations } = this.#plan
    for (const destination of destinations.values()) {
      if (this.#isIdle(destination)) destinations.delete(destination.name)
    }
    // Not again for each one more while most of them are busy.
    this.#sweepAbove = Math.max(MAX_IDLE, 2 * destinations.size)
  }
}
