import type { Fault, RequestInfo, ResponseInfo } from './faults.ts'

/**
 * Is told what happens to each request, before the next step is taken: what it has written down, it wrote before the client
 * could know. A throw resets the client's connection and is a problem of the proxy.
 */
export interface ExchangeObserver {
  /** A request was received in whole. */
  readonly received?: (request: RequestInfo) => void
  /** The target has answered, and its answer was read to the end. */
  readonly answered?: (answer: ResponseInfo) => void
  /** A fault takes effect. */
  readonly fired?: (request: RequestInfo, fault: Fault) => void
}
