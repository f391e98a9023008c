import { answerOf, wholeWindow, type SeriesLabels, type TimeWindow } from './prometheus-query.ts'
import { decodeRemoteRead, type ExactSample } from './remote-write-proxy-decode.ts'

/** A series of Prometheus with everything that is stored of it, the oldest first. */
export interface ExactStoredSeries {
  readonly labels: SeriesLabels
  readonly samples: readonly ExactSample[]
}

/**
 * Reads stored samples by remote read.
 *
 * @param labels - labels that the series have; `__name__` is the metric name
 */
export async function remoteRead(
  url: string,
  labels: SeriesLabels,
  window: TimeWindow,
): Promise<readonly ExactStoredSeries[]> {
  const { startMs, endMs } = wholeWindow(window)
  const matchers = Object.entries(labels).map(([name, value]) =>
    field(3, Buffer.concat([field(2, Buffer.from(name)), field(3, Buffer.from(value))])),
  )
  const range = Buffer.concat([Buffer.from([0x08]), varint(startMs), Buffer.from([0x10]), varint(endMs)])
  const query = field(1, Buffer.concat([range, ...matchers]))
  const answer = await answerOf(new URL('/api/v1/read', url), literalBlock(query), {
    'Content-Encoding': 'snappy',
    'Content-Type': 'application/x-protobuf',
    'X-Prometheus-Remote-Read-Version': '0.1.0',
  })
  return decodeRemoteRead(answer).map((series) => ({ ...series, labels: Object.fromEntries(series.labels) }))
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

/** A snappy block of one literal, which is compressed as little as one may. */
function literalBlock(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length - 1)
  return Buffer.concat([varint(bytes.length), Buffer.from([63 << 2]), length, bytes])
}
