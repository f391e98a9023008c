import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { ServiceError } from './errors.ts'

/** A key pair that may sign requests. */
export interface LocalCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The session token that requests must carry; without it they must carry none. */
  readonly sessionToken?: string
  /** From then on the key is answered with ExpiredTokenException. @default never */
  readonly expiresAt?: Date
}

/** How far the time of a signature may be from the server's, either way. */
const MAX_SKEW_MS = 5 * 60_000
const ALGORITHM = 'AWS4-HMAC-SHA256'
const HEADER =
  /^AWS4-HMAC-SHA256 +Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request *, *SignedHeaders=([^,\s]+) *, *Signature=([0-9a-f]{64})$/
const DATE = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/
const ALWAYS_SIGNED = ['host', 'x-amz-date'] as const

/** The access key that a request names, checked or not; undefined when it is not signed. */
export function accessKeyOf(request: IncomingMessage): string | undefined {
  return /Credential=([^/,\s]{1,128})\//.exec(request.headers.authorization ?? '')?.[1]
}

/**
 * Checks the Signature Version 4 of requests against a fixed list of keys.
 *
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export class SignatureCheck {
  readonly #keys: ReadonlyMap<string, LocalCredentials>
  readonly #now: () => number

  constructor(credentials: readonly LocalCredentials[], now: () => number = Date.now) {
    this.#keys = new Map(credentials.map((one) => [one.accessKeyId, one]))
    this.#now = now
  }

  /** Throws the error that the service answers when the signature is missing, wrong, out of time, or of another key. */
  check(request: IncomingMessage, body: Buffer): void {
    const { authorization } = request.headers
    if (authorization === undefined) {
      throw new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token')
    }
    const parts = HEADER.exec(authorization)
    const date = header(request, 'x-amz-date')
    const signedAtMs = date === undefined ? Number.NaN : timeOf(date)
    if (parts === null || date === undefined || Number.isNaN(signedAtMs)) {
      throw incomplete(
        `needs '${ALGORITHM} Credential=..., SignedHeaders=..., Signature=...' and the header x-amz-date`,
      )
    }
    const [, accessKeyId = '', day = '', region = '', service = '', signedHeaders = '', signature = ''] = parts
    if (service !== 'timestream' || day !== date.slice(0, 8)) {
      throw invalid(`Credential should be scoped to correct service: 'timestream', and to the day of x-amz-date.`)
    }
    const key = this.#keys.get(accessKeyId)
    const token = header(request, 'x-amz-security-token')
    if (key === undefined || token !== key.sessionToken) {
      throw new ServiceError('UnrecognizedClientException', 'The security token included in the request is invalid.')
    }
    const names = signedHeaders.split(';')
    const unsigned = [...ALWAYS_SIGNED, ...(token === undefined ? [] : ['x-amz-security-token'])].filter(
      (name) => !names.includes(name),
    )
    if (unsigned.length > 0) throw incomplete(`must include the header ${unsigned.join(', ')} in SignedHeaders`)

    const scope = `${day}/${region}/${service}/aws4_request`
    const canonical = canonicalRequest(request, names, body)
    const toSign = `${ALGORITHM}\n${date}\n${scope}\n${sha256(canonical)}`
    const expected = hmac(signingKey(key.secretAccessKey, day, region, service), toSign)
    if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) {
      throw invalid(
        'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
      )
    }
    this.#checkTimes(key, date, signedAtMs)
  }

  #checkTimes(key: LocalCredentials, date: string, signedAtMs: number): void {
    const nowMs = this.#now()
    if (key.expiresAt !== undefined && key.expiresAt.getTime() <= nowMs) throw expiredToken()
    if (signedAtMs < nowMs - MAX_SKEW_MS) {
      throw invalid(
        `Signature expired: ${date} is now earlier than ${stamp(nowMs - MAX_SKEW_MS)} (${stamp(nowMs)} - 5 min.)`,
      )
    }
    if (signedAtMs > nowMs + MAX_SKEW_MS) {
      throw invalid(
        `Signature not yet current: ${date} is still later than ${stamp(nowMs + MAX_SKEW_MS)} (${stamp(nowMs)} + 5 min.)`,
      )
    }
  }
}

export function expiredToken(): ServiceError {
  return new ServiceError('ExpiredTokenException', 'The security token included in the request is expired')
}

function incomplete(what: string): ServiceError {
  return new ServiceError('IncompleteSignatureException', `The Authorization of the request ${what}.`)
}

function invalid(message: string): ServiceError {
  return new ServiceError('InvalidSignatureException', message)
}

function header(request: IncomingMessage, name: string): string | undefined {
  // Names may come from the client, as in SignedHeaders.
  const value = Object.hasOwn(request.headers, name) ? request.headers[name] : undefined
  return Array.isArray(value) ? value.join(',') : value
}

function canonicalRequest(request: IncomingMessage, names: readonly string[], body: Buffer): string {
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2)
  const headers = names.map((name) => `${name}:${(header(request, name) ?? '').trim().replace(/ +/g, ' ')}\n`).join('')
  return `${request.method}\n${path}\n${query}\n${headers}\n${names.join(';')}\n${sha256(body)}`
}

function signingKey(secret: string, day: string, region: string, service: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

function timeOf(date: string): number {
  const [, year, month, day, hour, minute, second] = DATE.exec(date) ?? []
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second))
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
}
