/** A series of a remote write 1.0 request; the labels are sent in the order given. */
export interface SentSeries {
  readonly labels: Readonly<Record<string, string>>
  /** Milliseconds since 1970, and a float or its 64 bits. */
  readonly samples: readonly (readonly [number, number | bigint])[]
}

/** The 64 bits that end a series. */
export const STALE_MARKER = 0x7ff0000000000002n

/** A remote write 1.0 body: protobuf by hand, in a snappy block of literals alone. */
export function remoteWriteBody(series: readonly SentSeries[]): Buffer {
  return literalBlock(Buffer.concat(series.map((one) => field(1, timeSeries(one)))))
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Headers
}

/** Sends a remote write 1.0 request. Rejects where the connection breaks. */
export async function remoteWrite(
  url: string,
  series: readonly SentSeries[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'Content-Encoding': 'snappy',
      'Content-Type': 'application/x-protobuf',
      'User-Agent': 'testkit/1',
      'X-Prometheus-Remote-Write-Version': '0.1.0',
      ...headers,
    },
    body: new Uint8Array(remoteWriteBody(series)),
    signal: AbortSignal.timeout(10_000),
  })
  return { status: answer.status, body: await answer.text(), headers: answer.headers }
}

function timeSeries({ labels, samples }: SentSeries): Buffer {
  const pairs = Object.entries(labels).map(([name, value]) =>
    field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))])),
  )
  return Buffer.concat([...pairs, ...samples.map(([atMs, value]) => field(2, sample(atMs, value)))])
}

function sample(atMs: number, value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  if (typeof value === 'bigint') bytes.writeBigUInt64LE(value)
  else bytes.writeDoubleLE(value)
  return Buffer.concat([Buffer.from([0x09]), bytes, Buffer.from([0x10]), varint(atMs)])
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}

const LITERAL_BYTES = 60

function literalBlock(bytes: Buffer): Buffer {
  const parts = [varint(bytes.length)]
  for (let start = 0; start < bytes.length; start += LITERAL_BYTES) {
    const literal = bytes.subarray(start, start + LITERAL_BYTES)
    parts.push(Buffer.from([(literal.length - 1) << 2]), literal)
  }
  return Buffer.concat(parts)
}
