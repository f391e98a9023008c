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
