import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'

/** Keys as a signature needs them. */
export interface SigningIdentity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** What a signing key is made for. */
export interface SigningScope {
  readonly region: string
  /** Signing name of the service, such as `timestream`. */
  readonly service: string
}

/** A request with path and query in their canonical forms. */
export interface SignableRequest {
  readonly method: string
  readonly canonicalPath: string
  readonly canonicalQuery: string
  /** Every header that is to be signed; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Hexadecimal SHA-256 of the body. */
  readonly bodyHash: string
}

interface CachedKey {
  readonly day: string
  readonly secretAccessKey: string
  readonly key: KeyObject
}

/**
 * Signature Version 4 of requests to one service in one region. The signing key of a day and a secret is derived once.
 *
 * See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export class SigV4Signer {
  readonly #scope: SigningScope
  #cached: CachedKey | undefined

  constructor(scope: SigningScope) {
    this.#scope = scope
  }

  /**
   * Value of the header `authorization`.
   *
   * @param amzDate - time of the signature, see {@link amzDateOf}; it must be among the headers as `x-amz-date`.
   */
  authorization(request: SignableRequest, identity: SigningIdentity, amzDate: string): string {
    const names = Object.keys(request.headers).sort()
    const signedHeaders = names.join(';')
    const day = amzDate.slice(0, 8)
    const scope = `${day}/${this.#scope.region}/${this.#scope.service}/aws4_request`
    const hashed = hash('sha256', canonicalRequest(request, names, signedHeaders), 'hex')
    const signature = createHmac('sha256', this.#signingKey(day, identity.secretAccessKey))
      .update(`${ALGORITHM}\n${amzDate}\n${scope}\n${hashed}`)
      .digest('hex')
    return `${ALGORITHM} Credential=${identity.accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`
  }

  #signingKey(day: string, secretAccessKey: string): KeyObject {
    if (this.#cached?.day === day && this.#cached.secretAccessKey === secretAccessKey) return this.#cached.key
    let derived = hmac(`AWS4${secretAccessKey}`, day)
    for (const part of [this.#scope.region, this.#scope.service, 'aws4_request']) derived = hmac(derived, part)
    const key = createSecretKey(derived)
    this.#cached = { day, secretAccessKey, key }
    return key
  }
}

/** That of the last second: requests of one second have the same. */
let last = { second: Number.NaN, amzDate: '' }

/** A time as signatures write it: `20150830T123600Z`. */
export function amzDateOf(wallMs: number): string {
  const second = Math.floor(wallMs / 1000)
  if (second !== last.second) {
    last = { second, amzDate: new Date(wallMs).toISOString().replace(/[-:]|\.\d{3}/g, '') }
  }
  return last.amzDate
}

/** Path of a request as it is signed: without empty and dot segments, each part encoded (once more, if it is encoded already). */
export function canonicalPath(path: string): string {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(encode(segment))
  }
  return `/${segments.join('/')}${segments.length > 0 && path.endsWith('/') ? '/' : ''}`
}

/** Query of a request as it is signed: encoded and sorted by name, then by value. */
export function canonicalQuery(query: URLSearchParams): string {
  return [...query]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map((pair) => pair.join('='))
    .join('&')
}

const ALGORITHM = 'AWS4-HMAC-SHA256'

function canonicalRequest(
  { method, canonicalPath: path, canonicalQuery: query, headers, bodyHash }: SignableRequest,
  names: readonly string[],
  signedHeaders: string,
): string {
  let lines = ''
  for (const name of names)
    lines += `${name}:${(headers[name] ?? '').replace(/[ \t\r\n]+/g, ' ').replace(/^ | $/g, '')}\n`
  return `${method}\n${path}\n${query}\n${lines}\n${signedHeaders}\n${bodyHash}`
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

/** Of RFC 3986: unlike `encodeURIComponent`, it leaves none of `!'()*`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
