import { expect, test } from 'vitest'

import { decodeRemoteWrite } from '../src/index.ts'
import { uncompressSnappy } from '../src/remote-write-proxy-snappy.ts'
import { remoteWriteBody, STALE_MARKER } from './remote-write-request.ts'

const text = (block: readonly (number | string)[], maxBytes = 1_000): string =>
  uncompressSnappy(
    Buffer.concat(block.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part])))),
    maxBytes,
  ).toString()

test('uncompresses literals and copies of each form', () => {
  expect(text([0])).toBe('')
  expect(text([4, 3 << 2, 'abcd'])).toBe('abcd')
  expect(text([70, 60 << 2, 69, 'x'.repeat(70)])).toBe('x'.repeat(70))
  expect(text([0xac, 0x02, 61 << 2, 0x2b, 0x01, 'y'.repeat(300)])).toBe('y'.repeat(300))
  // One byte of offset: 4 to 11 bytes; two bytes: up to 64; four bytes.
  expect(text([8, 3 << 2, 'abcd', 1, 4])).toBe('abcdabcd')
  expect(text([6, 3 << 2, 'abcd', (1 << 2) | 2, 3, 0])).toBe('abcdbc')
  expect(text([6, 3 << 2, 'abcd', (1 << 2) | 3, 4, 0, 0, 0])).toBe('abcdab')
  // A copy of what it writes itself.
  expect(text([9, 0, 'z', (7 << 2) | 2, 1, 0])).toBe('z'.repeat(9))
})

test('a copy from more than 255 bytes back has the high bits of its offset in the tag', () => {
  const start = `ab${'-'.repeat(298)}`
  expect(text([0xb0, 0x02, 61 << 2, 0x2b, 0x01, start, (1 << 5) | 1, 300 - 256])).toBe(`${start}ab--`)
})

test.each<[string, readonly (number | string)[]]>([
  ['a literal that is cut off', [4, 3 << 2, 'abc']],
  ['more than is promised', [3, 3 << 2, 'abcd']],
  ['less than is promised', [5, 3 << 2, 'abcd']],
  ['a copy from before the start', [8, 3 << 2, 'abcd', 1, 5]],
  ['a copy of nothing', [8, 3 << 2, 'abcd', 1, 0]],
  ['a copy without its offset', [8, 3 << 2, 'abcd', 1]],
  ['no length', []],
  ['a length without end', [0xff, 0xff, 0xff, 0xff, 0xff, 1]],
  ['more than the limit', [0xe9, 0x07, 0]],
])('a block with %s is refused', (_, block) => {
  expect(() => text(block)).toThrow(RangeError)
})

test('decodes a request as it was encoded', () => {
  const sent = [
    { labels: { z: '1', __name__: 'orders', a: 'Zürich' }, samples: [[2, 0.5] as const, [-1, STALE_MARKER] as const] },
    { labels: {}, samples: [] },
  ]
  const [first, second] = decodeRemoteWrite(remoteWriteBody(sent))
  expect(first?.labels).toEqual(Object.entries(sent[0]?.labels ?? {}))
  expect(first?.samples).toEqual([
    { timestampMs: 2, value: 0.5, bits: 0x3fe0000000000000n },
    { timestampMs: -1, value: Number.NaN, bits: STALE_MARKER },
  ])
  expect(second).toEqual({ labels: [], samples: [] })
})

test('fields left out have their defaults, and unknown ones are passed over', () => {
  // A series with one empty sample; a message of number 3 with a varint, a fixed64 and a fixed32; a group is no field.
  const series = [0x0a, 0x02, 0x12, 0x00]
  const unknown = [0x1a, 0x02, 0x08, 0x01, 0x29, ...Array<number>(8).fill(7), 0x35, 1, 2, 3, 4, 0x08, 0x80, 0x01]
  const message = [...series, ...unknown]
  expect(decodeRemoteWrite(Buffer.from([message.length, (message.length - 1) << 2, ...message]))).toEqual([
    { labels: [], samples: [{ timestampMs: 0, value: 0, bits: 0n }] },
  ])
  expect(() => decodeRemoteWrite(Buffer.from([1, 0, 0x0b]))).toThrow('wire type 3')
  expect(() => decodeRemoteWrite(Buffer.from([2, 1 << 2, 0x0a, 0x05]))).toThrow('ends at 7 of 2 bytes')
})
