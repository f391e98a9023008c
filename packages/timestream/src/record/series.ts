import type { Dimension } from '@aws-sdk/client-timestream-write'
import { checkName, MAX_DIMENSION_BYTES, MAX_DIMENSIONS } from './limits.ts'
import { SeriesIndex } from './series-index.ts'
import { label } from './shown.ts'

/** Dimensions that were made by {@link series}: checked and written as JSON once, and known again by identity. */
export type SeriesDimensions = readonly Dimension[]

const handles = new WeakMap<object, Series>()
const NO_DIMENSIONS: readonly Dimension[] = Object.freeze([])
const NOTHING = new Uint8Array(0)

/**
 * The dimensions of a series, for records that are written again and again: give the result as `Dimensions`. The sink then neither
 * looks the series up nor checks it for each record. Frozen.
 *
 * What is wrong with the dimensions is told of each record that has them.
 *
 * @example
 * ```ts
 * const host = series({ region: 'eu-west-1', host: 'a' })
 * const toRecord = (cpu: number) => ({ Dimensions: host, MeasureName: 'cpu', MeasureValue: cpu, Time: new Date() })
 * ```
 */
export function series(dimensions: Readonly<Record<string, string>> | readonly Dimension[]): SeriesDimensions {
  const list = Array.isArray(dimensions)
    ? (dimensions as readonly Dimension[])
    : Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value: Value as string }))
  const handle = Object.freeze(list.map((dimension) => Object.freeze({ ...dimension })))
  handles.set(handle, new Series(handle))
  return handle
}

/** One list of dimensions: what was found out about it, and its parts as JSON. */
export class Series {
  readonly dimensions: readonly Dimension[]
  /** Names and values in turn: near each other in memory, since they are compared with those of each record. */
  readonly pairs: readonly (string | undefined)[]
  /** `{"Name":"host","Value":"a"}` of each dimension. */
  readonly parts: readonly string[]
  /** UTF-8 bytes of names and values, as the service meters them. */
  readonly bytes: number
  /** Equal for lists that differ in order only: they are one series. */
  readonly identity: string
  /** A positive number of 31 bits, equal for equal identities. */
  readonly hash: number
  readonly problems: readonly string[]
  #rest: { readonly common: ReadonlySet<string>; readonly json: Uint8Array } | undefined

  constructor(given: readonly Dimension[]) {
    // A copy: the list of a record may change after it was looked at.
    this.dimensions = Array.from(given, (dimension) => ({ ...dimension }))
    this.pairs = this.dimensions.flatMap(({ Name, Value }) => [Name, Value])
    this.problems = problemsOf(this.dimensions)
    const sound = this.problems.length === 0
    this.parts = sound ? this.dimensions.map(partOf) : []
    this.bytes = this.dimensions.reduce((sum, dimension) => sum + dimensionBytes(dimension), 0)
    this.identity = [...this.parts].sort().join()
    this.hash = hashOf(this.identity)
  }

  /**
   * The dimensions that are not common, as JSON in UTF-8: `,"Dimensions":[...]`, empty if there are none. The last answer is kept, since
   * batches of one stream have the same in common.
   */
  restOf(common: ReadonlySet<string>): Uint8Array {
    if (this.#rest?.common !== common) {
      const parts = this.parts.filter((part) => !common.has(part))
      // Of its own memory: a part of Node's pool would keep all of it as long as the series is known.
      const json = parts.length === 0 ? NOTHING : new Uint8Array(Buffer.from(`,"Dimensions":[${parts.join()}]`))
      this.#rest = { common, json }
    }
    return this.#rest.json
  }
}

/** Checks dimensions once for each series: finds what was found out before. */
export class SeriesCache {
  readonly #max: number
  #root = new Node(undefined)
  #size = 0
  readonly #nearby = new SeriesIndex()
  /** Each text once: series share most of theirs, which are then read from a fast cache when records are compared with them. */
  readonly #texts = new Map<string, string>()

  constructor(max = 100_000) {
    this.#max = max
  }

  /** @param given - the `Dimensions` of a record, whatever it is. */
  of(given: unknown): Series {
    const list = Array.isArray(given) ? (given as readonly Dimension[]) : NO_DIMENSIONS
    const known = handles.get(list) ?? this.#nearby.find(list)
    if (known !== undefined) return known
    // Nothing is remembered of what is not kept in the end.
    if (!arePlain(list)) return new Series(list)
    let node = this.#root
    for (const { Name, Value } of list) node = node.child(Name, Value)
    const found = node.series ?? new Series(list.map((dimension) => this.#shared(dimension)))
    if (node.series === undefined && ++this.#size > this.#max) {
      this.#root = new Node(undefined)
      this.#size = 1
      this.#nearby.clear()
      this.#texts.clear()
      return found
    }
    node.series = found
    this.#nearby.add(found)
    return found
  }

  #shared({ Name, Value }: PlainDimension): Dimension {
    return { Name: this.#once(Name), Value: this.#once(Value) }
  }

  #once(text: string): string {
    const known = this.#texts.get(text)
    if (known === undefined) this.#texts.set(text, text)
    return known ?? text
  }
}

interface PlainDimension {
  readonly Name: string
  readonly Value: string
}

/** False for what is refused for its size too: it may be of any. */
function arePlain(list: readonly (Dimension | null | undefined)[]): list is readonly PlainDimension[] {
  let chars = 0
  // Unlike `every`, this sees what a sparse list lacks.
  for (const dimension of list) {
    if (!isPlain(dimension)) return false
    chars += dimension.Name.length + dimension.Value.length
  }
  // No text has fewer bytes than units.
  return chars <= MAX_DIMENSION_BYTES && list.length <= MAX_DIMENSIONS
}

function isPlain(dimension: Partial<Dimension> | null | undefined): dimension is PlainDimension {
  const { Name, Value, DimensionValueType } = dimension ?? {}
  return typeof Name === 'string' && typeof Value === 'string' && DimensionValueType === undefined
}

/** A trie over the values: a look-up hashes each value and joins none. Records of one table mostly name the same dimension next. */
class Node {
  series: Series | undefined
  readonly #name: string | undefined
  readonly #values = new Map<string, Node>()
  #next: Map<string, Node> | undefined
  #only: Node | undefined

  constructor(name: string | undefined) {
    this.#name = name
  }

  child(name: string, value: string): Node {
    const named = this.#only !== undefined && this.#only.#name === name ? this.#only : this.#named(name)
    let node = named.#values.get(value)
    if (node === undefined) {
      node = new Node(undefined)
      named.#values.set(value, node)
    }
    return node
  }

  #named(name: string): Node {
    const found = this.#next?.get(name)
    if (found !== undefined) return found
    const made = new Node(name)
    if (this.#only === undefined) this.#only = made
    this.#next ??= new Map()
    this.#next.set(name, made)
    return made
  }
}

function problemsOf(dimensions: readonly Dimension[]): readonly string[] {
  const problems: string[] = []
  if (dimensions.length > MAX_DIMENSIONS) {
    problems.push(`${dimensions.length} dimensions; allowed are ${MAX_DIMENSIONS}`)
  }
  const names = new Set<unknown>()
  for (const { Name, Value, DimensionValueType: type } of dimensions) {
    checkName('dimension', Name, problems)
    const name = label(Name)
    if (typeof Value !== 'string' || Value === '') {
      const got = Value === '' ? "''" : Value === null ? 'null' : typeof Value
      problems.push(`the value of dimension '${name}' must be a non-empty string, got ${got}`)
    } else if (!Value.isWellFormed()) {
      problems.push(`the value of dimension '${name}' is not well-formed Unicode`)
    }
    if (type !== undefined && type !== 'VARCHAR') problems.push(`the type of dimension '${name}' must be VARCHAR`)
    if (names.has(Name)) problems.push(`the dimension '${name}' is given twice`)
    names.add(Name)
  }
  const bytes = dimensions.reduce((sum, dimension) => sum + dimensionBytes(dimension), 0)
  if (bytes > MAX_DIMENSION_BYTES) {
    problems.push(`dimension names and values have ${bytes} bytes; allowed are ${MAX_DIMENSION_BYTES}`)
  }
  return problems
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193)
  return (hash & 0x7fff_ffff) | 1
}

/** The type is left out: there is one only. */
function partOf({ Name, Value }: Dimension): string {
  return `{"Name":${JSON.stringify(Name)},"Value":${JSON.stringify(Value)}}`
}

/** As the service meters a dimension. */
export function dimensionBytes({ Name, Value }: Dimension): number {
  return byteLength(Name) + byteLength(Value)
}

function byteLength(text: unknown): number {
  return typeof text === 'string' ? Buffer.byteLength(text) : 0
}
