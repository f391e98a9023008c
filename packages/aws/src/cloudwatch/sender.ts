import { JsonClient } from '../json/client.ts'
import type { SdkClientLike } from '../json/sdk-client.ts'
import { cloudWatchEndpoint } from './endpoint.ts'
import type { ResolvedOptions } from './options.ts'

/** One value of one metric, as `PutMetricData` takes it. */
export interface MetricDatum {
  readonly MetricName: string
  readonly Dimensions: { readonly Name: string; readonly Value: string }[]
  readonly Timestamp: Date
  readonly Value: number
  readonly Unit: 'Bytes' | 'Count' | 'Milliseconds' | 'None'
}

/** What is used of a client for CloudWatch. `new CloudWatch({})` of `@aws-sdk/client-cloudwatch` is one. */
export interface CloudWatchSender {
  putMetricData(
    input: { readonly Namespace: string; readonly MetricData: MetricDatum[] },
    options: { readonly abortSignal: AbortSignal },
  ): Promise<unknown>
}

/** Sends values, and is closed when there will be no more. */
export interface OwnedSender {
  /** @param signal - gives it up. */
  send(data: MetricDatum[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export function senderOf(options: ResolvedOptions): OwnedSender {
  const { client, sender, namespace, timeoutMs } = options
  if (client !== undefined) return new JsonSender(client, options)
  const given = sender as CloudWatchSender
  return {
    async send(data, signal): Promise<void> {
      const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      abortSignal.throwIfAborted()
      const { promise: late, reject } = Promise.withResolvers<never>()
      const onAbort = (): void => reject(abortSignal.reason)
      abortSignal.addEventListener('abort', onAbort, { once: true })
      try {
        // A sender may not look at signals.
        await Promise.race([given.putMetricData({ Namespace: namespace, MetricData: data }, { abortSignal }), late])
      } finally {
        abortSignal.removeEventListener('abort', onAbort)
      }
    },
    close: () => Promise.resolve(),
  }
}

/** Sends by the JSON client of this package. */
class JsonSender implements OwnedSender {
  readonly #client: JsonClient
  readonly #namespace: string

  constructor(client: SdkClientLike, { namespace, timeoutMs, endpoint }: ResolvedOptions) {
    this.#namespace = namespace
    this.#client = new JsonClient({
      client: forCloudWatch(client, endpoint),
      service: SERVICE,
      maxConnections: 1,
      timeoutMs,
      maxResponseBytes: 64 * 1024,
    })
  }

  async send(data: MetricDatum[], signal: AbortSignal): Promise<void> {
    // Of the protocol: seconds since the epoch.
    const MetricData = data.map((datum) => ({ ...datum, Timestamp: datum.Timestamp.getTime() / 1000 }))
    await this.#client.call('PutMetricData', JSON.stringify({ Namespace: this.#namespace, MetricData }), { signal })
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

const SERVICE = {
  signingName: 'monitoring',
  targetPrefix: 'GraniteServiceVersion20100801',
  contentType: 'application/x-amz-json-1.0',
  exceptions: () => undefined,
} as const

/** A client of another service gives identity and region; its endpoint is not that of CloudWatch. */
function forCloudWatch(client: SdkClientLike, endpoint: string | undefined): SdkClientLike {
  const { config } = client
  if (endpoint === undefined && Reflect.get(config, 'serviceId') === 'CloudWatch') return client
  return {
    config: {
      region: () => config.region(),
      credentials: (options) => config.credentials(options),
      useFipsEndpoint: () => config.useFipsEndpoint(),
      useDualstackEndpoint: () => config.useDualstackEndpoint(),
      endpointProvider: (parameters) => ({ url: new URL(endpoint ?? cloudWatchEndpoint(parameters)) }),
    },
  }
}
