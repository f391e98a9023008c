import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { MAX_BODY_BYTES, type Path, type Requests } from './protocol.ts'

/** What becomes of a request: an answer, a status without one, or the end of its connection. */
export type Reply<P extends Path> = { readonly answer: Requests[P]['answer'] } | { readonly status: number } | 'cut'

export type Handlers = {
  readonly [P in Path]: (request: Requests[P]['request'], sender: Sender) => Promise<Reply<P>> | Reply<P>
}

/** Whoever waits for the answer. */
export interface Sender {
  /** It closed the connection: what it sent and was held may never have arrived. */
  readonly isGone: boolean
}

/** Asked before each request is looked at; undefined lets it pass. */
export type RequestFault = (path: Path) => { readonly status: number } | 'cut' | undefined

const TIMEOUT_MS = 30_000

/** The memory service's door: JSON over HTTP on loopback. */
export class MemoryServer implements AsyncDisposable {
  readonly #server: Server
  readonly #handlers: Handlers
  readonly #fault: RequestFault

  constructor(handlers: Handlers, fault: RequestFault) {
    this.#handlers = handlers
    this.#fault = fault
    this.#server = createServer({ requestTimeout: TIMEOUT_MS, keepAliveTimeout: TIMEOUT_MS }, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get endpoint(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the memory service does not listen')
    return `http://127.0.0.1:${address.port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = Object.keys(this.#handlers).find((each): each is Path => each === request.url)
    const body = await bodyOf(request)
    const reply =
      path === undefined ? { status: 404 } : (this.#fault(path) ?? (await this.#handle(path, body, response)))
    if (reply === 'cut') {
      response.destroy()
      return
    }
    const text = 'answer' in reply ? JSON.stringify(reply.answer) : ''
    response.writeHead('answer' in reply ? 200 : reply.status, { 'content-length': Buffer.byteLength(text) })
    response.end(text)
  }

  async #handle<P extends Path>(path: P, body: string, response: ServerResponse): Promise<Reply<P>> {
    const request: Requests[P]['request'] = JSON.parse(body)
    return this.#handlers[path](request, {
      get isGone() {
        return response.destroyed
      },
    })
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new RangeError(`a request is larger than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
