import { ALL_WRITTEN, type Reason, SluiceError, type SubmitOutcome } from '@sluice/core'
import { accessDenied, destinationNotFound, receiverRefused, unsupportedProtocol, untrusted } from './errors.ts'
import type { WireProtocol } from './options.ts'
import { retryAfterMs } from './retry-after.ts'
import { type Answer, CredentialsError } from './transport.ts'

/**
 * What the end of a request means.
 *
 * - `written`: confirmed.
 * - `busy`: throttled or not available: the same again, later.
 * - `serverError`: as `busy`, but a receiver also answers 500 for what it will never take (Prometheus: repeated label names,
 *   samples that are too old).
 * - `unreachable`: nothing was sent; `cut`: it may have been applied.
 * - `unsigned`: the headers could not be made.
 * - `tooLarge`, `refused`: because of what is in it.
 * - `unsupported`: the receiver does not know the version of the protocol; `unconfirmed`: it says success, and does not say that it read it.
 * - `fellBack`: nothing was written, and from now on the destination is written to in another version.
 * - `caller`: credentials, a wrong address, or an answer that no receiver of remote write gives.
 */
export type WriteKind =
  | 'written'
  | 'busy'
  | 'serverError'
  | 'unreachable'
  | 'cut'
  | 'unsigned'
  | 'tooLarge'
  | 'refused'
  | 'unsupported'
  | 'unconfirmed'
  | 'fellBack'
  | 'caller'

/** What a request held, or what a receiver of 2.0 says it wrote of it. */
export interface WrittenCounts {
  readonly samples: number
  readonly histograms: number
  readonly exemplars: number
}

export interface WriteVerdict {
  readonly kind: WriteKind
  /** What core is told where neither the version of the protocol nor a policy says otherwise. */
  readonly outcome: SubmitOutcome
  /** Why; of `written` that it was. */
  readonly reason: Reason
  readonly status?: number
  /** What a receiver of 2.0 says it wrote. */
  readonly written?: WrittenCounts
  /** It may have been applied, so that a repeat may be refused for that alone. */
  readonly uncertain?: boolean
  /** The receiver took the request, and longer than `socketTimeoutMs` to answer it. */
  readonly timedOut?: boolean
}

/** What was sent, and where to. */
export interface SentRequest extends Pick<WrittenCounts, 'samples' | 'histograms'> {
  readonly protocol: WireProtocol
  /** For errors: without credentials and query. */
  readonly shownUrl: string
}

/**
 * Says what an answer means. Pure and total: every status has a verdict.
 *
 * See https://prometheus.io/docs/specs/prw/remote_write_spec/ (retries and backoff) and
 * https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ (partial writes, required `Written` headers)
 *
 * @param wallNow - milliseconds since the epoch, for `Retry-After`.
 */
export function classifyAnswer(answer: Answer, sent: SentRequest, wallNow: number): WriteVerdict {
  const { status } = answer
  if (status >= 200 && status < 300) return classifySuccess(answer, sent)
  const reason = reasonOf(answer)
  if (status === 429 || (status >= 500 && status <= 599)) {
    const asked = status === 429 || status === 503
    const afterMs = asked ? retryAfterMs(answer.headers['retry-after'], answer.headers['date'], wallNow) : undefined
    return {
      kind: status === 500 ? 'serverError' : 'busy',
      outcome: { retryAll: reason, ...(afterMs === undefined ? {} : { afterMs }) },
      reason,
      status,
      // What a gateway says, the receiver behind it may not have heard.
      uncertain: status === 502 || status === 504,
    }
  }
  switch (status) {
    // What lies between says so of a connection or a time, never of what is in a request. Of 408 and 499 the receiver may have heard.
    case 408:
    case 425:
    case 499:
      return { kind: 'busy', outcome: { retryAll: reason }, reason, status, uncertain: status !== 425 }
    case 413:
      return { kind: 'tooLarge', outcome: { tooLarge: reason }, reason, status }
    case 401:
    case 403:
    case 407:
      return { kind: 'caller', outcome: { fail: accessDenied(answer, sent.shownUrl) }, reason, status }
    case 404:
    case 405:
    case 410:
      return { kind: 'caller', outcome: { fail: destinationNotFound(answer, sent.shownUrl) }, reason, status }
    case 415:
      return { kind: 'unsupported', outcome: { fail: unsupportedProtocol(answer, sent) }, reason, status }
    case 402:
    case 421:
      return { kind: 'caller', outcome: { fail: receiverRefused(answer, sent.shownUrl) }, reason, status }
    default:
      break
  }
  if (status >= 400 && status < 500) {
    // A receiver of 2.0 may have written the others: a missing count is 0 then.
    const written = sent.protocol === '2.0' ? writtenCounts(answer) : undefined
    return {
      kind: 'refused',
      outcome: { isolate: reason },
      reason,
      status,
      ...(written === undefined ? {} : { written }),
    }
  }
  return { kind: 'caller', outcome: { fail: receiverRefused(answer, sent.shownUrl) }, reason, status }
}

/**
 * Says what an error of a request without an answer means. Pure and total.
 *
 * @param shown - takes secrets out of a message.
 * @param hasProxy - the request went through a proxy. @default false
 */
export function classifyError(
  error: unknown,
  shownUrl: string,
  shown: (text: string) => string,
  hasProxy = false,
): WriteVerdict {
  if (error instanceof CredentialsError) {
    const reason = { code: 'unsigned', message: shown(`${error.message}: ${wordsOf(error.cause)}`) }
    return { kind: 'unsigned', outcome: { retryAll: reason, slowDown: false }, reason }
  }
  // The client has no code of its own for it, and no answer.
  if (error instanceof Error && /^Proxy\b.*\b407\b/.test(error.message)) {
    const reason = { code: 'http407', message: error.message }
    return { kind: 'caller', outcome: { fail: accessDenied({ status: 407, text: error.message }, shownUrl) }, reason }
  }
  const codes = codesOf(error)
  const code = codes[0] ?? nameOf(error)
  const reason = { code, message: shown(`no answer: ${wordsOf(error)}`) }
  if (codes.some((each) => UNTRUSTED.has(each) || each.startsWith('ERR_TLS_CERT'))) {
    return { kind: 'caller', outcome: { fail: untrusted(reason.message, shownUrl, hasProxy) }, reason }
  }
  if (codes.some((each) => UNREACHED.has(each))) return { kind: 'unreachable', outcome: { retryAll: reason }, reason }
  const timedOut = codes.some((each) => TIMED_OUT.has(each))
  return { kind: 'cut', outcome: { retryAll: reason, unknown: true }, reason, uncertain: true, timedOut }
}

function classifySuccess(answer: Answer, sent: SentRequest): WriteVerdict {
  const { status } = answer
  const ok = {
    kind: 'written',
    outcome: ALL_WRITTEN,
    reason: { code: `http${status}`, message: 'written' },
    status,
  } as const
  if (sent.protocol === '1.0') return ok
  const written = writtenCounts(answer)
  if (written === undefined) {
    const message = `success without X-Prometheus-Remote-Write-*-Written, which a receiver of 2.0 always sends (status ${status})`
    return {
      kind: 'unconfirmed',
      outcome: { fail: unsupportedProtocol(answer, sent) },
      reason: { code: 'unconfirmed', message },
      status,
    }
  }
  if (written.samples >= sent.samples && written.histograms >= sent.histograms) return { ...ok, written }
  const message =
    `success, but only ${written.samples} of ${sent.samples} samples and ${written.histograms} of ` +
    `${sent.histograms} histograms are said to be written`
  const reason = { code: 'writtenInPart', message }
  return { kind: 'refused', outcome: { isolate: reason }, reason, status, written }
}

/** Of three counts one is enough; those that are missing are 0. */
function writtenCounts({ headers }: Answer): WrittenCounts | undefined {
  const samples = countOf(headers['x-prometheus-remote-write-samples-written'])
  const histograms = countOf(headers['x-prometheus-remote-write-histograms-written'])
  const exemplars = countOf(headers['x-prometheus-remote-write-exemplars-written'])
  if (samples === undefined && histograms === undefined && exemplars === undefined) return undefined
  return { samples: samples ?? 0, histograms: histograms ?? 0, exemplars: exemplars ?? 0 }
}

function countOf(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header.trim()) ? Number(header) : undefined
}

function reasonOf({ status, text, headers }: Answer): Reason {
  const requestId = headers['x-amzn-requestid'] ?? headers['x-request-id']
  return {
    code: `http${status}`,
    message: text === '' ? `status ${status}` : `status ${status}: ${text}`,
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** Codes of an error, of its causes, and of what it gathers, the outermost first. */
function codesOf(error: unknown, depth = 0): readonly string[] {
  if (typeof error !== 'object' || error === null || depth > 4) return []
  const code: unknown = Reflect.get(error, 'code')
  const gathered: unknown = Reflect.get(error, 'errors')
  return [
    ...(typeof code === 'string' ? [code] : []),
    ...codesOf(Reflect.get(error, 'cause'), depth + 1),
    ...(Array.isArray(gathered) ? gathered.flatMap((each) => codesOf(each, depth + 1)) : []),
  ]
}

function nameOf(error: unknown): string {
  return error instanceof Error && error.name !== '' ? error.name : 'Error'
}

function wordsOf(error: unknown): string {
  if (SluiceError.isInstance(error)) return `${error.code}: ${error.message}`
  if (!(error instanceof Error)) return typeof error
  const codes = codesOf(error)
  return [error.message === '' ? error.name : error.message, ...(codes.length === 0 ? [] : [`(${codes[0]})`])].join(' ')
}

/** No connection was made, so nothing was sent. */
const UNREACHED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_PRX_CONN',
  'UND_ERR_PRX_TLS',
])

const TIMED_OUT: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** The receiver is not who it should be; no repeat changes that. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'HOSTNAME_MISMATCH',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
