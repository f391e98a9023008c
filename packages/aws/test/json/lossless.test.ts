import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseJson, stringifyJson } from '../../src/json/lossless.ts'

test.each([
  ['9007199254740991', 9007199254740991],
  ['9007199254740992', 9007199254740992n],
  ['9007199254740993', 9007199254740993n],
  ['-9007199254740993', -9007199254740993n],
  ['9223372036854775807', 9223372036854775807n],
  ['-9223372036854775808', -9223372036854775808n],
  ['18446744073709551615', 18446744073709551615n],
  ['1700000000000000001', 1700000000000000001n],
  ['0.12345678901234567', Number('0.12345678901234567')],
  ['1e22', 1e22],
  ['12345678901234567890.5', Number('12345678901234567890.5')],
  ['"1700000000000000001"', '1700000000000000001'],
  ['{"9007199254740993":"9007199254740993"}', { '9007199254740993': '9007199254740993' }],
  ['[{"a":[9007199254740993,1.5,true,null]}]', [{ a: [9007199254740993n, 1.5, true, null] }]],
])('%s is read', (text, value) => {
  expect(parseJson(text)).toStrictEqual(value)
})

test('digits without end are a number: to read them as an integer would take long', () => {
  expect(parseJson(`[${'9'.repeat(200)}]`)).toStrictEqual([1e200])
})

test('a name __proto__ is a field, not a prototype', () => {
  for (const text of ['{"__proto__":{"polluted":1}}', '{"__proto__":{"polluted":9007199254740993}}']) {
    const read = parseJson(text)
    expect(Object.keys(read as object)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
  }
})

test('what is not JSON is an error', () => {
  for (const text of ['', '{', '<html>', `{"a":${'1'.repeat(20)}`]) expect(() => parseJson(text)).toThrow(SyntaxError)
})

test('bigints are written as integers, everything else as JSON.stringify does', () => {
  expect(stringifyJson({ Version: 1700000000000000001n, a: undefined, b: [1n, 'x'] })).toBe(
    '{"Version":1700000000000000001,"b":[1,"x"]}',
  )
  expect(stringifyJson({ a: undefined, d: new Date(0) })).toBe('{"d":"1970-01-01T00:00:00.000Z"}')
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  expect(() => stringifyJson(circle)).toThrow(TypeError)
})

test('what is written is read again', () => {
  let bigints = 0
  fc.assert(
    fc.property(values, (value) => {
      bigints += JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? 'BIG' : item)).includes('BIG')
        ? 1
        : 0
      expect(parseJson(stringifyJson([value]))).toStrictEqual([value])
    }),
    { numRuns: 500 },
  )
  expect(bigints).toBeGreaterThan(50)
})

const { value: values } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, 0, 9007199254740991, -9007199254740991),
    fc.string(),
    fc.stringMatching(/^\d{14,20}$/),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => !Object.is(n, -0) && Math.abs(n) < 2 ** 53),
    // Smaller ones come back as numbers.
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string().filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
}))
