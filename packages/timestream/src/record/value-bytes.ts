/** Holds the values of some tens of records: one of them that is repeated for long keeps no more than this alive. */
const CHUNK_BYTES = 16_384

/** Up to here a character at a time is faster than a call out of JavaScript. */
const SHORT = 24

const QUOTE = 0x22
const BACKSLASH = 0x5c
const POINT = 0x2e
const ZERO = 0x30
const MAX_INT32 = 0x7fff_ffff

/** A part of a chunk: the values of one record as JSON, in UTF-8. */
export interface ValueBytes {
  readonly chunk: Buffer
  readonly start: number
  readonly end: number
}

export const NO_VALUES: ValueBytes = Object.freeze({ chunk: Buffer.alloc(0), start: 0, end: 0 })

/**
 * Writes values of records one after the other, as the bytes that are sent. What was written once is never changed: entries point at
 * it.
 */
export class ValueWriter {
  /** Made for the first value. */
  #chunk = NO_VALUES.chunk
  #start = 0
  #at = 0

  /** Begins the values of a record; those of one that was begun and not taken are forgotten. */
  begin(): void {
    this.#at = this.#start
  }

  /** The values that were written since the beginning. */
  take(): ValueBytes {
    const { start, end } = { start: this.#start, end: this.#at }
    this.#start = end
    return { chunk: this.#chunk, start, end }
  }

  /** Bytes since the beginning. */
  get length(): number {
    return this.#at - this.#start
  }

  /** Forgets what was written after so many bytes. */
  cut(length: number): void {
    this.#at = this.#start + length
  }

  bytes(part: Uint8Array): void {
    const at = this.#room(part.length)
    this.#chunk.set(part, at)
    this.#at = at + part.length
  }

  /**
   * Writes what most measures are, numbers with at most two decimals, as JavaScript does: n / 100 is rounded as its decimal is read,
   * and two decimals of so few digits are never one double.
   *
   * @returns false for any other: nothing is written.
   */
  double(value: number): boolean {
    const hundredths = Math.round(value * 100)
    if (hundredths / 100 !== value || !(hundredths >= 0) || hundredths > MAX_INT32) return false
    if (hundredths === 0 && Object.is(value, -0)) return false
    this.#hundredths(hundredths)
    return true
  }

  /** Writes a whole number from 0 to 2^31 - 1. @returns false for any other: nothing is written. */
  integer(value: number): boolean {
    if ((value | 0) !== value || value < 0 || Object.is(value, -0)) return false
    this.#digits(value)
    return true
  }

  #digits(value: number): void {
    const at = this.#room(10)
    const end = at + lengthOf(value)
    let rest = value
    let to = end
    do {
      const tenth = (rest / 10) | 0
      this.#chunk[--to] = ZERO + rest - tenth * 10
      rest = tenth
    } while (rest > 0)
    this.#at = end
  }

  #hundredths(hundredths: number): void {
    const whole = (hundredths / 100) | 0
    this.#digits(whole)
    const cents = hundredths - whole * 100
    if (cents === 0) return
    const at = this.#room(3)
    const tenths = (cents / 10) | 0
    const last = cents - tenths * 10
    this.#chunk[at] = POINT
    this.#chunk[at + 1] = ZERO + tenths
    this.#chunk[at + 2] = ZERO + last
    this.#at = at + (last === 0 ? 2 : 3)
  }

  /** @param text - ASCII that needs no escapes. */
  plain(text: string): void {
    const { length } = text
    const at = this.#room(length)
    if (length > SHORT) this.#chunk.write(text, at, 'latin1')
    else for (let i = 0; i < length; i++) this.#chunk[at + i] = text.charCodeAt(i)
    this.#at = at + length
  }

  /** A well-formed text as it stands between quotes in JSON. @returns its bytes in UTF-8, without escapes. */
  text(text: string): number {
    const { length } = text
    if (length <= SHORT) {
      const at = this.#room(length)
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) break
        this.#chunk[at + i] = code
      }
      if (i === length) {
        this.#at = at + length
        return length
      }
    }
    const json = JSON.stringify(text).slice(1, -1)
    // No text is longer in UTF-8 than three bytes for each unit.
    const at = this.#room(json.length * 3)
    this.#at = at + this.#chunk.write(json, at)
    return Buffer.byteLength(text)
  }

  /** Makes room for so many bytes; gives where they go. */
  #room(bytes: number): number {
    if (this.#at + bytes > this.#chunk.length) this.#move(bytes)
    return this.#at
  }

  /** The record under way moves to a chunk of its own, which those after it share. */
  #move(bytes: number): void {
    const begun = this.#chunk.subarray(this.#start, this.#at)
    const chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, 2 * (begun.length + bytes)))
    chunk.set(begun)
    this.#chunk = chunk
    this.#start = 0
    this.#at = begun.length
  }
}

function lengthOf(value: number): number {
  if (value < 10_000) {
    if (value < 100) return value < 10 ? 1 : 2
    return value < 1000 ? 3 : 4
  }
  if (value < 1_000_000) return value < 100_000 ? 5 : 6
  if (value < 100_000_000) return value < 10_000_000 ? 7 : 8
  return value < 1_000_000_000 ? 9 : 10
}
