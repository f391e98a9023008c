/**
 * How many requests may be in flight: additive increase, multiplicative decrease. Unlike Flink's strategy it never shrinks a
 * batch: stores bill and limit by request.
 */
export class CongestionControl {
  readonly #max: number
  #limit: number

  /** Starts at the maximum: a store that never throttles never pays for a slow start. */
  constructor(maxInFlightRequests: number) {
    this.#max = maxInFlightRequests
    this.#limit = maxInFlightRequests
  }

  /** Requests that may be in flight now, from 1 to the maximum. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#limit))
  }

  onSuccess(): void {
    // One more per round of `limit` successes, as in TCP.
    this.#limit = Math.min(this.#max, this.#limit + 1 / Math.max(1, this.#limit))
  }

  onSlowDown(): void {
    this.#limit = Math.max(1, this.#limit / 2)
  }
}
