import { type Clock, deadline, messageOf, SluiceError } from '@sluice/core'
import { Agent } from 'undici'
import { type CallResult, readAnswer } from './answer.ts'
import { ClockSkew } from './clock-skew.ts'
import { HeldCredentials } from './credentials.ts'
import { Exchange } from './exchange.ts'
import { checkedOptions, type JsonClientOptions, MAX_TIMEOUT_MS } from './options.ts'
import { RequestError } from './request-error.ts'
import { checkedEndpoint, type ResolvedEndpoint, resolveEndpoint, type SdkIdentity } from './sdk-client.ts'
import { RequestSigner, type Target, targetOf } from './signed-request.ts'

/** Options of one call. */
export interface CallOptions {
  /** Where to send this request, such as an endpoint that the service's discovery named. @default the client's endpoint */
  readonly endpoint?: URL
  /** Ends the call with an `AbortError`. It proves nothing about the service: see `isSent` of the error. */
  readonly signal?: AbortSignal
  /** Instead of the client's `timeoutMs`: 1 to 900000. */
  readonly timeoutMs?: number
}

/** What a call needs before it can be signed. */
interface Ready {
  readonly url: URL
  readonly signer: RequestSigner
  readonly identity: SdkIdentity
}

/**
 * Calls operations of an AWS service that speaks AWS JSON: signed, over kept connections, one attempt each. It does what an SDK client
 * does for a data-plane call, without the serialisation and the middleware, which cost more than the request: the body is given as
 * JSON. Repeats are the caller's: `classifyAwsError` of this package says which errors ask for one.
 *
 * See https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
 *
 * @example
 * ```ts
 * const client = new JsonClient({
 *   client: new TimestreamWriteClient({ region: 'eu-west-1' }),
 *   service: {
 *     signingName: 'timestream',
 *     targetPrefix: 'Timestream_20181101',
 *     contentType: 'application/x-amz-json-1.0',
 *     exceptions: (name) => EXCEPTIONS.get(name),
 *   },
 *   maxConnections: 50,
 *   timeoutMs: 20_000,
 * })
 * const { body, metadata } = await client.call('WriteRecords', JSON.stringify(request), { endpoint })
 * await client.close()
 * ```
 */
export class JsonClient implements AsyncDisposable {
  readonly #options: Required<JsonClientOptions>
  readonly #clock: Clock
  readonly #agent: Agent
  readonly #skew: ClockSkew
  readonly #credentials: HeldCredentials
  readonly #calls = new Set<Promise<unknown>>()
  #resolving: Promise<ResolvedEndpoint> | undefined
  #resolved: { readonly url: URL; readonly signer: RequestSigner } | undefined
  /** That of the last request: most go where it went. */
  #target: Target | undefined
  #closing: Promise<void> | undefined

  /** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
  constructor(options: JsonClientOptions) {
    this.#options = checkedOptions(options)
    const { client, maxConnections, connectTimeoutMs, clock } = this.#options
    this.#clock = clock
    this.#skew = new ClockSkew(clock)
    this.#credentials = new HeldCredentials(client.config, () => this.#skew.now())
    this.#agent = new Agent({
      connections: maxConnections,
      pipelining: 1,
      allowH2: false,
      // The deadline of the call covers both.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 20_000,
      connectTimeout: connectTimeoutMs,
      connect: { timeout: connectTimeoutMs, rejectUnauthorized: true },
    })
  }

  /**
   * Where requests go, as the SDK client says. `isCustom` is true if the user named the endpoint, in code, environment or shared files.
   *
   * @throws what the SDK throws, such as for a missing region.
   */
  async endpoint(): Promise<{ readonly url: URL; readonly isCustom: boolean }> {
    const { url, isCustom } = await this.#resolve()
    return { url: new URL(url), isCustom }
  }

  /**
   * Sends one request, once.
   *
   * @param operation - name of the operation: `WriteRecords`.
   * @param body - the JSON of its input. Bytes must stay as they are until the call ends.
   * @throws an exception of the SDK for an error of the service; {@link RequestError} when there is no answer that can be read; what
   *   the SDK's region and credentials throw; SluiceError `SLUICE_CLOSED` after {@link JsonClient.close}.
   */
  async call(operation: string, body: Uint8Array | string, options: CallOptions = {}): Promise<CallResult> {
    if (this.#closing !== undefined) throw new SluiceError('SLUICE_CLOSED', 'the JsonClient is closed')
    const call = this.#withDeadline(operation, body, options)
    this.#calls.add(call)
    try {
      return await call
    } finally {
      this.#calls.delete(call)
    }
  }

  /** Waits for the calls under way, each of which ends in its time, then ends the connections. Further calls are refused. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#calls).then(() => this.#agent.destroy())
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #withDeadline(operation: string, body: Uint8Array | string, options: CallOptions): Promise<CallResult> {
    const { signal, endpoint, timeoutMs = this.#options.timeoutMs } = options
    if (!/^\w+$/.test(operation)) throw invalid(`operation must be a name, got '${operation.slice(0, 100)}'`)
    if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) throw invalid(`timeoutMs must be from 1 to ${MAX_TIMEOUT_MS}`)
    if (endpoint !== undefined) checkedEndpoint(endpoint)
    if (signal?.aborted === true) throw aborted(signal, false)
    const exchange = new Exchange(this.#options.maxResponseBytes)
    const timer = deadline(this.#clock, timeoutMs, () => exchange.end(timedOut(timeoutMs, exchange.isSent)))
    const onAbort = (): void => exchange.end(aborted(signal, exchange.isSent))
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await this.#exchange(exchange, operation, body, endpoint)
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #exchange(
    exchange: Exchange,
    operation: string,
    body: Uint8Array | string,
    endpoint: URL | undefined,
  ): Promise<CallResult> {
    const { service } = this.#options
    // Whoever gives credentials knows no deadline.
    const ready = this.#ready() ?? (await Promise.race([this.#prepare(), exchange.answer as Promise<never>]))
    const { signer, identity } = ready
    const target = this.#targetOf(endpoint ?? ready.url)
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const { offsetMs } = this.#skew
    const request = { target, operation: `${service.targetPrefix}.${operation}`, contentType: service.contentType }
    const headers = signer.headers({ ...request, body: bytes }, identity, this.#skew.now())
    this.#agent.dispatch({ origin: target.origin, path: target.path, method: 'POST', headers, body: bytes }, exchange)
    const answer = await exchange.answer
    return readAnswer(answer, { service, identity, offsetMs, skew: this.#skew, credentials: this.#credentials })
  }

  /** What is there without waiting: everything, but for the first request and rare others. */
  #ready(): Ready | undefined {
    if (this.#resolved === undefined) return undefined
    const identity = this.#credentials.get()
    return identity instanceof Promise ? undefined : { ...this.#resolved, identity }
  }

  async #prepare(): Promise<Ready> {
    const [resolved, identity] = await Promise.all([this.#resolve(), this.#credentials.get()])
    this.#resolved ??= { url: resolved.url, signer: new RequestSigner(resolved) }
    return { ...this.#resolved, identity }
  }

  #resolve(): Promise<ResolvedEndpoint> {
    const { client, service } = this.#options
    this.#resolving ??= resolveEndpoint(client, service.signingName).catch((error: unknown) => {
      this.#resolving = undefined
      throw error
    })
    return this.#resolving
  }

  #targetOf(url: URL): Target {
    if (this.#target?.href !== url.href) this.#target = targetOf(url)
    return this.#target
  }
}

function invalid(problem: string): SluiceError {
  return new SluiceError('SLUICE_OPTIONS_INVALID', `JsonClient.call: ${problem}`)
}

function timedOut(timeoutMs: number, isSent: boolean): RequestError {
  const what = isSent ? 'no whole answer' : 'the request could not be sent'
  return new RequestError('TimeoutError', `${what} within timeoutMs (${timeoutMs})`, { isSent, code: 'ETIMEDOUT' })
}

function aborted(signal: AbortSignal | undefined, isSent: boolean): RequestError {
  return new RequestError('AbortError', `aborted: ${messageOf(signal?.reason)}`, { isSent, cause: signal?.reason })
}
