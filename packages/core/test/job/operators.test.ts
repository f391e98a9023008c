import { describe, expect, test } from 'vitest'

import { filterStep, flatMapStep, mapStep, OperatorChain } from '../../src/job/operators.ts'

describe('operators', () => {
  test('without a step a value passes as it is', () => {
    const out: unknown[] = []
    const value = { a: 1 }
    expect(new OperatorChain([]).run(value, out)).toBe(1)
    expect(out[0]).toBe(value)
  })

  test('steps apply in order', () => {
    const chain = new OperatorChain([
      mapStep(1, (n: number) => n + 1),
      filterStep(2, (n: number) => n % 2 === 0),
      flatMapStep(3, (n: number) => [n, n * 10]),
      mapStep(4, (n: number) => `${n}`),
    ])
    const out: unknown[] = ['kept']
    expect([1, 2, 3].map((n) => chain.run(n, out))).toEqual([2, 0, 2])
    expect(out).toEqual(['kept', '2', '20', '4', '40'])
  })

  test('flatMap takes any iterable, an empty one too', () => {
    const chain = new OperatorChain([
      flatMapStep(1, function* (n: number) {
        for (let index = 0; index < n; index++) yield index
      }),
    ])
    const out: unknown[] = []
    expect([chain.run(0, out), chain.run(2, out)]).toEqual([0, 2])
    expect(out).toEqual([0, 1])
  })

  test('a throw leaves the values as they were, and the chain usable', () => {
    const chain = new OperatorChain([
      flatMapStep(1, (list: readonly number[]) => list),
      mapStep(2, (n: number) => {
        if (n === 3) throw new Error('three')
        return n
      }),
    ])
    const out: unknown[] = ['kept']
    expect(() => chain.run([1, 2, 3, 4], out)).toThrow('three')
    expect(out).toEqual(['kept'])
    expect(chain.stage).toBe('map #2')
    expect(chain.run([5], out)).toBe(1)
    expect(out).toEqual(['kept', 5])
  })

  test.each([
    ['map #1', 'map'],
    ['filter #2', 'filter'],
    ['flatMap #3', 'flatMap'],
    ['flatMap #3', 'iterable, at once'],
    ['flatMap #3', 'iterable, after a value'],
    ['map #4', 'last'],
  ])('after a throw the stage is %s (%s)', (stage, where) => {
    const fail = (place: string): void => {
      if (place === where) throw new Error(place)
    }
    const chain = new OperatorChain([
      mapStep(1, (n: number) => {
        fail('map')
        return n
      }),
      filterStep(2, () => {
        fail('filter')
        return true
      }),
      flatMapStep(3, (n: number) => {
        fail('flatMap')
        return (function* () {
          fail('iterable, at once')
          yield n
          fail('iterable, after a value')
        })()
      }),
      mapStep(4, (n: number) => {
        fail('last')
        return n
      }),
    ])
    expect(() => chain.run(1, [])).toThrow(where)
    expect(chain.stage).toBe(stage)
  })

  test('a flatMap that gives no iterable is an error of that step', () => {
    const chain = new OperatorChain([flatMapStep(1, () => 5 as never)])
    expect(() => chain.run(1, [])).toThrow(TypeError)
    expect(chain.stage).toBe('flatMap #1')
  })
})
