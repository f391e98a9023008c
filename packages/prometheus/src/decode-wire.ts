import { isUtf8 } from 'node:buffer'
import type protobuf from 'protobufjs'

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5
const MAX_VARINT_BYTES = 10

/** A value as it was read, and where the next one begins. */
interface Varint {
  readonly value: bigint
  readonly next: number
}

/**
 * Looks at every byte of a message before it is decoded: a decoder of protobuf takes a field of the wrong type for another one without a
 * word. Nothing is made of what is read, whatever lengths it claims, and each byte is looked at once for each message that it is in.
 *
 * See https://protobuf.dev/programming-guides/encoding/
 *
 * @throws RangeError that says what is wrong, in which field, and at which byte.
 */
export function checkWire(body: Uint8Array, type: protobuf.Type): void {
  new WireCheck(body).message(type, 0, body.byteLength, '')
}

class WireCheck {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  message(type: protobuf.Type, from: number, end: number, place: string): void {
    const counts = new Map<number, number>()
    for (let at = from; at < end;) {
      const tag = this.#varint(at, end, `${place === '' ? 'the request' : place}: a tag`)
      const number = Number(tag.value >> 3n)
      const wireType = Number(tag.value & 7n)
      const field = type.fieldsById[number]
      const name = field === undefined ? `field ${number}` : field.name
      const count = counts.get(number) ?? 0
      counts.set(number, count + 1)
      const where = `${place === '' ? '' : `${place}.`}${name}${field?.repeated === true ? `[${count}]` : ''}`
      if (number < 1 || number > 0x1fff_ffff) throw wrong(`${where}: no field has this number`, at)
      at = this.#field(field, wireType, tag.next, end, where)
    }
  }

  /** @returns where the next field begins. */
  #field(field: protobuf.Field | undefined, wireType: number, at: number, end: number, where: string): number {
    const next = this.#end(wireType, at, end, where)
    if (field === undefined) return next
    const wanted = wireTypeOf(field)
    const isPacked = field.repeated && wireType === LENGTH && wanted !== LENGTH
    if (wireType !== wanted && !isPacked) throw wrong(`${where}: wire type ${wireType}, where ${wanted} is wanted`, at)
    if (wireType === VARINT) this.#fits(field, this.#varint(at, end, where).value, at, where)
    if (wireType !== LENGTH) return next
    const start = this.#varint(at, end, where).next
    if (isPacked) this.#packed(field, wanted, start, next, where)
    else if (isType(field.resolvedType)) this.message(field.resolvedType, start, next, where)
    else if (field.type === 'string' && !isUtf8(this.#bytes.subarray(start, next))) {
      throw wrong(`${where}: a string must be UTF-8`, start)
    }
    return next
  }

  #packed(field: protobuf.Field, wanted: number, from: number, end: number, where: string): void {
    if (wanted === FIXED64) {
      if ((end - from) % 8 !== 0) throw wrong(`${where}: ${end - from} bytes are no list of doubles`, from)
      return
    }
    for (let at = from; at < end;) {
      const { value, next } = this.#varint(at, end, where)
      this.#fits(field, value, at, where)
      at = next
    }
  }

  #fits({ type }: protobuf.Field, value: bigint, at: number, where: string): void {
    if (type === 'uint32' && value > 0xffff_ffffn) throw wrong(`${where}: ${value} is more than 32 bits hold`, at)
  }

  /** Where a value ends. */
  #end(wireType: number, at: number, end: number, where: string): number {
    switch (wireType) {
      case VARINT:
        return this.#varint(at, end, where).next
      case FIXED64:
      case FIXED32: {
        const bytes = wireType === FIXED64 ? 8 : 4
        if (end - at < bytes) throw wrong(`${where}: ${bytes} bytes are wanted, and ${end - at} are left`, at)
        return at + bytes
      }
      case LENGTH: {
        const { value, next } = this.#varint(at, end, where)
        if (value > BigInt(end - next)) {
          throw wrong(`${where}: a length of ${value} bytes, and ${end - next} are left`, at)
        }
        return next + Number(value)
      }
      default:
        throw wrong(`${where}: there is no wire type ${wireType} in remote write`, at)
    }
  }

  #varint(from: number, end: number, where: string): Varint {
    let value = 0n
    for (let at = from; at < end && at < from + MAX_VARINT_BYTES; at++) {
      const byte = this.#bytes[at] as number
      value |= BigInt(byte & 0x7f) << BigInt(7 * (at - from))
      if (byte < 0x80) return { value: BigInt.asUintN(64, value), next: at + 1 }
    }
    if (end - from < MAX_VARINT_BYTES) throw wrong(`${where}: a varint is cut off`, from)
    throw wrong(`${where}: a varint has more than ${MAX_VARINT_BYTES} bytes`, from)
  }
}

function wireTypeOf({ type, resolvedType }: protobuf.Field): number {
  if (isType(resolvedType) || type === 'string') return LENGTH
  return type === 'double' ? FIXED64 : VARINT
}

function isType(resolved: protobuf.Field['resolvedType']): resolved is protobuf.Type {
  return resolved !== null && 'fields' in resolved
}

function wrong(what: string, at: number): RangeError {
  return new RangeError(`${what}, at byte ${at}`)
}
