/**
 * Uncompresses a snappy block (the raw format, without frames).
 *
 * @throws RangeError where the block is damaged, or promises more than `maxBytes`
 * @see https://github.com/google/snappy/blob/main/format_description.txt
 */
export function uncompressSnappy(block: Buffer, maxBytes: number): Buffer {
  const { value: length, next } = preamble(block)
  if (length > maxBytes) throw new RangeError(`a snappy block of ${length} bytes exceeds ${maxBytes}`)
  const output = Buffer.alloc(length)
  let at = next
  let filled = 0
  while (at < block.length) {
    const tag = block.readUInt8(at)
    const element = (tag & 3) === 0 ? literal(block, at, tag) : copy(block, at, tag)
    if (filled + element.length > length)
      throw new RangeError(`a snappy block is longer than the ${length} bytes it promises`)
    if ('from' in element) {
      if (element.from + element.length > block.length) throw new RangeError('a snappy literal is cut off')
      block.copy(output, filled, element.from, element.from + element.length)
    } else {
      if (element.back < 1 || element.back > filled)
        throw new RangeError(`a snappy copy from ${element.back} bytes back`)
      // A copy may reach into what it writes.
      for (let index = filled; index < filled + element.length; index += 1) {
        output[index] = output[index - element.back] ?? 0
      }
    }
    filled += element.length
    at = element.next
  }
  if (filled !== length) throw new RangeError(`a snappy block has ${filled} of the ${length} bytes it promises`)
  return output
}

type Element =
  | { readonly from: number; readonly length: number; readonly next: number }
  | { readonly back: number; readonly length: number; readonly next: number }

function preamble(block: Buffer): { readonly value: number; readonly next: number } {
  let value = 0
  for (let index = 0; index < 5; index += 1) {
    const byte = block.readUInt8(index)
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, next: index + 1 }
  }
  throw new RangeError('a snappy block without its length')
}

function literal(block: Buffer, at: number, tag: number): Element {
  const short = tag >> 2
  const lengthBytes = Math.max(0, short - 59)
  const length = (lengthBytes === 0 ? short : block.readUIntLE(at + 1, lengthBytes)) + 1
  const from = at + 1 + lengthBytes
  return { from, length, next: from + length }
}

function copy(block: Buffer, at: number, tag: number): Element {
  if ((tag & 3) === 1) {
    return { length: ((tag >> 2) & 7) + 4, back: ((tag >> 5) << 8) | block.readUInt8(at + 1), next: at + 2 }
  }
  const bytes = (tag & 3) === 2 ? 2 : 4
  return { length: (tag >> 2) + 1, back: block.readUIntLE(at + 1, bytes), next: at + 1 + bytes }
}
