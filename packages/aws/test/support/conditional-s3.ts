import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/** A running front of an S3 server. */
export interface ConditionalS3 extends AsyncDisposable {
  readonly port: number
  readonly endpoint: string
}

/**
 * fauxqs 2.4.1 takes every put, whatever its condition is. This stands before it and decides `If-Match` and `If-None-Match` as
 * Amazon S3 does: one request after the other, 412 for a condition that is not met, 404 for `If-Match` without an object.
 */
export async function startConditionalS3(target: string): Promise<ConditionalS3> {
  let last: Promise<unknown> = Promise.resolve()
  const server = createServer((request, response) => {
    last = last.then(() => pass(target, request, response)).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function pass(target: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const url = new URL(request.url ?? '/', target)
  const refusal = request.method === 'PUT' ? await refusalOf(url, request.headers) : undefined
  if (refusal !== undefined) {
    response.writeHead(refusal === 'NoSuchKey' ? 404 : 412, { 'content-type': 'application/xml' })
    response.end(`<?xml version="1.0"?><Error><Code>${refusal}</Code><Message>${refusal}</Message></Error>`)
    return
  }
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    if (!['connection', 'content-length', 'expect', 'host', 'if-match', 'if-none-match'].includes(name))
      headers.set(name, String(value))
  }
  const body = chunks.length === 0 ? {} : { body: new Uint8Array(Buffer.concat(chunks)) }
  const answer = await fetch(url, { method: request.method ?? 'GET', headers, ...body })
  const passed = [...answer.headers].filter(
    ([name]) => !['connection', 'keep-alive', 'transfer-encoding'].includes(name),
  )
  const bytes = Buffer.from(await answer.arrayBuffer())
  response.writeHead(answer.status, Object.fromEntries(passed))
  response.end(bytes)
}

async function refusalOf(
  url: URL,
  headers: IncomingMessage['headers'],
): Promise<'NoSuchKey' | 'PreconditionFailed' | undefined> {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  const there = await fetch(new URL(url.pathname, url), { method: 'HEAD' })
  const etag = there.ok ? there.headers.get('etag') : undefined
  if (ifMatch !== undefined && etag === undefined) return 'NoSuchKey'
  if (ifMatch !== undefined && etag !== ifMatch) return 'PreconditionFailed'
  return ifNoneMatch === '*' && etag !== undefined ? 'PreconditionFailed' : undefined
}
