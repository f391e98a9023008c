import { hash } from 'node:crypto'
import { amzDateOf, canonicalPath, canonicalQuery, type SigningIdentity, SigV4Signer } from './sigv4.ts'
import type { ResolvedEndpoint } from './sdk-client.ts'

/** An endpoint as requests need it. */
export interface Target {
  readonly href: string
  readonly origin: string
  readonly host: string
  /** As it is sent: with the query, in its canonical form. */
  readonly path: string
  readonly canonicalPath: string
  readonly canonicalQuery: string
}

/** One request as it is to be signed. */
interface Unsigned {
  readonly target: Target
  /** Value of `x-amz-target`. */
  readonly operation: string
  readonly contentType: string
  readonly body: Uint8Array
}

export function targetOf(url: URL): Target {
  // The SDK ends the path of an RPC protocol so.
  const path = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`
  const query = canonicalQuery(url.searchParams)
  return {
    href: url.href,
    origin: url.origin,
    host: url.host,
    path: query === '' ? path : `${path}?${query}`,
    canonicalPath: canonicalPath(path),
    canonicalQuery: query,
  }
}

/** Makes the headers of requests, each with a signature of its own time. */
export class RequestSigner {
  readonly #signer: SigV4Signer

  constructor({ scope }: ResolvedEndpoint) {
    this.#signer = new SigV4Signer(scope)
  }

  /** All headers of the request, and no others, are signed, except `user-agent`, which proxies may change. */
  headers(
    { target, operation, contentType, body }: Unsigned,
    { accessKeyId, secretAccessKey, sessionToken }: SigningIdentity,
    wallMs: number,
  ): Record<string, string> {
    const amzDate = amzDateOf(wallMs)
    const bodyHash = hash('sha256', body, 'hex')
    const headers: Record<string, string> = {
      'content-length': String(body.byteLength),
      'content-type': contentType,
      host: target.host,
      'x-amz-content-sha256': bodyHash,
      'x-amz-date': amzDate,
      'x-amz-target': operation,
    }
    if (sessionToken !== undefined) headers['x-amz-security-token'] = sessionToken
    const { canonicalPath: path, canonicalQuery: query } = target
    const request = { method: 'POST', canonicalPath: path, canonicalQuery: query, headers, bodyHash }
    const authorization = this.#signer.authorization(request, { accessKeyId, secretAccessKey, sessionToken }, amzDate)
    headers['authorization'] = authorization
    headers['user-agent'] = USER_AGENT
    return headers
  }
}

const USER_AGENT = `sluice-aws lang/js md/nodejs#${process.versions.node}`
