import { describe, expect, it } from 'vitest'
import { firstWord, translate } from '../src/translate.ts'

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
    ['/* 15m */ 1 -- 15m', '/* 15m */ 1 -- 15m'],
    ['1e5 + 1.5 + a15m + x::double', '1e5 + 1.5 + a15m + x::double'],
  ])('%s', (sql, expected) => {
    expect(translate(sql)).toBe(expected)
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
