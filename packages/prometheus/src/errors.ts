import { type Reason, SluiceError } from '@sluice/core'
import type { WireProtocol } from './options.ts'

/** As much of an answer as errors need. */
interface Said {
  readonly status: number
  readonly text: string
}

/** 401, 403, 407: who the caller is, or what it may do. */
export function accessDenied({ status, text }: Said, url: string): SluiceError {
  const advice =
    status === 407
      ? 'the proxy does not accept the credentials of proxyUrl'
      : 'check basicAuth, bearerToken, requestSigner and tenant, and the clock of this machine'
  return new SluiceError('SLUICE_ACCESS_DENIED', `${url} answered ${said(status, text)}; ${advice}`, {
    facts: { url, status },
  })
}

/** 404, 405, 410: there is nothing that takes remote write. */
export function destinationNotFound({ status, text }: Said, url: string): SluiceError {
  const advice =
    'check the path of prometheusRemoteWriteUrl; Prometheus itself needs --web.enable-remote-write-receiver'
  return new SluiceError('SLUICE_DESTINATION_NOT_FOUND', `${url} answered ${said(status, text)}; ${advice}`, {
    facts: { url, status },
  })
}

/** 1xx, 3xx, what is no status of HTTP, and 402 and 421: not about what was sent. */
export function receiverRefused({ status, text }: Said, url: string): SluiceError {
  const advice =
    status >= 300 && status < 400
      ? 'redirects are not followed: give the address that it leads to as prometheusRemoteWriteUrl'
      : 'this is no answer of remote write that a repeat, or another record, would change'
  return new SluiceError('SLUICE_SINK_FAILED', `${url} answered ${said(status, text)}; ${advice}`, {
    facts: { url, status },
  })
}

/** The receiver does not read the version that it was sent, or does not say that it does. */
export function unsupportedProtocol(
  { status, text }: Said,
  { protocol, shownUrl: url }: { readonly protocol: WireProtocol; readonly shownUrl: string },
): SluiceError {
  const advice =
    protocol === '1.0'
      ? "it does not take remote write 1.0: set protocol to '2.0' or 'auto'"
      : "it does not confirm remote write 2.0: set protocol to '1.0' or 'auto'"
  return new SluiceError('SLUICE_SINK_FAILED', `${url} answered ${said(status, text)}; ${advice}`, {
    facts: { url, status, protocol },
  })
}

/** The certificate of the receiver, or of the proxy before it, is not trusted. A renewed one may be. */
export function untrusted(message: string, url: string, hasProxy: boolean): SluiceError {
  const who = hasProxy ? `${url}, or the proxy of proxyUrl,` : url
  return new SluiceError('SLUICE_SINK_FAILED', `${who} is not trusted (see tls.ca): ${message}`, {
    facts: { url },
    restartable: true,
  })
}

/** The last try that `retryConfiguration.maxRetryCount` allows has failed, and no record is at fault. */
export function retriesExhausted(reason: Reason, url: string, tries: number, option: string): SluiceError {
  const message =
    `${tries} tries (retryConfiguration.maxRetryCount) of a request to ${url} failed, the last with ${reason.code}: ` +
    `${reason.message}; ${option} is FAIL`
  return new SluiceError('SLUICE_SINK_FAILED', message, { facts: { url, code: reason.code, tries }, restartable: true })
}

/** A request has no answer in time, and the user wants the attempt to end with that. */
export function unanswered(url: string, socketTimeoutMs: number): SluiceError {
  const message = `no answer from ${url} within ${socketTimeoutMs} ms (socketTimeoutMs); failOnTimeout is true`
  return new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { facts: { url }, restartable: true })
}

/** Credentials could not be had. */
export function unsigned(reason: Reason, url: string, tries: number): SluiceError {
  const message = `requests to ${url} could not be signed, ${tries} times: ${reason.message}`
  return new SluiceError('SLUICE_ACCESS_DENIED', message, { facts: { url, tries }, restartable: true })
}

function said(status: number, text: string): string {
  return text === '' ? `status ${status}` : `status ${status} (${text})`
}
