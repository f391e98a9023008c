import { MAX_VALUE_BYTES } from './limits.ts'

export const TIME_UNITS = ['SECONDS', 'MILLISECONDS', 'MICROSECONDS', 'NANOSECONDS'] as const
export type TimeUnit = (typeof TIME_UNITS)[number]

export const VALUE_TYPES = ['DOUBLE', 'BIGINT', 'VARCHAR', 'BOOLEAN', 'TIMESTAMP'] as const
export type ValueType = (typeof VALUE_TYPES)[number]

/** How values are given: as the text that is sent, or as a value of JavaScript. */
export type ValueInput = string | number | bigint | boolean | Date

/** What becomes of numbers that the service does not take. */
export interface NumberOptions {
  /** NaN and infinities: `refuse` refuses the record, `omit` leaves the measure out. @default 'refuse' */
  readonly nonFinite?: 'refuse' | 'omit'
  /** -0, which the service refuses: `zero` sends 0, `refuse` refuses the record. @default 'zero' */
  readonly negativeZero?: 'zero' | 'refuse'
}

export type NumberRules = Required<NumberOptions>

/** What is wrong with a value; continues the sentence "the value of measure 'm' ...". Never shows the value. */
export class ValueProblem {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** The measure is left out, as `numbers.nonFinite: 'omit'` says. */
export const OMITTED: unique symbol = Symbol('omitted')

const INT64_MAX = 9_223_372_036_854_775_807n
const INT64_MIN = -9_223_372_036_854_775_808n

const DOUBLE = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const NON_FINITE = /^[+-]?(?:nan|inf(?:inity)?)$/i
const INTEGER = /^[+-]?\d+$/
const DIGITS = /^\d+$/

/** A longer text of a number says nothing more, and would take its time to read. */
const MAX_NUMBER_CHARS = 400

/** The type of a value that names none: that of JavaScript. Text is a VARCHAR. */
export function typeOf(value: unknown): ValueType {
  if (typeof value === 'number') return 'DOUBLE'
  if (typeof value === 'bigint') return 'BIGINT'
  if (typeof value === 'boolean') return 'BOOLEAN'
  return value instanceof Date ? 'TIMESTAMP' : 'VARCHAR'
}

/** The text of a value as it is sent: integers exact, doubles in the shortest form that reads back as the same number. */
export function valueText(
  type: ValueType,
  value: unknown,
  unit: TimeUnit,
  rules: NumberRules,
): string | ValueProblem | typeof OMITTED {
  switch (type) {
    case 'DOUBLE':
      return typeof value === 'number' ? doubleText(value, rules) : doubleOf(value, rules)
    case 'BIGINT':
      return bigintText(value)
    case 'VARCHAR':
      return varcharText(value)
    case 'BOOLEAN':
      return booleanText(value)
    case 'TIMESTAMP':
    default: {
      const text = timeText(value, unit)
      return text ?? new ValueProblem(`must be a time from 1970-01-01 to 2262-04-11 in ${unit}, the record's unit`)
    }
  }
}

function doubleText(value: number, rules: NumberRules): string | ValueProblem | typeof OMITTED {
  // x - x is NaN for what is not finite.
  if (value - value !== 0) return nonFinite(rules)
  if (value === 0 && Object.is(value, -0)) return negativeZero(rules)
  return `${value}`
}

function doubleOf(value: unknown, rules: NumberRules): string | ValueProblem | typeof OMITTED {
  if (typeof value === 'bigint') return Number.isFinite(Number(value)) ? value.toString() : nonFinite(rules)
  if (typeof value !== 'string') return new ValueProblem(`must be a number, got ${nameOf(value)}`)
  if (value.length > MAX_NUMBER_CHARS) return tooLong(value)
  if (NON_FINITE.test(value)) return nonFinite(rules)
  if (!DOUBLE.test(value)) return new ValueProblem('must be the text of a number')
  const number = Number(value)
  if (Object.is(number, -0)) return negativeZero(rules)
  return Number.isFinite(number) ? value : nonFinite(rules)
}

function tooLong({ length }: string): ValueProblem {
  return new ValueProblem(`has ${length} characters; allowed are ${MAX_NUMBER_CHARS}`)
}

function nonFinite({ nonFinite: rule }: NumberRules): ValueProblem | typeof OMITTED {
  return rule === 'omit' ? OMITTED : new ValueProblem('is NaN or infinite (option: numbers.nonFinite)')
}

function negativeZero({ negativeZero: rule }: NumberRules): string | ValueProblem {
  return rule === 'zero' ? '0' : new ValueProblem('is negative zero (option: numbers.negativeZero)')
}

function bigintText(value: unknown): string | ValueProblem {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return Object.is(value, -0) ? '0' : `${value}`
    return new ValueProblem(
      Number.isInteger(value)
        ? 'is a number beyond 2^53, which is not exact: give a bigint or its digits'
        : 'must be a whole number',
    )
  }
  let exact: bigint
  if (typeof value === 'bigint') exact = value
  else if (typeof value !== 'string' || !INTEGER.test(value)) return new ValueProblem('must be a whole number')
  else if (value.length < 19) return value
  else if (value.length > MAX_NUMBER_CHARS) return tooLong(value)
  else exact = BigInt(value.startsWith('+') ? value.slice(1) : value)
  return exact > INT64_MAX || exact < INT64_MIN ? new ValueProblem('is outside of 64 bits') : exact.toString()
}

function varcharText(value: unknown): string | ValueProblem {
  if (typeof value !== 'string') {
    const isPlain = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    return isPlain ? `${value}` : new ValueProblem(`must be a text, got ${nameOf(value)}`)
  }
  if (value === '') return new ValueProblem('is empty')
  // No text is longer in UTF-8 than three bytes for each unit.
  if (value.length * 3 > MAX_VALUE_BYTES) {
    const bytes = Buffer.byteLength(value)
    if (bytes > MAX_VALUE_BYTES) return new ValueProblem(`has ${bytes} bytes; allowed are ${MAX_VALUE_BYTES}`)
  }
  return value.isWellFormed() ? value : new ValueProblem('is not well-formed Unicode')
}

function booleanText(value: unknown): string | ValueProblem {
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  const lower = typeof value === 'string' ? value.toLowerCase() : ''
  return lower === 'true' || lower === 'false' ? lower : new ValueProblem('must be a boolean')
}

const NANOS: Readonly<Record<TimeUnit, bigint>> = {
  SECONDS: 1_000_000_000n,
  MILLISECONDS: 1_000_000n,
  MICROSECONDS: 1000n,
  NANOSECONDS: 1n,
}

/** Digits of a text that is surely within the range. */
const SURE_DIGITS: Readonly<Record<TimeUnit, number>> = {
  SECONDS: 9,
  MILLISECONDS: 12,
  MICROSECONDS: 15,
  NANOSECONDS: 18,
}

/** A number that is surely within the range, and written in digits. */
const SURE: Readonly<Record<TimeUnit, number>> = {
  SECONDS: 9_000_000_000,
  MILLISECONDS: 9_000_000_000_000,
  MICROSECONDS: 9_000_000_000_000_000,
  NANOSECONDS: Number.MAX_SAFE_INTEGER,
}

/**
 * The digits of a time in the unit: a Date is turned into it, a number is taken as it is. Undefined for what is no whole number of
 * the unit from 1970-01-01 to 2262-04-11.
 */
export function timeText(value: unknown, unit: TimeUnit): string | undefined {
  if (value instanceof Date) return dateText(value, unit)
  let text: string
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) return undefined
    text = `${value + 0}`
    // All digits: most times end here.
    if (value <= SURE[unit]) return text
  } else if (typeof value === 'bigint') text = value.toString()
  else if (typeof value === 'string') text = value
  else return undefined
  if (!DIGITS.test(text)) return undefined
  if (text.charCodeAt(0) === 48 && text.length > 1) text = text.replace(/^0+(?=\d)/, '')
  if (text.length <= SURE_DIGITS[unit]) return text
  return text.length <= 19 && BigInt(text) * NANOS[unit] <= INT64_MAX ? text : undefined
}

function dateText(date: Date, unit: TimeUnit): string | undefined {
  const ms = date.getTime()
  if (!(ms >= 0)) return undefined
  if (unit === 'MILLISECONDS') return timeText(ms, unit)
  // Exact: a date that is no whole second is no time in seconds.
  if (unit === 'SECONDS') return timeText(ms / 1000, unit)
  return timeText(BigInt(ms) * (unit === 'MICROSECONDS' ? 1000n : 1_000_000n), unit)
}

/** Nanoseconds of a time that was checked: for times of different units. */
export function timeNanos(text: string, unit: TimeUnit): bigint {
  return BigInt(text) * NANOS[unit]
}

/** Milliseconds of a time that was checked, rounded down. */
export function timeMs(text: string, unit: TimeUnit): number {
  if (unit === 'MILLISECONDS') return Number(text)
  if (unit === 'SECONDS') return Number(text) * 1000
  return Math.floor(Number(text) / (unit === 'MICROSECONDS' ? 1000 : 1_000_000))
}

/** A version as it is sent, or undefined if it is no whole number from 1 to 2^63 - 1. */
export function versionOf(value: unknown): number | bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 1 ? value : undefined
  if (typeof value === 'string' && DIGITS.test(value) && value.length <= 19) return versionOf(BigInt(value))
  if (typeof value !== 'bigint' || value < 1n || value > INT64_MAX) return undefined
  return value <= 9_007_199_254_740_991n ? Number(value) : value
}

function nameOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}
