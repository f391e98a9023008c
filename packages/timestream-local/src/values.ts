import { LIMITS } from './limits.ts'
import { byteLength } from './names.ts'
import type { TimeKey } from './versions.ts'

/** Types of one measure value; the index is stored, so the order is part of the value hash. */
export const VALUE_TYPES = ['DOUBLE', 'BIGINT', 'VARCHAR', 'BOOLEAN', 'TIMESTAMP'] as const
export type ValueType = (typeof VALUE_TYPES)[number]

export const TIME_UNITS = ['SECONDS', 'MILLISECONDS', 'MICROSECONDS', 'NANOSECONDS'] as const
export type TimeUnit = (typeof TIME_UNITS)[number]

/** A parsed value: DOUBLE is a number, BOOLEAN a boolean, BIGINT canonical digits, TIMESTAMP digits of nanoseconds. */
export type Value = string | number | boolean

/** What is wrong with a value: the sentence continues after the place of the value. */
export class ValueProblem {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const DOUBLE = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const INTEGER = /^[+-]?\d+$/
const DIGITS = /^\d+$/
export const INT64_MAX = 9_223_372_036_854_775_807n
const INT64_MIN = -9_223_372_036_854_775_808n

export function parseValue(type: ValueType, text: string, unit: TimeUnit): Value | ValueProblem {
  if (text === '') return new ValueProblem('is empty')
  switch (type) {
    case 'DOUBLE':
      return parseDouble(text)
    case 'BIGINT':
      return parseBigint(text)
    case 'VARCHAR':
      return text
    case 'BOOLEAN': {
      const lower = text.toLowerCase()
      return lower === 'true' || lower === 'false' ? lower === 'true' : new ValueProblem('is not a BOOLEAN')
    }
    case 'TIMESTAMP':
    default: {
      const time = parseTime(text, unit)
      return time === undefined
        ? new ValueProblem(`is not a TIMESTAMP from 1970-01-01 to 2262-04-11 in ${unit}`)
        : timeNanos(time).toString()
    }
  }
}

function parseDouble(text: string): number | ValueProblem {
  const value = Number(text)
  if (!Number.isFinite(value) || !DOUBLE.test(text)) return new ValueProblem('is not a finite DOUBLE')
  if (value === 0 && Object.is(value, -0)) return new ValueProblem('is negative zero, which the service refuses')
  return value
}

function parseBigint(text: string): string | ValueProblem {
  if (!INTEGER.test(text)) return new ValueProblem('is not a BIGINT')
  if (text.length < 16 && text.charCodeAt(0) !== 43 /* + */) {
    const value = Number(text)
    return value === 0 ? '0' : String(value)
  }
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  return value > INT64_MAX || value < INT64_MIN ? new ValueProblem('is outside the range of BIGINT') : value.toString()
}

/** Reads a time; undefined when it is no whole number from 1970-01-01 to 2262-04-11. */
export function parseTime(text: string, unit: TimeUnit): TimeKey | undefined {
  if (!DIGITS.test(text)) return undefined
  if (unit === 'MILLISECONDS' && text.length < 14) return checkedMs(Number(text))
  if (unit === 'SECONDS' && text.length < 11) return checkedMs(Number(text) * 1000)
  if (text.length > 25) return undefined
  const nanos = BigInt(text) * NANOS_PER_UNIT[unit]
  if (nanos > INT64_MAX) return undefined
  return nanos % 1_000_000n === 0n ? Number(nanos / 1_000_000n) : nanos
}

const NANOS_PER_UNIT: Readonly<Record<TimeUnit, bigint>> = {
  SECONDS: 1_000_000_000n,
  MILLISECONDS: 1_000_000n,
  MICROSECONDS: 1000n,
  NANOSECONDS: 1n,
}
const MAX_MS = Number(INT64_MAX / 1_000_000n)

function checkedMs(ms: number): number | undefined {
  return ms <= MAX_MS ? ms : undefined
}

export function timeNanos(time: TimeKey): bigint {
  return typeof time === 'number' ? BigInt(time) * 1_000_000n : time
}

export function timeMs(time: TimeKey): number {
  return typeof time === 'number' ? time : Number(time / 1_000_000n)
}

/** Bytes of a value as the service meters them: 8 for numbers and times, 1 for BOOLEAN, UTF-8 length for VARCHAR. */
export function valueBytes(type: ValueType, text: string): number {
  if (type === 'VARCHAR') return byteLength(text)
  return type === 'BOOLEAN' ? 1 : 8
}

/** Why a value is longer than the shape of the API allows, or undefined. */
export function longValueProblem(text: string): string | undefined {
  return text.length > LIMITS.measureValueBytes
    ? `has ${text.length} characters; the limit is ${LIMITS.measureValueBytes}`
    : undefined
}
