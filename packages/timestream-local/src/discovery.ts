import { ServiceError } from './errors.ts'
import { unknownOperation } from './protocol.ts'

/** Access keys remembered at most; the one that asked longest ago goes first. */
const MAX_CLIENTS = 10_000

/**
 * Endpoint discovery: which clients were told an endpoint, and until when it works. Clients are told apart by access key,
 * as the SDK does it.
 *
 * Source: https://docs.aws.amazon.com/timestream/latest/developerguide/Using-API.endpoint-discovery.html
 */
export class Discovery {
  readonly #required: boolean
  readonly #ttlMinutes: number
  readonly #now: () => number
  /** Access key, and when it was told an endpoint; `expired` once the endpoint does not work any more. */
  readonly #told = new Map<string, number | 'expired'>()

  constructor(required: boolean, ttlMinutes: number, now: () => number = () => performance.now()) {
    this.#required = required
    this.#ttlMinutes = ttlMinutes
    this.#now = now
  }

  /** Answers DescribeEndpoints. */
  describe(accessKeyId: string, hostname: string): object {
    this.#told.delete(accessKeyId)
    this.#told.set(accessKeyId, this.#now())
    const oldest = this.#told.keys().next().value
    if (this.#told.size > MAX_CLIENTS && oldest !== undefined) this.#told.delete(oldest)
    return { Endpoints: [{ Address: hostname, CachePeriodInMinutes: this.#ttlMinutes }] }
  }

  /** Throws when the endpoint that a client uses does not work, or when it had to ask for one and did not. */
  check(accessKeyId: string, operation: string): void {
    const told = this.#told.get(accessKeyId)
    if (told === undefined) {
      if (this.#required)
        throw unknownOperation(operation, 'at this address before DescribeEndpoints was asked for one')
      return
    }
    if (told === 'expired' || (this.#required && this.#now() - told >= this.#ttlMinutes * 60_000)) {
      this.#told.set(accessKeyId, 'expired')
      throw new ServiceError(
        'InvalidEndpointException',
        'The requested endpoint was not valid: ask DescribeEndpoints again.',
      )
    }
  }

  /** Ends every endpoint that was told; clients get InvalidEndpointException until they ask for a new one. */
  expireAll(): void {
    for (const accessKeyId of this.#told.keys()) this.#told.set(accessKeyId, 'expired')
  }
}
