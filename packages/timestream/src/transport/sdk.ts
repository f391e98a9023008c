import {
  type TimestreamWriteClient,
  WriteRecordsCommand,
  type WriteRecordsCommandInput,
} from '@aws-sdk/client-timestream-write'
import { classifyAwsError } from '@sluice/aws'
import type { OwnClientOptions } from '../options.ts'
import type { WriteRequest } from '../request/request.ts'
import { type ClientFactory, clientFactory } from './own-client.ts'
import { callsOf, type Discovery, MAX_REDISCOVERIES, type Transport, type WriteAnswer } from './transport.ts'

const EXPIRED = 'ExpiredTokenException'

/** How to make clients of our own. */
interface Own {
  readonly make: ClientFactory
  /** Ends the pauses between tries. */
  readonly closed: AbortController
}

/** Sends requests through a client of the AWS SDK, and survives endpoints that the service has withdrawn. */
export class SdkTransport implements Transport {
  readonly #own: Own | undefined
  #client: TimestreamWriteClient
  #discovery: Discovery = Symbol('discovery')
  #rediscoveries = 0

  private constructor(client: TimestreamWriteClient, own: Own | undefined) {
    this.#client = client
    this.#own = own
  }

  /** A client of the caller, which is never changed and never destroyed. */
  static injected(client: TimestreamWriteClient): SdkTransport {
    return new SdkTransport(client, undefined)
  }

  /** A client of our own. */
  static own(options: OwnClientOptions): SdkTransport {
    const closed = new AbortController()
    const makeClient = clientFactory(options, closed.signal)
    const make = (): TimestreamWriteClient => {
      const client = makeClient()
      sendWrittenBodies(client)
      return client
    }
    return new SdkTransport(make(), { make, closed })
  }

  get control(): TimestreamWriteClient {
    return this.#client
  }

  get discovery(): Discovery {
    return this.#discovery
  }

  async send(request: WriteRequest, signal: AbortSignal): Promise<WriteAnswer> {
    // Middleware of a caller's client may look at the records.
    const input = this.#own === undefined ? request.toSdk() : inputFor(request)
    const client = this.#client
    try {
      const answer = await client.send(new WriteRecordsCommand(input), { abortSignal: signal })
      this.#rediscoveries = 0
      return { total: answer.RecordsIngested?.Total, calls: callsOf(answer) }
    } catch (error) {
      // The SDK would go on signing with keys of which it was not told, or told wrongly, when they end. Of many requests in flight, the
      // first answer acts.
      if (this.#own !== undefined && client === this.#client && classifyAwsError(error).code === EXPIRED) {
        this.#client = this.#own.make()
      }
      throw error
    }
  }

  /** The SDK itself would go on using a refused endpoint until its time is over. */
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

  close(): Promise<void> {
    if (this.#own === undefined) return Promise.resolve()
    this.#own.closed.abort()
    // All clients that were made share one handler, so this ends the connections of each.
    this.#client.destroy()
    return Promise.resolve()
  }
}

/** The JSON of requests that were written already, by the input that stands for them. */
const bodies = new WeakMap<object, Uint8Array>()

function inputFor(request: WriteRequest): WriteRecordsCommandInput {
  const input = { DatabaseName: request.databaseName, TableName: request.tableName, Records: [] }
  bodies.set(input, request.body)
  return input
}

/** To serialise a request costs the SDK more than everything else that it does for it. */
function sendWrittenBodies(client: TimestreamWriteClient): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const body = bodies.get(args.input)
      if (body !== undefined) Object.assign(Object(args.request), { body })
      return next(args)
    },
    // Before the middleware that measures and signs the body.
    { step: 'build', priority: 'high', name: 'sluiceWrittenBody' },
  )
}
