/**
 * What a receiver of remote write 2.0 must refuse, written from the specification alone: it shares nothing with the encoder, not even a
 * protobuf library. See https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
 */
export interface StrictSeries {
  readonly labels: readonly (readonly [name: string, value: string])[]
  readonly samples: readonly { readonly bits: bigint; readonly timestamp: bigint; readonly start: bigint }[]
  readonly histograms: number
  readonly exemplars: readonly { readonly labels: readonly (readonly [string, string])[]; readonly timestamp: bigint }[]
  readonly metadata?: { readonly type: bigint; readonly help: string; readonly unit: string }
}

interface Field {
  readonly number: number
  readonly type: number
  readonly varint: bigint
  readonly bytes: Buffer
}

/** @throws Error with the rule that the request breaks. */
export function strictRequestV2(body: Uint8Array): StrictSeries[] {
  const symbols: string[] = []
  const series: Buffer[] = []
  for (const { number, type, bytes } of fieldsOf(Buffer.from(body))) {
    if (type !== 2) throw new Error(`field ${number} of a request has wire type ${type}`)
    if (number === 4) symbols.push(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
    else if (number === 5) series.push(bytes)
    else throw new Error(`a request has no field ${number}`)
  }
  if (symbols[0] !== '') throw new Error("the first symbol must be ''")
  if (new Set(symbols).size !== symbols.length) throw new Error('symbols must not repeat')
  return series.map((bytes) => strictSeries(bytes, symbols))
}

function strictSeries(message: Buffer, symbols: readonly string[]): StrictSeries {
  const fields = fieldsOf(message)
  const only = (number: number): Field[] => fields.filter((field) => field.number === number)
  for (const { number } of fields) if (number < 1 || number > 5) throw new Error(`a time series has no field ${number}`)
  const labels = pairs(only(1), symbols)
  if (labels.length === 0) throw new Error('a time series must have labels')
  const samples = only(2).map(({ bytes }) => {
    const parts = fieldsOf(bytes)
    return {
      bits: part(parts, 1, 1)?.varint ?? 0n,
      timestamp: BigInt.asIntN(64, part(parts, 2, 0)?.varint ?? 0n),
      start: BigInt.asIntN(64, part(parts, 3, 0)?.varint ?? 0n),
    }
  })
  const histograms = only(3).map(({ bytes }) => ({
    timestamp: BigInt.asIntN(64, part(fieldsOf(bytes), 15, 0)?.varint ?? 0n),
  }))
  if (samples.length > 0 && histograms.length > 0)
    throw new Error('samples and histograms must not be in one time series')
  if (samples.length + histograms.length === 0) throw new Error('a time series must have a sample or a histogram')
  for (const list of [samples, histograms]) {
    for (const [index, { timestamp }] of list.entries()) {
      if (timestamp < (list[index - 1]?.timestamp ?? timestamp)) throw new Error('samples must be in the order of time')
    }
  }
  const exemplars = only(4).map(({ bytes }) => {
    const parts = fieldsOf(bytes)
    if (part(parts, 2, 1) === undefined) throw new Error('an exemplar must have a value')
    const timestamp = part(parts, 3, 0)?.varint
    if (timestamp === undefined) throw new Error('an exemplar must have a timestamp')
    return {
      labels: pairs(
        parts.filter(({ number }) => number === 1),
        symbols,
      ),
      timestamp: BigInt.asIntN(64, timestamp),
    }
  })
  const [metadata] = only(5)
  return {
    labels,
    samples,
    histograms: histograms.length,
    exemplars,
    ...(metadata === undefined ? {} : { metadata: strictMetadata(metadata.bytes, symbols) }),
  }
}

function strictMetadata(message: Buffer, symbols: readonly string[]): NonNullable<StrictSeries['metadata']> {
  const parts = fieldsOf(message)
  const type = part(parts, 1, 0)?.varint ?? 0n
  if (type > 7n) throw new Error(`there is no metric type ${type}`)
  return {
    type,
    help: symbolAt(part(parts, 3, 0)?.varint ?? 0n, symbols),
    unit: symbolAt(part(parts, 4, 0)?.varint ?? 0n, symbols),
  }
}

function pairs(fields: readonly Field[], symbols: readonly string[]): [string, string][] {
  const refs: string[] = []
  for (const { type, bytes, varint } of fields) {
    if (type === 0) refs.push(symbolAt(varint, symbols))
    else
      for (let at = 0; at < bytes.length;) {
        const next = readVarint(bytes, at)
        refs.push(symbolAt(next.value, symbols))
        at = next.end
      }
  }
  if (refs.length % 2 !== 0) throw new Error('references of labels must be even in number')
  const labels = Array.from({ length: refs.length / 2 }, (_, at): [string, string] => [
    refs[2 * at] as string,
    refs[2 * at + 1] as string,
  ])
  for (const [index, [name, value]] of labels.entries()) {
    if (name === '' || value === '') throw new Error('labels must not be empty')
    const before = labels[index - 1]
    if (before === undefined) continue
    const order = Buffer.compare(Buffer.from(before[0]), Buffer.from(name))
    if (order === 0) throw new Error(`label ${name} is repeated`)
    if (order > 0) throw new Error(`label ${name} comes after ${before[0]}`)
  }
  return labels
}

function symbolAt(ref: bigint, symbols: readonly string[]): string {
  const symbol = symbols[Number(ref)]
  if (symbol === undefined) throw new Error(`there is no symbol ${ref}`)
  return symbol
}

function part(fields: readonly Field[], number: number, type: number): Field | undefined {
  const found = fields.filter((field) => field.number === number)
  if (found.length > 1) throw new Error(`field ${number} is repeated`)
  if (found[0] !== undefined && found[0].type !== type)
    throw new Error(`field ${number} has wire type ${found[0].type}`)
  return found[0]
}

function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = []
  for (let at = 0; at < message.length;) {
    const tag = readVarint(message, at)
    const number = Number(tag.value >> 3n)
    const type = Number(tag.value & 7n)
    at = tag.end
    let varint = 0n
    let bytes: Buffer = Buffer.alloc(0)
    if (type === 0) ({ value: varint, end: at } = readVarint(message, at))
    else if (type === 1) {
      if (at + 8 > message.length) throw new Error('a double is cut')
      varint = message.readBigUInt64LE(at)
      at += 8
    } else if (type === 2) {
      const length = readVarint(message, at)
      at = length.end + Number(length.value)
      if (at > message.length) throw new Error('a field is longer than its message')
      bytes = message.subarray(length.end, at)
    } else throw new Error(`there is no wire type ${type}`)
    fields.push({ number, type, varint, bytes })
  }
  return fields
}

function readVarint(bytes: Buffer, from: number): { readonly value: bigint; readonly end: number } {
  let value = 0n
  for (let at = from; at < from + 10; at++) {
    const byte = bytes[at]
    if (byte === undefined) throw new Error('a varint is cut')
    value |= BigInt(byte & 0x7f) << BigInt(7 * (at - from))
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), end: at + 1 }
  }
  throw new Error('a varint is longer than 10 bytes')
}
