import {
  TimestreamWriteClient,
  WriteRecordsCommand,
  type WriteRecordsCommandOutput,
  type WriteRecordsRequest,
} from '@aws-sdk/client-timestream-write'
import { awsClientConfig, awsRequestHandler } from '@sluice/aws'
import { credentialsOf } from './credentials.ts'
import type { OwnClientOptions } from './options.ts'
import { RetryStrategy } from './retry-strategy.ts'

/** Makes the client of {@link WriteClient}; called again to discover the endpoint anew. */
type ClientFactory = () => TimestreamWriteClient

/** One discovery of the endpoint. */
export type Discovery = symbol

/** How to make clients of our own. */
interface Own {
  readonly make: ClientFactory
  /** Ends the pauses between tries. */
  readonly closed: AbortController
}

/** Endpoints refused in a row, each discovered anew, after which the sink gives up. */
const MAX_REDISCOVERIES = 3

/** Sends requests, and survives endpoints that the service has withdrawn. */
export class WriteClient {
  readonly #own: Own | undefined
  #client: TimestreamWriteClient
  #discovery: Discovery = Symbol('discovery')
  #rediscoveries = 0

  private constructor(client: TimestreamWriteClient, own: Own | undefined) {
    this.#client = client
    this.#own = own
  }

  /** A client of the caller, which is never destroyed. */
  static injected(client: TimestreamWriteClient): WriteClient {
    return new WriteClient(client, undefined)
  }

  /** A client of our own. */
  static own(options: OwnClientOptions): WriteClient {
    const closed = new AbortController()
    const make = clientFactory(options, closed.signal)
    return new WriteClient(make(), { make, closed })
  }

  /** Identifies the endpoint that a request sent now goes to, for {@link WriteClient.rediscover}. */
  get discovery(): Discovery {
    return this.#discovery
  }

  async send(request: WriteRecordsRequest, signal: AbortSignal): Promise<WriteRecordsCommandOutput> {
    const output = await this.#client.send(new WriteRecordsCommand(request), { abortSignal: signal })
    this.#rediscoveries = 0
    return output
  }

  /**
   * Forgets the discovered endpoint that `refused` used: the SDK itself would go on using it until its time is over.
   *
   * @returns false if new endpoints were refused too often in a row.
   */
  rediscover(refused: Discovery): boolean {
    // Of many requests in flight, the first answer acts.
    if (refused === this.#discovery && this.#rediscoveries <= MAX_REDISCOVERIES) {
      this.#rediscoveries++
      this.#discovery = Symbol('discovery')
      if (this.#own === undefined) this.#client.config.endpointCache.clear()
      else this.#client = this.#own.make()
    }
    return this.#rediscoveries <= MAX_REDISCOVERIES
  }

  close(): void {
    if (this.#own === undefined) return
    this.#own.closed.abort()
    // All clients that were made share one handler, so this ends the connections of each.
    this.#client.destroy()
  }
}

function clientFactory(options: OwnClientOptions, closed: AbortSignal): ClientFactory {
  const { region, endpointOverride, useFipsEndpoint, useDualstackEndpoint } = options
  const credentials = credentialsOf(options)
  const profile = options.credentialConfig.profileName
  const config = awsClientConfig(
    {
      ...(region === undefined ? {} : { region }),
      ...(endpointOverride === undefined ? {} : { endpoint: endpointOverride }),
      ...(useFipsEndpoint === undefined ? {} : { useFipsEndpoint }),
      ...(useDualstackEndpoint === undefined ? {} : { useDualstackEndpoint }),
      ...(credentials === undefined ? {} : { credentials }),
      ...(profile === undefined ? {} : { profile }),
      maxAttempts: options.maxErrorRetry + 1,
    },
    'TimestreamSink',
  )
  const requestHandler = awsRequestHandler({
    maxSockets: options.maxConcurrency,
    requestTimeoutMs: options.requestTimeout,
    connectionTimeoutMs: Math.min(5000, options.requestTimeout),
  })
  const retryStrategy = new RetryStrategy(options.maxErrorRetry, closed)
  return () => {
    const client = new TimestreamWriteClient({ ...config, requestHandler, retryStrategy, cacheMiddleware: true })
    // It copies and filters every input and output for a logger that does not exist.
    client.middlewareStack.remove('loggerMiddleware')
    return client
  }
}
