import type { WireProtocol } from './options.ts'

/** So many destinations are remembered; a forgotten one is asked again. */
const MAX_DESTINATIONS = 10_000

/** How a destination is written to. */
export interface Agreed {
  readonly protocol: WireProtocol
  /** It has taken, or refused, a request for good: what it says of the version is no longer a question. */
  readonly settled: boolean
}

/**
 * Which version of remote write each destination takes. With `auto` one begins with 2.0, as the specification asks, and falls back
 * for good when its receiver does not know it (415, or 400 where the same series in 1.0 are written), or takes it without the
 * headers that say it read it: a receiver of 1.0 may answer 204 to a body that it cannot read.
 *
 * See https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
 */
export class Negotiation {
  readonly #asked: WireProtocol | 'auto'
  readonly #settled = new Map<string, WireProtocol>()

  constructor(asked: WireProtocol | 'auto') {
    this.#asked = asked
  }

  of(destination: string): Agreed {
    if (this.#asked !== 'auto') return { protocol: this.#asked, settled: true }
    const settled = this.#settled.get(destination)
    return settled === undefined ? { protocol: '2.0', settled: false } : { protocol: settled, settled: true }
  }

  /** False when a fixed version was asked for. */
  get mayFallBack(): boolean {
    return this.#asked === 'auto'
  }

  /** @returns true when this is news. */
  settle(destination: string, protocol: WireProtocol): boolean {
    if (this.#asked !== 'auto' || this.#settled.get(destination) === protocol) return false
    if (this.#settled.size >= MAX_DESTINATIONS && !this.#settled.has(destination)) {
      const [oldest] = this.#settled.keys()
      if (oldest !== undefined) this.#settled.delete(oldest)
    }
    this.#settled.set(destination, protocol)
    return true
  }
}
