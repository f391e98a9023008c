const HIGH_SURROGATE = 0xd800
const AFTER_SURROGATES = 0xe000
/** Beyond it the call of a native function costs less than the loop. */
const LOOP_LENGTH = 16

/**
 * Compares as the UTF-8 bytes of the two compare, which is how remote write wants labels sorted. `<` compares UTF-16, where
 * a surrogate, and with it every character beyond U+FFFF, comes before U+E000.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) {
      return left >= HIGH_SURROGATE && right >= HIGH_SURROGATE ? rank(left) - rank(right) : left - right
    }
  }
  return a.length - b.length
}

/** Puts surrogates after all others. */
function rank(unit: number): number {
  return unit >= AFTER_SURROGATES ? unit - 0x800 : unit + 0x2000
}

/** Most bytes that a string of so many UTF-16 units has in UTF-8. */
export function maxUtf8Bytes(length: number): number {
  return length * 3
}

/**
 * Writes a string's bytes; there must be room for {@link maxUtf8Bytes}. A lone surrogate becomes U+FFFD.
 *
 * @returns where the bytes end.
 */
export function writeUtf8(bytes: Buffer, at: number, text: string): number {
  const { length } = text
  if (length > LOOP_LENGTH) return at + bytes.write(text, at)
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7f) return at + bytes.write(text, at)
    bytes[at + index] = unit
  }
  return at + length
}
