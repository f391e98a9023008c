import type { Clock } from '@sluice/core'

/** A clock that is off by less is not why a signature was refused; AWS allows 5 minutes, some services 15. */
const MIN_SKEW_MS = 4 * 60_000

/** Of exceptions for the time of a signature. Some services tell only `InvalidSignatureException` and the like. */
const NAMES: ReadonlySet<string> = new Set([
  'AuthFailure',
  'InvalidSignatureException',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
  'SignatureExpired',
])

/** The time of the service, as far as it differs from that of the process. */
export class ClockSkew {
  readonly #clock: Clock
  #offsetMs: number

  constructor(clock: Clock, offsetMs = 0) {
    this.#clock = clock
    this.#offsetMs = offsetMs
  }

  /** Wall time for signatures. */
  now(): number {
    return this.#clock.wallNow() + this.#offsetMs
  }

  /**
   * Learns from a refused signature. Of requests that were under way together, each was signed with the old time, and each is told
   * that it is corrected.
   *
   * @param name - of the exception.
   * @param date - header `date` of the answer.
   * @param offsetMs - what {@link ClockSkew.offsetMs} was when the request was signed.
   * @returns true if a new signature will have another time.
   */
  corrects(name: string, date: string | undefined, offsetMs: number): boolean {
    if (date === undefined || !NAMES.has(name)) return false
    const serviceOffsetMs = Date.parse(date) - this.#clock.wallNow()
    // False for a date that cannot be read, too.
    if (!(Math.abs(serviceOffsetMs - offsetMs) >= MIN_SKEW_MS)) return false
    this.#offsetMs = serviceOffsetMs
    return true
  }

  get offsetMs(): number {
    return this.#offsetMs
  }
}
