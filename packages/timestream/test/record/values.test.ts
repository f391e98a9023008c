import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  OMITTED,
  timeText,
  type TimeUnit,
  ValueProblem,
  valueText,
  type ValueType,
  versionOf,
} from '../../src/record/values.ts'

const rules = { nonFinite: 'refuse', negativeZero: 'zero' } as const

function textOf(type: ValueType, value: unknown, unit: TimeUnit = 'MILLISECONDS'): unknown {
  const text = valueText(type, value, unit, rules)
  return text instanceof ValueProblem ? { problem: text.text } : text
}

test('every finite double reads back as itself, in the shortest form', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = textOf('DOUBLE', value)
      expect(Number(text)).toBe(value === 0 ? 0 : value)
      expect(text).toBe(String(value + 0))
    }),
    { numRuns: 2000 },
  )
})

test('a number with few decimals has the text that JavaScript gives it', () => {
  const decimals = fc.tuple(fc.integer({ min: -(10 ** 10), max: 10 ** 10 }), fc.integer({ min: 0, max: 4 }))
  fc.assert(
    fc.property(decimals, ([digits, places]) => {
      const value = digits / 10 ** places
      expect(textOf('DOUBLE', value)).toBe(String(value + 0))
    }),
    { numRuns: 5000 },
  )
  for (const value of [0, 1, 0.01, 0.1, 0.99, 1.1, 10.05, 21_474_836.47, 21_474_836.48, 5e-324]) {
    expect(textOf('DOUBLE', value)).toBe(String(value))
  }
})

test('every integer of 64 bits keeps its digits, as a bigint and as text', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      expect(textOf('BIGINT', value)).toBe(value.toString())
      expect(textOf('BIGINT', value.toString())).toBe(value.toString())
    }),
  )
})

test.for<readonly [ValueType, unknown, unknown]>([
  ['DOUBLE', 0.1 + 0.2, '0.30000000000000004'],
  ['DOUBLE', 1e-12, '1e-12'],
  ['DOUBLE', '35.0', '35.0'],
  ['DOUBLE', 12n, '12'],
  ['DOUBLE', -0, '0'],
  ['DOUBLE', '-0.0', '0'],
  ['DOUBLE', '-0e5', '0'],
  ['BIGINT', -0, '0'],
  ['BIGINT', 9_007_199_254_740_991, '9007199254740991'],
  ['BOOLEAN', true, 'true'],
  ['BOOLEAN', 'FALSE', 'false'],
  ['VARCHAR', 'a "b"', 'a "b"'],
  ['VARCHAR', 5, '5'],
  ['VARCHAR', 'x'.repeat(2048), 'x'.repeat(2048)],
  ['TIMESTAMP', new Date(1_700_000_000_123), '1700000000123'],
  ['TIMESTAMP', '0007', '7'],
])('%s of %s is %s', ([type, value, text]) => {
  expect(textOf(type, value)).toBe(text)
})

test.for<readonly [ValueType, unknown, string]>([
  ['DOUBLE', Number.NaN, 'is NaN or infinite (option: numbers.nonFinite)'],
  ['DOUBLE', Number.POSITIVE_INFINITY, 'is NaN or infinite (option: numbers.nonFinite)'],
  ['DOUBLE', 'nan', 'is NaN or infinite (option: numbers.nonFinite)'],
  ['DOUBLE', '1e999', 'is NaN or infinite (option: numbers.nonFinite)'],
  ['DOUBLE', 2n ** 1024n, 'is NaN or infinite (option: numbers.nonFinite)'],
  ['DOUBLE', '1,5', 'must be the text of a number'],
  ['DOUBLE', '', 'must be the text of a number'],
  ['DOUBLE', {}, 'must be a number, got object'],
  ['BIGINT', 2 ** 53, 'is a number beyond 2^53, which is not exact: give a bigint or its digits'],
  ['BIGINT', 1.5, 'must be a whole number'],
  ['BIGINT', 2n ** 63n, 'is outside of 64 bits'],
  ['BIGINT', '9223372036854775808', 'is outside of 64 bits'],
  ['BIGINT', '1e3', 'must be a whole number'],
  ['VARCHAR', '', 'is empty'],
  ['VARCHAR', null, 'must be a text, got null'],
  ['VARCHAR', 'é'.repeat(1025), 'has 2050 bytes; allowed are 2048'],
  ['VARCHAR', '\ud800', 'is not well-formed Unicode'],
  ['BOOLEAN', 1, 'must be a boolean'],
  ['TIMESTAMP', -1, "must be a time from 1970-01-01 to 2262-04-11 in MILLISECONDS, the record's unit"],
])('%s of %s is refused', ([type, value, problem]) => {
  expect(textOf(type, value)).toEqual({ problem })
})

test('the options: not finite is left out, negative zero is refused', () => {
  const options = { nonFinite: 'omit', negativeZero: 'refuse' } as const
  expect(valueText('DOUBLE', Number.NaN, 'SECONDS', options)).toBe(OMITTED)
  expect(valueText('DOUBLE', '-inf', 'SECONDS', options)).toBe(OMITTED)
  expect(valueText('DOUBLE', -0, 'SECONDS', options)).toBeInstanceOf(ValueProblem)
})

const DATE = new Date('2023-11-14T22:13:20.000Z')

test.for([
  ['SECONDS', DATE, '1700000000'],
  ['MILLISECONDS', DATE, '1700000000000'],
  ['MICROSECONDS', DATE, '1700000000000000'],
  ['NANOSECONDS', DATE, '1700000000000000000'],
  ['SECONDS', new Date(1_700_000_000_500), undefined],
  ['NANOSECONDS', 1_700_000_000_000_000_001n, '1700000000000000001'],
  ['NANOSECONDS', 2n ** 63n - 1n, '9223372036854775807'],
  ['NANOSECONDS', 2n ** 63n, undefined],
  ['SECONDS', 9_223_372_036, '9223372036'],
  ['SECONDS', 9_223_372_037, undefined],
  ['SECONDS', new Date(9_223_372_036_000), '9223372036'],
  ['SECONDS', new Date(9_223_372_037_000), undefined],
  ['SECONDS', new Date(Date.UTC(5000, 0, 1)), undefined],
  ['MILLISECONDS', 9_223_372_036_855, undefined],
  ['MILLISECONDS', 1.5, undefined],
  ['MILLISECONDS', -1, undefined],
  ['MILLISECONDS', 'yesterday', undefined],
  ['MILLISECONDS', new Date(Number.NaN), undefined],
] as const)('a time in %s of %s is %s', ([unit, time, text]) => {
  expect(timeText(time, unit)).toBe(text)
})

test.for([
  [1, 1],
  [2n ** 63n - 1n, 2n ** 63n - 1n],
  [7n, 7],
  [0, undefined],
  [-1n, undefined],
  [1.5, undefined],
  [2 ** 53, undefined],
  [2n ** 63n, undefined],
  ['9007199254740993', 9_007_199_254_740_993n],
  ['x', undefined],
  [null, undefined],
] as const)('a version of %s is %s', ([given, version]) => {
  expect(versionOf(given)).toBe(version)
})

test('a text of a number that is too long is not read', () => {
  const digits = '1'.repeat(401)
  const problem = { problem: 'has 401 characters; allowed are 400' }
  expect(textOf('BIGINT', digits)).toEqual(problem)
  expect(textOf('DOUBLE', digits)).toEqual(problem)
  expect(textOf('DOUBLE', `0.${'3'.repeat(398)}`)).toBe(`0.${'3'.repeat(398)}`)
})

test('a text so small that it is negative zero is one', () => {
  expect(textOf('DOUBLE', '-1e-400')).toBe('0')
})
