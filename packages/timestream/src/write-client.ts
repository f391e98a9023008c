import {
  TimestreamWriteClient,
  WriteRecordsCommand,
  type WriteRecordsCommandOutput,
  type WriteRecordsRequest,
} from '@aws-sdk/client-timestream-write'
import { awsClientConfig, awsRequestHandler } from '@sluice/aws'
import { credentialsOf } from './credentials.ts'
import type { OwnClientOptions } from './options.ts'

/** Makes the client of {@link WriteClient}; called again to discover the endpoint anew. */
type ClientFactory = () => TimestreamWriteClient

/** One discovery of the endpoint. */
export type Discovery = symbol

/** Endpoints refused in a row, each discovered anew, after which the sink gives up. */
const MAX_REDISCOVERIES = 3

/** Sends requests, and survives endpoints that the service has withdrawn. */
export class WriteClient {
  readonly #make: ClientFactory | undefined
  #client: TimestreamWriteClient
  #discovery: Discovery = Symbol('discovery')
  #rediscoveries = 0

  private constructor(client: TimestreamWriteClient, make: ClientFactory | undefined) {
    this.#client = client
    this.#make = make
  }

  /** A client of the caller, which is never destroyed. */
  static injected(client: TimestreamWriteClient): WriteClient {
    return new WriteClient(client, undefined)
  }

  /** A client of our own. */
  static own(options: OwnClientOptions): WriteClient {
    const make = clientFactory(options)
    return new WriteClient(make(), make)
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
      if (this.#make === undefined) this.#client.config.endpointCache.clear()
      else this.#client = this.#make()
    }
    return this.#rediscoveries <= MAX_REDISCOVERIES
  }

  close(): void {
    // All clients that were made share one handler, so this ends the connections of each.
    if (this.#make !== undefined) this.#client.destroy()
  }
}

function clientFactory(options: OwnClientOptions): ClientFactory {
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
  return () => {
    const client = new TimestreamWriteClient({ ...config, requestHandler, cacheMiddleware: true })
    // It copies and filters every input and output for a logger that does not exist.
    client.middlewareStack.remove('loggerMiddleware')
    return client
  }
}
