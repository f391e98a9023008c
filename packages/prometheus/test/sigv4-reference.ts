import { createHash, createHmac } from 'node:crypto'

/** A request to be signed, as AWS describes it. */
export interface ReferenceRequest {
  readonly method: string
  readonly service: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** `20150830T123600Z` */
  readonly amzDate: string
  /** As it is in the request line, encoded once. */
  readonly path: string
  /** Decoded names and values. */
  readonly query: readonly (readonly [string, string])[]
  /** All that are signed. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string
}

/** Signature Version 4, written from AWS's description alone, and proven by AWS's published vectors. */
export function referenceAuthorization(request: ReferenceRequest): string {
  const { method, service, region, accessKeyId, secretAccessKey, amzDate, path, query, headers, body } = request
  const names = Object.keys(headers).map((name) => name.toLowerCase())
  names.sort()
  const byLower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const canonical = [
    method,
    path.split('/').map(encoded).join('/'),
    query
      .map(([name, value]) => [encoded(name), encoded(value)] as const)
      .toSorted(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
      .map((pair) => pair.join('='))
      .join('&'),
    ...names.map((name) => `${name}:${(byLower.get(name) ?? '').trim().replaceAll(/ +/g, ' ')}`),
    '',
    names.join(';'),
    hex(body),
  ].join('\n')
  const day = amzDate.slice(0, 8)
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', amzDate, scope, hex(canonical)].join('\n')
  let key: Buffer | string = `AWS4${secretAccessKey}`
  for (const part of [day, region, service, 'aws4_request']) key = createHmac('sha256', key).update(part).digest()
  const signature = createHmac('sha256', key).update(toSign).digest('hex')
  return `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
}

export function hex(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex')
}

function encoded(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => {
    const character = String.fromCodePoint(byte)
    return /[A-Za-z0-9\-._~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
