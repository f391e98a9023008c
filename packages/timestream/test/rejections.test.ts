import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { classifyWriteError } from '../src/classify.ts'
import { rejectionOutcomes } from '../src/rejections.ts'

const failure = classifyWriteError(
  Object.assign(new Error('rejected'), { name: 'RejectedRecordsException', $metadata: { httpStatusCode: 419 } }),
)

test('a list that names each rejected record once gives exactly these the policy, and the others are written', () => {
  const cases = fc
    .integer({ min: 1, max: 100 })
    .chain((records) =>
      fc.tuple(fc.constant(records), fc.uniqueArray(fc.integer({ min: 0, max: records - 1 }), { minLength: 1 })),
    )
  fc.assert(
    fc.property(cases, fc.constantFrom('refuse' as const, 'dropped' as const), ([records, indexes], kind) => {
      const list = indexes.map((RecordIndex) => ({ RecordIndex, Reason: 'r' }))
      const kinds = rejectionOutcomes(list, records, failure, kind)?.map((outcome) => outcome.kind)
      const rejected = new Set(indexes)
      expect(kinds).toEqual(Array.from({ length: records }, (_, index) => (rejected.has(index) ? kind : 'written')))
    }),
  )
})

test('whatever else the service sends, no record of it counts as written', () => {
  const index = fc.oneof(fc.integer({ min: -2, max: 7 }), fc.constantFrom(undefined, null, Number.NaN, 0.5, '1'))
  const item = fc.oneof(fc.record({ RecordIndex: index }), fc.constantFrom(null, undefined, 'x', 5))
  fc.assert(
    fc.property(fc.oneof(fc.array(item), fc.anything()), (list) => {
      const outcomes = rejectionOutcomes(list, 5, failure, 'refuse')
      if (outcomes === undefined) return
      // Accepted: then it was such a list.
      const indexes = (list as readonly { RecordIndex: number }[]).map(({ RecordIndex }) => RecordIndex)
      expect(outcomes).toHaveLength(5)
      expect(new Set(indexes).size).toBe(indexes.length)
      expect(indexes.length).toBeGreaterThan(0)
      for (const [at, { kind }] of outcomes.entries()) expect(kind).toBe(indexes.includes(at) ? 'refuse' : 'written')
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
