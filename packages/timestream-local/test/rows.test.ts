import { describe, expect, it } from 'vitest'
import { doubleText } from '../src/rows.ts'

describe('doubleText', () => {
  it.each([
    [0, '0.0'],
    [-0, '-0.0'],
    [1, '1.0'],
    [-12.5, '-12.5'],
    [9_999_999, '9999999.0'],
    [1e7, '1.0E7'],
    [123_456_789, '1.23456789E8'],
    [0.001, '0.001'],
    [0.000_999, '9.99E-4'],
    [5e-324, '5.0E-324'],
    [1.797_693_134_862_315_7e308, '1.7976931348623157E308'],
    [Number.NaN, 'NaN'],
    [-Infinity, '-Infinity'],
  ])('%d', (value, text) => {
    expect(doubleText(value)).toBe(text)
  })
})
