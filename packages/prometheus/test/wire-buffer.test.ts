import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareUtf8, maxUtf8Bytes, writeUtf8 } from '../src/utf8.ts'
import { int64Bytes, uint32Bytes, WireBuffer, writeInt64, writeString, writeUint32 } from '../src/wire-buffer.ts'
import { anyTimestamp } from './wire-arbitraries.ts'

/** By the book, with bigints. */
function varint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return [...bytes, Number(rest)]
}

test('every int64 that a number can be is written as protobuf wants it, and measured right', () => {
  const bytes = Buffer.alloc(20)
  fc.assert(
    fc.property(fc.oneof(anyTimestamp, fc.maxSafeInteger()), (value) => {
      const end = writeInt64(bytes, 3, value)
      expect([...bytes.subarray(3, end)]).toEqual(varint(BigInt(value)))
      expect(int64Bytes(value)).toBe(end - 3)
    }),
    { numRuns: 2000 },
  )
})

test('both sides of every length', () => {
  const bytes = Buffer.alloc(20)
  for (let power = 0; power <= 53; power++) {
    for (const value of [2 ** power - 2, 2 ** power - 1, 2 ** power, -(2 ** power)].filter(Number.isSafeInteger)) {
      const end = writeInt64(bytes, 0, value)
      expect([...bytes.subarray(0, end)]).toEqual(varint(BigInt(value)))
      expect(int64Bytes(value)).toBe(end)
    }
  }
  for (const value of [0, 0x7f, 0x80, 0x3fff, 0x4000, 0x1fffff, 0x200000, 0xfffffff, 0x10000000, 0xffffffff]) {
    const end = writeUint32(bytes, 0, value)
    expect([...bytes.subarray(0, end)]).toEqual(varint(BigInt(value)))
    expect(uint32Bytes(value)).toBe(end)
  }
})

test('every text is written as UTF-8, with its length before it, and within its room', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const expected = Buffer.from(text)
      const bytes = Buffer.alloc(maxUtf8Bytes(text.length) + 10)
      expect(bytes.subarray(0, writeUtf8(bytes, 0, text))).toEqual(expected)
      const end = writeString(bytes, 0, text)
      expect([...bytes.subarray(0, end)]).toEqual([...varint(BigInt(expected.length)), ...expected])
    }),
    { numRuns: 500 },
  )
})

test('texts are ordered as their bytes are, also where UTF-16 is not', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', 'Z', '_', 'é', '\uD7FF', '\uE000', '\uFF5E', '😀', '\u{10FFFF}'),
    maxLength: 4,
  })
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
    { numRuns: 1000 },
  )
  expect(['\u{1F600}', '\uFF5E', 'a_', '__name__', 'InstanceID'].toSorted(compareUtf8)).toEqual([
    'InstanceID',
    '__name__',
    'a_',
    '\uFF5E',
    '\u{1F600}',
  ])
})

test('what was written stays when the buffer grows', () => {
  const buffer = new WireBuffer(1)
  for (let index = 0; index < 1000; index++) buffer.uint32(index)
  const bytes = buffer.written()
  expect([...bytes]).toEqual(Array.from({ length: 1000 }, (_, index) => varint(BigInt(index))).flat())
})
