import { describe, expect, it } from 'vitest'
import { firstWord, refusal, translate } from '../src/translate.ts'

describe('translate', () => {
  it.each([
    ['ago(15m)', "ago(INTERVAL '15 minutes')"],
    [
      '1d 2h 3s 4ms 5us 6w 7mo 8y',
      "INTERVAL '1 days' INTERVAL '2 hours' INTERVAL '3 seconds' INTERVAL '4 milliseconds' INTERVAL '5 microseconds' INTERVAL '6 weeks' INTERVAL '7 months' INTERVAL '8 years'",
    ],
    ['t.measure_value::BIGINT', 't."measure_value::bigint"'],
    ['"measure_value::double"', '"measure_value::double"'],
    ['measure_value::text', 'measure_value::text'],
    ["'15m measure_value::double'", "'15m measure_value::double'"],
    ["'it''s 15m'", "'it''s 15m'"],
    [
      "$$cast('1' as timestamp)$$ $a$ $$ 15m $a$ 15m",
      "$$cast('1' as timestamp)$$ $a$ $$ 15m $a$ INTERVAL '15 minutes'",
    ],
    ["E'a\\'b timestamp ' e'''15m\\\\' 15m", "E'a\\'b timestamp ' e'''15m\\\\' INTERVAL '15 minutes'"],
    ["'a\\' 15m", "'a\\' INTERVAL '15 minutes'"],
    ['x$1$ + 15m - y$1$', "x$1$ + INTERVAL '15 minutes' - y$1$"],
    ['/* 15m */ 1 -- 15m', '/* 15m */ 1 -- 15m'],
    ['current_timestamp > x.current_time', 'now() > x.current_time'],
    ['constructor + x.valueof', 'constructor + x.valueof'],
    [
      "x = timestamp'2024-01-01' OR x > TIMESTAMP /* a */ '2024'",
      "x = TIMESTAMP_NS'2024-01-01' OR x > TIMESTAMP_NS /* a */ '2024'",
    ],
    [
      "cast('a' as timestamp), TRY_CAST (f(x) AS Timestamp )",
      "cast('a' as TIMESTAMP_NS), TRY_CAST (f(x) AS TIMESTAMP_NS )",
    ],
    ['(SELECT timestamp, cast((x) AS date) AS timestamp)', '(SELECT timestamp, cast((x) AS date) AS timestamp)'],
    ['cast((SELECT max(y) AS timestamp) AS timestamp)', 'cast((SELECT max(y) AS timestamp) AS TIMESTAMP_NS)'],
    ['cast(x AS timestamp with time zone)', 'cast(x AS timestamp with time zone)'],
    ['1e5 + 1.5 + a15m + x::double', '1e5 + 1.5 + a15m + x::double'],
  ])('%s', (sql, expected) => {
    expect(translate(sql)).toBe(expected)
  })
})

it('nanosecond intervals are refused', () => {
  expect(() => translate('ago(50ns)')).toThrow(/50ns is finer than timestream-local computes/)
})

it('functions that are missing are named without advice of DuckDB', () => {
  const message =
    'Catalog Error: Scalar Function with name interpolate_linear does not exist!\nDid you mean "list_intersect"?'
  expect(refusal(message, 'SELECT 1')).toBe('timestream-local does not have the function interpolate_linear.')
  expect(refusal('Binder Error: something else', 'SELECT 1')).toBe('Binder Error: something else')
})

describe('text that cannot be converted is not said to be no INT64', () => {
  const message = "Conversion Error: Could not convert string 'x' to INT64\n\nLINE 1: SELECT ..."
  it.each([
    ["SELECT TIMESTAMP_NS 'x'", 'BIGINT, or to a TIMESTAMP from 1677-09-22 to 2262-04-11'],
    ["SELECT measure_value::bigint WHERE time > 'x'", 'BIGINT, or to a TIMESTAMP from 1677-09-22 to 2262-04-11'],
    ["SELECT cast('x' AS TIMESTAMP_NS), cast(y AS bigint)", 'BIGINT, or to a TIMESTAMP from 1677-09-22 to 2262-04-11'],
    ["SELECT try_cast(y as double), cast('x' as  BigInt)", 'BIGINT'],
  ])('%s', (translated, types) => {
    expect(refusal(message, translated)).toBe(
      `Conversion Error: Could not convert string 'x' to ${types}\n\nLINE 1: SELECT ...`,
    )
  })
})

describe('firstWord', () => {
  it.each([
    ['SELECT 1', 'select'],
    ['  -- note\n /* more */ (select 1)', 'select'],
    ['With x as (select 1) select 1', 'with'],
    ['selection', undefined],
    ['insert into x values (1)', undefined],
    ['-- select', undefined],
  ])('%s', (sql, expected) => {
    expect(firstWord(sql)).toBe(expected)
  })
})
