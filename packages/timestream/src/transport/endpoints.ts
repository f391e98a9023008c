import type { Clock } from '@sluice/core'
import { type Discovery, MAX_REDISCOVERIES } from './transport.ts'

/** An endpoint and how long it is good for. */
export interface Discovered {
  readonly url: URL
  readonly expiresInMs: number
}

interface Known extends Discovered {
  readonly expiresAt: number
}

/** An endpoint is asked for anew when so much of its time is over; until the end the old one is used. */
const RENEW_AFTER = 0.8
/** The pause after a renewal that failed, while the endpoint at hand is good. */
const ASK_AGAIN_MS = 30_000

/**
 * The endpoint that the service's discovery names, kept for the time that it says.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/Using-API.endpoint-discovery.html
 */
export class Endpoints {
  readonly #clock: Clock
  readonly #discover: () => Promise<Discovered>
  #known: Known | undefined
  #renewAt = 0
  #asking: Promise<Known> | undefined
  #generation: Discovery = Symbol('discovery')
  #rediscoveries = 0

  constructor(clock: Clock, discover: () => Promise<Discovered>) {
    this.#clock = clock
    this.#discover = discover
  }

  get generation(): Discovery {
    return this.#generation
  }

  /** The endpoint at once, if a good one is known. Requests that ask at one time share a discovery. */
  get(): URL | Promise<URL> {
    const known = this.#known
    const now = this.#clock.now()
    if (known !== undefined && now < this.#renewAt) return known.url
    if (known !== undefined && now < known.expiresAt) {
      this.#renewAt = now + ASK_AGAIN_MS
      this.#ask().catch(() => undefined)
      return known.url
    }
    return this.#ask().then(({ url }) => url)
  }

  /** A request was answered there. */
  accepted(): void {
    this.#rediscoveries = 0
  }

  /** @returns false if new endpoints were refused too often in a row. */
  rediscover(refused: Discovery): boolean {
    // Of many requests in flight, the first answer acts.
    if (refused === this.#generation && this.#rediscoveries <= MAX_REDISCOVERIES) {
      this.#rediscoveries++
      this.#generation = Symbol('discovery')
      this.#known = undefined
      this.#asking = undefined
    }
    return this.#rediscoveries <= MAX_REDISCOVERIES
  }

  #ask(): Promise<Known> {
    if (this.#asking !== undefined) return this.#asking
    const generation = this.#generation
    const asking = this.#discover()
      .then((found) => {
        const now = this.#clock.now()
        const known = { ...found, expiresAt: now + found.expiresInMs }
        // An answer from before a refusal names what was refused.
        if (generation === this.#generation) {
          this.#known = known
          this.#renewAt = now + found.expiresInMs * RENEW_AFTER
        }
        return known
      })
      .finally(() => {
        if (this.#asking === asking) this.#asking = undefined
      })
    this.#asking = asking
    return asking
  }
}
