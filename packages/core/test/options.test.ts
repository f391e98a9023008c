import { describe, expect, test } from 'vitest'

import { OptionsCheck } from '../src/options.ts'
import { Secret } from '../src/secret.ts'

function check(
  options: unknown,
  rules: (check: OptionsCheck) => void,
  known: readonly string[] = [],
): readonly string[] {
  const options_ = new OptionsCheck('Thing', options, known)
  rules(options_)
  return options_.problems
}

function every(required: boolean): (each: OptionsCheck) => void {
  return (each) => {
    each.string('a', { required })
    each.integer('b', { required })
    each.function('c', required)
    each.boolean('d')
    each.oneOf('e', [1])
  }
}

describe('OptionsCheck', () => {
  test('every problem is in one error, with rule, value and type', () => {
    const all = new OptionsCheck('Thing', { name: 5, size: 'big', colour: 'red' }, ['name', 'size', 'color'])
    all.string('name')
    all.integer('size', { min: 1, max: 10 })
    all.problem('name and size must not both be wrong')
    const text = [
      'Thing: 4 invalid option(s):',
      "unknown option 'colour'; did you mean 'color'?",
      'name must be a non-empty string, got 5 (number)',
      "size must be an integer from 1 to 10, got 'big' (string)",
      'name and size must not both be wrong',
    ].join('\n  - ')
    expect(() => all.throwIfAny()).toThrow(
      expect.objectContaining({
        code: 'SLUICE_OPTIONS_INVALID',
        message: text,
        restartable: false,
        facts: { owner: 'Thing', problems: text.split('\n  - ').slice(1) },
      }),
    )
  })

  test('no problem, no error', () => {
    const options = { name: 'n', size: 1, flag: false, fn: () => {}, mode: 'a' }
    const all = new OptionsCheck('Thing', options, Object.keys(options))
    all.string('name', { required: true, pattern: /^n$/ })
    all.integer('size', { required: true })
    all.boolean('flag')
    all.function('fn', true)
    all.oneOf('mode', ['a', 'b'])
    expect(() => all.throwIfAny()).not.toThrow()
  })

  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['text', "'text' (string)"],
    [[1], '[Array] (array)'],
  ])('options that are no object: %j', (options, shown) => {
    expect(check(options, (each) => each.string('name'))).toEqual([`options must be an object, got ${shown}`])
  })

  test.each([
    ['maxbatchsize', "; did you mean 'maxBatchSize'?"],
    ['maxBachSize', "; did you mean 'maxBatchSize'?"],
    ['maxBatchSizes1', "; did you mean 'maxBatchSize'?"],
    ['batch', ''],
    ['', ''],
  ])('an unknown option %j gets the hint %j', (name, hint) => {
    expect(check({ [name]: 1 }, () => {}, ['region', 'maxBatchSize'])).toEqual([`unknown option '${name}'${hint}`])
  })

  test('what is not given is no problem, unless it is required', () => {
    expect(check({}, every(false))).toEqual([])
    expect(check({}, every(true))).toEqual([
      'a must be a non-empty string, got undefined',
      'b must be an integer from 1 up, got undefined',
      'c must be a function, got undefined',
    ])
  })

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5', 5n, null, true, [5], Symbol('n')])(
    'integer refuses %s',
    (value) => {
      expect(check({ n: value }, (each) => each.integer('n'), ['n'])).toHaveLength(1)
    },
  )

  test('integer accepts its limits and refuses what is beyond them', () => {
    expect([0, 3].flatMap((n) => check({ n }, (each) => each.integer('n', { min: 0, max: 3 }), ['n']))).toEqual([])
    expect([-1, 4].map((n) => check({ n }, (each) => each.integer('n', { min: 0, max: 3 }), ['n'])[0])).toEqual([
      'n must be an integer from 0 to 3, got -1 (number)',
      'n must be an integer from 0 to 3, got 4 (number)',
    ])
  })

  test('string says its own rule', () => {
    expect(
      check({ s: 'A' }, (each) => each.string('s', { pattern: /^[a-z]+$/, says: 'lower-case letters' }), ['s']),
    ).toEqual(["s must be lower-case letters, got 'A' (string)"])
    expect(check({ s: '' }, (each) => each.string('s'), ['s'])).toEqual([
      "s must be a non-empty string, got '' (string)",
    ])
  })

  test.each(['\uD800', 'a\uDC00b'])('string refuses half a character: %j', (s) => {
    expect(check({ s }, (each) => each.string('s'), ['s'])).toEqual([
      expect.stringMatching(/^s must be a well-formed string, got /),
    ])
    expect(check({ s: '\u{1F600}' }, (each) => each.string('s'), ['s'])).toEqual([])
  })

  test('boolean, function and oneOf name what they accept', () => {
    expect(
      check(
        { flag: 'yes', fn: {}, mode: 'c' },
        (each) => {
          each.boolean('flag')
          each.function('fn')
          each.oneOf('mode', ['a', 2])
        },
        ['flag', 'fn', 'mode'],
      ),
    ).toEqual([
      "flag must be a boolean, got 'yes' (string)",
      'fn must be a function, got {} (object)',
      "mode must be one of 'a', 2, got 'c' (string)",
    ])
  })

  test('shows nothing secret and nothing of what is inside an object', () => {
    const options = { password: new Secret('hunter2'), auth: { password: 'hunter2' }, list: ['hunter2'] }
    const problems = check(
      options,
      (each) => {
        for (const name of Object.keys(options)) each.integer(name)
      },
      Object.keys(options),
    )
    expect(problems).toHaveLength(3)
    expect(problems[0]).toBe('password must be an integer from 1 up, got a Secret')
    expect(problems.join()).not.toContain('hunter2')
  })

  test('a long value is cut', () => {
    const [problem] = check({ n: 'x'.repeat(10_000) }, (each) => each.integer('n'), ['n'])
    expect(problem?.length).toBeLessThan(200)
  })
})
