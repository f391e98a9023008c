import type { Entry } from '../record/entry.ts'
import { dimensionBytes, type Series } from '../record/series.ts'

/** What all records of a request have in common, and is sent once. */
export interface Common {
  /** `{"Name":...,"Value":...}` of each dimension. The same object for the same set, so that series remember what is left of them. */
  readonly dimensions: ReadonlySet<string>
  /** UTF-8 bytes of their names and values. */
  readonly dimensionBytes: number
  readonly measureName: boolean
  readonly type: boolean
  readonly unit: boolean
  readonly time: boolean
  readonly version: boolean
}

const NO_DIMENSIONS: ReadonlySet<string> = new Set()

const NOTHING: Common = Object.freeze({
  dimensions: NO_DIMENSIONS,
  dimensionBytes: 0,
  measureName: false,
  type: false,
  unit: false,
  time: false,
  version: false,
})

/** Finds common attributes. A dimension is either common or of the record, never both: the service refuses an overlap. */
export class CommonFinder {
  #last: ReadonlySet<string> = NO_DIMENSIONS
  #lastBytes = 0

  of(entries: readonly Entry[]): Common {
    const [first] = entries
    if (first === undefined || entries.length === 1) return NOTHING
    const { form, time, version } = first
    const { measureName, type, hasUnit, unit } = form
    let isSameName = measureName !== ''
    let isSameType = type !== undefined
    let isSameUnit = true
    let isSameTime = time !== ''
    let isSameVersion = version !== undefined
    for (const { form: other, time: itsTime, version: itsVersion } of entries) {
      isSameTime &&= itsTime === time
      isSameVersion &&= itsVersion === version
      if (other === form) continue
      isSameName &&= other.measureName === measureName
      isSameType &&= other.type === type
      isSameUnit &&= other.unit === unit && other.hasUnit === hasUnit
    }
    return {
      dimensions: this.#dimensionsOf(entries),
      dimensionBytes: this.#lastBytes,
      measureName: isSameName,
      type: isSameType,
      unit: hasUnit && isSameUnit,
      // A time is meant in its unit: without a common one, records might read it differently.
      time: isSameTime && isSameUnit,
      version: isSameVersion,
    }
  }

  #dimensionsOf(entries: readonly Entry[]): ReadonlySet<string> {
    const first = (entries[0] as Entry).series
    let parts = first.parts
    let seen: Series = first
    for (const { series } of entries) {
      if (series === seen) continue
      seen = series
      if (parts.length === 0) break
      if (!parts.every((part, at) => series.parts[at] === part)) {
        parts = parts.filter((part) => series.parts.includes(part))
      }
    }
    const last = this.#last
    if (parts.length === last.size && parts.every((part) => last.has(part))) return last
    this.#last = new Set(parts)
    this.#lastBytes = first.dimensions.reduce(
      (sum, dimension, at) => sum + (this.#last.has(first.parts[at] as string) ? dimensionBytes(dimension) : 0),
      0,
    )
    return this.#last
  }
}
