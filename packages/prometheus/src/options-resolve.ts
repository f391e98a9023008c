import { readFileSync } from 'node:fs'
import { type AsyncSinkOptions, checkSinkOptions, isSecret, OptionsCheck } from '@sluice/core'
import { areNumbers } from '@sluice/core/internal'
import { authorizationOf, checkAuth, reveal } from './auth.ts'
import { checkTransport, proxySecrets } from './options-transport.ts'
import type {
  ErrorHandlingBehaviorConfiguration,
  FailurePolicy,
  RemoteWriteOptions,
  ResolvedOptions,
  RetryConfiguration,
  TransportOptions,
} from './options.ts'

const RETRY_DEFAULTS: Required<RetryConfiguration> = {
  initialRetryDelayMS: 30,
  maxRetryDelayMS: 5000,
  maxRetryCount: 100,
}

const POLICY_DEFAULTS: FailurePolicy = {
  onMaxRetryExceeded: 'FAIL',
  onHttpClientIOFail: 'FAIL',
  onPrometheusNonRetriableError: undefined,
}

const BEHAVIORS = ['FAIL', 'DISCARD_AND_CONTINUE'] as const

const DEFAULT_LANES = 4
const DEFAULT_BATCH = 500
const DEFAULT_REQUEST_TIMEOUT_MS = 30_000
const DEFAULT_TIMEOUT_MS = 5000
const MAX_TIMER_MS = 0x7fff_ffff

/** Options that the engine of core has under the same name. */
const ENGINE_OPTIONS = [
  'maxBufferedBytes',
  'entryTimeoutMs',
  'failOnTimeout',
  'rateLimitingStrategy',
  'maxBatchSizeInBytes',
  'orderedLanes',
] as const

/** The name of every option. */
export const REMOTE_WRITE_OPTIONS: readonly (keyof RemoteWriteOptions)[] = [
  ...ENGINE_OPTIONS,
  'uid',
  'prometheusRemoteWriteUrl',
  'maxBatchSizeInSamples',
  'maxRecordSizeInSamples',
  'maxTimeInBufferMS',
  'maxBufferedRequests',
  'maxInFlightRequests',
  'retryConfiguration',
  'socketTimeoutMs',
  'connectTimeoutMs',
  'requestTimeoutMs',
  'requestSigner',
  'basicAuth',
  'bearerToken',
  'headers',
  'httpUserAgent',
  'tls',
  'proxyUrl',
  'dispatcher',
  'errorHandlingBehaviorConfiguration',
  'errorHandlingBehaviourConfiguration',
  'metricGroupName',
  'protocol',
  'tenantHeader',
  'maxIsolationRequests',
  'isolateAfterServerErrors',
  'metadataIntervalMs',
]

/** Adds every problem of the options to a check that was made of them; gives them back with their defaults once there is none. */
export function resolveRemoteWrite(check: OptionsCheck, options: RemoteWriteOptions): () => ResolvedOptions {
  const engine = engineOptions(options)
  checkLimits(check, options, engine)
  checkAuth(check, options.basicAuth, options.bearerToken)
  checkTransport(check, options)
  const policy = policyOf(check, options)
  return () => resolved(options, engine, policy)
}

function engineOptions(options: RemoteWriteOptions): AsyncSinkOptions {
  const { orderedLanes, retryConfiguration, maxBatchSizeInSamples: batch = DEFAULT_BATCH } = options
  const retry = withDefaults(RETRY_DEFAULTS, retryConfiguration)
  const lanes = typeof orderedLanes === 'number' ? orderedLanes : DEFAULT_LANES
  const filled = 2 * lanes * (typeof batch === 'number' ? batch : DEFAULT_BATCH)
  const passed = ENGINE_OPTIONS.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])
  return {
    ...(Object.fromEntries(passed) as Partial<AsyncSinkOptions>),
    maxBatchSize: batch,
    maxBatchWeight: batch,
    maxInFlightRequests: options.maxInFlightRequests ?? lanes,
    maxBufferedRequests: options.maxBufferedRequests ?? Math.max(4000, filled),
    maxTimeInBufferMS: options.maxTimeInBufferMS ?? 5000,
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    // How often is the sink's to say: an outage must not be charged to the records that wait for its end.
    retry: { initialDelayMs: retry.initialRetryDelayMS, maxDelayMs: retry.maxRetryDelayMS },
    // Counted by the sink, which also says what becomes of the entries that are left.
    maxIsolationRequests: Number.POSITIVE_INFINITY,
  }
}

function checkLimits(check: OptionsCheck, options: RemoteWriteOptions, engine: AsyncSinkOptions): void {
  check.string('uid')
  check.string('metricGroupName')
  check.oneOf('protocol', ['1.0', '2.0', 'auto'])
  check.integer('maxBatchSizeInSamples')
  check.integer('maxRecordSizeInSamples')
  check.integer('maxIsolationRequests')
  if (options.isolateAfterServerErrors !== Number.POSITIVE_INFINITY) check.integer('isolateAfterServerErrors')
  if (options.metadataIntervalMs !== Number.POSITIVE_INFINITY) check.integer('metadataIntervalMs', { min: 0 })
  check.integer('socketTimeoutMs', { max: MAX_TIMER_MS })
  check.integer('connectTimeoutMs', { max: MAX_TIMER_MS })
  const { maxBatchSizeInSamples = DEFAULT_BATCH, maxRecordSizeInSamples = maxBatchSizeInSamples } = options
  const areCounts = areNumbers(maxRecordSizeInSamples, maxBatchSizeInSamples)
  if (areCounts && maxRecordSizeInSamples > maxBatchSizeInSamples) {
    check.problem(
      `maxRecordSizeInSamples must be at most maxBatchSizeInSamples, got ${maxRecordSizeInSamples} and ${maxBatchSizeInSamples}`,
    )
  }
  checkRetry(check, options.retryConfiguration)
  checkServerErrors(check, options)
  // The engine speaks of the limits under its own names, and repeats what was found above.
  const limits = new OptionsCheck('', engine, Object.keys(engine))
  checkSinkOptions(limits, engine)
  for (const problem of limits.problems) {
    if (/^(?:retry:|maxBatchSize must|maxBatchWeight)/.test(problem)) continue
    check.problem(problem.replaceAll(/\bmaxBatchSize\b/g, 'maxBatchSizeInSamples'))
  }
  const { connectTimeoutMs = DEFAULT_TIMEOUT_MS, socketTimeoutMs = DEFAULT_TIMEOUT_MS } = options
  const whole = engine.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS
  if (areNumbers(whole, connectTimeoutMs, socketTimeoutMs) && whole <= connectTimeoutMs + socketTimeoutMs) {
    check.problem(
      `requestTimeoutMs must be greater than connectTimeoutMs and socketTimeoutMs together, got ${whole}, ${connectTimeoutMs} and ${socketTimeoutMs}`,
    )
  }
}

function checkRetry(check: OptionsCheck, given: RetryConfiguration | undefined): void {
  if (given === undefined) return
  const own = new OptionsCheck('', given, Object.keys(RETRY_DEFAULTS), 'retryConfiguration.')
  own.integer('initialRetryDelayMS')
  own.integer('maxRetryDelayMS')
  if (given?.maxRetryCount !== Number.POSITIVE_INFINITY) own.integer('maxRetryCount', { min: 0 })
  const { initialRetryDelayMS, maxRetryDelayMS } = withDefaults(RETRY_DEFAULTS, given)
  if (areNumbers(initialRetryDelayMS, maxRetryDelayMS) && initialRetryDelayMS > maxRetryDelayMS) {
    own.problem(
      `retryConfiguration.initialRetryDelayMS must be at most maxRetryDelayMS, got ${initialRetryDelayMS} and ${maxRetryDelayMS}`,
    )
  }
  for (const problem of own.problems) check.problem(problem)
}

/** The answers that it counts are those to a request and to its repeats. */
function checkServerErrors(
  check: OptionsCheck,
  { isolateAfterServerErrors: count, retryConfiguration }: RemoteWriteOptions,
): void {
  const { maxRetryCount } = withDefaults(RETRY_DEFAULTS, retryConfiguration)
  if (count === undefined || count === Number.POSITIVE_INFINITY || !areNumbers(count, maxRetryCount)) return
  if (!(count > maxRetryCount + 1) || maxRetryCount < 0) return
  check.problem(
    `isolateAfterServerErrors must be at most retryConfiguration.maxRetryCount + 1, got ${count} and ${maxRetryCount}`,
  )
}

/** Both spellings, each of them once. */
function policyOf(check: OptionsCheck, options: RemoteWriteOptions): FailurePolicy {
  const { errorHandlingBehaviorConfiguration: one, errorHandlingBehaviourConfiguration: other } = options
  if (one !== undefined && other !== undefined) {
    check.problem(
      'errorHandlingBehaviorConfiguration and errorHandlingBehaviourConfiguration are one option: give one of them',
    )
  }
  const [name, given] =
    one === undefined
      ? (['errorHandlingBehaviourConfiguration', other] as const)
      : (['errorHandlingBehaviorConfiguration', one] as const)
  if (given === undefined) return POLICY_DEFAULTS
  const known = [...Object.keys(POLICY_DEFAULTS), 'onPrometheusNonRetryableError']
  const own = new OptionsCheck('', given, known, `${name}.`)
  for (const each of known) own.oneOf(each, BEHAVIORS)
  const { onPrometheusNonRetryableError: later, ...rest }: ErrorHandlingBehaviorConfiguration = given ?? {}
  if (later !== undefined && rest.onPrometheusNonRetriableError !== undefined) {
    own.problem(
      `${name}: onPrometheusNonRetriableError and onPrometheusNonRetryableError are one option: give one of them`,
    )
  }
  for (const problem of own.problems) check.problem(problem)
  return withDefaults(POLICY_DEFAULTS, {
    ...rest,
    ...(later === undefined ? {} : { onPrometheusNonRetriableError: later }),
  })
}

function resolved(options: RemoteWriteOptions, engine: AsyncSinkOptions, policy: FailurePolicy): ResolvedOptions {
  const { maxRetryCount } = withDefaults(RETRY_DEFAULTS, options.retryConfiguration)
  const url = new URL(options.prometheusRemoteWriteUrl)
  const given = Object.entries(options.headers ?? {})
  const headers = Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), reveal(value)]))
  const transport: TransportOptions = {
    url: url.href,
    socketTimeoutMs: options.socketTimeoutMs ?? DEFAULT_TIMEOUT_MS,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxInFlightRequests: engine.maxInFlightRequests,
    requestSigner: options.requestSigner,
    authorization: authorizationOf(options.basicAuth, options.bearerToken),
    secrets: [
      ...given.flatMap(([, value]) => (isSecret(value) ? [value.reveal()] : [])),
      ...proxySecrets(options.proxyUrl),
    ],
    tls: options.tls,
    proxyUrl: options.proxyUrl,
    dispatcher: options.dispatcher,
  }
  return {
    uid: options.uid ?? 'prometheus',
    shownUrl: `${url.origin}${url.pathname}`,
    engine,
    maxRecordSizeInSamples: options.maxRecordSizeInSamples ?? engine.maxBatchSize,
    maxRetryCount,
    policy,
    protocol: options.protocol ?? '1.0',
    transport,
    headers: { ...headers, 'user-agent': options.httpUserAgent ?? `Sluice-Prometheus/${packageVersion()}` },
    tenantHeader: (options.tenantHeader ?? 'X-Scope-OrgID').toLowerCase(),
    maxIsolationRequests: options.maxIsolationRequests ?? 200,
    isolateAfterServerErrors: options.isolateAfterServerErrors ?? 3,
    metadataIntervalMs: options.metadataIntervalMs ?? 60_000,
    metricGroupName: options.metricGroupName ?? 'Prometheus',
  }
}

let version: string | undefined

function packageVersion(): string {
  version ??= String(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version)
  return version
}

/** What is given as undefined counts as not given. */
function withDefaults<Defaults extends object>(defaults: Defaults, given: Partial<Defaults> | undefined): Defaults {
  const present = Object.entries(given ?? {}).filter(([, value]) => value !== undefined)
  return { ...defaults, ...(Object.fromEntries(present) as Partial<Defaults>) }
}
