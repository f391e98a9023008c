import * as fc from 'fast-check'
import { snappyUncompressor } from 'hysnappy'
import snappyjs from 'snappyjs'
import { describe, expect, test } from 'vitest'
import { createCompressor, jsCompressor, wasmCompressor } from '../src/compress.ts'

const uncompress = snappyUncompressor()

/** Bytes that compress well, badly, and not at all. */
const body = fc.oneof(
  fc.uint8Array({ maxLength: 5000 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 400 }))
    .map(([part, times]) => repeated(part, times)),
  fc
    .tuple(fc.nat(255), fc.integer({ min: 1, max: 1 << 20 }))
    .map(([byte, length]) => new Uint8Array(length).fill(byte)),
  fc.tuple(fc.integer(), fc.integer({ min: 1, max: 1 << 20 })).map(([seed, length]) => noise(seed, length)),
)

function repeated(part: Uint8Array, times: number): Uint8Array {
  return Uint8Array.from({ length: part.length * times }, (_, at) =>
    at % 97 === 0 ? at : (part[at % part.length] as number),
  )
}

function noise(seed: number, length: number): Uint8Array {
  let state = seed | 1
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e37
    return state >>> 24
  })
}

describe.each([
  ['WebAssembly', wasmCompressor() as (bytes: Uint8Array) => Uint8Array],
  ['JavaScript', jsCompressor],
])('%s', (_, compress) => {
  test('gives back every body through two other decompressors, one after another', () => {
    fc.assert(
      fc.property(body, (bytes) => {
        const compressed = compress(bytes)
        expect(Buffer.compare(snappyjs.uncompress(new Uint8Array(compressed)), bytes)).toBe(0)
        // hysnappy's own does not take an empty body.
        const back = bytes.length === 0 ? bytes : uncompress(compressed, bytes.length)
        expect(Buffer.compare(back, bytes)).toBe(0)
      }),
      { numRuns: 60, endOnFailure: true },
    )
  })

  test('every length up to 2000', () => {
    const source = noise(7, 2000).map((byte) => byte & 15)
    for (let length = 0; length <= source.length; length++) {
      const bytes = source.subarray(0, length)
      expect(Buffer.compare(snappyjs.uncompress(new Uint8Array(compress(bytes))), bytes)).toBe(0)
    }
  })

  test('takes a part of a larger buffer, and its result stays what it is', () => {
    const whole = Buffer.from('xx'.repeat(50) + 'a body that repeats itself repeats itself' + 'yy'.repeat(50))
    const bytes = whole.subarray(100, -100)
    const first = compress(bytes)
    const copy = Uint8Array.from(first)
    compress(noise(3, 100_000))
    whole.fill(0)
    expect(Uint8Array.from(first)).toEqual(copy)
    expect(Buffer.from(snappyjs.uncompress(new Uint8Array(first))).toString()).toBe(
      'a body that repeats itself repeats itself',
    )
  })
})

test('there is no WebAssembly: JavaScript takes its place', () => {
  const none = wasmCompressor(() => {
    throw new ReferenceError('WebAssembly is not defined')
  })
  expect(none).toBeUndefined()
})

test('by default it is the one of WebAssembly', () => {
  const bytes = new Uint8Array(Buffer.from('abcdefghij'.repeat(500)))
  const compressed = createCompressor()(bytes)
  expect(Buffer.compare(compressed, (wasmCompressor() as typeof jsCompressor)(bytes))).toBe(0)
  expect(compressed.length).toBeLessThan(bytes.length / 5)
})

test('gives up the memory of a body beyond 4 MiB', () => {
  let loaded = 0
  const compress = wasmCompressor(() => {
    loaded++
    return jsCompressor
  })
  compress?.(new Uint8Array(4 * 1024 * 1024))
  expect(loaded).toBe(1)
  compress?.(new Uint8Array(4 * 1024 * 1024 + 1))
  compress?.(new Uint8Array(10))
  expect(loaded).toBe(2)
})
