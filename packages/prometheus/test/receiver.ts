import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it arrived. */
export interface Received {
  readonly headers: IncomingHttpHeaders
  /** Name and value pairs as they were sent, in order. */
  readonly rawHeaders: readonly string[]
  readonly method: string
  readonly path: string
  /** As it was sent, compressed. */
  readonly body: Buffer
}

/** What the receiver is to do with a request. */
export type Command =
  | { readonly status: number; readonly text?: string; readonly headers?: Readonly<Record<string, string>> }
  /** Ends the connection without an answer. */
  | 'cut'
  /** Never answers. */
  | 'silent'

/** An HTTP server that answers as it is told and remembers what it received. */
export class Receiver implements AsyncDisposable {
  readonly received: Received[] = []
  /** Asked for each request. */
  decide: (request: Received, number: number) => Command | Promise<Command> = () => ({ status: 204 })
  /** Connections that were made. */
  connections = 0
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { headers, rawHeaders, method = '', url: path = '' } = request
      const received = { headers, rawHeaders, method, path, body: Buffer.concat(chunks) }
      this.received.push(received)
      void this.#answer(received, this.received.length - 1, response)
    })
  }).on('connection', () => this.connections++)

  static async start(): Promise<Receiver> {
    const receiver = new Receiver()
    receiver.#server.listen(0, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/api/v1/write`
  }

  /** Answers the next requests as they are listed, and all others with 204. */
  script(...commands: readonly Command[]): void {
    const from = this.received.length
    this.decide = (_, number) => commands[number - from] ?? { status: 204 }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(received: Received, number: number, response: ServerResponse): Promise<void> {
    const command = await this.decide(received, number)
    if (command === 'silent') return
    if (command === 'cut') response.socket?.destroy()
    else response.writeHead(command.status, command.headers).end(command.text)
  }
}
