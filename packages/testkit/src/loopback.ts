import { Server, type AddressInfo, type ListenOptions } from 'node:net'

import { report } from './lifeline.ts'

// Preloaded into servers that know no host option: every TCP listener of the process binds 127.0.0.1. A server that
// cannot be told "any free port" is given well-known numbers, and SLUICE_TESTKIT_PORTS says what each becomes:
// {"4568":0}. What was bound is reported to the parent, so no port is chosen before it is bound.
const ports = JSON.parse(process.env['SLUICE_TESTKIT_PORTS'] ?? '{}') as Readonly<Record<string, number>>

/** What the preload reports to the parent. */
export interface ListenReport {
  /** The port that the program asked for. */
  readonly requested: number
  /** The port that was bound. */
  readonly port?: number
  /** The system's error code when it could not be bound. */
  readonly failed?: string
}

type Listen = (this: Server, ...args: unknown[]) => Server

// oxlint-disable-next-line typescript/unbound-method -- called with the server as `this`
const originalListen = Server.prototype.listen as Listen

const listenOnLoopback: Listen = function (...args) {
  const target = tcpTarget(args)
  if (target === undefined) return originalListen.apply(this, args)
  const { host: _host, port: wanted, ...rest } = target
  const requested = Number(wanted ?? 0)
  const callback = args.findLast((arg) => typeof arg === 'function')
  this.once('listening', () => {
    report({ requested, port: (this.address() as AddressInfo).port } satisfies ListenReport)
  })
  this.once('error', (error: NodeJS.ErrnoException) => {
    report({ requested, failed: error.code ?? error.message } satisfies ListenReport)
  })
  const options: ListenOptions = { ...rest, host: '127.0.0.1', port: ports[requested] ?? requested }
  return originalListen.call(this, options, ...(callback ? [callback] : []))
}
Server.prototype.listen = listenOnLoopback as typeof Server.prototype.listen

/** The options of a TCP listen call in any of its forms; undefined for a path, a file descriptor or a handle. */
function tcpTarget(args: readonly unknown[]): ListenOptions | undefined {
  const [first, second, third] = args
  if (typeof first === 'object' && first !== null) return 'port' in first ? (first as ListenOptions) : undefined
  if (typeof first === 'string' && !/^\d+$/.test(first)) return undefined
  const backlog = [second, third].find((arg) => typeof arg === 'number')
  const port = first === undefined || first === null || typeof first === 'function' ? 0 : Number(first)
  return backlog === undefined ? { port } : { port, backlog }
}
