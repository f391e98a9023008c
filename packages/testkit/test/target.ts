import { once } from 'node:events'
import { createServer, request, type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { buffer, text } from 'node:stream/consumers'

/** A request that the target has read in whole. */
export interface Applied {
  readonly path: string
  readonly body: string
  readonly rawHeaders: readonly string[]
  readonly atMs: number
}

export interface Target extends AsyncDisposable {
  readonly port: number
  readonly applied: Applied[]
  /** Client connections that ended before their answer. */
  readonly abandoned: string[]
}

/** A real HTTP server that keeps what it received and echoes it; `/never` is never answered, `/break` breaks off. */
export async function startTarget(): Promise<Target> {
  const applied: Applied[] = []
  const abandoned: string[] = []
  const server = createServer((req, res) => {
    res.on('close', () => {
      if (!res.writableFinished) abandoned.push(req.url ?? '')
    })
    const apply = async (): Promise<void> => {
      const body = await text(req)
      applied.push({ path: req.url ?? '', body, rawHeaders: req.rawHeaders, atMs: performance.now() })
      if (req.url === '/never') return
      if (req.url === '/events') {
        res.write('first\n')
        return
      }
      if (req.url === '/break') {
        res.writeHead(200, { 'Content-Length': '1000' })
        res.write('part', () => req.socket.destroy())
        return
      }
      res.writeHead(200, 'Fine', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Applied', String(applied.length)])
      res.end(`echo ${body}`)
    }
    void apply()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no TCP address')
  return {
    port: address.port,
    applied,
    abandoned,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

export interface Answer {
  readonly status: number | undefined
  readonly statusMessage: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Send {
  readonly path?: string
  readonly body?: string | readonly string[]
  readonly headers?: Record<string, string> | readonly string[]
  readonly agent?: Agent
  readonly signal?: AbortSignal
}

/** Sends a POST. A body in several pieces goes chunked. Rejects with the socket's error. */
export async function send(port: number, options: Send = {}): Promise<Answer> {
  const { path = '/', body = '', headers = {}, agent, signal } = options
  const req = request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    headers,
    ...(agent && { agent }),
    ...(signal && { signal }),
  })
  const answered = once(req, 'response')
  // An error after the head is told by the response.
  req.on('error', () => {})
  if (typeof body === 'string') req.end(body)
  else {
    for (const piece of body) req.write(piece)
    req.end()
  }
  const [res]: IncomingMessage[] = await answered
  if (res === undefined) throw new Error('no answer')
  const bytes = await buffer(res)
  return { status: res.statusCode, statusMessage: res.statusMessage, headers: res.headers, body: bytes.toString() }
}
