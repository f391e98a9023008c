import type { ValidationPolicy } from './model.ts'
import type { WireProtocol } from './options.ts'
import { quote } from './problems.ts'
import { compareUtf8, maxUtf8Bytes, writeUtf8 } from './utf8.ts'
import { writeUint32 } from './wire-buffer.ts'

const METRIC_NAME_LABEL = '__name__'
/** Stands for the metric name among the positions of {@link SeriesLayout.order}. */
export const METRIC_NAME = -1

const LEGACY_METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LEGACY_LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** The rules that series are held to. */
export interface SeriesRules {
  readonly validation: ValidationPolicy
  /** 1.0 allows fewer names. */
  readonly protocol: WireProtocol
}

/**
 * What all series with the same label names, given in the same order, share: how they are sorted, the bytes of the names, and what
 * is wrong with the names.
 */
export class SeriesLayout {
  /** Whether the metric name comes beside the labels. */
  readonly hasName: boolean
  /** As they were given, without that of the metric name. */
  readonly names: readonly string[]
  /** Positions in `names`, or {@link METRIC_NAME}, in the order of sending. */
  readonly order: Int32Array
  /** The same sorted by bytes, whatever the order of sending. */
  readonly sorted: Int32Array
  /** For each of `order` the field `name` of a label, encoded. */
  readonly nameFields: readonly Buffer[]
  /** What is wrong with the names, under the rules of the table. */
  readonly problems: readonly string[]
  /** Sorted, and with the metric name beside the labels: what other ways of giving the same series lead to. */
  readonly isCanonical: boolean
  /** Sent in the order in which they were given, after the metric name, which comes beside the labels. */
  readonly isPlain: boolean
  /** Whether remote write 1.0 allows the names. */
  readonly isLegacy: boolean
  /** The position of the label `__name__`, if the metric name is one of the labels. */
  readonly namePosition: number
  readonly #before: string[] = []

  constructor(hasName: boolean, names: readonly string[], { validation, protocol }: SeriesRules) {
    this.hasName = hasName
    this.names = names
    const given = names.map((_, position) => position)
    if (hasName) given.unshift(METRIC_NAME)
    this.sorted = Int32Array.from(given.toSorted((a, b) => compareUtf8(this.nameAt(a), this.nameAt(b)) || a - b))
    this.order = validation === 'off' ? Int32Array.from(given) : this.sorted
    this.nameFields = Array.from(this.order, (position) => nameField(this.nameAt(position)))
    this.namePosition = names.indexOf(METRIC_NAME_LABEL)
    this.isCanonical =
      hasName && names.every((name, index) => index === 0 || compareUtf8(names[index - 1] as string, name) < 0)
    this.isPlain =
      hasName && this.order.every((position, index) => position === (index === 0 ? METRIC_NAME : index - 1))
    this.isLegacy = names.every((name) => LEGACY_LABEL_NAME.test(name))
    this.problems = validation === 'off' ? [] : [...this.#problems(validation === 'strict', protocol)]
  }

  /**
   * Makes those of the values that the series before it has too the same objects: that takes less memory, and what look-ups compare with
   * is in the cache.
   */
  share(values: string[]): void {
    const before = this.#before
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as string
      const other = before[index]
      if (other === value) values[index] = other
      else before[index] = value
    }
  }

  nameAt(position: number): string {
    return position === METRIC_NAME ? METRIC_NAME_LABEL : (this.names[position] as string)
  }

  *#problems(isStrict: boolean, protocol: WireProtocol): Generator<string> {
    const { names, sorted } = this
    if (!this.hasName && this.namePosition < 0) yield 'it must have a metric name, got none'
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as string
      if (name === '') yield `label ${index} must have a name, got ''`
      else if (!name.isWellFormed()) yield `label ${index}: a name must be well-formed Unicode, got ${quote(name)}`
      else if (protocol === '1.0' && !LEGACY_LABEL_NAME.test(name)) {
        yield `label ${index}: remote write 1.0 wants names of letters, digits and '_' that do not begin with a digit, got ${quote(name)}`
      }
    }
    for (let index = 1; index < sorted.length; index++) {
      const name = this.nameAt(sorted[index] as number)
      const isRepeated = name === this.nameAt(sorted[index - 1] as number)
      const isFirstRepeat = index === 1 || name !== this.nameAt(sorted[index - 2] as number)
      if (isRepeated && isFirstRepeat) yield `label names must not repeat, got ${quote(name)} more than once`
    }
    if (!isStrict) return
    for (let index = 1; index < names.length; index++) {
      const [before, name] = [names[index - 1] as string, names[index] as string]
      if (compareUtf8(before, name) > 0) {
        yield `label ${index}: labels must be sorted by the bytes of their names, got ${quote(name)} after ${quote(before)}`
      }
    }
  }
}

/** Whether remote write 1.0 allows the metric name. */
export function isLegacyMetricName(name: string): boolean {
  return LEGACY_METRIC_NAME.test(name)
}

function nameField(name: string): Buffer {
  const bytes = Buffer.allocUnsafe(maxUtf8Bytes(name.length) + 6)
  bytes[0] = 0x0a
  return bytes.subarray(0, writeUtf8(bytes, writeUint32(bytes, 1, Buffer.byteLength(name)), name))
}
