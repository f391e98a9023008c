/** Inputs that the ratio is taken of. */
export const STORM_WINDOW = 1000

/** Refused inputs that are remembered: a refusal may come long after those of later inputs. */
const MAX_REMEMBERED = 16 * 1024

/**
 * Sees when too many inputs are refused: more than `maxRatio` of any 1000 consecutive inputs. Consecutive as they were emitted, not
 * as they were refused: how far a sink's answers lag behind makes no difference. With fewer than 1000 inputs the bound is the same
 * count, so that a single bad record at the start is no storm. Costs nothing while nothing is refused.
 */
export class StormWindow {
  readonly #allowed: number
  /** Tokens of refused inputs, ascending. */
  readonly #refused: number[] = []

  constructor(maxRatio: number) {
    // A ratio such as 0.57 is a little less than it looks.
    this.#allowed = Math.floor(STORM_WINDOW * maxRatio + 1e-9)
  }

  /** How many of 1000 may be refused. */
  get allowed(): number {
    return this.#allowed
  }

  /** Notes that an input was refused, in one sink or several; true if there are now too many. */
  add(token: number): boolean {
    if (this.#allowed >= STORM_WINDOW) return false
    const place = this.#placeOf(token)
    if (this.#refused[place] === token) return false
    this.#refused.splice(place, 0, token)
    const found = this.#isStormAround(place)
    if (this.#refused.length > MAX_REMEMBERED) this.#refused.splice(0, MAX_REMEMBERED / 2)
    return found
  }

  /** Looks at every run of refusals, one longer than allowed, that the new one is part of. */
  #isStormAround(place: number): boolean {
    const refused = this.#refused
    for (let last = Math.max(place, this.#allowed); last <= place + this.#allowed; last++) {
      const to = refused[last]
      if (to === undefined) return false
      if (to - (refused[last - this.#allowed] as number) < STORM_WINDOW) return true
    }
    return false
  }

  #placeOf(token: number): number {
    const refused = this.#refused
    // Nearly always the newest.
    if ((refused.at(-1) ?? -1) < token) return refused.length
    let low = 0
    for (let high = refused.length; low < high;) {
      const middle = (low + high) >>> 1
      if ((refused[middle] as number) < token) low = middle + 1
      else high = middle
    }
    return low
  }
}
