import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/** `localhost`, a name below it, or an IP address: what no name server can point at another machine. */
export function isLocalName(hostname: string): boolean {
  const name = hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')
}

/**
 * Whether a web page of another machine sends a request. Such a page cannot set `x-amz-target` unless its own name was
 * made to point at this server (DNS rebinding); browsers then still name the page in `Origin`.
 */
export function isFromForeignPage({ headers: { origin } }: IncomingMessage): boolean {
  if (origin === undefined) return false
  const url = URL.parse(origin)
  return url === null || !isLocalName(url.hostname)
}

/** The host that a request names, without port; empty when it names none. */
export function hostNameOf({ headers: { host = '' } }: IncomingMessage): string {
  return host.replace(/:\d+$/, '')
}
