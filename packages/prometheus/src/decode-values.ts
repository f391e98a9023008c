import type { FloatHistogram, IntHistogram, NativeHistogram } from './model.ts'

/** As protobufjs gives 64 bits: a number where there is no `long`. */
export type WireInteger = number | { toString(): string }

export interface WireHistogram {
  readonly count?: 'countInt' | 'countFloat'
  readonly countInt?: WireInteger
  readonly countFloat?: number
  readonly zeroCountInt?: WireInteger
  readonly zeroCountFloat?: number
  readonly sum: number
  readonly schema: number
  readonly zeroThreshold: number
  readonly negativeSpans: readonly { readonly offset: number; readonly length: number }[]
  readonly negativeDeltas: readonly WireInteger[]
  readonly negativeCounts: readonly number[]
  readonly positiveSpans: readonly { readonly offset: number; readonly length: number }[]
  readonly positiveDeltas: readonly WireInteger[]
  readonly positiveCounts: readonly number[]
  readonly resetHint: number
  readonly timestamp: WireInteger
  readonly customValues: readonly number[]
  readonly startTimestamp: WireInteger
}

const RESET_HINTS = ['unknown', 'yes', 'no', 'gauge'] as const
const STALE_MARKER = 0x7ff0_0000_0000_0002n
const bits = new BigUint64Array(1)
const double = new Float64Array(bits.buffer)

export function isStaleMarker(value: number): boolean {
  if (!Number.isNaN(value)) return false
  double[0] = value
  return bits[0] === STALE_MARKER
}

/** A number, or a bigint beyond 2^53. */
export function integer(value: WireInteger): number | bigint {
  const whole = BigInt(value.toString())
  const number = Number(whole)
  return Number.isSafeInteger(number) ? number : whole
}

/** @throws RangeError beyond 2^53. */
export function safeInteger(value: WireInteger): number {
  const whole = integer(value)
  if (typeof whole === 'number') return whole
  throw new RangeError(`a timestamp must not exceed 2^53, got ${whole}`)
}

export function decodeHistogram(wire: WireHistogram): NativeHistogram {
  const startTimestamp = safeInteger(wire.startTimestamp)
  const shape = {
    timestamp: safeInteger(wire.timestamp),
    ...(startTimestamp === 0 ? {} : { startTimestamp }),
    ...(isStaleMarker(wire.sum) ? { stale: true } : {}),
    sum: wire.sum,
    schema: wire.schema,
    zeroThreshold: wire.zeroThreshold,
    negativeSpans: wire.negativeSpans.map(({ offset, length }) => ({ offset, length })),
    positiveSpans: wire.positiveSpans.map(({ offset, length }) => ({ offset, length })),
    customValues: [...wire.customValues],
    resetHint: RESET_HINTS[wire.resetHint] ?? 'unknown',
  }
  if (wire.count === 'countFloat') {
    const histogram: FloatHistogram = {
      kind: 'float',
      ...shape,
      count: wire.countFloat ?? 0,
      zeroCount: wire.zeroCountFloat ?? 0,
      negativeCounts: [...wire.negativeCounts],
      positiveCounts: [...wire.positiveCounts],
    }
    return histogram
  }
  const histogram: IntHistogram = {
    kind: 'int',
    ...shape,
    count: integer(wire.countInt ?? 0),
    zeroCount: integer(wire.zeroCountInt ?? 0),
    negativeDeltas: wire.negativeDeltas.map(integer),
    positiveDeltas: wire.positiveDeltas.map(integer),
  }
  return histogram
}
