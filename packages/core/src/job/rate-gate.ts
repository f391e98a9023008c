import { SluiceError } from '../errors.ts'
import type { Clock, Timer } from '../runtime/clock.ts'
import { WakeUp } from '../runtime/signal.ts'

/** How fast a job takes records from its source: made by {@link perSecond} or {@link perCheckpoint}. */
export interface SourceRateLimit {
  readonly kind: 'perSecond' | 'perCheckpoint'
  readonly records: number
}

/** What `status()` tells of a rate limit. */
export interface RateLimitStatus extends SourceRateLimit {
  /** True while records wait for it. */
  readonly waiting: boolean
}

/**
 * At most so many records a second, all fetch loops together; after a pause up to as many more at once (FLIP-238). Fractions are
 * allowed.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` unless it is a finite number above 0.
 * @example
 * ```ts
 * stream(source, { rateLimit: perSecond(500) })
 * ```
 */
export function perSecond(records: number): SourceRateLimit {
  return valid({ kind: 'perSecond', records })
}

/**
 * At most so many records from the completion of one checkpoint to that of the next, all fetch loops together (FLIP-238). When
 * they are used up, a checkpoint is asked for before its interval is over.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` unless it is an integer from 1 up.
 * @example
 * ```ts
 * stream(source, { rateLimit: perCheckpoint(10_000) })
 * ```
 */
export function perCheckpoint(records: number): SourceRateLimit {
  return valid({ kind: 'perCheckpoint', records })
}

/** What is wrong with the value of an option `rateLimit`. */
export function rateLimitProblem(limit: unknown): string | undefined {
  if (limit === undefined) return undefined
  if (typeof limit !== 'object' || limit === null || !('kind' in limit) || !('records' in limit))
    return 'rateLimit must be made by perSecond() or perCheckpoint()'
  const { kind, records } = limit
  const shown = `${String(records)} (${typeof records})`
  if (kind === 'perSecond') {
    const isRate = typeof records === 'number' && records > 0 && records < Number.POSITIVE_INFINITY
    return isRate ? undefined : `rateLimit perSecond(records): records must be a finite number above 0, got ${shown}`
  }
  if (kind !== 'perCheckpoint') return 'rateLimit must be made by perSecond() or perCheckpoint()'
  if (Number.isSafeInteger(records) && (records as number) >= 1) return undefined
  return `rateLimit perCheckpoint(records): records must be an integer from 1 up, got ${shown}`
}

function valid(limit: SourceRateLimit): SourceRateLimit {
  const problem = rateLimitProblem(limit)
  if (problem !== undefined) throw new SluiceError('SLUICE_OPTIONS_INVALID', problem)
  return Object.freeze(limit)
}

export interface RateGateHost {
  readonly clock: Clock
  requestCheckpoint(reason: string): void
}

/** Where the permits come from. */
interface Permits {
  /** Whole permits that there are now. */
  readonly available: number
  use(count: number): void
  /** Milliseconds until waiting is worth while; undefined when a checkpoint brings them. */
  readonly waitMs: number | undefined
  checkpointCompleted(): void
}

/**
 * Lets records of all fetch loops of one attempt pass, as many as the limit allows. Loops that wait are served in the order in
 * which they came.
 */
export class RateGate {
  readonly #limit: SourceRateLimit
  readonly #host: RateGateHost
  readonly #permits: Permits
  readonly #waiting = new Set<object>()
  readonly #again = new WakeUp()
  #timer: Timer | undefined
  /** A checkpoint was asked for and has not ended. */
  #requested = false

  constructor(limit: SourceRateLimit, host: RateGateHost) {
    this.#limit = limit
    this.#host = host
    this.#permits = limit.kind === 'perSecond' ? new TokenBucket(limit.records, host.clock) : new Quota(limit.records)
  }

  /**
   * Takes permits for at most `wanted` records; 0 when there are none: then await {@link RateGate.again} and ask again, or
   * {@link RateGate.leave}.
   *
   * @param who - the loop that asks.
   */
  take(who: object, wanted: number): number {
    const [first = who] = this.#waiting
    const granted = first === who ? Math.min(wanted, this.#permits.available) : 0
    if (granted <= 0) {
      this.#waiting.add(who)
      this.#wait()
      return 0
    }
    this.#permits.use(granted)
    if (this.#waiting.delete(who) && this.#waiting.size > 0) this.#again.wake()
    return granted
  }

  /** Permits that were not needed. */
  giveBack(count: number): void {
    this.#permits.use(-count)
  }

  /** Resolves when asking again may help. */
  again(): Promise<void> {
    return this.#again.wait()
  }

  /** The loop does not wait any more: nobody waits behind it. */
  leave(who: object): void {
    if (this.#waiting.delete(who)) this.#again.wake()
  }

  /** Everyone looks again whether to go on. */
  wake(): void {
    this.#again.wake()
  }

  /** One ended without being stored is asked for again: without any, nothing would pass any more. */
  checkpointEnded(isStored: boolean): void {
    this.#requested = false
    if (isStored) this.#permits.checkpointCompleted()
    if (this.#waiting.size === 0) return
    if (isStored) this.#again.wake()
    else this.#wait()
  }

  /** Nobody passes any more. */
  end(): void {
    this.#timer?.cancel()
    this.#again.wake()
  }

  status(): RateLimitStatus {
    return { ...this.#limit, waiting: this.#waiting.size > 0 }
  }

  #wait(): void {
    const { waitMs } = this.#permits
    if (waitMs === undefined) {
      if (this.#requested || this.#permits.available > 0) return
      this.#requested = true
      this.#host.requestCheckpoint('rate limit')
    } else
      this.#timer ??= this.#host.clock.after(waitMs, () => {
        this.#timer = undefined
        this.#again.wake()
      })
  }
}

/** Waiting for less is not worth a timer. */
const SLICE_MS = 10

/** Fills at the rate, to one second's worth at most; it begins empty. */
class TokenBucket implements Permits {
  readonly #perMs: number
  readonly #capacity: number
  readonly #clock: Clock
  #tokens = 0
  #filledAt: number

  constructor(recordsPerSecond: number, clock: Clock) {
    this.#perMs = recordsPerSecond / 1000
    this.#capacity = Math.max(1, recordsPerSecond)
    this.#clock = clock
    this.#filledAt = clock.now()
  }

  get available(): number {
    this.#fill()
    // What is filled in slices adds up to a little less than a whole.
    return Math.floor(this.#tokens + 1e-6)
  }

  get waitMs(): number {
    this.#fill()
    // At least one, and what a slice brings; never a wait of 0 for a fraction that rounding left.
    const worth = Math.max(1, this.#perMs * SLICE_MS)
    return Math.max(1, Math.ceil((worth - this.#tokens) / this.#perMs))
  }

  use(count: number): void {
    this.#tokens -= count
  }

  checkpointCompleted(): void {}

  #fill(): void {
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#capacity, this.#tokens + (now - this.#filledAt) * this.#perMs)
    this.#filledAt = now
  }
}

class Quota implements Permits {
  readonly waitMs = undefined
  readonly #records: number
  #left: number

  constructor(records: number) {
    this.#records = records
    this.#left = records
  }

  get available(): number {
    return this.#left
  }

  use(count: number): void {
    this.#left -= count
  }

  checkpointCompleted(): void {
    this.#left = this.#records
  }
}
