import type { Sample } from './model.ts'
import { int64Bytes, type WireBuffer, writeInt64, writeStaleMarker } from './wire-buffer.ts'

/** Bytes of a sample as a field of its series. A start of 0 is not sent. */
export function sampleBytes(timestamp: number, startTimestamp: number): number {
  const bytes = 12 + int64Bytes(timestamp)
  return startTimestamp === 0 ? bytes : bytes + 1 + int64Bytes(startTimestamp)
}

/** Writes `Sample samples = 2`: value = 1, timestamp = 2, and start_timestamp = 3 unless it is 0. There must be room. */
export function writeSample(out: WireBuffer, at: number, sample: Sample, startTimestamp: number): number {
  const { bytes, view } = out
  const { timestamp } = sample
  if (startTimestamp === 0 && isUsual(timestamp)) return writeUsual(view, at, sample, timestamp)
  bytes[at] = 0x12
  bytes[at + 2] = 0x09
  if (sample.stale === true) writeStaleMarker(view, at + 3)
  else view.setFloat64(at + 3, sample.value, true)
  bytes[at + 11] = 0x10
  let end = writeInt64(bytes, at + 12, timestamp)
  if (startTimestamp !== 0) {
    bytes[end] = 0x18
    end = writeInt64(bytes, end + 1, startTimestamp)
  }
  bytes[at + 1] = end - at - 2
  return end
}

/** Timestamps from 1971 to 2109 take six bytes. */
const SIX_BYTES = 0x8_0000_0000
const SEVEN_BYTES = 0x400_0000_0000
/** Bytes of nearly every sample. */
export const USUAL_BYTES = 18

/** Whether a sample without a start timestamp has {@link USUAL_BYTES}. */
export function isUsual(timestamp: number): boolean {
  return timestamp >= SIX_BYTES && timestamp < SEVEN_BYTES
}

/** As {@link writeSample}, several bytes at a time, since all are in known places. What is written over is written again. */
export function writeUsual(view: DataView, at: number, sample: Sample, timestamp: number): number {
  const low = timestamp | 0
  const high = (timestamp / 0x1_0000_0000) | 0
  view.setInt32(at, 0x09_1012, true)
  if (sample.stale === true) writeStaleMarker(view, at + 3)
  else view.setFloat64(at + 3, sample.value, true)
  // Seven bits to each byte, and the bit that says that more follow.
  const third = ((low >>> 14) & 0x7f) | 0x80
  view.setInt32(at + 11, 0x80_8010 | ((low & 0x7f) << 8) | ((low & 0x3f80) << 9) | (third << 24), true)
  view.setInt32(
    at + 14,
    third |
      (((low >>> 21) & 0x7f) << 8) |
      ((((low >>> 28) & 0x0f) | ((high << 4) & 0x70)) << 16) |
      ((high >>> 3) << 24) |
      0x80_8000,
    true,
  )
  return at + USUAL_BYTES
}
