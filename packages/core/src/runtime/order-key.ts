const doubles = new Float64Array(1)
const words = new Uint32Array(doubles.buffer)

/**
 * The order key of a name or a number: 53 bits, made of two 32-bit lanes, spread evenly in the low bits too, so that `key % lanes`
 * is a fair choice. The same value gives the same key in every process. Allocates nothing.
 *
 * Two values that share a key (one pair in 2^53) are kept in one order, which costs nothing but speed.
 *
 * @throws TypeError for anything but a string or a finite number; its message says the type and never the value.
 * @example
 * ```ts
 * protected override orderKey(entry: Entry): number {
 *   return orderKeyOf(entry.messageGroupId)
 * }
 * ```
 */
export function orderKeyOf(value: string | number): number {
  let high = 0xdeadbeef | 0
  let low = 0x41c6ce57
  if (typeof value === 'string') {
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index)
      high = Math.imul(high ^ unit, 0x9e3779b1)
      low = Math.imul(low ^ unit, 0x5f356495)
    }
  } else {
    if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError(rule(value))
    // Adding 0 makes -0 the number that it equals.
    doubles[0] = value + 0
    high = Math.imul(high ^ (words[0] as number), 0x9e3779b1) ^ (words[1] as number)
    low = Math.imul(low ^ (words[1] as number), 0x5f356495) ^ (words[0] as number)
  }
  const mixed = mix(high) ^ mix(low ^ (high >>> 11))
  return (mix(high ^ (mixed << 7)) >>> 11) * 0x1_0000_0000 + (mix(mixed) >>> 0)
}

function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function rule(value: unknown): string {
  const given = typeof value === 'number' ? String(value) : value === null ? 'null' : typeof value
  return `an order key must be a string or a finite number, got ${given}`
}
