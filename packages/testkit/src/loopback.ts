import { Server } from 'node:net'

import { report } from './lifeline.ts'
import type { ListenReport } from './listen-report.ts'

// Preloaded into servers that know no host option: every TCP listener of the process binds 127.0.0.1. A server that
// cannot be told "any free port" is given well-known numbers, and SLUICE_TESTKIT_PORTS says what each becomes:
// "4567:0,4568:0". What was bound is reported to the parent, so no port is chosen before it is bound.
const ports = new Map<number, number>()
for (const pair of (process.env['SLUICE_TESTKIT_PORTS'] ?? '').split(',').filter(Boolean)) {
  const [requested, bound] = pair.split(':').map(Number)
  if (requested !== undefined && bound !== undefined) ports.set(requested, bound)
}

// oxlint-disable-next-line typescript/unbound-method -- only ever applied to the server that it is called on
Server.prototype.listen = new Proxy(Server.prototype.listen, {
  apply(listen, server: Server, args: unknown[]): unknown {
    const target = tcpTarget(args)
    if (target === undefined) return Reflect.apply(listen, server, args)
    const requested = target.port
    server.once('listening', () => {
      const address = server.address()
      if (typeof address === 'object' && address !== null) {
        report({ requested, port: address.port } satisfies ListenReport)
      }
    })
    server.once('error', (error: NodeJS.ErrnoException) => {
      report({ requested, failed: error.code ?? error.message } satisfies ListenReport)
    })
    const options = { ...target, host: '127.0.0.1', port: ports.get(requested) ?? requested }
    const callback = args.findLast((arg) => typeof arg === 'function')
    return Reflect.apply(listen, server, callback === undefined ? [options] : [options, callback])
  },
})

/** The options of a TCP listen call in any of its forms; undefined for a path, a file descriptor or a handle. */
function tcpTarget(args: readonly unknown[]): { readonly port: number; readonly backlog?: number } | undefined {
  const [first, second, third] = args
  if (typeof first === 'object' && first !== null) {
    return 'port' in first ? { ...first, port: Number(first.port ?? 0) } : undefined
  }
  if (typeof first === 'string' && !/^\d+$/.test(first)) return undefined
  const port = first === undefined || first === null || typeof first === 'function' ? 0 : Number(first)
  const backlog = [second, third].find((arg) => typeof arg === 'number')
  return backlog === undefined ? { port } : { port, backlog }
}
