/** Label blocks of many series lie in one piece of memory: one allocation for each costs more than writing it. */
const CHUNK_BYTES = 64 * 1024

/** Memory that is given out piece by piece, and never taken back: a chunk lives for as long as something in it does. */
export class LabelMemory {
  /** Where to write next, from {@link LabelMemory.at} on. */
  bytes: Buffer = Buffer.alloc(0)
  at = 0

  /** Makes room for so many bytes. */
  ensure(room: number): void {
    if (this.bytes.length - this.at >= room) return
    this.bytes = Buffer.allocUnsafeSlow(Math.max(room, CHUNK_BYTES))
    this.at = 0
  }

  /** What was written up to `end`. */
  take(end: number): Buffer {
    const taken = this.bytes.subarray(this.at, end)
    this.at = end
    return taken
  }

  /** A copy of what was written to another one up to `end`, which is not taken there. */
  copyOf(other: LabelMemory, end: number): Buffer {
    const length = end - other.at
    this.ensure(length)
    other.bytes.copy(this.bytes, this.at, other.at, end)
    return this.take(this.at + length)
  }
}

/** That of series that come by once. */
export const labelMemory: LabelMemory = new LabelMemory()

/** That of series that are remembered: in one chunk with others they would keep all of those. */
export const keptLabelMemory: LabelMemory = new LabelMemory()
