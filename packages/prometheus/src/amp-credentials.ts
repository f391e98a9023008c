import { isSecret, messageOf, type Secret, SluiceError } from '@sluice/core'
import { reveal } from './auth.ts'

/** Credentials of AWS, as the SDK has them. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string | Secret
  /** Of temporary credentials. */
  readonly sessionToken?: string | Secret
  /** When temporary credentials end. */
  readonly expiration?: Date
}

/** What gives credentials, such as `fromNodeProviderChain()` of `@aws-sdk/credential-providers`. */
export type AwsCredentialsProvider = () => AwsCredentials | Promise<AwsCredentials>

/** Revealed, for the signature itself. */
export interface SigningCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** Temporary credentials are renewed so long before they end. */
const RENEW_BEFORE_MS = 5 * 60_000

/** A provider that has not answered for so long is asked again; the deadline of the request has long ended its own wait. */
const GIVE_UP_AFTER_MS = 60_000

interface Held {
  readonly credentials: SigningCredentials
  readonly expiresAtMs: number
}

/**
 * Asks a provider, at each request; what has an expiration is kept until five minutes before it, and beyond that only while a renewal
 * fails. Requests that ask at one time share an answer.
 */
export class CredentialsSource {
  readonly #provider: AwsCredentialsProvider
  readonly #wallNow: () => number
  #held: Held | undefined
  #asking: Promise<Held> | undefined
  #askedAtMs = 0

  constructor(provider: AwsCredentialsProvider, wallNow: () => number) {
    this.#provider = provider
    this.#wallNow = wallNow
  }

  /** @throws SluiceError `SLUICE_ACCESS_DENIED`, without what is secret. */
  async get(): Promise<SigningCredentials> {
    const held = this.#held
    if (held !== undefined && this.#wallNow() < held.expiresAtMs - RENEW_BEFORE_MS) return held.credentials
    try {
      return (await this.#shared()).credentials
    } catch (error) {
      if (held !== undefined && this.#wallNow() < held.expiresAtMs) return held.credentials
      throw error
    }
  }

  #shared(): Promise<Held> {
    const now = this.#wallNow()
    if (this.#asking !== undefined && Math.abs(now - this.#askedAtMs) < GIVE_UP_AFTER_MS) return this.#asking
    const asking = this.#ask().finally(() => {
      if (this.#asking === asking) this.#asking = undefined
    })
    this.#asking = asking
    this.#askedAtMs = now
    return asking
  }

  async #ask(): Promise<Held> {
    let given: AwsCredentials
    try {
      given = await this.#provider()
    } catch (error) {
      throw new SluiceError('SLUICE_ACCESS_DENIED', `the provider of credentials failed: ${messageOf(error)}`, {
        cause: error,
        restartable: true,
      })
    }
    const problem = credentialsProblem(given)
    if (problem !== undefined) {
      throw new SluiceError('SLUICE_ACCESS_DENIED', `the provider of credentials gave none: ${problem}`, {
        restartable: true,
      })
    }
    const held = { credentials: revealed(given), expiresAtMs: given.expiration?.getTime() ?? Number.NEGATIVE_INFINITY }
    this.#held = held
    return held
  }
}

/** What is wrong with credentials, without a word of them. */
export function credentialsProblem(given: unknown): string | undefined {
  if (typeof given !== 'object' || given === null) return 'credentials must be an object'
  const { accessKeyId, secretAccessKey, sessionToken, expiration }: Partial<Record<keyof AwsCredentials, unknown>> =
    given
  if (typeof accessKeyId !== 'string' || !isKey(accessKeyId)) return `accessKeyId ${RULE}`
  if (!isSecretText(secretAccessKey)) return `secretAccessKey ${RULE}`
  if (sessionToken !== undefined && !isSecretText(sessionToken)) return `sessionToken ${RULE}`
  if (expiration !== undefined && !(expiration instanceof Date && Number.isFinite(expiration.getTime()))) {
    return 'expiration must be a valid Date'
  }
  return undefined
}

const RULE = 'must be visible ASCII text without spaces'

function isKey(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}

function isSecretText(given: unknown): boolean {
  return (typeof given === 'string' || isSecret(given)) && isKey(reveal(given))
}

function revealed({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials): SigningCredentials {
  return {
    accessKeyId,
    secretAccessKey: reveal(secretAccessKey),
    ...(sessionToken === undefined ? {} : { sessionToken: reveal(sessionToken) }),
  }
}
