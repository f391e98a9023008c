import type { Dimension } from '@aws-sdk/client-timestream-write'
import type { Series } from './series.ts'

/** Series with the same value of the dimension that is looked at. */
const MAX_CANDIDATES = 8
/** Another dimension is looked at so often; then what is found by none is not found here. */
const MAX_MOVES = 32

/**
 * Finds series by the value of one dimension, the one that tells them apart best, such as the host: one look-up, and comparisons,
 * which cost a fraction of a look-up for each dimension. It need not find all.
 */
export class SeriesIndex {
  readonly #byValue = new Map<string, Series[]>()
  #position = 0
  #moves = 0

  find(list: readonly Dimension[]): Series | undefined {
    const value: unknown = list[this.#position]?.Value
    const candidates = this.#byValue.get(value as string)
    if (candidates === undefined) return undefined
    for (const series of candidates) if (isOf(series, list)) return series
    return undefined
  }

  /** @param series - each of its dimensions has a text as its value, and no type. */
  add(series: Series): void {
    const value = series.dimensions[this.#position]?.Value
    if (value === undefined) return
    const candidates = this.#byValue.get(value)
    if (candidates === undefined) this.#byValue.set(value, [series])
    else if (candidates.length < MAX_CANDIDATES) candidates.push(series)
    else if (this.#moves < MAX_MOVES) this.#move([...candidates, series])
  }

  clear(): void {
    this.#byValue.clear()
  }

  /** Looks at the dimension of which these have the most values. What was known is added again when it is asked for. */
  #move(series: readonly Series[]): void {
    let most = 0
    let position = this.#position
    const dimensions = Math.max(...series.map((each) => each.dimensions.length))
    for (let at = 0; at < dimensions; at++) {
      const { size } = new Set(series.map((each) => each.dimensions[at]?.Value))
      // Of several the last: what is named last is mostly the most specific.
      if (size < most) continue
      most = size
      position = at
    }
    this.#moves++
    this.#position = position
    this.#byValue.clear()
  }
}

function isOf({ pairs }: Series, list: readonly Dimension[]): boolean {
  if (pairs.length !== list.length * 2) return false
  let at = 0
  for (const given of list as readonly (Dimension | null | undefined)[]) {
    if (pairs[at] !== given?.Name || pairs[at + 1] !== given?.Value) return false
    if (given?.DimensionValueType !== undefined) return false
    at += 2
  }
  return true
}
