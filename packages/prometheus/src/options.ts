import type { AsyncSinkOptions, Secret } from '@sluice/core'
import type { Dispatcher } from 'undici'
import type { Authorization, BasicAuth, BearerToken } from './auth.ts'
import type { PrometheusRequestSigner } from './signer.ts'

/** A version of remote write as it is sent. */
export type WireProtocol = '1.0' | '2.0'

/** What becomes of a request that cannot be written. */
export type OnErrorBehavior = 'FAIL' | 'DISCARD_AND_CONTINUE'

/** When and how often a request is repeated that ended with 429, with 5xx or without an answer. */
export interface RetryConfiguration {
  /** Milliseconds before the first repeat; they double with each. @default 30 */
  readonly initialRetryDelayMS?: number
  /** No delay is longer, in milliseconds; a `Retry-After` may be. At least `initialRetryDelayMS`. @default 5000 */
  readonly maxRetryDelayMS?: number
  /** Repeats of a request, at most: 0 for none, `Infinity` for no limit. @default 100 */
  readonly maxRetryCount?: number
}

/** What becomes of requests that fail for good. */
export interface ErrorHandlingBehaviorConfiguration {
  /** After `retryConfiguration.maxRetryCount` repeats of a request that is answered with 429 or 5xx. @default 'FAIL' */
  readonly onMaxRetryExceeded?: OnErrorBehavior
  /** After as many repeats of a request that has no answer. @default 'FAIL' */
  readonly onHttpClientIOFail?: OnErrorBehavior
  /**
   * What happens to a series that the receiver refuses (400 and the like), or that breaks the rules of remote write. The receiver's
   * culprits are found by sending halves; the others are written. `DISCARD_AND_CONTINUE`: it is dropped, counted and logged. `FAIL`: it
   * is refused, so that it goes to the job's dead letters, and fails the job where there are none.
   *
   * @default to the dead letters where the job has some, otherwise 'DISCARD_AND_CONTINUE'
   */
  readonly onPrometheusNonRetriableError?: OnErrorBehavior
  /** The later spelling of `onPrometheusNonRetriableError`. */
  readonly onPrometheusNonRetryableError?: OnErrorBehavior
}

/** TLS of `https:` addresses. Certificates are always verified. */
export interface TlsOptions {
  /** Certificates (PEM) to trust instead of those of Node.js, of the receiver and of an `https:` proxy: for one of your own. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[]
  /** Certificate chain (PEM) of this client. */
  readonly cert?: string | Buffer
  /** Private key (PEM) of this client. */
  readonly key?: string | Buffer | Secret
  readonly passphrase?: string | Secret
  /** The name that the certificate of the receiver must have. @default the host of the address */
  readonly servername?: string
}

/** What every user of the remote-write client and sink can set. */
export interface RemoteWriteOptions extends Pick<
  AsyncSinkOptions,
  'maxBufferedBytes' | 'entryTimeoutMs' | 'failOnTimeout' | 'rateLimitingStrategy' | 'maxBatchSizeInBytes'
> {
  /** Names the sink in metrics, errors and state; unique within a job. @default 'prometheus' */
  readonly uid?: string
  /** Where requests are posted, such as `https://host/api/v1/write`. No credentials in it: see `basicAuth`. */
  readonly prometheusRemoteWriteUrl: string
  /** Samples in one request, at most. @default 500 */
  readonly maxBatchSizeInSamples?: number
  /**
   * Samples of one series in one entry, at most; a series with more is sent as several, in order. At most `maxBatchSizeInSamples`.
   *
   * @default maxBatchSizeInSamples
   */
  readonly maxRecordSizeInSamples?: number
  /** Age in milliseconds at which a series is sent although its batch is not full. @default 5000 */
  readonly maxTimeInBufferMS?: number
  /**
   * Series in the buffer, at most, those to be repeated included; beyond it the stream is slowed. Greater than `maxBatchSizeInSamples`.
   *
   * @default 4000, or 8 x maxBatchSizeInSamples if that is more
   */
  readonly maxBufferedRequests?: number
  /** Requests under way at one time, at most. @default the value of orderedLanes, or 4 */
  readonly maxInFlightRequests?: number
  /**
   * Requests under way at one time to one destination: series are spread over so many lanes, and each series stays in order. At most
   * `maxInFlightRequests`; needs `maxBufferedRequests >= 2 x orderedLanes x maxBatchSizeInSamples`.
   *
   * @default 4, or as many as the other limits allow
   */
  readonly orderedLanes?: number
  /** Delays and number of repeats. */
  readonly retryConfiguration?: RetryConfiguration
  /** Milliseconds that the receiver may take to begin its answer, and between two parts of it. @default 5000 */
  readonly socketTimeoutMs?: number
  /** Milliseconds to make a connection, at most, TLS included. @default 5000 */
  readonly connectTimeoutMs?: number
  /**
   * Milliseconds for one try of a batch as a whole: signing, connecting, negotiation, answer. Then its outcome is unknown, and it is
   * repeated. More than `connectTimeoutMs` and `socketTimeoutMs` together. @default 30000
   */
  readonly requestTimeoutMs?: number
  /** Signs each attempt. Excludes `basicAuth` and `bearerToken`. */
  readonly requestSigner?: PrometheusRequestSigner
  /** HTTP basic authentication. Excludes `bearerToken` and `requestSigner`. */
  readonly basicAuth?: BasicAuth
  /** `Authorization: Bearer ...`. Excludes `basicAuth` and `requestSigner`. */
  readonly bearerToken?: BearerToken
  /** Headers of every request. Those of the protocol and of the authentication are refused. */
  readonly headers?: Readonly<Record<string, string | Secret>>
  /** The `User-Agent`, a name and a version. @default 'Sluice-Prometheus/<version>' */
  readonly httpUserAgent?: string
  /** TLS of `https:`. */
  readonly tls?: TlsOptions
  /** `http:` or `https:` address of a proxy, with its credentials if it wants some; `tls.ca` is for it too. @default none, whatever the environment says */
  readonly proxyUrl?: string
  /** A dispatcher of undici that you made and will close. Excludes `tls`, `proxyUrl` and `connectTimeoutMs`. */
  readonly dispatcher?: Dispatcher
  /** What becomes of requests that fail for good. */
  readonly errorHandlingBehaviorConfiguration?: ErrorHandlingBehaviorConfiguration
  /** The other spelling of `errorHandlingBehaviorConfiguration`. */
  readonly errorHandlingBehaviourConfiguration?: ErrorHandlingBehaviorConfiguration
  /** Value of the label `group` of this sink's own metrics. @default 'Prometheus' */
  readonly metricGroupName?: string
  /**
   * Remote write as it is sent: `1.0`, which every receiver takes; `2.0`; or `auto`, which begins each destination with 2.0 and falls
   * back when the receiver does not take it, or takes it without saying that it read it.
   *
   * @default '1.0'
   */
  readonly protocol?: WireProtocol | 'auto'
  /**
   * Milliseconds after which a receiver of 1.0 is told again what a metric is (type, help, unit); it is told first when samples of a
   * metric with `metadata` were written, in a request of its own that costs no sample when it fails. `Infinity`: again only when it has
   * changed. 0: never. Remote write 2.0 has it in every request. @default 60000
   */
  readonly metadataIntervalMs?: number
  /** Header that names the tenant. @default 'X-Scope-OrgID' */
  readonly tenantHeader?: string
  /** Requests spent on finding the culprits of one refused request, at most; what is left then counts as refused. @default 200 */
  readonly maxIsolationRequests?: number
  /**
   * Answers with status 500 to the same series, while the receiver takes others, after which the request counts as refused: some
   * receivers say 500 to what they will never take. At most `retryConfiguration.maxRetryCount` + 1: where the default is more, nothing
   * counts so, and `onMaxRetryExceeded` says what becomes of the request. `Infinity` switches it off. @default 3
   */
  readonly isolateAfterServerErrors?: number
}

/** Which of two behaviours, with its default. */
export interface FailurePolicy {
  readonly onMaxRetryExceeded: OnErrorBehavior
  readonly onHttpClientIOFail: OnErrorBehavior
  /** Undefined where nothing was said: then it depends on whether there are dead letters. */
  readonly onPrometheusNonRetriableError: OnErrorBehavior | undefined
}

/** What a transport is made of. */
export interface TransportOptions {
  readonly url: string
  readonly socketTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly maxInFlightRequests: number
  readonly requestSigner: PrometheusRequestSigner | undefined
  readonly authorization: Authorization | undefined
  /** Texts that must not be shown, beside those of the authorization. */
  readonly secrets: readonly string[]
  readonly tls: TlsOptions | undefined
  readonly proxyUrl: string | undefined
  readonly dispatcher: Dispatcher | undefined
}

/** What the sink works with: every default filled in. */
export interface ResolvedOptions {
  readonly uid: string
  /** The address without credentials and query. */
  readonly shownUrl: string
  readonly engine: AsyncSinkOptions
  readonly maxRecordSizeInSamples: number
  readonly maxRetryCount: number
  readonly policy: FailurePolicy
  readonly protocol: WireProtocol | 'auto'
  readonly transport: TransportOptions
  /** Of every request, names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly tenantHeader: string
  readonly maxIsolationRequests: number
  readonly isolateAfterServerErrors: number
  readonly metadataIntervalMs: number
  readonly metricGroupName: string
}
