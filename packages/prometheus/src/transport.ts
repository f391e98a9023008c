import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { type Authorization, reveal } from './auth.ts'
import type { TlsOptions, TransportOptions } from './options.ts'

/** Of an answer that is an error, so much is read, logged as it is, and never interpreted. */
const MAX_TEXT_BYTES = 4096
const MAX_TEXT_LENGTH = 1000

/** What a receiver said. */
export interface Answer {
  readonly status: number
  /** Names in lower case; of a header that came several times, the first. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The beginning of the body of an answer other than 2xx, in one line. */
  readonly text: string
}

/** The headers of one request could not be made: nothing was sent. */
export class CredentialsError extends Error {
  override readonly name: string = 'CredentialsError'
}

/** One request as it is to be sent. */
export interface Outgoing {
  /** Compressed; stays as it is until the answer. */
  readonly body: Uint8Array
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Sends requests, each once: repeats belong to the engine, which knows what they may do. */
export class Transport {
  readonly #dispatcher: Dispatcher
  readonly #owned: boolean
  readonly #url: URL
  readonly #options: TransportOptions
  readonly #authorization: Authorization | undefined
  readonly #secrets: readonly string[]

  constructor(options: TransportOptions) {
    this.#options = options
    this.#url = new URL(options.url)
    this.#authorization = options.authorization
    this.#secrets = [...(options.authorization?.secrets ?? []), ...options.secrets, ...querySecrets(this.#url)]
    this.#owned = options.dispatcher === undefined
    this.#dispatcher = options.dispatcher ?? dispatcherFor(options)
  }

  /**
   * One attempt: signs, sends, reads the answer.
   *
   * @throws CredentialsError when the request could not be signed; what undici throws when there was no answer.
   */
  async post({ body, headers, signal }: Outgoing): Promise<Answer> {
    const { socketTimeoutMs } = this.#options
    const signed = await this.#sign(headers, body, signal)
    signal.throwIfAborted()
    const {
      statusCode,
      headers: received,
      body: stream,
    } = await this.#dispatcher.request({
      origin: this.#url.origin,
      path: `${this.#url.pathname}${this.#url.search}`,
      method: 'POST',
      headers: signed,
      body,
      signal,
      headersTimeout: socketTimeoutMs,
      bodyTimeout: socketTimeoutMs,
    })
    const flat = Object.fromEntries(
      Object.entries(received).map(([name, value]) => [name.toLowerCase(), Array.isArray(value) ? value[0] : value]),
    )
    if (statusCode >= 200 && statusCode < 300) {
      // Read so that the connection can be used again; more than a little is not worth it.
      await stream.dump({ limit: MAX_TEXT_BYTES, signal }).catch(() => undefined)
      return { status: statusCode, headers: flat, text: '' }
    }
    return {
      status: statusCode,
      headers: flat,
      text: this.#shown(await beginningOf(stream), addedBetween(headers, signed)),
    }
  }

  /** Ends the connections of the transport's own. What is under way was aborted by the engine before. */
  async close(): Promise<void> {
    if (this.#owned) await this.#dispatcher.destroy()
  }

  /** Requests go through a proxy: what is said of a certificate may be said of the proxy's. */
  get hasProxy(): boolean {
    return this.#options.proxyUrl !== undefined
  }

  /** A message without secrets: errors of a proxy or a signer may quote what they were given. */
  shown(text: string): string {
    return this.#shown(text)
  }

  async #sign(
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<Record<string, string>> {
    const { requestSigner } = this.#options
    if (this.#authorization === undefined && requestSigner === undefined) return { ...headers }
    const signed: Record<string, string> = { ...headers }
    try {
      await untilAborted(this.#addCredentials(signed, body), signal)
    } catch (error) {
      signal.throwIfAborted()
      throw new CredentialsError('the request could not be signed', { cause: error })
    }
    for (const name of Object.keys(signed)) {
      const lower = name.toLowerCase()
      if (name !== lower && headers[lower] !== undefined) delete signed[name]
    }
    // What says how the body is to be read is not the signer's.
    return { ...signed, ...headers }
  }

  async #addCredentials(headers: Record<string, string>, body: Uint8Array): Promise<void> {
    if (this.#authorization !== undefined) headers['authorization'] = await this.#authorization.header()
    await this.#options.requestSigner?.(headers, body, new URL(this.#url))
  }

  /** @param more - secrets of one request. */
  #shown(text: string, more: readonly string[] = []): string {
    // A short text would take away more than a secret, and a part of one, taken first, would leave the rest of it.
    const secrets = [...this.#secrets, ...more].filter((secret) => secret.length >= 4)
    const longestFirst = secrets.toSorted((a, b) => b.length - a.length).map(escaped)
    let shown = secrets.length === 0 ? text : text.replaceAll(new RegExp(longestFirst.join('|'), 'g'), '[secret]')
    // oxlint-disable-next-line no-control-regex -- what a terminal would act on
    shown = shown.replaceAll(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim()
    return shown.length > MAX_TEXT_LENGTH ? `${shown.slice(0, MAX_TEXT_LENGTH)}...` : shown
  }
}

/** As a part of a regular expression that stands for itself. */
function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)
}

/** The query of an address, which may have a key in it, as a whole and value by value, as they are written and as they are meant. */
function querySecrets({ search, searchParams }: URL): readonly string[] {
  const written = search.slice(1).split('&')
  return [search, ...written.map((pair) => pair.slice(pair.indexOf('=') + 1)), ...searchParams.values()]
}

/** What a request was signed with: the values of headers that it did not have before. */
function addedBetween(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): readonly string[] {
  return Object.entries(after).flatMap(([name, value]) => {
    if (before[name] === value) return []
    // Without the scheme too: a receiver may quote the token alone.
    return name.toLowerCase() === 'authorization' ? [value, value.replace(/^\S+\s+/, '')] : [value]
  })
}

function dispatcherFor(options: TransportOptions): Dispatcher {
  const { tls, proxyUrl, connectTimeoutMs, socketTimeoutMs, maxInFlightRequests } = options
  const pool = {
    // One more for the probe, a stale marker of a series of the sink's own: one at a time for each destination.
    connections: maxInFlightRequests + 1,
    pipelining: 1,
    allowH2: false,
    headersTimeout: socketTimeoutMs,
    bodyTimeout: socketTimeoutMs,
    keepAliveTimeout: 30_000,
    maxHeaderSize: 32 * 1024,
  }
  const connect = { timeout: connectTimeoutMs, ...tlsOf(tls) }
  if (proxyUrl === undefined) return new Agent({ ...pool, connectTimeout: connectTimeoutMs, connect })
  const { url, token } = proxyOf(proxyUrl)
  return new ProxyAgent({
    ...pool,
    uri: url,
    ...(token === undefined ? {} : { token }),
    connectTimeout: connectTimeoutMs,
    requestTls: connect,
    // The key and the name are for the receiver alone.
    proxyTls: { timeout: connectTimeoutMs, ...tlsOf(tls?.ca === undefined ? undefined : { ca: tls.ca }) },
  })
}

/** Certificates are always verified: for one of your own give its `ca`. */
function tlsOf(tls: TlsOptions | undefined): object {
  if (tls === undefined) return { rejectUnauthorized: true }
  const { key, passphrase, ...rest } = tls
  return {
    ...rest,
    ...(key === undefined ? {} : { key: Buffer.isBuffer(key) ? key : reveal(key) }),
    ...(passphrase === undefined ? {} : { passphrase: reveal(passphrase) }),
    rejectUnauthorized: true,
  }
}

/** Its credentials become a header, so that the address can be shown. */
export function proxyOf(proxyUrl: string): { readonly url: string; readonly token?: string } {
  const url = new URL(proxyUrl)
  const { username, password } = url
  if (username === '' && password === '') return { url: url.href }
  url.username = ''
  url.password = ''
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { url: url.href, token: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** Never fails: the status has come, and says more than what is missing of the text. */
async function beginningOf(stream: AsyncIterable<Uint8Array> & { destroy(): unknown }): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of stream) {
      chunks.push(chunk)
      bytes += chunk.byteLength
      if (bytes >= MAX_TEXT_BYTES) break
    }
  } catch {
    // What has come is shown.
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_TEXT_BYTES)
}

/** A signer that does not end must not hold its request beyond its time. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal.aborted) onAbort()
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
