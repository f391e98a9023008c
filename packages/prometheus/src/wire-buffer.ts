import { maxUtf8Bytes, writeUtf8 } from './utf8.ts'

const TWO_32 = 0x1_0000_0000
/** Bytes that a varint has at most. */
export const VARINT_BYTES = 10
/** The bits of the stale marker, 0x7ff0000000000002. It never passes through a number: arithmetic would make another NaN of it. */
const STALE_LOW = 2
const STALE_HIGH = 0x7ff0_0000

/** Bytes that grow, and are used again: what was written before {@link WireBuffer.reset} is overwritten. */
export class WireBuffer {
  bytes: Buffer
  view: DataView
  /** Where the next byte goes. */
  at = 0

  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength)
  }

  reset(): void {
    this.at = 0
  }

  /** What was written, valid until the next reset. */
  written(): Buffer {
    return this.bytes.subarray(0, this.at)
  }

  /** Makes room for so many more bytes. */
  ensure(more: number): void {
    const wanted = this.at + more
    if (wanted <= this.bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, this.bytes.length * 2))
    this.bytes.copy(grown, 0, 0, this.at)
    this.bytes = grown
    this.view = new DataView(grown.buffer, grown.byteOffset, grown.byteLength)
  }

  raw(block: Uint8Array): void {
    this.ensure(block.length)
    this.bytes.set(block, this.at)
    this.at += block.length
  }

  /** @param value - 0 to 2^32 - 1: a length, a tag, a reference. */
  uint32(value: number): void {
    this.ensure(VARINT_BYTES)
    this.at = writeUint32(this.bytes, this.at, value)
  }

  /** A tag of wire type 0 and an int64. */
  int64Field(tag: number, value: number): void {
    this.uint32(tag)
    this.ensure(VARINT_BYTES)
    this.at = writeInt64(this.bytes, this.at, value)
  }

  uint64(value: bigint): void {
    this.ensure(VARINT_BYTES)
    let rest = BigInt.asUintN(64, value)
    for (; rest > 0x7fn; rest >>= 7n) this.bytes[this.at++] = Number(rest & 0x7fn) | 0x80
    this.bytes[this.at++] = Number(rest)
  }

  double(value: number): void {
    this.ensure(8)
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  staleMarker(): void {
    this.ensure(8)
    writeStaleMarker(this.view, this.at)
    this.at += 8
  }

  /** A tag of wire type 2 and a string. */
  stringField(tag: number, text: string): void {
    this.uint32(tag)
    this.ensure(maxUtf8Bytes(text.length) + VARINT_BYTES)
    this.at = writeString(this.bytes, this.at, text)
  }

  /** A tag of wire type 2 and what another buffer holds. */
  messageField(tag: number, message: WireBuffer): void {
    this.uint32(tag)
    this.uint32(message.at)
    this.ensure(message.at)
    message.bytes.copy(this.bytes, this.at, 0, message.at)
    this.at += message.at
  }
}

/** Length and bytes of a string. There must be room for {@link maxUtf8Bytes} and a varint. */
export function writeString(bytes: Buffer, at: number, text: string): number {
  const { length } = text
  // Where the length takes one byte whatever the characters are, it is put in its place afterwards.
  if (length < 0x80 / 3) {
    const end = writeUtf8(bytes, at + 1, text)
    bytes[at] = end - at - 1
    return end
  }
  return writeUtf8(bytes, writeUint32(bytes, at, Buffer.byteLength(text)), text)
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): number {
  let rest = value >>> 0
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[at] = rest
  return at + 1
}

export function uint32Bytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

/** @param value - a safe integer; a negative one takes ten bytes. */
export function writeInt64(bytes: Uint8Array, at: number, value: number): number {
  const high = Math.floor(value / TWO_32)
  let low = value >>> 0
  if (high === 0) return writeUint32(bytes, at, low)
  // Bits above 28 go on in the upper word; a negative one fills 64 bits with its sign.
  for (let index = 0; index < 4; index++) {
    bytes[at++] = (low & 0x7f) | 0x80
    low >>>= 7
  }
  let rest = ((high << 4) | low) >>> 0
  let top = high >>> 28
  while (rest > 0x7f || top > 0) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest = ((rest >>> 7) | (top << 25)) >>> 0
    top >>>= 7
  }
  bytes[at] = rest
  return at + 1
}

export function int64Bytes(value: number): number {
  // Nearly every timestamp: 1971 to 2109.
  if (value >= 0x8_0000_0000 && value < 0x400_0000_0000) return 6
  if (value < 0) return VARINT_BYTES
  if (value < 0x8_0000_0000) return value < 0x1000_0000 ? uint32Bytes(value) : 5
  return value < 0x2_0000_0000_0000 ? 7 : 8
}

export function writeStaleMarker(view: DataView, at: number): void {
  view.setUint32(at, STALE_LOW, true)
  view.setUint32(at + 4, STALE_HIGH, true)
}
