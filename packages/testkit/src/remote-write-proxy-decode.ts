import { uncompressSnappy } from './remote-write-proxy-snappy.ts'

/** A sample whose value keeps the payload of a NaN. */
export interface ExactSample {
  readonly timestampMs: number
  readonly value: number
  /** The 64 bits of the value: `0x7ff0000000000002n` is a stale marker. */
  readonly bits: bigint
}

/** A series as it was encoded: nothing sorted, nothing merged. */
export interface ExactSeries {
  readonly labels: readonly (readonly [name: string, value: string])[]
  readonly samples: readonly ExactSample[]
}

const MAX_BYTES = 64 * 1024 * 1024

/**
 * Decodes the body of a remote write 1.0 request: the series with their labels and samples. Exemplars, histograms and metadata
 * are passed over.
 *
 * @throws RangeError where the body is damaged, or exceeds 64 MiB
 *
 * @example
 * ```ts
 * const accepted = proxy.journal.filter(({ answer }) => answer?.status === 204)
 * const series = accepted.flatMap(({ body }) => (body === undefined ? [] : decodeRemoteWrite(body)))
 * ```
 * @see https://prometheus.io/docs/specs/prw/remote_write_spec/
 */
export function decodeRemoteWrite(body: Buffer): readonly ExactSeries[] {
  return messages(uncompressSnappy(body, MAX_BYTES), 1).map(series)
}

/** The answer to a remote read of one query. @throws RangeError as {@link decodeRemoteWrite} */
export function decodeRemoteRead(body: Buffer): readonly ExactSeries[] {
  return messages(uncompressSnappy(body, MAX_BYTES), 1).flatMap((result) => messages(result, 1).map(series))
}

function series(message: Buffer): ExactSeries {
  return {
    labels: messages(message, 1).map((label) => [last(label, 1, 2).toString(), last(label, 2, 2).toString()]),
    samples: messages(message, 2).map((sample) => {
      const value = last(sample, 1, 1)
      const timestamp = last(sample, 2, 0)
      return {
        timestampMs: timestamp.length === 0 ? 0 : Number(BigInt.asIntN(64, varint(timestamp, 0).value)),
        value: value.length === 0 ? 0 : value.readDoubleLE(),
        bits: value.length === 0 ? 0n : value.readBigUInt64LE(),
      }
    }),
  }
}

interface Field {
  readonly number: number
  readonly wireType: number
  readonly bytes: Buffer
}

function messages(message: Buffer, number: number): Buffer[] {
  return fields(message)
    .filter((field) => field.number === number && field.wireType === 2)
    .map(({ bytes }) => bytes)
}

/** The bytes of a field, of which the last one counts; empty where it is not there. */
function last(message: Buffer, number: number, wireType: number): Buffer {
  const found = fields(message).findLast((field) => field.number === number && field.wireType === wireType)
  return found?.bytes ?? Buffer.alloc(0)
}

function fields(message: Buffer): Field[] {
  const found: Field[] = []
  let at = 0
  while (at < message.length) {
    const key = varint(message, at)
    const wireType = Number(key.value & 7n)
    const { start, end } = extent(message, key.next, wireType)
    if (end > message.length) throw new RangeError(`a protobuf field ends at ${end} of ${message.length} bytes`)
    found.push({ number: Number(key.value >> 3n), wireType, bytes: message.subarray(start, end) })
    at = end
  }
  return found
}

function extent(message: Buffer, at: number, wireType: number): { readonly start: number; readonly end: number } {
  switch (wireType) {
    case 0:
      return { start: at, end: varint(message, at).next }
    case 1:
      return { start: at, end: at + 8 }
    case 2: {
      const { value, next } = varint(message, at)
      return { start: next, end: next + Number(value) }
    }
    case 5:
      return { start: at, end: at + 4 }
    default:
      throw new RangeError(`a protobuf field of wire type ${wireType}`)
  }
}

function varint(message: Buffer, at: number): { readonly value: bigint; readonly next: number } {
  let value = 0n
  for (let index = 0; index < 10; index += 1) {
    const byte = message.readUInt8(at + index)
    value |= BigInt(byte & 0x7f) << BigInt(7 * index)
    if (byte < 0x80) return { value, next: at + index + 1 }
  }
  throw new RangeError('a protobuf varint of more than 10 bytes')
}
