import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { classifyWriteError } from '../src/classify.ts'
import { rejectionsOf } from '../src/rejections.ts'

const failure = classifyWriteError(
  Object.assign(new Error('rejected'), { name: 'RejectedRecordsException', $metadata: { httpStatusCode: 419 } }),
)

const versions = (records: number): readonly undefined[] =>
  Array.from({ length: records }).fill(undefined) as undefined[]

test.for([
  ['a stored version as high', 'A record already exists.', 1, undefined, 'conflict'],
  ['a stored version above', 'The record version is lower.', 7, 6, 'olderVersion'],
  ['a stored version above 2^53', 'lower', 9_007_199_254_740_993n, 9_007_199_254_740_992n, 'olderVersion'],
  ['a stored version below', 'A record already exists.', 3, 6, 'conflict'],
  ['no stored version, a conflict', 'A record already exists with the same time', undefined, 1, 'conflict'],
  ['no stored version, older', 'version 2 is lower than the existing version 200', undefined, 2, 'olderVersion'],
  [
    'a time',
    'The record timestamp is outside the time range [a, b) of the memory store',
    undefined,
    1,
    'outsideRetention',
  ],
  ['anything else', 'The record has 300 measures', undefined, 1, 'other'],
] as const)('%s', ([, Reason, ExistingVersion, version, kind]) => {
  const [rejection] = rejectionsOf([{ RecordIndex: 0, Reason, ExistingVersion }], [version], failure) ?? []
  expect(rejection?.kind).toBe(kind)
  const isVersion = kind === 'conflict' || kind === 'olderVersion'
  expect(rejection?.reason.code).toBe(isVersion ? 'RejectedVersion' : 'RejectedRecord')
})

test('a list that names each rejected record once gives exactly these the policy, and the others are written', () => {
  const cases = fc
    .integer({ min: 1, max: 100 })
    .chain((records) =>
      fc.tuple(fc.constant(records), fc.uniqueArray(fc.integer({ min: 0, max: records - 1 }), { minLength: 1 })),
    )
  fc.assert(
    fc.property(cases, ([records, indexes]) => {
      const list = indexes.map((RecordIndex) => ({ RecordIndex, Reason: 'r' }))
      const found = rejectionsOf(list, versions(records), failure)
      const rejected = new Set(indexes)
      expect(found?.map((rejection) => rejection !== undefined)).toEqual(
        Array.from({ length: records }, (_, index) => rejected.has(index)),
      )
    }),
  )
})

test('whatever else the service sends, no record of it counts as written', () => {
  const index = fc.oneof(fc.integer({ min: -2, max: 7 }), fc.constantFrom(undefined, null, Number.NaN, 0.5, '1'))
  const item = fc.oneof(fc.record({ RecordIndex: index }), fc.constantFrom(null, undefined, 'x', 5))
  fc.assert(
    fc.property(fc.oneof(fc.array(item), fc.anything()), (list) => {
      const outcomes = rejectionsOf(list, versions(5), failure)
      if (outcomes === undefined) return
      // Accepted: then it was such a list.
      const indexes = (list as readonly { RecordIndex: number }[]).map(({ RecordIndex }) => RecordIndex)
      expect(outcomes).toHaveLength(5)
      expect(new Set(indexes).size).toBe(indexes.length)
      expect(indexes.length).toBeGreaterThan(0)
      for (const [at, rejection] of outcomes.entries()) expect(rejection !== undefined).toBe(indexes.includes(at))
    }),
    { numRuns: 1000 },
  )
})

test('anything thrown has a class', () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (thrown) => {
      const { action, exception } = classifyWriteError(thrown)
      expect(typeof action).toBe('string')
      expect(typeof exception).toBe('string')
    }),
  )
})
