import { expect, test } from 'vitest'
import { interleave, quartiles, type Round, type Variant } from '../src/measure.ts'

function variant(name: string, output: string, ran: string[]): Variant {
  return {
    name,
    run: (): Promise<Round> => {
      ran.push(name)
      return Promise.resolve({ cpuSeconds: 1, wallSeconds: 1, output })
    },
  }
}

test('quartiles lie between the values that they fall between', () => {
  expect(quartiles([4, 1, 3, 2, 5])).toEqual({ median: 3, lower: 2, upper: 4 })
  expect(quartiles([1, 2])).toEqual({ median: 1.5, lower: 1.25, upper: 1.75 })
})

test('variants take turns, and the first round does not count', async () => {
  const ran: string[] = []
  const results = await interleave([variant('a', '1', ran), variant('b', '1', ran)], 2, () => {})
  expect(ran).toEqual(['a', 'b', 'a', 'b', 'a', 'b'])
  expect([...results].map(([name, rounds]) => [name, rounds.length])).toEqual([
    ['a', 2],
    ['b', 2],
  ])
})

test('variants that do not produce the same are refused', async () => {
  await expect(interleave([variant('a', '1', []), variant('b', '2', [])], 7, () => {})).rejects.toThrow(
    'the variants did not do the same work',
  )
})
