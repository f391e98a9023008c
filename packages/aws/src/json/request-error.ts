import type { ResponseMetadata } from './metadata.ts'

interface RequestErrorOptions {
  readonly isSent: boolean
  readonly code?: string
  readonly cause?: unknown
  readonly $metadata?: ResponseMetadata
}

/**
 * A request of {@link JsonClient} that ended without an answer of the service, or with one that cannot be read. `name` is
 * `TimeoutError`, `AbortError`, `ConnectionError`, `AnswerTooLargeError` or `AnswerUnreadableError`.
 */
export class RequestError extends Error {
  /** Says what happened. */
  override readonly name: string
  /** Of a network error: `ECONNRESET`, `UND_ERR_SOCKET`, `CERT_HAS_EXPIRED`. */
  readonly code?: string
  /** False if the service cannot have seen the request; true if it may have been applied. */
  readonly isSent: boolean
  /** Of an answer that began. */
  readonly $metadata?: ResponseMetadata

  /** @internal */
  constructor(name: string, message: string, { isSent, code, cause, $metadata }: RequestErrorOptions) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = name
    this.isSent = isSent
    if (code !== undefined) this.code = code
    if ($metadata !== undefined) this.$metadata = $metadata
  }
}
