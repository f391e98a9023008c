import { SluiceError } from '@sluice/core'
import type { SdkClientLike, SdkIdentity } from './sdk-client.ts'

/** Temporary keys are fetched anew so long before they end. */
const RENEW_BEFORE_MS = 5 * 60_000

/** After a fetch that failed, or brought keys that end soon too, the next waits so long while the keys at hand are good. */
const ASK_AGAIN_MS = 30_000

/** A provider that has not answered for so long is asked again; the deadlines of the requests that waited are long over. */
const GIVE_UP_AFTER_MS = 60_000

/**
 * The credentials of an SDK client, held so that a request need not ask for them: those with an end until five minutes before it,
 * those without one until a service refuses them.
 */
export class HeldCredentials {
  readonly #config: Pick<SdkClientLike['config'], 'credentials'>
  readonly #wallNow: () => number
  #held: SdkIdentity | undefined
  #askAtMs = 0
  #asking: Promise<SdkIdentity> | undefined
  #askedAtMs = 0
  #isRefused = false

  constructor(config: Pick<SdkClientLike['config'], 'credentials'>, wallNow: () => number) {
    this.#config = config
    this.#wallNow = wallNow
  }

  /** The keys at once, if good ones are held. Requests that ask at one time share a fetch. */
  get(): SdkIdentity | Promise<SdkIdentity> {
    const held = this.#held
    const now = this.#wallNow()
    const isGood = held !== undefined && now < endOf(held)
    if (isGood && now < this.#askAtMs) return held
    const asking = this.#shared(now)
    // While keys are renewed, those that are held still sign.
    if (!isGood) return asking
    asking.catch(() => undefined)
    return held
  }

  #shared(now: number): Promise<SdkIdentity> {
    if (this.#asking !== undefined && Math.abs(now - this.#askedAtMs) < GIVE_UP_AFTER_MS) return this.#asking
    const asking = this.#fetch().finally(() => {
      if (this.#asking === asking) this.#asking = undefined
    })
    this.#asking = asking
    this.#askedAtMs = now
    return asking
  }

  /** The service said that these have expired: the provider is told to fetch others, not to give what it remembers. */
  refused(identity: SdkIdentity): void {
    if (this.#held !== identity) return
    this.#held = undefined
    this.#isRefused = true
  }

  async #fetch(): Promise<SdkIdentity> {
    // Set before, so that a failing fetch is not repeated by every request.
    this.#askAtMs = this.#wallNow() + ASK_AGAIN_MS
    const given = await (this.#isRefused
      ? this.#config.credentials({ forceRefresh: true })
      : this.#config.credentials())
    const identity = checked(given)
    this.#isRefused = false
    this.#held = identity
    this.#askAtMs = Math.max(endOf(identity) - RENEW_BEFORE_MS, this.#wallNow() + ASK_AGAIN_MS)
    return identity
  }
}

function endOf({ expiration }: SdkIdentity): number {
  return expiration?.getTime() ?? Number.POSITIVE_INFINITY
}

function checked(given: SdkIdentity): SdkIdentity {
  const { accessKeyId, secretAccessKey, sessionToken }: Readonly<Record<string, unknown>> = Object(given)
  for (const [name, value] of Object.entries({ accessKeyId, secretAccessKey, sessionToken })) {
    if (name === 'sessionToken' && value === undefined) continue
    // Anything else could not be a header, and would show itself in the error of the HTTP client.
    if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) continue
    throw new SluiceError('SLUICE_ACCESS_DENIED', `the credentials' ${name} is not visible ASCII text without spaces`, {
      restartable: true,
    })
  }
  return given
}
