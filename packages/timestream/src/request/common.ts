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

/** Sets of dimensions that are found again: batches of several tables, or keys, have different ones in turn. */
const MAX_SETS = 16

interface CommonDimensions {
  readonly dimensions: ReadonlySet<string>
  readonly dimensionBytes: number
}

/** Finds common attributes. A dimension is either common or of the record, never both: the service refuses an overlap. */
export class CommonFinder {
  readonly #known: CommonDimensions[] = []
  #next = 0

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
    const { dimensions, dimensionBytes: bytes } = this.#dimensionsOf(entries)
    return {
      dimensions,
      dimensionBytes: bytes,
      measureName: isSameName,
      type: isSameType,
      unit: hasUnit && isSameUnit,
      // A time is meant in its unit: without a common one, records might read it differently.
      time: isSameTime && isSameUnit,
      version: isSameVersion,
    }
  }

  #dimensionsOf(entries: readonly Entry[]): CommonDimensions {
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
    if (parts.length === 0) return NOTHING
    const known = this.#known.find(
      ({ dimensions }) => parts.length === dimensions.size && parts.every((part) => dimensions.has(part)),
    )
    if (known !== undefined) return known
    const dimensions = new Set(parts)
    const own = first.dimensions.filter((_, at) => dimensions.has(first.parts[at] as string))
    const found = { dimensions, dimensionBytes: own.reduce((sum, each) => sum + dimensionBytes(each), 0) }
    this.#known[this.#next] = found
    this.#next = (this.#next + 1) % MAX_SETS
    return found
  }
}
