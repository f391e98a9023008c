import { LIMITS } from './limits.ts'
import { byteLength, longNameProblem, reservedNameProblem } from './names.ts'
import {
  longValueProblem,
  parseValue,
  valueBytes,
  ValueProblem,
  VALUE_TYPES,
  type TimeUnit,
  type Value,
  type ValueType,
} from './values.ts'
import { firstRepeated, isObject } from './wire.ts'

const QUOTE = 34
const MINUS = 45
const POINT = 46
const ZERO = 48
const VALUE_KEY = '"Value":"'
/** Space to tilde: text that JSON takes as it is, one byte a character. */
const PRINTABLE = /^[ -~]*$/
const CONTROL = /\p{Cc}/u
const POWERS_OF_TEN: readonly number[] = Array.from({ length: 16 }, (_, n) => 10 ** n)

/**
 * A piece of ASCII text that is compared eight bytes at a time. As doubles, eight bytes of text are equal when the bytes
 * are: there is no NaN and no zero of either sign among them.
 */
class Literal {
  readonly text: string
  readonly length: number
  readonly #words: Float64Array
  readonly #last: number

  constructor(text: string) {
    const bytes = Buffer.from(text, 'utf8')
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.text = text
    this.length = text.length
    this.#words = Float64Array.from({ length: bytes.length >> 3 }, (_, word) => view.getFloat64(word * 8, true))
    this.#last = bytes.length >= 8 ? view.getFloat64(bytes.length - 8, true) : 0
  }

  isAt(text: string, view: DataView | undefined, at: number): boolean {
    if (view === undefined || this.length < 8) return text.startsWith(this.text, at)
    if (at + this.length > view.byteLength) return false
    const words = this.#words
    for (let word = 0; word < words.length; word++) {
      if (view.getFloat64(at + word * 8, true) !== words[word]) return false
    }
    return view.getFloat64(at + this.length - 8, true) === this.#last
  }
}

/** The list of measures of one kind of record: what stands between the values is the same text every time. */
export class MeasureTemplate {
  readonly names: readonly string[]
  readonly types: readonly ValueType[]
  readonly nameBytes: number
  readonly #literals: readonly Literal[]
  /** Bytes of the values that were read last, as the service meters them. */
  valueBytes = 0
  /** Where the last reading ended. */
  end = 0

  private constructor(names: readonly string[], types: readonly ValueType[], literals: readonly string[]) {
    this.names = names
    this.types = types
    this.nameBytes = names.reduce((sum, name) => sum + byteLength(name), 0)
    this.#literals = literals.map((literal) => new Literal(literal))
  }

  /** Learns from the text of a whole `MeasureValues` array; undefined when anything about it is out of the ordinary. */
  static learn(text: string): MeasureTemplate | undefined {
    const list: unknown = PRINTABLE.test(text) ? parsed(text) : undefined
    if (!Array.isArray(list) || list.length === 0 || list.length > LIMITS.measuresPerRecord) return undefined
    const names: string[] = []
    const types: ValueType[] = []
    const literals: string[] = []
    let from = 0
    for (const measure of list as readonly unknown[]) {
      if (!isObject(measure)) return undefined
      const { Name: name, Value: value, Type: type } = measure
      if (typeof name !== 'string' || !VALUE_TYPES.includes(type as ValueType)) return undefined
      if (reservedNameProblem('measure', name) !== undefined || longNameProblem('measure', name) !== undefined)
        return undefined
      const start = text.indexOf(VALUE_KEY, from) + VALUE_KEY.length
      const end = text.indexOf('"', start)
      if (start < VALUE_KEY.length || text.slice(start, end) !== value) return undefined
      literals.push(text.slice(from, start))
      names.push(name)
      types.push(type as ValueType)
      from = end
    }
    if (text.includes(VALUE_KEY, from) || firstRepeated(names) !== undefined) return undefined
    literals.push(text.slice(from))
    return new MeasureTemplate(names, types, literals)
  }

  /**
   * Reads the values of a list that starts at `from`; undefined when the list is of another kind or a value is not right.
   * `view` has the bytes of the text when it is ASCII.
   */
  read(text: string, view: DataView | undefined, from: number, unit: TimeUnit): Value[] | undefined {
    const { types } = this
    const literals = this.#literals
    const values: Value[] = []
    let at = from
    let bytes = 0
    for (let m = 0; m < types.length; m++) {
      const literal = literals[m]
      if (literal?.isAt(text, view, at) !== true) return undefined
      at += literal.length
      const type = types[m] ?? 'DOUBLE'
      const value = type === 'DOUBLE' ? scanDouble(text, at) : undefined
      if (value !== undefined) {
        values.push(value)
        at = doubleEnd
        bytes += 8
        continue
      }
      const end = text.indexOf('"', at)
      const part = text.slice(at, end)
      const other = scanValue(type, part, unit)
      if (other === undefined) return undefined
      values.push(other)
      bytes += valueBytes(type, part)
      at = end
    }
    const tail = literals[types.length]
    if (tail?.isAt(text, view, at) !== true) return undefined
    this.end = at + tail.length
    this.valueBytes = bytes
    return values
  }
}

/** Reads the text of one value; undefined when something is wrong with it. */
export function scanValue(type: ValueType, text: string, unit: TimeUnit): Value | undefined {
  if (longValueProblem(text) !== undefined || CONTROL.test(text)) return undefined
  const value = parseValue(type, text, unit)
  return value instanceof ValueProblem ? undefined : value
}

/** The value of JSON text, or undefined when it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Where `scanDouble` stopped: the closing quote. */
let doubleEnd = 0

/**
 * Reads a plain decimal of at most 15 digits up to a quote. Such a number and its power of ten are exact in a double, so
 * that their quotient is the double nearest to the text. Undefined for every other text, negative zero included.
 */
function scanDouble(text: string, from: number): number | undefined {
  let at = from
  let code = text.charCodeAt(at)
  const negative = code === MINUS
  if (negative) code = text.charCodeAt(++at)
  let digits = 0
  let decimals = -1
  let mantissa = 0
  for (; code !== QUOTE; code = text.charCodeAt(++at)) {
    const digit = code - ZERO
    if (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit
      if (++digits > 15) return undefined
      if (decimals >= 0) decimals++
    } else if (code === POINT && decimals < 0 && digits > 0) {
      decimals = 0
    } else {
      return undefined
    }
  }
  if (digits === 0 || (negative && mantissa === 0)) return undefined
  doubleEnd = at
  const value = decimals > 0 ? mantissa / (POWERS_OF_TEN[decimals] ?? 1) : mantissa
  return negative ? -value : value
}
