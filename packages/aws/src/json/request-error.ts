import { metadataOf, type ResponseMetadata } from './metadata.ts'

interface RequestErrorOptions {
  readonly isSent: boolean
  readonly code?: string
  readonly cause?: unknown
  readonly answer?: Parameters<typeof metadataOf>[0]
}

/**
 * A request of {@link JsonClient} that ended without an answer of the service, or with one that cannot be read. `name` is
 * `TimeoutError`, `AbortError`, `ConnectionError`, `AnswerTooLargeError` or `AnswerUnreadableError`.
 */
export class RequestError extends Error {
  override readonly name: string
  /** Of a network error: `ECONNRESET`, `UND_ERR_SOCKET`, `CERT_HAS_EXPIRED`. */
  readonly code?: string
  /** False if the service cannot have seen the request; true if it may have been applied. */
  readonly isSent: boolean
  /** Of an answer that began. */
  readonly $metadata?: ResponseMetadata

  constructor(name: string, message: string, { isSent, code, cause, answer }: RequestErrorOptions) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = name
    this.isSent = isSent
    if (code !== undefined) this.code = code
    if (answer !== undefined) this.$metadata = metadataOf(answer)
  }

  /** Keeps message and code. The error itself is no cause: some of undici's hold what was received. */
  static ofConnection(error: Error, isSent: boolean): RequestError {
    const code: unknown = Reflect.get(error, 'code')
    const named = typeof code === 'string' ? { code } : {}
    // Of several addresses that were tried, only the code says something.
    const message = error.message === '' ? `the connection failed: ${named.code ?? error.name}` : error.message
    return new RequestError('ConnectionError', message, { isSent, ...named })
  }
}
