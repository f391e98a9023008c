import type { IncomingMessage } from 'node:http'

/** A body that exceeds the proxy's limit. */
export class BodyTooLargeError extends Error {
  override readonly name: string = 'BodyTooLargeError'
}

/**
 * Reads a message to its end.
 *
 * @throws BodyTooLargeError above `maxBytes`; the connection's error when the message breaks off
 */
export async function readBody(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('the message has an encoding set')
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new BodyTooLargeError(`a body exceeds maxBodyBytes = ${maxBytes}`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'expect'])

/**
 * Raw headers to pass on: names, case, order and repeats as received. Each side keeps its own connection alive, and the
 * proxy has answered `Expect: 100-continue` itself.
 */
export function forwardedHeaders(raw: readonly string[]): string[] {
  return raw.filter((_, index) => !HOP_BY_HOP.has((raw[index - (index % 2)] ?? '').toLowerCase()))
}

/** Raw headers or trailers as the pairs that `addTrailers` takes. */
export function headerPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index + 1 < raw.length; index += 2) pairs.push([raw[index] ?? '', raw[index + 1] ?? ''])
  return pairs
}
