import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Content } from './content.ts'
import type { Received } from './received.ts'
import { BATCH } from './shapes.ts'

// A store that does nothing but read, in a process of its own, with no more of HTTP than its callers use: it must not be what is
// measured. It keeps the bodies; what they say is looked at when it is asked for, outside the clock of whoever sent them.

const HEAD_END = '\r\n\r\n'
/** To count the records of a body would take longer than to read it: nearly all have a full batch. */
const INGESTED = JSON.stringify({ RecordsIngested: { MemoryStore: BATCH, MagneticStore: 0, Total: BATCH } })
const ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: 00000000-0000-4000-8000-000000000000\r\n' +
    `content-length: ${INGESTED.length}\r\n\r\n${INGESTED}`,
)

let bodies: Buffer[][] = []
let bytes = 0
/** Connections that brought requests. */
let used = new Set<Socket>()
let cpuStart = process.cpuUsage()

function serve(socket: Socket): void {
  let begun: Buffer | undefined
  let body: Buffer[] = []
  /** Of the body under way; -1 while a head is read. */
  let missing = -1
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk
    if (missing < 0) {
      // A head that comes in pieces is rare: it is then put together.
      if (begun !== undefined) rest = Buffer.concat([begun, rest])
      const end = rest.indexOf(HEAD_END)
      begun = end < 0 ? rest : undefined
      if (end < 0) return
      const head = rest.toString('latin1', 0, end)
      rest = rest.subarray(end + HEAD_END.length)
      if (!head.startsWith('POST')) {
        answerQuestion(socket, head.slice(head.indexOf(' ') + 1, head.indexOf(' HTTP')))
        return
      }
      missing = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1])
      used.add(socket)
    }
    if (rest.byteLength > 0) body.push(rest)
    missing -= rest.byteLength
    if (missing > 0) return
    if (missing < 0) throw new Error('a caller sends requests before it has the answer')
    missing = -1
    bodies.push(body)
    for (const part of body) bytes += part.byteLength
    body = []
    socket.write(ANSWER)
  })
}

function answerQuestion(socket: Socket, path: string): void {
  const answer = JSON.stringify(path === '/received' ? received() : {})
  bodies = []
  bytes = 0
  used = new Set()
  socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${answer.length}\r\nconnection: close\r\n\r\n${answer}`)
  cpuStart = process.cpuUsage()
}

function received(): Received {
  const { user, system } = process.cpuUsage(cpuStart)
  const content = new Content()
  for (const body of bodies) content.add(Buffer.concat(body))
  return {
    content: content.digest(),
    requests: bodies.length,
    bytes,
    billedUnits: content.billedUnits,
    connections: used.size,
    cpuSeconds: (user + system) / 1e6,
  }
}

const server = createServer(serve)
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening on ${(server.address() as AddressInfo).port}\n`)
})
