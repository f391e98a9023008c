import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerControl, CONTROL_MAX_BYTES, CONTROL_PREFIX } from './control-endpoint.ts'
import { newCounters, type Counters, type MutableCounters } from './counters.ts'
import { DataDir } from './data-dir.ts'
import { Discovery } from './discovery.ts'
import { Engine } from './engine.ts'
import { ServiceError, TimestreamLocalError } from './errors.ts'
import { FaultSwitches, type FaultOptions, type Faults } from './faults.ts'
import { resolveOptions, type ResolvedOptions, type TimestreamLocalOptions } from './options.ts'
import { operationOf, readBody, sendError, sendResult } from './protocol.ts'
import { accessKeyOf, expiredToken, SignatureCheck } from './signature.ts'
import { hostNameOf, isFromForeignPage, isLocalName } from './web-pages.ts'
import type { RejectFault } from './write-records.ts'

/** Time that requests under way have to end at close. */
const CLOSE_GRACE_MS = 5000

/** A running server. */
export interface TimestreamLocal extends AsyncDisposable {
  /** Base URL for clients, as in `http://127.0.0.1:8086`. */
  readonly endpoint: string
  readonly port: number
  /** Folder with the journal; a temporary one unless `dataDir` was given. */
  readonly dataDir: string
  /** The journal file; read it with `readJournal`. */
  readonly journalPath: string
  /** Fault switches. */
  readonly faults: Faults
  /** What was taken since the start; the numbers go on changing. */
  readonly counters: Counters
  /**
   * Ends the endpoints that DescribeEndpoints told so far: clients that asked get InvalidEndpointException (421) until
   * they ask again.
   */
  expireEndpoints(): void
  /** Stops taking requests, lets those under way end (at most 5 s), closes the journal. Safe to call again. */
  close(): Promise<void>
}

/**
 * Starts Amazon Timestream for LiveAnalytics on this machine: the write and the query API on one port.
 *
 * @throws {TimestreamLocalError} with all problems of the options, or when the port or the folder is in use, the folder
 * cannot be used, or its journal is damaged.
 *
 * @example
 * ```ts
 * await using server = await startTimestreamLocal({ dataDir: './timestream' })
 * const client = new TimestreamWriteClient({ endpoint: server.endpoint, region: 'us-east-1' })
 * ```
 */
export async function startTimestreamLocal(options: TimestreamLocalOptions = {}): Promise<TimestreamLocal> {
  const resolved = resolveOptions(options)
  const folder = await DataDir.open(resolved.dataDir)
  const counters = newCounters()
  let engine: Engine | undefined
  try {
    engine = await Engine.open(folder, resolved, counters)
    return await LocalServer.listen(folder, engine, resolved, counters)
  } catch (error) {
    await engine?.close()
    folder.close()
    throw error
  }
}

class LocalServer implements TimestreamLocal {
  readonly endpoint: string
  readonly port: number
  readonly dataDir: string
  readonly journalPath: string
  readonly faults = new FaultSwitches()
  readonly counters: MutableCounters
  readonly #discovery: Discovery
  readonly #signatures: SignatureCheck | undefined
  readonly #folder: DataDir
  readonly #engine: Engine
  readonly #options: ResolvedOptions
  readonly #server: Server
  #underWay = 0
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  private constructor(
    server: Server,
    folder: DataDir,
    engine: Engine,
    options: ResolvedOptions,
    counters: MutableCounters,
  ) {
    const { port, family, address } = server.address() as AddressInfo
    const host = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : family === 'IPv6' ? `[${address}]` : address
    this.port = port
    this.endpoint = `http://${host}:${port}`
    this.dataDir = folder.path
    this.journalPath = folder.journalPath
    this.#folder = folder
    this.#engine = engine
    this.#options = options
    this.#server = server
    this.counters = counters
    this.#discovery = new Discovery(options.requireDiscovery, options.endpointTtlMinutes)
    this.#signatures = options.credentials && new SignatureCheck(options.credentials)
    for (const fault of options.faults) this.faults.add(fault)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response))
  }

  static async listen(
    folder: DataDir,
    engine: Engine,
    options: ResolvedOptions,
    counters: MutableCounters,
  ): Promise<LocalServer> {
    const server = createServer({
      requestTimeout: options.requestTimeoutMs,
      headersTimeout: Math.min(20_000, options.requestTimeoutMs),
      // Longer than clients keep idle connections, so that none is closed under a request.
      keepAliveTimeout: 75_000,
    })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${options.host}:${options.port}`
      const inUse = error.code === 'EADDRINUSE'
      const message = inUse
        ? `Port ${options.port} on ${options.host} is in use; choose another port, or 0 for a free one.`
        : `Cannot listen on ${where}: ${error.message}`
      const code = inUse ? 'TIMESTREAM_LOCAL_PORT_IN_USE' : 'TIMESTREAM_LOCAL_OPTIONS'
      reject(new TimestreamLocalError(code, [message], { cause: error }))
    })
    server.listen(options.port, options.host, resolve)
    await promise
    const local = new LocalServer(server, folder, engine, options, counters)
    options.logger?.info({ endpoint: local.endpoint, dataDir: folder.path }, 'timestream-local listens')
    return local
  }

  /** Whether a host name of a request is this server's; beyond loopback it may have any. */
  isOwnName(hostname: string): boolean {
    const { address } = this.#server.address() as AddressInfo
    return !/^(?:127\.|::1$)/.test(address) || isLocalName(hostname) || hostname === this.#options.host
  }

  expireEndpoints(): void {
    this.#discovery.expireAll()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#closing.abort()
    this.#server.closeIdleConnections()
    const force = setTimeout(() => this.#server.closeAllConnections(), CLOSE_GRACE_MS)
    await promise
    clearTimeout(force)
    // A handler may outlive its connection (a delay, a query that is being interrupted); it must not meet a closed engine.
    while (this.#underWay > 0) await sleep(5)
    await this.#engine.close()
    this.#folder.close()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID()
    this.#underWay++
    try {
      await this.#answer(request, response, requestId)
    } catch (error) {
      if (error instanceof ServiceError) {
        sendError(response, requestId, error)
      } else if (request.complete) {
        this.#options.logger?.error({ error, requestId }, 'A request failed in a way that was not foreseen')
        const message = error instanceof Error ? error.message : String(error)
        sendError(response, requestId, new ServiceError('InternalServerException', message))
      }
    } finally {
      this.#underWay--
      if (this.#closed !== undefined) this.#server.closeIdleConnections()
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    if (request.url?.startsWith(CONTROL_PREFIX) === true) {
      answerControl(request, response, await readBody(request, CONTROL_MAX_BYTES), this)
      return
    }
    if (isFromForeignPage(request)) {
      throw new ServiceError('AccessDeniedException', 'Requests from web pages of other machines are refused.')
    }
    const operation = operationOf(request)
    const body = await readBody(request, this.#options.maxRequestBytes)
    this.counters.requests++
    this.counters.requestBytes += body.length
    const accessKeyId = accessKeyOf(request) ?? ''
    const fault = this.faults.take(operation, accessKeyId)
    switch (fault?.kind) {
      case 'expireCredentials':
        throw expiredToken()
      case 'throttle':
        throw new ServiceError('ThrottlingException', fault.message ?? 'Rate exceeded')
      case 'fail':
        throw new ServiceError(fault.errorType ?? 'InternalServerException', fault.message ?? 'Injected failure')
      case 'cutBeforeApply':
        request.socket.destroy()
        return
      case 'delay':
        if (!(await this.#delay(fault.delayMs ?? 0))) {
          request.socket.destroy()
          return
        }
        break
      case 'cutAfterApply':
      case 'reject':
      case undefined:
        break
    }
    try {
      this.#signatures?.check(request, body)
      const result =
        operation === 'DescribeEndpoints'
          ? this.#discovery.describe(accessKeyId, hostNameOf(request) || '127.0.0.1')
          : await this.#run(operation, accessKeyId, body, requestId, response, fault)
      if (fault?.kind !== 'cutAfterApply') sendResult(response, requestId, result)
    } finally {
      if (fault?.kind === 'cutAfterApply') request.socket.destroy()
    }
  }

  /** False when the server closes meanwhile. */
  #delay(delayMs: number): Promise<boolean> {
    return sleep(delayMs, true, { signal: this.#closing.signal }).catch(() => false)
  }

  async #run(
    operation: string,
    accessKeyId: string,
    body: Buffer,
    requestId: string,
    response: ServerResponse,
    fault: FaultOptions | undefined,
  ): Promise<object> {
    this.#discovery.check(accessKeyId, operation)
    // Aborting costs much more than a small write: only queries look at it.
    const gone = operation === 'Query' ? new AbortController() : undefined
    if (gone !== undefined) response.once('close', () => gone.abort())
    const reject = fault?.kind === 'reject' ? rejectFault(fault) : undefined
    return await this.#engine.run(operation, {
      requestId,
      body,
      signal: gone?.signal,
      reject,
    })
  }
}

function rejectFault({ records = [0], message: reason = 'Injected rejection' }: FaultOptions): RejectFault {
  return { indexes: records, judgement: { outcome: 'rejected', store: 'memory', reason } }
}
