import { once } from 'node:events'
import { request, type Agent, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import type { ExchangeObserver } from './exchange-observer.ts'
import type { FaultPlan, TakenFault } from './fault-plan.ts'
import {
  isResponseFault,
  type Fault,
  type RequestFault,
  type RequestInfo,
  type ResponseFault,
  type ResponseInfo,
} from './faults.ts'
import { BodyTooLargeError, forwardedHeaders, headerPairs, readBody } from './message-body.ts'

/** Requests by what became of them. */
export interface ProxyTally {
  requests: number
  forwarded: number
  passed: number
  responsesCut: number
  dropped: number
  targetFailures: number
}

/** What all exchanges of a proxy share. */
export interface ProxyContext {
  readonly target: { readonly host: string; readonly port: number }
  readonly agent: Agent
  readonly maxBodyBytes: number
  readonly plan: FaultPlan
  readonly tally: ProxyTally
  readonly onRequest: ((info: RequestInfo) => Promise<Fault | undefined> | Fault | undefined) | undefined
  readonly onResponse:
    | ((info: ResponseInfo) => Promise<ResponseFault | undefined> | ResponseFault | undefined)
    | undefined
  readonly observer: ExchangeObserver
  readonly problem: (text: string) => void
}

/** One request's way through the proxy. */
export class Exchange {
  readonly #context: ProxyContext
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  /** Kept: a destroyed message forgets its socket. */
  readonly #socket: Socket
  /** Aborted when the client's connection has ended before its answer. */
  readonly #gone = new AbortController()
  readonly #left: Promise<undefined>
  #upstream: ClientRequest | undefined

  constructor(context: ProxyContext, req: IncomingMessage, res: ServerResponse) {
    this.#context = context
    this.#req = req
    this.#res = res
    this.#socket = req.socket
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#left = promise
    const onClose = (): void => {
      this.#gone.abort()
      // As without a proxy, the target notices that its client has left.
      this.#upstream?.destroy()
      resolve(undefined)
    }
    this.#socket.once('close', onClose)
    res.once('finish', () => this.#socket.off('close', onClose))
    res.on('error', () => {})
    res.sendDate = false
  }

  /** Never rejects: whatever goes wrong ends the client's connection and is a problem of the proxy. */
  async run(): Promise<void> {
    try {
      await this.#run()
    } catch (error) {
      if (this.#gone.signal.aborted && !(error instanceof BodyTooLargeError)) return
      this.#context.problem(`${this.#req.method} ${this.#req.url}: ${String(error)}`)
      this.#socket.resetAndDestroy()
    }
  }

  async #run(): Promise<void> {
    const info = await this.#receive()
    this.#context.observer.received?.(info)
    const taken = await this.#choose(info)
    if (this.#gone.signal.aborted) {
      this.#context.tally.dropped += 1
      taken?.missed()
      return
    }
    if (taken === undefined || isResponseFault(taken.fault)) return this.#exchange(info, taken)
    if (await this.#beforeApply(taken, taken.fault)) return this.#exchange(info, undefined)
  }

  async #receive(): Promise<RequestInfo> {
    const body = await readBody(this.#req, this.#context.maxBodyBytes)
    this.#context.tally.requests += 1
    return {
      number: this.#context.tally.requests,
      method: this.#req.method ?? '',
      path: this.#req.url ?? '',
      headers: this.#req.headers,
      body,
      bodyBytes: body.byteLength,
    }
  }

  async #choose(info: RequestInfo): Promise<TakenFault | undefined> {
    const { onRequest, plan } = this.#context
    const wanted = onRequest && (await Promise.race([onRequest(info), this.#left]))
    if (wanted !== undefined) return this.#observed(info, plan.chosen(wanted))
    return this.#gone.signal.aborted ? undefined : this.#observed(info, plan.take(info))
  }

  #observed(info: RequestInfo, taken: TakenFault | undefined): TakenFault | undefined {
    const { fired } = this.#context.observer
    if (taken === undefined || fired === undefined) return taken
    return {
      ...taken,
      fired: () => {
        taken.fired()
        fired(info, taken.fault)
      },
    }
  }

  /** Resolves with whether the request is to be forwarded. */
  async #beforeApply(taken: TakenFault, fault: RequestFault): Promise<boolean> {
    if (fault.kind === 'delayRequest') {
      const there = await this.#delay(taken, fault.delayMs)
      if (!there) this.#context.tally.dropped += 1
      return there
    }
    taken.fired()
    switch (fault.kind) {
      case 'reset':
        this.#socket.resetAndDestroy()
        break
      case 'cutBeforeApply':
        this.#socket.destroy()
        break
      case 'respond':
        this.#res.writeHead(fault.status, fault.headers).end(fault.body)
        break
      case 'blackhole':
        break
    }
    return false
  }

  async #exchange(info: RequestInfo, planned: TakenFault | undefined): Promise<void> {
    let answer: IncomingMessage
    let body: Buffer | undefined
    try {
      answer = await this.#forward(info)
      if (planned === undefined && !this.#reads) return await this.#stream(answer)
      body = await readBody(answer, this.#context.maxBodyBytes)
    } catch (error) {
      planned?.missed()
      if (!this.#gone.signal.aborted) this.#context.tally.targetFailures += 1
      throw error
    } finally {
      this.#upstream = undefined
    }
    const { statusCode: status = 0, headers } = answer
    const answered: ResponseInfo = { request: info, status, headers, body, bodyBytes: body.byteLength }
    this.#context.observer.answered?.(answered)
    const taken = planned ?? (await this.#chooseResponse(answered))
    if (this.#gone.signal.aborted) taken?.missed()
    else if (taken === undefined) await this.#send(answer, body)
    else if (isResponseFault(taken.fault)) await this.#afterApply(taken, taken.fault, answer, body)
  }

  /** Whether answers are read to their end before they are passed on. */
  get #reads(): boolean {
    return this.#context.onResponse !== undefined || this.#context.observer.answered !== undefined
  }

  async #forward({ method, path, body }: RequestInfo): Promise<IncomingMessage> {
    const { target, agent, tally } = this.#context
    const headers = forwardedHeaders(this.#req.rawHeaders)
    const framed = 'content-length' in this.#req.headers || 'transfer-encoding' in this.#req.headers
    // Node would frame an empty body of a POST as chunked.
    if (!framed && method !== 'GET' && method !== 'HEAD') headers.push('Content-Length', '0')
    const upstream = request({ ...target, agent, method, path, headers })
    this.#upstream = upstream
    const answered = once(upstream, 'response')
    // An error after the answer's head is told by the answer.
    upstream.on('error', () => {})
    if (this.#req.rawTrailers.length > 0) upstream.addTrailers(headerPairs(this.#req.rawTrailers))
    upstream.end(body)
    tally.forwarded += 1
    const [answer]: IncomingMessage[] = await answered
    if (answer === undefined) throw new Error('no answer')
    return answer
  }

  /** Passes an answer on as it comes: it may be an event stream without end. */
  async #stream(answer: IncomingMessage): Promise<void> {
    this.#head(answer)
    this.#res.flushHeaders()
    for await (const chunk of answer) {
      if (!this.#res.write(chunk)) await once(this.#res, 'drain', { signal: this.#gone.signal })
    }
    await this.#end(answer)
  }

  async #send(answer: IncomingMessage, body: Buffer): Promise<void> {
    this.#head(answer)
    if (body.byteLength > 0) this.#res.write(body)
    await this.#end(answer)
  }

  #head(answer: IncomingMessage): void {
    if (/\bclose\b/i.test(answer.headers.connection ?? '')) this.#res.shouldKeepAlive = false
    this.#res.writeHead(answer.statusCode ?? 0, answer.statusMessage ?? '', forwardedHeaders(answer.rawHeaders))
  }

  async #end(answer: IncomingMessage): Promise<void> {
    if (answer.rawTrailers.length > 0) this.#res.addTrailers(headerPairs(answer.rawTrailers))
    const finished = once(this.#res, 'finish', { signal: this.#gone.signal })
    this.#res.end()
    await finished
    this.#context.tally.passed += 1
  }

  async #chooseResponse(answered: ResponseInfo): Promise<TakenFault | undefined> {
    const { onResponse, plan } = this.#context
    if (onResponse === undefined) return undefined
    const wanted = await Promise.race([onResponse(answered), this.#left])
    return wanted && this.#observed(answered.request, plan.chosen(wanted))
  }

  async #afterApply(taken: TakenFault, fault: ResponseFault, answer: IncomingMessage, body: Buffer): Promise<void> {
    const { tally } = this.#context
    switch (fault.kind) {
      case 'delayResponse':
        if (await this.#delay(taken, fault.delayMs)) await this.#send(answer, body)
        return
      case 'cutAfterApply':
        break
      case 'truncateResponse':
        if (body.byteLength > 0) await this.#sendHalf(answer, body)
        break
      case 'blackholeAfterApply':
        taken.fired()
        tally.responsesCut += 1
        return
      case 'respondAfterApply':
        taken.fired()
        tally.responsesCut += 1
        this.#res.writeHead(fault.status, fault.headers).end(fault.body)
        return
      case 'resetAfterApply':
        taken.fired()
        tally.responsesCut += 1
        this.#socket.resetAndDestroy()
        return
    }
    taken.fired()
    tally.responsesCut += 1
    this.#socket.destroy()
  }

  async #sendHalf(answer: IncomingMessage, body: Buffer): Promise<void> {
    this.#head(answer)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#res.write(body.subarray(0, body.byteLength >> 1), () => resolve())
    await Promise.race([promise, this.#left])
  }

  /** Resolves with whether the client was still there at the end. */
  async #delay(taken: TakenFault, delayMs: number): Promise<boolean> {
    await sleep(delayMs, undefined, { signal: this.#gone.signal }).catch(() => undefined)
    if (this.#gone.signal.aborted) taken.missed()
    else taken.fired()
    return !this.#gone.signal.aborted
  }
}
