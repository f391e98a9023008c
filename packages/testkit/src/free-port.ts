import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A TCP port that was free on 127.0.0.1 a moment ago, for servers that cannot be told to choose one themselves. Another
 * process may take it first: prefer port 0 wherever the server reports what it got.
 */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error(`not a TCP address: ${String(address)}`)
  return address.port
}
