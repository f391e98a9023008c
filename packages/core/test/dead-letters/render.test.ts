import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fingerprint, letterId } from '../../src/dead-letters/identity.ts'
import { render, shortened } from '../../src/dead-letters/render.ts'
import { Secret } from '../../src/index.ts'

const circular: Record<string, unknown> = { name: 'loop' }
circular['self'] = circular
circular['list'] = [circular]

const deep = (levels: number): unknown => (levels === 0 ? 'bottom' : { next: deep(levels - 1) })

class Hidden {
  readonly shown = 1
  get bad(): never {
    throw new Error('no')
  }
}
const ownGetter = Object.defineProperty({ fine: 1 }, 'bad', {
  enumerable: true,
  get() {
    throw new Error('no')
  },
})
const hostile = new Proxy(
  {},
  {
    get() {
      throw new Error('get')
    },
    ownKeys() {
      throw new Error('keys')
    },
    getPrototypeOf() {
      throw new Error('proto')
    },
  },
)
const badJson = {
  toJSON() {
    throw new Error('toJSON')
  },
}

describe('what JSON has not', () => {
  // Wrapped: the runner formats what is in a table, and some of these throw then.
  const cases: readonly (readonly [unknown, unknown])[] = [
    [undefined, '[undefined]'],
    [10n ** 20n, '100000000000000000000'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [Symbol('s'), '[symbol]'],
    [() => 1, '[function]'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Date(Number.NaN), null],
    [Buffer.from('ab'), { base64: 'YWI=', bytes: 2 }],
    [new Float64Array([1]), { base64: 'AAAAAAAA8D8=', bytes: 8 }],
    [new Map([['a', 1n]]), [['a', '1']]],
    [new Set([1, 2]), [1, 2]],
    [new TypeError('bad'), { name: 'TypeError', message: 'bad' }],
    [new Secret('hunter2'), '[secret]'],
    [circular, { name: 'loop', self: '[circular]', list: ['[circular]'] }],
    [new Hidden(), { shown: 1 }],
    [ownGetter, { fine: 1, bad: '[not readable]' }],
    [hostile, '[not readable]'],
    [badJson, '[not readable]'],
    [JSON.parse('{"__proto__": {"x": 1}}'), JSON.parse('{"__proto__": {"x": 1}}')],
  ]
  test.each(cases.map((_, index) => index))('is rendered as text (%i)', (index) => {
    const [value, shown] = cases[index] ?? []
    expect(render(value)).toEqual(shown)
    expect(JSON.parse(JSON.stringify(render(value)))).toEqual(shown)
  })
})

describe('a rendering is bounded', () => {
  test.each<[string, unknown]>([
    ['a long string', 'x'.repeat(10_000_000)],
    ['many fields', Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`field${index}`, index]))],
    ['long names', { ['n'.repeat(1_000_000)]: 1 }],
    ['a long list', Array.from({ length: 1_000_000 }, () => 1)],
    ['lists in lists', Array.from({ length: 1000 }, () => Array.from({ length: 1000 }, () => 'text'))],
    ['many bytes', Buffer.alloc(10_000_000)],
    ['depth', deep(5000)],
    ['escapes', '\u0000'.repeat(1_000_000)],
  ])('of %s', (_what, value) => {
    expect(JSON.stringify(render(value)).length).toBeLessThan(300_000)
  })

  test('and says how much is missing', () => {
    expect(shortened('abcdef', 4)).toBe('abcd[... 2 more characters]')
    expect(shortened('abcd', 4)).toBe('abcd')
    expect(render(Array.from({ length: 1002 }, () => 1))).toHaveLength(1001)
    expect((render(Array.from({ length: 1002 }, () => 1)) as unknown[]).at(-1)).toBe('[... 2 more]')
  })

  test('never throws and always gives JSON, whatever the value', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withMap: true, withSet: true, withTypedArray: true }), (value) => {
        expect(() => JSON.stringify(render(value))).not.toThrow()
        expect(fingerprint(value)).toBe(fingerprint(value))
      }),
    )
  })
})

describe('a fingerprint', () => {
  test.each<[unknown, unknown]>([
    [1, '1'],
    [1, 1n],
    [null, undefined],
    [
      [1, 2],
      [[1], 2],
    ],
    [['ab'], ['a', 'b']],
    [{ a: 1, b: 2 }, { a: 1 }],
    [Buffer.from('a'), Buffer.from('b')],
    ['x'.repeat(1_000_000), `${'x'.repeat(999_999)}y`],
    [deep(50), deep(51)],
    [new Date(0), new Date(1)],
    [new Map([[1, 2]]), new Map([[1, 3]])],
  ])('tells %o from %o', (one, other) => {
    expect(fingerprint(one)).not.toBe(fingerprint(other))
  })

  test('is always the same, also of what cannot be read or has no end', () => {
    for (const value of [circular, hostile, badJson, ownGetter, () => 1, deep(5000)]) {
      expect(fingerprint(value)).toMatch(/^[0-9a-f]{64}$/)
      expect(fingerprint(value)).toBe(fingerprint(value))
    }
  })
})

test('the parts of an id cannot run into each other', () => {
  expect(letterId(['a', 'bc'])).not.toBe(letterId(['ab', 'c']))
  expect(letterId(['a', null])).not.toBe(letterId(['a', 'null']))
})
