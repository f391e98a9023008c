import type { BucketSpan, NativeHistogram } from './model.ts'
import { WireBuffer } from './wire-buffer.ts'

const RESET_HINTS = { unknown: 0, yes: 1, no: 2, gauge: 3 } as const
const CUSTOM_VALUES = (16 << 3) | 2
const START_TIMESTAMP = 17 << 3

const inner = new WireBuffer()
const span = new WireBuffer()

/** Writes the fields of a `Histogram`, which are the same in 1.0 and 2.0 but for the start. */
export function writeHistogram(out: WireBuffer, histogram: NativeHistogram, hasStart: boolean): void {
  const { kind, zeroThreshold = 0, resetHint = 'unknown', startTimestamp = 0, stale = false } = histogram
  if (kind === 'int') {
    out.uint32(0x08)
    out.uint64(BigInt(histogram.count))
  } else doubleField(out, 0x11, histogram.count)
  out.uint32(0x19)
  if (stale) out.staleMarker()
  else out.double(histogram.sum)
  out.uint32(0x20)
  out.uint32(zigzag32(histogram.schema))
  doubleField(out, 0x29, zeroThreshold)
  if (kind === 'int') {
    out.uint32(0x30)
    out.uint64(BigInt(histogram.zeroCount ?? 0))
  } else doubleField(out, 0x39, histogram.zeroCount ?? 0)
  spans(out, 0x42, histogram.negativeSpans)
  if (kind === 'int') deltas(out, 0x4a, histogram.negativeDeltas)
  else doubles(out, 0x52, histogram.negativeCounts)
  spans(out, 0x5a, histogram.positiveSpans)
  if (kind === 'int') deltas(out, 0x62, histogram.positiveDeltas)
  else doubles(out, 0x6a, histogram.positiveCounts)
  if (resetHint !== 'unknown') {
    out.uint32(0x70)
    out.uint32(RESET_HINTS[resetHint])
  }
  out.int64Field(0x78, histogram.timestamp)
  doubles(out, CUSTOM_VALUES, histogram.customValues)
  if (hasStart && startTimestamp !== 0) out.int64Field(START_TIMESTAMP, startTimestamp)
}

function spans(out: WireBuffer, tag: number, list: readonly BucketSpan[] = []): void {
  for (const { offset, length } of list) {
    span.reset()
    span.uint32(0x08)
    span.uint32(zigzag32(offset))
    span.uint32(0x10)
    span.uint32(length)
    out.messageField(tag, span)
  }
}

function deltas(out: WireBuffer, tag: number, list: readonly (number | bigint)[] = []): void {
  if (list.length === 0) return
  inner.reset()
  for (const delta of list) {
    const value = BigInt(delta)
    inner.uint64((value << 1n) ^ (value >> 63n))
  }
  out.messageField(tag, inner)
}

function doubles(out: WireBuffer, tag: number, list: readonly number[] = []): void {
  if (list.length === 0) return
  inner.reset()
  for (const value of list) inner.double(value)
  out.messageField(tag, inner)
}

function doubleField(out: WireBuffer, tag: number, value: number): void {
  out.uint32(tag)
  out.double(value)
}

function zigzag32(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0
}
