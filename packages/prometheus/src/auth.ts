import { isSecret, type OptionsCheck, type Secret } from '@sluice/core'

/** HTTP basic authentication. */
export interface BasicAuth {
  /** Without a colon, which would end it. */
  readonly username: string
  readonly password: string | Secret
}

/** A token, or what gives one: it is then asked for each attempt, so keep what is dear to get. */
export type BearerToken = string | Secret | (() => string | Secret | Promise<string | Secret>)

/** What adds the `Authorization` header, with what must never be shown. */
export interface Authorization {
  readonly header: () => string | Promise<string>
  /** Texts that are taken out of whatever a receiver says. */
  readonly secrets: readonly string[]
}

/** The text of a secret or of a plain string. */
export function reveal(value: string | Secret): string {
  return isSecret(value) ? value.reveal() : value
}

/** Undefined where no authentication was asked for. */
export function authorizationOf(
  basicAuth: BasicAuth | undefined,
  bearerToken: BearerToken | undefined,
): Authorization | undefined {
  if (basicAuth !== undefined) {
    const password = reveal(basicAuth.password)
    const encoded = Buffer.from(`${basicAuth.username}:${password}`).toString('base64')
    return { header: () => `Basic ${encoded}`, secrets: [encoded, password] }
  }
  if (bearerToken === undefined) return undefined
  if (typeof bearerToken === 'function') {
    return { header: async () => `Bearer ${checkedToken(await bearerToken())}`, secrets: [] }
  }
  const token = reveal(bearerToken)
  return { header: () => `Bearer ${token}`, secrets: [token] }
}

/** Adds every problem, and shows no secret. */
export function checkAuth(check: OptionsCheck, basicAuth: unknown, bearerToken: unknown): void {
  if (basicAuth !== undefined) checkBasicAuth(check, basicAuth)
  if (bearerToken === undefined || typeof bearerToken === 'function') return
  if (!isText(bearerToken) || !isToken(reveal(bearerToken))) {
    check.problem('bearerToken must be a string or Secret of visible ASCII characters without spaces, or a function')
  }
}

function checkBasicAuth(check: OptionsCheck, given: unknown): void {
  if (typeof given !== 'object' || given === null) {
    check.problem(`basicAuth must be an object with username and password, got ${typeof given}`)
    return
  }
  for (const name of Object.keys(given)) {
    if (name !== 'username' && name !== 'password') check.problem(`unknown option 'basicAuth.${name}'`)
  }
  const username: unknown = Reflect.get(given, 'username')
  if (typeof username !== 'string' || username === '' || username.includes(':')) {
    check.problem('basicAuth.username must be a non-empty string without a colon')
  }
  if (!isText(Reflect.get(given, 'password'))) check.problem('basicAuth.password must be a string or a Secret')
}

/** @throws TypeError that does not show it. */
function checkedToken(token: string | Secret): string {
  const text = isText(token) ? reveal(token) : ''
  if (!isToken(text)) throw new TypeError('bearerToken gave no string or Secret of visible ASCII characters')
  return text
}

function isText(value: unknown): value is string | Secret {
  return typeof value === 'string' || isSecret(value)
}

function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}
