import type { IncomingHttpHeaders } from 'node:http'

/** A request that the proxy has received in whole. */
export interface RequestInfo {
  /** Running number, from 1, in the order of complete receipt. */
  readonly number: number
  readonly method: string
  /** Path and query, as sent. */
  readonly path: string
  /** Names in lower case: `headers['x-amz-target']`. */
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly bodyBytes: number
}

/** An answer of the target that the proxy has received in whole. */
export interface ResponseInfo {
  readonly request: RequestInfo
  readonly status: number
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly bodyBytes: number
}

/** An answer that the proxy makes itself. */
export interface ProxyAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** @default none */
  readonly body?: string
}

/**
 * Faults that take effect before the target sees the request.
 *
 * - `delayRequest`: the request is held for `delayMs`, then forwarded.
 * - `reset`: never forwarded; the client's connection is reset (RST).
 * - `cutBeforeApply`: never forwarded; the client's connection is closed without an answer.
 * - `blackhole`: never forwarded, never answered; the connection stays open.
 * - `respond`: never forwarded; the proxy answers in the target's place.
 */
export type RequestFault =
  | { readonly kind: 'delayRequest'; readonly delayMs: number }
  | { readonly kind: 'reset' | 'cutBeforeApply' | 'blackhole' }
  | ({ readonly kind: 'respond' } & ProxyAnswer)

/**
 * Faults that take effect when the target has applied the request and its answer was read to the end.
 *
 * - `delayResponse`: the answer is held for `delayMs`.
 * - `cutAfterApply`: the client's connection is closed without the answer.
 * - `truncateResponse`: the client gets the head and half of the body, then the connection is closed. An answer without a
 *   body is cut whole.
 * - `blackholeAfterApply`: the answer is kept back; the connection stays open.
 * - `resetAfterApply`: the client's connection is reset (RST).
 * - `respondAfterApply`: the client gets the proxy's answer and not the target's.
 */
export type ResponseFault =
  | { readonly kind: 'delayResponse'; readonly delayMs: number }
  | { readonly kind: 'cutAfterApply' | 'truncateResponse' | 'blackholeAfterApply' | 'resetAfterApply' }
  | ({ readonly kind: 'respondAfterApply' } & ProxyAnswer)

/** What the proxy can do to one request and its answer. */
export type Fault = RequestFault | ResponseFault

/** The name of a fault. */
export type FaultKind = Fault['kind']

/** A fault, and the requests that it is for. */
export type FaultRule = Fault & {
  /** Requests that it is for; aim it, so that it never hits a discovery call by chance. @default every request */
  readonly match?: (request: RequestInfo) => boolean
  /** How often it lands; a fault that misses, because the client left first, is tried again. @default without end */
  readonly times?: number
  /** Chance, 0 to 1, per matching request; drawn from the proxy's `random`. @default 1 */
  readonly probability?: number
}

/** What was planned and what landed. */
export interface FaultCount {
  /** `times` of the rules that have it and are in force; else how often the fault was chosen. Never below `fired`. */
  readonly planned: number
  /** How often it took effect on a connection whose client was still there. */
  readonly fired: number
}

/** A rule in force. */
export interface ActiveFault extends FaultCount {
  /** Takes it out of force; requests that it has hold of keep their fault. */
  remove(): void
}

const RESPONSE_KINDS: ReadonlySet<FaultKind> = new Set<ResponseFault['kind']>([
  'delayResponse',
  'cutAfterApply',
  'truncateResponse',
  'blackholeAfterApply',
  'resetAfterApply',
  'respondAfterApply',
])

/** Whether a fault waits for the target's answer. */
export function isResponseFault(fault: Fault): fault is ResponseFault {
  return RESPONSE_KINDS.has(fault.kind)
}
