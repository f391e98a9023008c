import * as fc from 'fast-check'
import { Preparer } from '../../src/record/prepare.ts'
import type { Entry } from '../../src/record/entry.ts'
import type { TimestreamRecord } from '../../src/record/record.ts'
import { TIME_UNITS, type ValueInput } from '../../src/record/values.ts'
import type { Item } from '../../src/request/layout.ts'

const numbers = { nonFinite: 'refuse', negativeZero: 'zero' } as const

/** Few values, so that records have much in common. */
const dimensions = fc.oneof(
  // Most records are of one of two series, one of them in two orders.
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      [{ Name: 'host', Value: 'a' }],
      [
        { Name: 'host', Value: 'a' },
        { Name: 'region', Value: 'b' },
      ],
      [
        { Name: 'region', Value: 'b' },
        { Name: 'host', Value: 'a' },
      ],
    ),
  },
  { weight: 1, arbitrary: anyDimensions() },
)

function anyDimensions(): fc.Arbitrary<{ Name: string; Value: string }[]> {
  return fc.uniqueArray(
    fc.record({
      Name: fc.constantFrom('host', 'region', 'az', 'é "quoted"'),
      Value: fc.constantFrom('a', 'b', 'ü\n"x"\\', '\u0000', '東京'),
    }),
    { minLength: 1, selector: ({ Name }) => Name },
  )
}

const value: fc.Arbitrary<ValueInput> = fc.oneof(
  fc.constantFrom<ValueInput>(1, 2),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.boolean(),
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter((text) => text.isWellFormed()),
)

const version = fc.option(
  fc.oneof(fc.integer({ min: 1, max: 3 }), fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n })),
  { nil: undefined },
)

const base = {
  Dimensions: dimensions,
  MeasureName: fc.constantFrom('cpu', 'ø'),
  Time: fc.bigInt({ min: 0n, max: 5n }),
  Version: version,
  TimeUnit: fc.option(fc.constantFrom(...TIME_UNITS), { nil: undefined, freq: 2 }),
}

const single = fc.record({ ...base, MeasureValue: value.filter((given) => typeof given !== 'string') })
const multi = fc.record({
  ...base,
  MeasureValueType: fc.constant('MULTI' as const),
  MeasureValues: fc.uniqueArray(fc.record({ Name: fc.constantFrom('m1', 'm2', 'm"3'), Value: value }), {
    minLength: 1,
    selector: ({ Name }) => Name,
  }),
})

/** Sound records of one batch. */
export const records: fc.Arbitrary<readonly TimestreamRecord[]> = fc.array(fc.oneof(single, multi), {
  minLength: 1,
  maxLength: 30,
})

export function entriesOf(given: readonly TimestreamRecord[]): readonly Entry[] {
  const preparer = new Preparer({ numbers, mayLack: false })
  return given.map((record) => {
    const entry = preparer.prepare(record, '', undefined)
    if (entry.problems.length > 0) throw new Error(entry.problems.join('; '))
    return entry
  })
}

export function itemsOf(given: readonly TimestreamRecord[]): readonly Item[] {
  return entriesOf(given).map((entry, index) => ({ index, entry, raises: 0 }))
}
