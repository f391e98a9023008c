import { describe, expect, test } from 'vitest'
import { Chunk } from '../../src/job/chunk.ts'
import { MAX_VALUES_PER_CHUNK, OperatorChain, poisonReason } from '../../src/job/operator-chain.ts'
import { type SyncStep, syncStep } from '../../src/job/operators.ts'
import { orderKeyOf } from '../../src/runtime/order-key.ts'
import { range } from './harness.ts'

function chainOf(...steps: readonly SyncStep[]): { readonly chain: OperatorChain; readonly chunk: Chunk } {
  const chunk = new Chunk(steps.some(({ kind }) => kind === 'keyBy'))
  return { chain: new OperatorChain(steps, chunk, 2000), chunk }
}

/** What the chunk holds, as a sink sees it. */
function made(chunk: Chunk): unknown[] {
  return [...chunk.batch().values]
}

const map = (index: number, fn: (value: number) => unknown): SyncStep => syncStep('map', index, fn)
const filter = (index: number, fn: (value: number) => unknown): SyncStep => syncStep('filter', index, fn)
const flatMap = (index: number, fn: (value: number) => unknown): SyncStep => syncStep('flatMap', index, fn)
const keyBy = (index: number, fn: (value: number) => unknown): SyncStep => syncStep('keyBy', index, fn)

function three(n: number): number {
  if (n === 3) throw new RangeError('three')
  return n
}

function rejecting(n: number): Promise<never> {
  return Promise.reject(new Error(`card ${n}`))
}

describe('operators', () => {
  test('without a step a value passes as it is', () => {
    const { chain, chunk } = chainOf()
    const value = { a: 1 }
    expect(chain.run([value], 0, 1)).toBe(1)
    expect(made(chunk)[0]).toBe(value)
    expect(chain.oneToOne).toBe(true)
  })

  test('steps apply in order, and each record says how many values it became', () => {
    const { chain, chunk } = chainOf(
      map(1, (n) => n + 1),
      filter(2, (n) => n % 2 === 0),
      flatMap(3, (n) => [n, n * 10]),
      map(4, (n) => `${n}`),
    )
    chunk.push('kept', 0)
    expect(chain.run([0, 1, 2, 3], 1, 4)).toBe(4)
    expect([...chain.counts.subarray(0, 3)]).toEqual([2, 0, 2])
    expect(made(chunk)).toEqual(['kept', '2', '20', '4', '40'])
  })

  test('a record goes through all steps before the next begins', () => {
    const seen: string[] = []
    const { chain } = chainOf(
      map(1, (n) => (seen.push(`a${n}`), n)),
      map(2, (n) => (seen.push(`b${n}`), n)),
    )
    chain.run([1, 2], 0, 2)
    expect(seen).toEqual(['a1', 'b1', 'a2', 'b2'])
  })

  test('flatMap takes any iterable, an empty one too', () => {
    const { chain, chunk } = chainOf(
      flatMap(1, function* (n: number) {
        for (let index = 0; index < n; index++) yield index
      }),
      flatMap(2, (n) => (n === 1 ? 'ab' : new Set([n]))),
    )
    chain.run([0, 2], 0, 2)
    expect([...chain.counts.subarray(0, 2)]).toEqual([0, 3])
    expect(made(chunk)).toEqual([0, 'a', 'b'])
  })

  test.each([
    ['one value each', map(1, (n) => n), MAX_VALUES_PER_CHUNK, MAX_VALUES_PER_CHUNK],
    ['ten values each', flatMap(1, (n) => range(10, n)), 103, 1030],
    ['one value or none', filter(1, (n) => n < 1500), MAX_VALUES_PER_CHUNK, MAX_VALUES_PER_CHUNK],
  ])('a chunk takes no further record when it is full: %s', (_, step, taken, values) => {
    const { chain, chunk } = chainOf(step)
    expect(chain.run(range(2000), 0, 2000)).toBe(taken)
    expect(made(chunk)).toHaveLength(values)
    expect(chain.poison).toBeUndefined()
  })

  test('a filter goes by the truth of what its predicate returns', () => {
    const answers = [true, false, 0, 1, '', 'x', null, undefined, {}]
    const { chain, chunk } = chainOf(filter(1, (n) => answers[n]))
    chain.run(range(answers.length), 0, answers.length)
    expect(made(chunk)).toEqual([0, 3, 5, 8])
  })

  test('nothing of an earlier, longer chunk is kept', () => {
    const { chain, chunk } = chainOf()
    chain.run(range(500), 0, 500)
    made(chunk)
    chunk.length = 0
    chain.run([7], 0, 1)
    expect(chunk.batch().values).toEqual([7])
  })

  test.each(['map', 'filter', 'flatMap', 'keyBy'] as const)('%s without a function is refused at once', (kind) => {
    expect(() => syncStep(kind, 1, undefined as never)).toThrow(`${kind}() needs a function, got undefined`)
  })
})

describe('a throw', () => {
  test.each([
    ['in a chain of maps', [map(1, (n) => n), map(2, three)]],
    ['in a chain with a filter', [filter(1, () => true), map(2, three)]],
  ])('stops before its record, and the rest can be run (%s)', (_, steps) => {
    const { chain, chunk } = chainOf(...steps)
    chunk.push('kept', 0)
    expect(chain.run([1, 2, 3, 4, 5], 0, 5)).toBe(2)
    expect(chain.poison).toMatchObject({ stage: 'map #2', error: { message: 'three' } })
    expect(made(chunk)).toEqual(['kept', 1, 2])
    expect(chain.run([1, 2, 3, 4, 5], 3, 5)).toBe(5)
    expect(chain.poison).toBeUndefined()
    expect(made(chunk)).toEqual(['kept', 1, 2, 4, 5])
  })

  test('takes back what the record had become before', () => {
    const { chain, chunk } = chainOf(
      flatMap(1, (n) => [n, 3, n]),
      map(2, three),
    )
    chunk.push('kept', 0)
    expect(chain.run([1], 0, 1)).toBe(0)
    expect(made(chunk)).toEqual(['kept'])
    expect(chain.runOne(1, 0)).toBe(-1)
    expect(chain.poison?.stage).toBe('map #2')
    expect(made(chunk)).toEqual(['kept'])
  })

  test('gives its stage, but not its words, which may quote the record', () => {
    const { chain } = chainOf(
      map(1, () => {
        throw new SyntaxError('card 4111')
      }),
    )
    chain.run([1], 0, 1)
    expect(chain.poison).toBeDefined()
    const reason = chain.poison === undefined ? undefined : poisonReason(chain.poison)
    expect(reason).toMatchObject({ code: 'operatorThrew', message: 'SyntaxError in map #1' })
    expect(reason?.cause).toBeInstanceOf(SyntaxError)
  })

  test.each([
    ['map #1', 'map'],
    ['filter #2', 'filter'],
    ['flatMap #3', 'flatMap'],
    ['flatMap #3', 'iterable, at once'],
    ['flatMap #3', 'iterable, after a value'],
    ['keyBy #4', 'key'],
    ['flatMap #5', 'inner'],
    ['flatMap #5', 'inner iterable, after a value'],
    ['map #6', 'last'],
  ])('has the stage %s (%s)', (stage, where) => {
    const fail = (place: string): void => {
      if (place === where) throw new Error(place)
    }
    const { chain, chunk } = chainOf(
      map(1, (n) => {
        fail('map')
        return n
      }),
      filter(2, () => {
        fail('filter')
        return true
      }),
      flatMap(3, (n) => {
        fail('flatMap')
        return (function* () {
          fail('iterable, at once')
          yield n
          fail('iterable, after a value')
        })()
      }),
      keyBy(4, (n) => {
        fail('key')
        return n
      }),
      flatMap(5, (n) => {
        fail('inner')
        return (function* () {
          yield n
          fail('inner iterable, after a value')
        })()
      }),
      map(6, (n) => {
        fail('last')
        return n
      }),
    )
    expect(chain.run([1], 0, 1)).toBe(0)
    expect(chain.poison).toMatchObject({ stage, error: { message: where } })
    expect(made(chunk)).toEqual([])
  })

  test('comes also from a flatMap that gives no iterable', () => {
    const { chain } = chainOf(flatMap(1, () => 5))
    chain.run([1], 0, 1)
    expect(chain.poison?.stage).toBe('flatMap #1')
    expect(chain.poison?.error).toBeInstanceOf(TypeError)
  })
})

describe('an operator that is asynchronous by mistake', () => {
  test.each([
    ['map #1', map(1, async (n) => Promise.resolve(n))],
    ['map #1', map(1, rejecting)],
    ['filter #1', filter(1, async () => Promise.resolve(false))],
    ['filter #1', filter(1, rejecting)],
    ['flatMap #1', flatMap(1, async (n) => Promise.resolve([n]))],
    ['flatMap #1', flatMap(1, (n) => [n, rejecting(n)])],
    ['keyBy #1', keyBy(1, async (n) => Promise.resolve(n))],
    ['keyBy #1', keyBy(1, rejecting)],
  ])('is poison of %s, and the error says what to do', async (stage, step) => {
    const { chain, chunk } = chainOf(step)
    expect(chain.run([4111], 0, 1)).toBe(0)
    expect(made(chunk)).toEqual([])
    const { poison } = chain
    expect(poison).toBeDefined()
    if (poison === undefined) return
    expect(poison.error).toBeInstanceOf(TypeError)
    expect(poisonReason(poison)).toMatchObject({
      code: 'promiseReturned',
      message: `${stage} returned a promise: operators run at once; use mapAsync() for what must be awaited`,
    })
    // A rejection that nobody handles would fail the test run here.
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  })
})

describe('keys', () => {
  test('of each value are those of the last keyBy before it; a flatMap passes them to all its values', () => {
    const { chain, chunk } = chainOf(
      keyBy(1, (n) => `host-${n}`),
      flatMap(2, (n) => range(n)),
      map(3, (n) => n * 100),
    )
    chain.run([2, 0, 3], 0, 3)
    expect([...(chunk.batch().keys?.subarray(0, 5) ?? [])]).toEqual(
      ['host-2', 'host-2', 'host-3', 'host-3', 'host-3'].map(orderKeyOf),
    )
    const again = chainOf(
      keyBy(1, () => 'first'),
      flatMap(2, (n) => range(n)),
      keyBy(3, (n) => n),
    )
    again.chain.run([3], 0, 1)
    expect([...(again.chunk.batch().keys?.subarray(0, 3) ?? [])]).toEqual([0, 1, 2].map(orderKeyOf))
  })

  test('given with a value stay with what it becomes', () => {
    const chunk = new Chunk(true)
    const chain = new OperatorChain([flatMap(1, (n) => [n, n])], chunk, 0)
    expect([chain.runOne(1, 77), chain.runOne(2, 88)]).toEqual([2, 2])
    expect([...(chunk.batch().keys?.subarray(0, 4) ?? [])]).toEqual([77, 77, 88, 88])
  })

  test('grow with the chunk', () => {
    const { chain, chunk } = chainOf(
      flatMap(1, () => range(5000)),
      keyBy(2, (n) => n),
    )
    chain.run([1], 0, 1)
    const { keys } = chunk.batch()
    expect([0, 255, 256, 4999].map((index) => keys?.[index])).toEqual([0, 255, 256, 4999].map(orderKeyOf))
  })

  test('are not there without keyBy', () => {
    const { chain, chunk } = chainOf(map(1, (n) => n))
    chain.run([1], 0, 1)
    expect(chunk.batch()).not.toHaveProperty('keys')
  })

  test.each([
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{ secret: 1 }, 'object'],
    [5n, 'bigint'],
    [true, 'boolean'],
  ])('that are %s refuse the record and say so', (key, given) => {
    const { chain } = chainOf(
      map(1, (n) => n),
      keyBy(2, () => key),
    )
    expect(chain.run([1], 0, 1)).toBe(0)
    const { poison } = chain
    expect(poison === undefined ? undefined : poisonReason(poison)).toMatchObject({
      code: 'orderKeyInvalid',
      message: `keyBy #2 must return a string or a finite number, got ${given}`,
    })
  })
})
