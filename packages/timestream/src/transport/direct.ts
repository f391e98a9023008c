import * as timestream from '@aws-sdk/client-timestream-write'
import { type ExceptionClass, JsonClient, type JsonService } from '@sluice/aws/json-client'
import { type Clock, SluiceError } from '@sluice/core'
import { TIMESTREAM_EXCEPTIONS } from '../classify.ts'
import type { OwnClientOptions } from '../options.ts'
import type { WriteRequest } from '../request/request.ts'
import { type Discovered, Endpoints } from './endpoints.ts'
import { clientFactory } from './own-client.ts'
import type { Discovery, Transport, WriteAnswer } from './transport.ts'

const MINUTE_MS = 60_000

/** What is assumed of an endpoint whose time the service does not say. */
const DEFAULT_CACHE_MINUTES = 60

/** What is used of the JSON client. */
export interface Caller {
  call: (
    ...parameters: Parameters<JsonClient['call']>
  ) => Promise<Pick<Awaited<ReturnType<JsonClient['call']>>, 'body'>>
  endpoint: () => Promise<{ readonly url: URL }>
  close: () => Promise<void>
}

/** Sends requests by itself: signed, over kept connections, each once. The AWS SDK is asked for region, endpoint and credentials. */
export class DirectTransport implements Transport {
  readonly control: timestream.TimestreamWriteClient
  readonly #client: Caller
  readonly #endpoints: Endpoints
  readonly #closed = new AbortController()
  /** The user named the endpoint: it is used as it is. One of the environment is where discovery asks, as with the SDK. */
  readonly #isDiscovered: boolean

  constructor(options: OwnClientOptions, clock: Clock, caller?: Caller) {
    this.control = clientFactory(options, this.#closed.signal)()
    this.#client =
      caller ??
      new JsonClient({
        client: this.control,
        service: SERVICE,
        maxConnections: options.maxConcurrency,
        timeoutMs: options.requestTimeout,
      })
    this.#endpoints = new Endpoints(clock, () => this.#discover().catch(failedBefore))
    this.#isDiscovered = options.endpointOverride === undefined
  }

  get discovery(): Discovery {
    return this.#endpoints.generation
  }

  async send(request: WriteRequest, signal: AbortSignal): Promise<WriteAnswer> {
    const found = this.#isDiscovered ? this.#endpoints.get() : undefined
    const endpoint = found instanceof Promise ? await found : found
    const options = endpoint === undefined ? { signal } : { endpoint, signal }
    const { body } = await this.#client.call('WriteRecords', request.body, options)
    this.#endpoints.accepted()
    const ingested: unknown = Reflect.get(Object(body), 'RecordsIngested')
    return { total: Reflect.get(Object(ingested), 'Total'), calls: 1 }
  }

  rediscover(refused: Discovery): boolean {
    // What is not a write finds its endpoint through the SDK, which would go on using a refused one.
    this.control.config.endpointCache.clear()
    return this.#endpoints.rediscover(refused)
  }

  async close(): Promise<void> {
    this.#closed.abort()
    this.control.destroy()
    await this.#client.close()
  }

  /** Only the host is taken from the answer: scheme and port are those of the endpoint that was asked, as in the SDK. */
  async #discover(): Promise<Discovered> {
    const { url } = await this.#client.endpoint()
    const { body } = await this.#client.call('DescribeEndpoints', '{}', { signal: this.#closed.signal })
    const list: unknown = Reflect.get(Object(body), 'Endpoints')
    const { Address: address, CachePeriodInMinutes: minutes = DEFAULT_CACHE_MINUTES } = (
      Array.isArray(list) ? Object(list[0]) : {}
    ) as { readonly Address?: unknown; readonly CachePeriodInMinutes?: unknown }
    const host = typeof address === 'string' ? URL.parse(`${url.protocol}//${address}`)?.hostname : undefined
    if (host === undefined || host === '' || typeof minutes !== 'number') {
      throw new Error('the answer of DescribeEndpoints names no endpoint')
    }
    const discovered = new URL(url)
    discovered.hostname = host
    return { url: discovered, expiresInMs: Math.max(1, minutes) * MINUTE_MS }
  }
}

/** Nothing was written: whatever is not known of the discovery, this is. The same form as the SDK's error. */
function failedBefore(reason: unknown): never {
  // Ours say what to do.
  if (SluiceError.isInstance(reason)) throw reason
  throw Object.assign(new Error('The endpoint of Timestream could not be discovered'), { reason })
}

/** The SDK's classes, so that errors of both transports are alike. */
const EXCEPTIONS: ReadonlyMap<string, ExceptionClass> = new Map(
  TIMESTREAM_EXCEPTIONS.map((name) => [name, Reflect.get(timestream, name) as ExceptionClass] as const),
)

const SERVICE: JsonService = {
  signingName: 'timestream',
  targetPrefix: 'Timestream_20181101',
  contentType: 'application/x-amz-json-1.0',
  exceptions: (name) => EXCEPTIONS.get(name),
  baseException: timestream.TimestreamWriteServiceException,
}
