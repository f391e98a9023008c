import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  type GetRecordsOutput,
  GetShardIteratorCommand,
  type GetShardIteratorInput,
  KinesisClient,
  ListShardsCommand,
  type ListShardsInput,
  type ListShardsOutput,
  type StreamDescriptionSummary,
} from '@aws-sdk/client-kinesis'
import { awsClientConfig, awsRequestHandler } from '@sluice/aws'
import { type Clock, deadline, SluiceError } from '@sluice/core'

import { isClockSkew } from './classify.ts'
import type { KinesisSender, ResolvedOptions } from './options.ts'
import type { KinesisPosition } from './split.ts'

type StreamIds = { StreamName: string } | { StreamARN: string }

/**
 * The requests of this source: each with a deadline, and ended by a signal. Nothing is repeated here but, once, a request that
 * was refused for the time of its signature.
 */
export class KinesisApi {
  readonly streamName: string
  readonly #ids: StreamIds
  readonly #sender: KinesisSender
  readonly #clock: Clock
  readonly #timeoutMs: number

  constructor(sender: KinesisSender, options: ResolvedOptions<unknown>, clock: Clock) {
    this.streamName = options.streamName
    this.#ids = options.streamArn === undefined ? { StreamName: options.streamName } : { StreamARN: options.streamArn }
    this.#sender = sender
    this.#clock = clock
    this.#timeoutMs = options.requestTimeoutMs
  }

  async describeStream(signal: AbortSignal): Promise<StreamDescriptionSummary> {
    const command = new DescribeStreamSummaryCommand(this.#ids)
    const output = await this.#send(signal, (abortSignal) => this.#sender.send(command, { abortSignal }))
    if (output.StreamDescriptionSummary === undefined) {
      throw new SluiceError('SLUICE_SOURCE_FAILED', `stream ${this.streamName}: DescribeStreamSummary said nothing`, {
        restartable: true,
      })
    }
    return output.StreamDescriptionSummary
  }

  /**
   * One page of shards. `serviceTimeMs` is the service's clock as its answer says it, in whole seconds, rounded down.
   *
   * @param from - the token of the page, or, for the first one, the time at which a listed shard must not have been closed.
   */
  async listShards(
    from: { readonly nextToken: string } | { readonly notClosedBeforeMs?: number },
    signal: AbortSignal,
  ): Promise<{ readonly output: ListShardsOutput; readonly serviceTimeMs: number | undefined }> {
    const command = new ListShardsCommand('nextToken' in from ? { NextToken: from.nextToken } : this.#firstPage(from))
    let serviceTimeMs: number | undefined
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args)
        serviceTimeMs = dateOf(result.response)
        return result
      },
      { step: 'deserialize', name: 'sluiceServiceTime', priority: 'high' },
    )
    const output = await this.#send(signal, (abortSignal) => this.#sender.send(command, { abortSignal }))
    return { output, serviceTimeMs }
  }

  async getShardIterator(shardId: string, position: KinesisPosition, signal: AbortSignal): Promise<string | undefined> {
    const command = new GetShardIteratorCommand({ ...this.#ids, ShardId: shardId, ...iteratorStart(position) })
    const output = await this.#send(signal, (abortSignal) => this.#sender.send(command, { abortSignal }))
    return output.ShardIterator
  }

  getRecords(iterator: string, limit: number, signal: AbortSignal): Promise<GetRecordsOutput> {
    const arn = 'StreamARN' in this.#ids ? this.#ids : {}
    const command = new GetRecordsCommand({ ...arn, ShardIterator: iterator, Limit: limit })
    return this.#send(signal, (abortSignal) => this.#sender.send(command, { abortSignal }))
  }

  /** Names the stream and where it was looked for: for errors. */
  async describeTarget(): Promise<string> {
    const places: string[] = []
    try {
      const config: unknown = Reflect.get(this.#sender, 'config')
      const region = await resolved(config, 'region')
      if (typeof region === 'string') places.push(`region ${region}`)
      const endpoint = (await resolved(config, 'endpoint')) ?? endpointOfEnvironment()
      if (typeof endpoint === 'object' && endpoint !== null && 'hostname' in endpoint) {
        const { protocol, hostname, port } = endpoint as Partial<Record<string, string | number>>
        places.push(`endpoint ${protocol ?? ''}//${hostname}${port === undefined || port === '' ? '' : `:${port}`}`)
      }
    } catch {
      // A client that cannot say its region has already failed with the reason.
    }
    const [id] = Object.values(this.#ids)
    return `stream ${id}${places.length === 0 ? '' : ` (${places.join(', ')})`}`
  }

  #firstPage(from: { readonly notClosedBeforeMs?: number }): ListShardsInput {
    const { notClosedBeforeMs } = from
    if (notClosedBeforeMs === undefined) return this.#ids
    return { ...this.#ids, ShardFilter: { Type: 'FROM_TIMESTAMP', Timestamp: new Date(notClosedBeforeMs) } }
  }

  async #send<O>(signal: AbortSignal, send: (abortSignal: AbortSignal) => Promise<O>): Promise<O> {
    signal.throwIfAborted()
    const abort = new AbortController()
    const { promise: ended, reject } = Promise.withResolvers<never>()
    const end = (reason: unknown): void => {
      reject(reason)
      abort.abort(reason)
    }
    const onAbort = (): void => end(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const timer = deadline(this.#clock, this.#timeoutMs, () =>
      end(new DOMException(`no answer within requestTimeoutMs = ${this.#timeoutMs}`, 'TimeoutError')),
    )
    try {
      return await Promise.race([sendInTime(() => send(abort.signal)), ended])
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }
}

/** The client that the source makes, shared by its enumerators and readers and destroyed after the last of them. */
export class ClientLease {
  readonly #options: ResolvedOptions<unknown>
  #client: KinesisClient | undefined
  #users = 0

  constructor(options: ResolvedOptions<unknown>) {
    this.#options = options
  }

  /** A client, and the function that gives it back; calling that again does nothing. */
  acquire(): { readonly sender: KinesisSender; readonly release: () => void } {
    const { client, aws = {}, requestTimeoutMs } = this.#options
    if (client !== undefined) return { sender: client, release: () => {} }
    this.#client ??= new KinesisClient({
      // The source repeats requests itself, with its own count of them and without holding memory for their answers.
      maxAttempts: 1,
      ...awsClientConfig(aws),
      requestHandler: awsRequestHandler({ requestTimeoutMs }),
    })
    this.#users++
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      this.#users--
      if (this.#users > 0) return
      this.#client?.destroy()
      this.#client = undefined
    }
    return { sender: this.#client, release }
  }
}

/**
 * The client learns the service's time from a refusal and signs with it from then on. So one repeat is right, which the client
 * does not do by itself with one attempt; a signature that is wrong for another reason is refused again.
 */
async function sendInTime<O>(send: () => Promise<O>): Promise<O> {
  try {
    return await send()
  } catch (error) {
    if (!isClockSkew(error)) throw error
    return await send()
  }
}

function iteratorStart(position: KinesisPosition): Omit<GetShardIteratorInput, 'ShardId'> {
  if (position.kind === 'TRIM_HORIZON') return { ShardIteratorType: 'TRIM_HORIZON' }
  if (position.kind === 'AT_TIMESTAMP') {
    return { ShardIteratorType: 'AT_TIMESTAMP', Timestamp: new Date(position.timestampMs) }
  }
  return { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: position.sequenceNumber }
}

function dateOf(response: unknown): number | undefined {
  const headers: unknown = Reflect.get(Object(response), 'headers')
  const date: unknown = Reflect.get(Object(headers), 'date')
  const time = typeof date === 'string' ? Date.parse(date) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}

function endpointOfEnvironment(): URL | undefined {
  const { AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL } = process.env
  return URL.parse(AWS_ENDPOINT_URL_KINESIS ?? AWS_ENDPOINT_URL ?? '') ?? undefined
}

async function resolved(config: unknown, field: string): Promise<unknown> {
  const value: unknown = Reflect.get(Object(config), field)
  return typeof value === 'function' ? await (value as () => unknown)() : value
}
