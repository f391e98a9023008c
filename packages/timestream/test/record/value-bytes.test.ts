import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ValueBytes, ValueWriter } from '../../src/record/value-bytes.ts'

const textOf = ({ chunk, start, end }: ValueBytes): string => chunk.toString('utf8', start, end)

function written(write: (writer: ValueWriter) => void): string {
  const writer = new ValueWriter()
  writer.begin()
  write(writer)
  return textOf(writer.take())
}

const hundredths = fc.integer({ min: -(2 ** 32), max: 2 ** 32 }).map((cents) => cents / 100)
const numbers = fc.oneof(
  fc.constantFrom(0, -0, 0.1, 0.29, 1.005, 2 ** 31, 2 ** 31 - 1, (2 ** 31 - 1) / 100, 2 ** 31 / 100, 1e21, 5e-324),
  fc.double(),
  fc.integer(),
  hundredths,
)

test('a double is written as JavaScript writes it, or not at all', () => {
  let fast = 0
  fc.assert(
    fc.property(numbers, (value) => {
      let isWritten = false
      const text = written((writer) => {
        isWritten = writer.double(value)
      })
      if (isWritten) fast++
      // The text of -0 is '0'.
      expect(isWritten && Object.is(value, -0)).toBe(false)
      expect(text).toBe(isWritten ? `${value}` : '')
    }),
    { numRuns: 2000 },
  )
  expect(fast).toBeGreaterThan(100)
})

test.for([0, 7, 10, 99, 100, 999, 1000, 9999, 10_000, 99_999, 100_000, 2_147_483_647])(
  '%d is written whole',
  (value) => {
    expect(written((writer) => writer.integer(value))).toBe(`${value}`)
    expect(written((writer) => writer.double(value / 100))).toBe(`${value / 100}`)
  },
)

test('an integer is written as JavaScript writes it, or not at all', () => {
  fc.assert(
    fc.property(numbers, (value) => {
      let isWritten = false
      const text = written((writer) => {
        isWritten = writer.integer(value)
      })
      expect(isWritten).toBe(Number.isInteger(value) && value >= 0 && value < 2 ** 31 && !Object.is(value, -0))
      expect(text).toBe(isWritten ? `${value}` : '')
    }),
    { numRuns: 2000 },
  )
})

const texts = fc
  .string({ unit: fc.oneof(fc.constantFrom('"', '\\', '\n', '\u007F', 'é', '東', '🌊'), fc.string({ maxLength: 1 })) })
  .filter((text) => text.isWellFormed())

test('a text is written as JSON has it, and counted without escapes', () => {
  fc.assert(
    fc.property(texts, fc.nat(3), (some, times) => {
      const text = some.repeat(times)
      let bytes = -1
      expect(
        written((writer) => {
          bytes = writer.text(text)
        }),
      ).toBe(JSON.stringify(text).slice(1, -1))
      expect(bytes).toBe(Buffer.byteLength(text))
    }),
    { numRuns: 1000 },
  )
})

test('what was written stays as it is, wherever a chunk ends and whatever is forgotten between', () => {
  const repeated = fc.tuple(fc.string({ minLength: 1, unit: 'grapheme-ascii' }), fc.integer({ min: 1, max: 800 }))
  const part = fc.record({ text: repeated.map(([some, times]) => some.repeat(times)), isTaken: fc.boolean() })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 60, size: 'max' }), (parts) => {
      const writer = new ValueWriter()
      const taken: { readonly values: ValueBytes; readonly expected: string }[] = []
      for (const { text, isTaken } of parts) {
        writer.begin()
        writer.plain('<')
        const { length } = writer
        writer.text(text)
        writer.cut(length)
        writer.text(text)
        writer.bytes(Buffer.from('>'))
        if (isTaken) taken.push({ values: writer.take(), expected: `<${JSON.stringify(text).slice(1, -1)}>` })
      }
      for (const { values, expected } of taken) expect(textOf(values)).toBe(expected)
    }),
    { numRuns: 50 },
  )
})
