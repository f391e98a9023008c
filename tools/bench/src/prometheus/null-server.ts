import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Content } from './content.ts'
import { RUN_LABEL } from './workload.ts'

// A receiver that does nothing but read, in a process of its own. It keeps the bodies: what they say is looked at when it is asked
// for, outside the clock of whoever sent them.
const bodies: Buffer[] = []
let bytes = 0
let requests = 0

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    const content = new Content(RUN_LABEL)
    for (const body of bodies) content.addCompressed(body)
    response.end(JSON.stringify({ content: content.digest(), bytes, requests }))
    bodies.length = 0
    bytes = 0
    requests = 0
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
  })
  request.on('end', () => {
    requests++
    bodies.push(Buffer.concat(chunks))
    response.writeHead(204).end()
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening on ${(server.address() as AddressInfo).port}\n`)
})
