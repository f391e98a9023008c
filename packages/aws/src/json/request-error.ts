import { messageOf } from '@sluice/core'
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

  /** Keeps the code of the network error. The error itself is no cause: undici's hold sockets, which hold the request. */
  static ofConnection(error: unknown, isSent: boolean): RequestError {
    const code: unknown = Reflect.get(Object(error), 'code')
    return new RequestError('ConnectionError', messageOf(error) || 'the connection failed', {
      isSent,
      ...(typeof code === 'string' ? { code } : {}),
    })
  }
}
