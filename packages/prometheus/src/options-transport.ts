import { isSecret, OptionsCheck } from '@sluice/core'
import type { RemoteWriteOptions, TlsOptions } from './options.ts'
import { proxyOf } from './transport.ts'

/** Headers that say how a request is to be read, or whose it is: nobody may set them by `headers`. */
const RESERVED: Readonly<Record<string, string>> = {
  'user-agent': 'see httpUserAgent',
  authorization: 'see basicAuth, bearerToken and requestSigner',
  host: 'see prometheusRemoteWriteUrl',
  connection: 'the client sets it',
  'keep-alive': 'the client sets it',
  'transfer-encoding': 'the client sets it',
  te: 'the client sets it',
  trailer: 'the client sets it',
  upgrade: 'the client sets it',
  expect: 'the client sets it',
}

/** All headers that begin so are reserved too. */
const RESERVED_PREFIXES: Readonly<Record<string, string>> = {
  'content-': 'remote write and the client fix what the body is',
  'x-prometheus-remote-write-': 'see protocol',
  'x-amz-': 'see requestSigner',
  'proxy-': 'see proxyUrl',
}

const TLS_OPTIONS: readonly (keyof TlsOptions)[] = ['ca', 'cert', 'key', 'passphrase', 'servername']

/** Adds every problem of what requests are sent with. Shows no secret, and no address, which may have one in it. */
export function checkTransport(check: OptionsCheck, options: RemoteWriteOptions): void {
  checkUrl(check, options.prometheusRemoteWriteUrl)
  check.function('requestSigner')
  const auth = (['basicAuth', 'bearerToken', 'requestSigner'] as const).filter((name) => options[name] !== undefined)
  if (auth.length > 1) check.problem(`${auth.join(' and ')} exclude each other: give one of them`)
  check.string('httpUserAgent', { pattern: HEADER_VALUE, says: 'visible ASCII text: a name and a version' })
  check.string('tenantHeader', { pattern: TOKEN, says: 'the name of a header' })
  const tenantHeader: unknown = options.tenantHeader
  if (typeof tenantHeader === 'string') checkHeaderName(check, 'tenantHeader', tenantHeader)
  if (options.headers !== undefined) checkHeaders(check, options)
  if (options.tls !== undefined) checkTls(check, options.tls)
  if (options.proxyUrl !== undefined) checkProxy(check, options.proxyUrl)
  checkDispatcher(check, options)
}

/** Secrets in the address of a proxy. */
export function proxySecrets(proxyUrl: string | undefined): readonly string[] {
  if (proxyUrl === undefined) return []
  const { token } = proxyOf(proxyUrl)
  return token === undefined ? [] : [token.slice('Basic '.length), decodeURIComponent(new URL(proxyUrl).password)]
}

/** True for text that may be the value of a header. */
export function isHeaderValue(value: string): boolean {
  return HEADER_VALUE.test(value)
}

const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

function checkUrl(check: OptionsCheck, given: unknown): void {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    check.problem(
      `prometheusRemoteWriteUrl must be an http: or https: address, got ${given === '' ? 'an empty string' : typeof given}`,
    )
    return
  }
  if (url.username !== '' || url.password !== '') {
    check.problem('prometheusRemoteWriteUrl must not have credentials in it: see basicAuth')
  }
}

function checkHeaders(check: OptionsCheck, { headers, tenantHeader = 'X-Scope-OrgID' }: RemoteWriteOptions): void {
  const given: unknown = headers
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    check.refuse('headers', 'an object of names and values')
    return
  }
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(given)) {
    const lower = name.toLowerCase()
    if (seen.has(lower)) check.problem(`headers has '${lower}' twice`)
    seen.add(lower)
    if (!TOKEN.test(name)) check.problem(`headers: ${JSON.stringify(name)} is not the name of a header`)
    checkHeaderName(check, 'headers', name)
    const text: unknown = isSecret(value) ? value.reveal() : value
    if (typeof text !== 'string' || !isHeaderValue(text)) {
      check.problem(`headers.${name} must be a string or a Secret of visible ASCII characters`)
    }
  }
  if (typeof tenantHeader === 'string' && seen.has(tenantHeader.toLowerCase())) {
    check.problem(`headers must not have '${tenantHeader}': see tenant`)
  }
}

function checkHeaderName(check: OptionsCheck, option: string, name: string): void {
  const lower = name.toLowerCase()
  const prefix = Object.keys(RESERVED_PREFIXES).find((each) => lower.startsWith(each))
  const why = prefix === undefined ? RESERVED[lower] : RESERVED_PREFIXES[prefix]
  if (why !== undefined) check.problem(`${option} must not be or have '${name}', which is reserved: ${why}`)
}

function checkTls(check: OptionsCheck, given: TlsOptions): void {
  const own = new OptionsCheck('', given, TLS_OPTIONS, 'tls.')
  for (const problem of own.problems) check.problem(problem)
  if (typeof given !== 'object' || given === null) return
  for (const name of ['ca', 'cert', 'key', 'passphrase', 'servername'] as const) {
    const value: unknown = given[name]
    if (value === undefined) continue
    const parts: readonly unknown[] = name === 'ca' && Array.isArray(value) ? value : [value]
    const fits = (part: unknown): boolean =>
      (typeof part === 'string' && part !== '') ||
      (Buffer.isBuffer(part) && name !== 'passphrase' && name !== 'servername') ||
      (isSecret(part) && (name === 'key' || name === 'passphrase'))
    if (parts.length === 0 || !parts.every(fits))
      check.problem(`tls.${name} must be non-empty text (PEM where it is a key or certificate)`)
  }
  if ((given.key === undefined) !== (given.cert === undefined)) check.problem('tls.key and tls.cert need each other')
}

function checkProxy(check: OptionsCheck, given: unknown): void {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    check.problem(`proxyUrl must be an http: or https: address, got ${typeof given}`)
    return
  }
  try {
    proxyOf(url.href)
  } catch {
    check.problem("proxyUrl must have its username and password percent-encoded: a '%' in one of them is '%25'")
  }
}

function checkDispatcher(check: OptionsCheck, options: RemoteWriteOptions): void {
  const { dispatcher } = options
  if (dispatcher === undefined) return
  if (typeof Reflect.get(Object(dispatcher), 'request') !== 'function') {
    check.refuse('dispatcher', 'a Dispatcher of undici')
  }
  for (const name of ['tls', 'proxyUrl', 'connectTimeoutMs'] as const) {
    if (options[name] !== undefined)
      check.problem(`dispatcher excludes ${name}: configure the dispatcher that you pass instead`)
  }
}
