import { startFaultProxy, type FaultProxy, type FaultProxyOptions } from './fault-proxy.ts'
import type { FaultRule, RequestFault, RequestInfo, ResponseFault } from './faults.ts'
import {
  RemoteWriteJournal,
  type JournalledRequest,
  type RemoteWriteJournalOptions,
} from './remote-write-proxy-journal.ts'

/** Options of {@link startRemoteWriteProxy}. */
export interface RemoteWriteProxyOptions
  extends
    RemoteWriteJournalOptions,
    Pick<FaultProxyOptions, 'port' | 'random' | 'maxBodyBytes' | 'onRequest' | 'onResponse'> {
  /** Where the receiver takes remote write, by plain HTTP: `prometheus.remoteWriteUrl`. */
  readonly target: string
  /** Rules in force from the start, as of `faults.add`. @default none */
  readonly plan?: readonly FaultRule[]
}

/** Which requests a {@link Hold} is for. */
export interface HoldOptions {
  /** Whether the receiver has applied a request that is held. @default 'beforeApply' */
  readonly when?: 'beforeApply' | 'afterApply'
  /** @default every request */
  readonly match?: (request: RequestInfo) => boolean
  /** How many it takes; later ones pass. @default without end */
  readonly times?: number
}

/** Requests held back until they are released. */
export interface Hold extends Disposable {
  /** Requests that it has taken so far. */
  readonly caught: number
  /** Lets all of them go on, and takes no more. Idempotent. */
  release(): void
}

/** A running proxy in front of a receiver. */
export interface RemoteWriteProxy
  extends Pick<FaultProxy, 'port' | 'faults' | 'counters' | 'problems' | 'close'>, AsyncDisposable {
  /** Where senders send. */
  readonly remoteWriteUrl: string
  /** All requests so far, in the order of arrival in whole. */
  readonly journal: readonly JournalledRequest[]
  /**
   * Holds requests, or the receiver's answers to them, until released. A request is held before the rules are asked; an answer
   * only where no rule waits for it.
   */
  hold(options?: HoldOptions): Hold
}

/**
 * Starts a {@link startFaultProxy} in front of a receiver of remote write, that keeps a journal of what came and what the receiver
 * answered.
 *
 * @throws TypeError for a target that is not a plain HTTP URL
 * @throws RangeError for a bad rule of the plan
 * @throws Error when the port is taken, or the journal's file exists
 *
 * @example
 * ```ts
 * await using prometheus = await startPrometheus()
 * await using proxy = await startRemoteWriteProxy({ target: prometheus.remoteWriteUrl, journalFile: '/tmp/run-1.journal' })
 * proxy.faults.add({ ...respondWith(429, { retryAfter: 2 }), times: 3 })
 * proxy.faults.add({ kind: 'cutAfterApply', match: ({ number }) => number === 7 })
 * // the sender writes to proxy.remoteWriteUrl
 * proxy.journal.filter(({ answer }) => answer?.status === 204) // what the receiver accepted
 * ```
 */
export async function startRemoteWriteProxy(options: RemoteWriteProxyOptions): Promise<RemoteWriteProxy> {
  const { target, plan = [], journalFile, bodies, onRequest, onResponse, ...proxied } = options
  const url = new URL(target)
  if (url.protocol !== 'http:')
    throw new TypeError(`target must be a plain HTTP URL, and is ${url.protocol}//${url.host}`)
  const journal = new RemoteWriteJournal({ ...(journalFile && { journalFile }), ...(bodies && { bodies }) })
  const holds = { beforeApply: new Set<RunningHold>(), afterApply: new Set<RunningHold>() }
  try {
    const proxy = await startFaultProxy({
      ...proxied,
      target: { host: url.hostname, port: Number(url.port || 80) },
      observer: {
        received: (request) => journal.received(request),
        answered: (answer) => journal.answered(answer),
        fired: (request, fault) => journal.fired(request, fault),
      },
      onRequest: async (request) => {
        await heldBy(holds.beforeApply, request)
        return await onRequest?.(request)
      },
      onResponse: async (answer) => {
        await heldBy(holds.afterApply, answer.request)
        return await onResponse?.(answer)
      },
    })
    const close = async (): Promise<void> => {
      await proxy.close()
      journal.close()
    }
    try {
      for (const rule of plan) proxy.faults.add(rule)
    } catch (error) {
      await close()
      throw error
    }
    return {
      remoteWriteUrl: `${proxy.endpoint}${url.pathname}${url.search}`,
      port: proxy.port,
      faults: proxy.faults,
      counters: () => proxy.counters(),
      problems: proxy.problems,
      journal: journal.requests,
      hold: ({ when = 'beforeApply', ...wanted } = {}) => new RunningHold(holds[when], wanted),
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    journal.close()
    throw error
  }
}

/**
 * A fault by which the proxy answers in the receiver's place: `respondWith(429, { retryAfter: 2 })`.
 *
 * @param answer - `retryAfter`: seconds, or a date, which HTTP rounds down to seconds. `afterApply`: the receiver applies the
 *   request first. Default: it never sees it
 */
export function respondWith(
  status: number,
  answer: { readonly retryAfter?: number | Date; readonly body?: string; readonly afterApply?: boolean } = {},
): RequestFault | ResponseFault {
  const { retryAfter, body, afterApply = false } = answer
  const after = retryAfter instanceof Date ? retryAfter.toUTCString() : retryAfter
  return {
    kind: afterApply ? 'respondAfterApply' : 'respond',
    status,
    headers: after === undefined ? {} : { 'Retry-After': String(after) },
    ...(body !== undefined && { body }),
  }
}

async function heldBy(holds: ReadonlySet<RunningHold>, request: RequestInfo): Promise<void> {
  for (const hold of holds) {
    if (hold.takes(request)) {
      await hold.released
      return
    }
  }
}

class RunningHold implements Hold {
  readonly released: Promise<void>
  readonly #others: Set<RunningHold>
  readonly #options: Omit<HoldOptions, 'when'>
  readonly #release: () => void
  #caught = 0

  constructor(others: Set<RunningHold>, options: Omit<HoldOptions, 'when'>) {
    this.#others = others
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<void>()
    this.released = promise
    this.#release = resolve
    others.add(this)
  }

  get caught(): number {
    return this.#caught
  }

  takes(request: RequestInfo): boolean {
    const { match, times } = this.#options
    if (this.#caught === times || match?.(request) === false) return false
    this.#caught += 1
    return true
  }

  release(): void {
    this.#others.delete(this)
    this.#release()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
