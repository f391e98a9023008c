import { once } from 'node:events'
import { Agent, createServer } from 'node:http'

import type { ExchangeObserver } from './exchange-observer.ts'
import { Exchange, type ProxyContext, type ProxyTally } from './exchange.ts'
import { FaultPlan } from './fault-plan.ts'
import type {
  ActiveFault,
  Fault,
  FaultCount,
  FaultKind,
  FaultRule,
  RequestInfo,
  ResponseFault,
  ResponseInfo,
} from './faults.ts'

/** Options of {@link startFaultProxy}. */
export interface FaultProxyOptions {
  /** The real server: plain HTTP/1.1. */
  readonly target: { readonly host: string; readonly port: number }
  /** Port of the proxy on 127.0.0.1; 0 takes a free one. @default 0 */
  readonly port?: number
  /** Seeded numbers from 0 to below 1, for rules with a `probability`. */
  readonly random?: () => number
  /**
   * Asked for every request, before the rules; undefined leaves the request to them. The request is held until it
   * answers. A throw resets the connection and is listed in `problems`.
   */
  readonly onRequest?: (info: RequestInfo) => Promise<Fault | undefined> | Fault | undefined
  /**
   * Asked for every answer that no fault is waiting for; undefined passes it on. With it, answers are read to their end
   * before they are passed on; without it they stream.
   */
  readonly onResponse?: (info: ResponseInfo) => Promise<ResponseFault | undefined> | ResponseFault | undefined
  /** Is told of requests, answers and faults. With `answered`, answers are read to their end before they are passed on. */
  readonly observer?: ExchangeObserver
  /** Limit of one body that has to be held; a larger one is a problem and ends the connection. @default 16 MiB */
  readonly maxBodyBytes?: number
}

/** Requests by what became of them, and faults. */
export interface ProxyCounters extends Readonly<ProxyTally> {
  /** Requests received in whole. */
  readonly requests: number
  /** Requests sent on to the target. */
  readonly forwarded: number
  /** Requests whose answer from the target the client got in whole, late ones included. */
  readonly passed: number
  /** Answers read from the target that the client did not get, or not in whole. */
  readonly responsesCut: number
  /** Requests never forwarded because the client left while they were held. */
  readonly dropped: number
  /** Requests that the target did not answer: refused or broken connections. */
  readonly targetFailures: number
  readonly faults: Readonly<Record<FaultKind, FaultCount>>
}

/** A running fault proxy. */
export interface FaultProxy extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string
  readonly port: number
  readonly faults: {
    /**
     * Puts a fault in force. The first rule that wants a request, in the order of adding, has it.
     *
     * @throws RangeError for a bad `times`, `probability` or `delayMs`
     */
    add(rule: FaultRule): ActiveFault
    /** Takes all rules out of force; the counters stay. */
    clear(): void
  }
  counters(): ProxyCounters
  /** What went wrong in the proxy itself, its hooks or the target; the last 100. A clean run has none. */
  readonly problems: readonly string[]
  /** Destroys every connection and stops listening. Idempotent. */
  close(): Promise<void>
}

const MAX_PROBLEMS = 100

/**
 * Starts an HTTP/1.1 proxy on 127.0.0.1 that breaks connections on purpose, on whole requests and answers: before the
 * target applied a request, or after it.
 *
 * Headers and bodies pass unchanged (repeats, order and case too); `Connection` and `Keep-Alive` belong to each side.
 * Without a fault the proxy sets no time limit and makes no answer of its own: where the target cannot be reached or breaks off,
 * the client's connection is reset; where the client leaves, the connection to the target is ended. No upgrade, no
 * CONNECT, no TLS.
 *
 * @throws Error when the port is taken
 *
 * @example
 * ```ts
 * await using proxy = await startFaultProxy({ target: { host: '127.0.0.1', port: server.port } })
 * proxy.faults.add({
 *   kind: 'cutAfterApply',
 *   times: 3,
 *   match: ({ headers }) => headers['x-amz-target'] === 'Timestream_20181101.WriteRecords',
 * })
 * ```
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { target, port = 0, random, onRequest, onResponse, observer = {}, maxBodyBytes = 16 * 1024 * 1024 } = options
  const plan = new FaultPlan(random)
  const tally: ProxyTally = { requests: 0, forwarded: 0, passed: 0, responsesCut: 0, dropped: 0, targetFailures: 0 }
  const problems: string[] = []
  const problem = (text: string): void => {
    problems.push(text)
    if (problems.length > MAX_PROBLEMS) problems.shift()
  }
  const agent = new Agent({ keepAlive: true })
  const context: ProxyContext = { target, agent, maxBodyBytes, plan, tally, onRequest, onResponse, observer, problem }
  // An idle connection is ended by its client, never by the proxy: that would be a fault that nobody planned.
  const server = createServer({ keepAliveTimeout: 0 }, (req, res) => void new Exchange(context, req, res).run())
  server.on('clientError', (error, socket) => {
    problem(`not an HTTP/1.1 request: ${String(error)}`)
    socket.destroy()
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening').catch((error: unknown) => {
    throw new Error(`the fault proxy cannot listen on 127.0.0.1:${port}: ${String(error)}`, { cause: error })
  })
  const address = server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  const close = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    server.closeAllConnections()
    agent.destroy()
    await closed
  }
  return {
    endpoint: `http://127.0.0.1:${bound}`,
    port: bound,
    faults: { add: (rule) => plan.add(rule), clear: () => plan.clear() },
    counters: () => ({ ...tally, faults: plan.counts() }),
    problems,
    close,
    [Symbol.asyncDispose]: close,
  }
}
