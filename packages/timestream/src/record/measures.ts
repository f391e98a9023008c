import { checkName, MAX_MEASURES } from './limits.ts'
import { VALUE_TYPES } from './values.ts'

/** Names of one generation. Far more than a record may have, so that each name of a record under way is still known. */
const MAX_KNOWN = 10_000

const MULTI_HEAD = '"MeasureValues":['

/** What follows a value, by its type. */
export const TYPE_TAILS: readonly string[] = VALUE_TYPES.map((type) => `","Type":"${type}"}`)
/** Before the first value there is none. */
export const NO_TYPE: number = VALUE_TYPES.length

/** What was found out about a measure's name. */
export interface Measure {
  readonly name: unknown
  readonly bytes: number
  readonly problems: readonly string[]
  /** `{"Name":"cpu","Value":"` */
  readonly head: string
  /** What stands between the value before it and its own, by the type of that value; at last, what stands before the first. */
  readonly joints: (Uint8Array | undefined)[]
  /** The record in which it was seen last: finds one that is given twice without a set for each record. */
  seenIn: number
}

/**
 * Checks names of measures once. Of each sound name of a record the same object is given until the record ends; names that were not
 * asked for since ten thousand others are forgotten, and of unsound ones, which may be of any length, nothing is kept.
 */
export class Measures {
  #young = new Map<unknown, Measure>()
  #old = new Map<unknown, Measure>()
  /** Those of the record before, by place: most records have the same ones, and to compare is faster than to look up. */
  readonly #places: (Measure | undefined)[] = []

  /** The measure at this place of a record. */
  at(place: number, name: unknown): Measure {
    const before = this.#places[place]
    if (before !== undefined && before.name === name) return before
    const measure = this.of(name)
    if (place < MAX_MEASURES && measure.problems.length === 0) this.#places[place] = measure
    return measure
  }

  of(name: unknown): Measure {
    const known = this.#young.get(name)
    if (known !== undefined) return known
    const measure = this.#old.get(name) ?? measureOf(name)
    if (measure.problems.length > 0) return measure
    if (this.#young.size >= MAX_KNOWN) this.#age()
    this.#young.set(name, measure)
    return measure
  }

  /** What is found by its place must be found by its name too, at another place of the same record. */
  #age(): void {
    this.#old = this.#young
    this.#young = new Map()
    for (const measure of this.#places) if (measure !== undefined) this.#young.set(measure.name, measure)
  }
}

function measureOf(name: unknown): Measure {
  const problems: string[] = []
  checkName('measure', name, problems)
  const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0
  const head = problems.length > 0 ? '' : `{"Name":${JSON.stringify(name)},"Value":"`
  return { name, bytes, problems, head, joints: [], seenIn: 0 }
}

/** What is written before the value of the measure. */
export function jointOf(measure: Measure, typeBefore: number): Uint8Array {
  return measure.joints[typeBefore] ?? makeJoint(measure, typeBefore)
}

function makeJoint({ head, joints }: Measure, typeBefore: number): Uint8Array {
  const before = typeBefore === NO_TYPE ? MULTI_HEAD : `${TYPE_TAILS[typeBefore]},`
  // Of its own memory: a part of Node's pool would keep all of it.
  const joint = new Uint8Array(Buffer.from(before + head))
  joints[typeBefore] = joint
  return joint
}
