import type { Dispatcher } from 'undici'
import { metadataOf } from './metadata.ts'
import { RequestError } from './request-error.ts'

/** What a server answered. */
export interface Answer {
  readonly status: number
  /** Names in lower case; of a header that came several times, the first. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}

type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

/** One request and its answer: an undici handler that reads a bounded body and can be ended at any time. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly answer: Promise<Answer>
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: unknown) => void
  readonly #maxResponseBytes: number
  #controller: Dispatcher.DispatchController | undefined
  #ended: Error | undefined
  #status = 0
  #headers: Answer['headers'] = {}
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(maxResponseBytes: number) {
    this.#maxResponseBytes = maxResponseBytes
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.answer = promise
    // It may end before anybody waits for it.
    promise.catch(() => undefined)
    this.#resolve = resolve
    this.#reject = reject
  }

  /** True once a connection began to send the request: before, the server cannot have seen it. */
  get isSent(): boolean {
    return this.#controller !== undefined
  }

  /** Ends the exchange. A request that still waits for a connection will not be sent. */
  end(error: Error): void {
    this.#ended ??= error
    this.#reject(error)
    this.#controller?.abort(error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#ended === undefined) this.#controller = controller
    else controller.abort(this.#ended)
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    // An interim answer; the real one follows.
    if (status < 200) return
    this.#status = status
    this.#headers = flat(headers)
    if (Number(this.#headers['content-length']) > this.#maxResponseBytes) this.#tooLarge()
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.byteLength
    if (this.#bytes > this.#maxResponseBytes) this.#tooLarge()
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    const [first] = this.#chunks
    const body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
    this.#resolve({ status: this.#status, headers: this.#headers, body })
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#reject(this.#ended ?? connectionError(error, this.isSent))
  }

  #tooLarge(): void {
    this.#chunks = []
    this.end(
      new RequestError('AnswerTooLargeError', `the answer has more than maxResponseBytes (${this.#maxResponseBytes})`, {
        isSent: true,
        $metadata: metadataOf({ status: this.#status, headers: this.#headers }),
      }),
    )
  }
}

/** Keeps message and code. The error itself is no cause: some of undici's hold what was received. */
function connectionError(error: Error, isSent: boolean): RequestError {
  const code: unknown = Reflect.get(error, 'code')
  const named = typeof code === 'string' ? { code } : {}
  // Of several addresses that were tried, only the code says something.
  const message = error.message === '' ? `the connection failed: ${named.code ?? error.name}` : error.message
  return new RequestError('ConnectionError', message, { isSent, ...named })
}

function flat(headers: Headers): Answer['headers'] {
  const made: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(headers)) {
    made[name.toLowerCase()] = Array.isArray(value) ? value[0] : value
  }
  return made
}
