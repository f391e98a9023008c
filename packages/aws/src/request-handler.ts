import { Readable } from 'node:stream'
import { OptionsCheck } from '@sluice/core'
import { NodeHttpHandler } from '@smithy/node-http-handler'

export interface RequestHandlerOptions {
  /** Connections kept to one host, at most: as many as requests may be in flight. @default 50 */
  readonly maxSockets?: number
  /** Milliseconds to establish a connection, at most. @default 5000 */
  readonly connectionTimeoutMs?: number
  /** Milliseconds from sending one try of a request to the end of its answer, at most. @default 20000 */
  readonly requestTimeoutMs?: number
}

/**
 * The HTTP handler for AWS clients of Sluice connectors: HTTP/1.1 (the handler that the Kinesis client makes by itself speaks
 * HTTP/2, which servers on plain http do not), connections kept alive, and a deadline for every request. The SDK has no
 * deadline unless it is given one, and 50 connections.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem.
 * @example
 * ```ts
 * const client = new KinesisClient({ requestHandler: awsRequestHandler({ maxSockets: 100 }) })
 * ```
 */
export function awsRequestHandler(options: RequestHandlerOptions = {}): NodeHttpHandler {
  const names = ['maxSockets', 'connectionTimeoutMs', 'requestTimeoutMs'] as const
  const check = new OptionsCheck('awsRequestHandler', options, names)
  for (const name of names) check.integer(name)
  check.throwIfAny()
  const { maxSockets = 50, connectionTimeoutMs = 5000, requestTimeoutMs = 20_000 } = options
  const agent = { keepAlive: true, maxSockets }
  return new EndingHandler({
    httpAgent: agent,
    httpsAgent: agent,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    // Without it a request over its time is logged and goes on.
    throwOnRequestTimeout: true,
  })
}

type Handle = NodeHttpHandler['handle']

/** Does what the handler of the SDK does not: ends an answer whose body does not end, and with `destroy` every connection. */
class EndingHandler extends NodeHttpHandler {
  /** The SDK's own deadline ends with the head of the answer. */
  override async handle(...[request, options]: Parameters<Handle>): ReturnType<Handle> {
    const startedAt = performance.now()
    const answer = await super.handle(request, options)
    const body: unknown = answer.response.body
    const timeoutMs = options?.requestTimeout ?? this.httpHandlerConfigs().requestTimeout
    if (timeoutMs !== undefined && body instanceof Readable && !body.destroyed) {
      const leftMs = Math.max(0, timeoutMs - (performance.now() - startedAt))
      const timer = setTimeout(() => body.destroy(overdue(timeoutMs)), leftMs)
      body.once('close', () => clearTimeout(timer))
    }
    return answer
  }

  /**
   * When a connection ends, Node opens another one for a request that waits, also if that was aborted, and keeps it although the agent
   * was destroyed.
   */
  override destroy(): void {
    const { httpAgent, httpsAgent } = this.httpHandlerConfigs()
    for (const agent of [httpAgent, httpsAgent]) {
      // Also of those that it opens from now on.
      if (agent !== undefined && 'keepSocketAlive' in agent) agent.keepSocketAlive = () => undefined
    }
    super.destroy()
  }
}

/** As the SDK's own handler says it. */
function overdue(timeoutMs: number): Error {
  const error = new Error(`the answer did not end within ${timeoutMs} ms`)
  return Object.assign(error, { name: 'TimeoutError', code: 'ETIMEDOUT' })
}
