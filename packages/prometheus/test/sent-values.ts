import type { NativeHistogram } from '../src/model.ts'

/** Values whose bits a receiver of floats has to give back. */
export const FLOATS: readonly number[] = [
  0,
  1,
  -1,
  0.1,
  -0.1,
  1 / 3,
  Math.PI,
  5e-324,
  -5e-324,
  2.2250738585072014e-308,
  2.225073858507201e-308,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  Number.EPSILON,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 53),
  2 ** 63,
  1e21,
  123_456_789.123_456_79,
  Infinity,
  -Infinity,
]

/** NaN: the ordinary one, a stale marker that is sent as a value, and those that nobody makes by accident. */
export const NAN_BITS: readonly bigint[] = [
  0x7ff8000000000000n,
  0x7ff8000000000001n,
  0x7ff8000000000002n,
  0xfff8000000000000n,
  0x7ffc0badc0ffee00n,
  0xffffffffffffffffn,
  0x7fffffffffffffffn,
]

export const STALE_BITS = 0x7ff0000000000002n

/** Label names and values of which each is a string of its own kind. */
export const UNICODE: Readonly<Record<string, string>> = {
  german: 'Grüße aus Köln',
  greek: 'Ωμέγα',
  arabic: 'مقياس',
  japanese: '計測',
  emoji: '🚰👩‍🔬',
  beyondBmp: '\u{1F600}\u{10FFFF}',
  fullwidth: '\uFF5E',
  combining: 'e\u0301',
  quotes: `"'\\\``,
  controls: 'a\tb\nc\rd\u0001',
  nul: 'a\u0000b',
  space: '  ',
  bom: '\uFEFFx',
  long: 'ü'.repeat(1000),
}

/** Twenty labels, upper case and lower case, in no order. */
export const TWENTY: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from({ length: 20 }, (_, index) => [
    `${index % 2 === 0 ? 'Label' : 'label'}_${(index * 7) % 20}`,
    `value ${index}`,
  ]),
)

/** Three values below zero, ten above it, and two near it, in buckets whose bounds grow by the square root of two. */
export function intHistogram(timestamp: number): NativeHistogram {
  return {
    kind: 'int',
    timestamp,
    schema: 1,
    count: 15,
    sum: 33.25,
    zeroThreshold: 0.001,
    zeroCount: 2,
    negativeSpans: [{ offset: 0, length: 2 }],
    negativeDeltas: [1, 1],
    positiveSpans: [
      { offset: 0, length: 2 },
      { offset: 1, length: 1 },
    ],
    positiveDeltas: [2, 1, 2],
  }
}

export function floatHistogram(timestamp: number): NativeHistogram {
  return {
    kind: 'float',
    timestamp,
    schema: 0,
    count: 4.5,
    sum: 7.75,
    zeroThreshold: 0.125,
    zeroCount: 0.5,
    positiveSpans: [{ offset: -1, length: 2 }],
    positiveCounts: [1.5, 2.5],
  }
}
