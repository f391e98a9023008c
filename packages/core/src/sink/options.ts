import { areNumbers, OptionsCheck } from '../options.ts'
import type { BackoffOptions } from '../runtime/backoff.ts'
import { congestionControl, type RateLimitingStrategy } from './rate-limiting.ts'

/** The limits of a sink: FLIP-171's six, under their names, and what FLIP-171 lacks. */
export interface AsyncSinkOptions {
  /** Entries in one request, at most. */
  readonly maxBatchSize: number
  /** Requests under way at one time, at most. */
  readonly maxInFlightRequests: number
  /** Entries in the buffer, those that wait to be retried included, at most. Must be greater than `maxBatchSize`. */
  readonly maxBufferedRequests: number
  /** Age in milliseconds at which an entry is sent although its batch is not full. */
  readonly maxTimeInBufferMS: number
  /** Bytes of one request, at most, as the sink's `sizeInBytes` counts them. @default no limit */
  readonly maxBatchSizeInBytes?: number
  /** Bytes of one entry, at most; a larger one is refused with reason `recordTooLarge`. @default no limit */
  readonly maxRecordSizeInBytes?: number
  /** Weight of one request, at most, in the unit of the sink's `weight`. @default no limit */
  readonly maxBatchWeight?: number
  /** Bytes in hand, raw inputs and entries together, at most. @default 67108864 (64 MiB) */
  readonly maxBufferedBytes?: number
  /** Milliseconds after which a request without an answer is given up; its outcome is then unknown and it is repeated. At most 2147483647. @default 60000 */
  readonly requestTimeoutMs?: number
  /** True ends the attempt when a request is not answered in time, instead of repeating it. @default false */
  readonly failOnTimeout?: boolean
  /**
   * Milliseconds after its acceptance at which an entry without an outcome is refused with reason `entryTimeout`; an answer under way
   * is waited for. @default no limit
   */
  readonly entryTimeoutMs?: number
  /** Delays between repeats of an entry. @default from 100 ms to 10 s */
  readonly retry?: BackoffOptions & {
    /** Tries of an entry before it is refused with reason `retriesExhausted`. @default no limit */
    readonly maxAttempts?: number
    /** Milliseconds after the first failed try of an entry from which it is refused instead of repeated. @default no limit */
    readonly maxElapsedMs?: number
  }
  /** Requests spent on finding the culprits of one refused batch, at most; the entries left are refused with reason `isolationBudget`. @default 200 */
  readonly maxIsolationRequests?: number
  /**
   * Lanes of each destination, where entries have an order key: a lane has one request in flight, so more lanes mean more requests at
   * a time and emptier batches. At most `maxInFlightRequests`; needs `maxBufferedRequests >= 2 x orderedLanes x maxBatchSize`.
   *
   * @default 4, or as many as the other limits allow
   */
  readonly orderedLanes?: number
  /** What throttling does to the number of requests in flight to a destination. @default congestionControl() */
  readonly rateLimitingStrategy?: RateLimitingStrategy
}

/** The name of every option above: for connectors that have them beside their own. */
export const ASYNC_SINK_OPTIONS: readonly (keyof AsyncSinkOptions)[] = [
  'maxBatchSize',
  'maxInFlightRequests',
  'maxBufferedRequests',
  'maxTimeInBufferMS',
  'maxBatchSizeInBytes',
  'maxRecordSizeInBytes',
  'maxBatchWeight',
  'maxBufferedBytes',
  'requestTimeoutMs',
  'failOnTimeout',
  'entryTimeoutMs',
  'retry',
  'maxIsolationRequests',
  'orderedLanes',
  'rateLimitingStrategy',
]

/** The limits with every default filled in; no limit is `Infinity`. */
export type ResolvedSinkOptions = Required<Omit<AsyncSinkOptions, 'retry'>> & {
  readonly retry: Required<NonNullable<AsyncSinkOptions['retry']>>
}

const DEFAULTS = {
  maxBatchSizeInBytes: Number.POSITIVE_INFINITY,
  maxRecordSizeInBytes: Number.POSITIVE_INFINITY,
  maxBatchWeight: Number.POSITIVE_INFINITY,
  maxBufferedBytes: 64 * 1024 * 1024,
  requestTimeoutMs: 60_000,
  maxIsolationRequests: 200,
  failOnTimeout: false,
  entryTimeoutMs: Number.POSITIVE_INFINITY,
} as const

const DEFAULT_ORDERED_LANES = 4
const DEFAULT_STRATEGY = congestionControl()

/** Limits that may be switched off with Infinity. A request always has a timeout. */
const OPTIONAL_LIMITS = [
  'maxBatchSizeInBytes',
  'maxRecordSizeInBytes',
  'maxBatchWeight',
  'maxBufferedBytes',
  'maxIsolationRequests',
  'entryTimeoutMs',
] as const

/** No longer delay fits a timer of Node.js. */
const MAX_TIMEOUT_MS = 0x7fff_ffff

const RETRY_DEFAULTS = {
  initialDelayMs: 100,
  maxDelayMs: 10_000,
  maxAttempts: Number.POSITIVE_INFINITY,
  maxElapsedMs: Number.POSITIVE_INFINITY,
} as const

/** Checks the engine's limits and their relations; problems go to the sink's own check, so that all are reported at once. */
export function checkSinkOptions(check: OptionsCheck, options: AsyncSinkOptions): void {
  // The values after the sink's own defaults, which its own check has not seen.
  const limits = new OptionsCheck('', options, Object.keys(options))
  for (const name of ['maxBatchSize', 'maxInFlightRequests', 'maxBufferedRequests', 'maxTimeInBufferMS'] as const) {
    limits.integer(name, { required: true })
  }
  for (const name of OPTIONAL_LIMITS) {
    if (options[name] !== Number.POSITIVE_INFINITY) limits.integer(name)
  }
  limits.integer('requestTimeoutMs', { max: MAX_TIMEOUT_MS })
  const { maxBufferedRequests, maxBatchSize } = options
  if (areNumbers(maxBufferedRequests, maxBatchSize) && maxBufferedRequests <= maxBatchSize) {
    limits.problem(
      `maxBufferedRequests must be greater than maxBatchSize, got ${maxBufferedRequests} and ${maxBatchSize}`,
    )
  }
  const { maxBatchSizeInBytes = DEFAULTS.maxBatchSizeInBytes, maxRecordSizeInBytes } = options
  const areSizes = areNumbers(maxBatchSizeInBytes, maxRecordSizeInBytes)
  if (areSizes && maxRecordSizeInBytes !== undefined && maxBatchSizeInBytes < maxRecordSizeInBytes) {
    limits.problem(
      `maxBatchSizeInBytes must be at least maxRecordSizeInBytes, got ${maxBatchSizeInBytes} and ${maxRecordSizeInBytes}`,
    )
  }
  if (options.retry !== undefined) checkRetry(limits, options.retry)
  limits.boolean('failOnTimeout')
  checkLanes(limits, options)
  const strategy: unknown = options.rateLimitingStrategy
  if (strategy !== undefined && typeof Reflect.get(Object(strategy), 'createLimiter') !== 'function') {
    limits.refuse('rateLimitingStrategy', 'congestionControl(), fixedRateLimit(), noRateLimit() or one of your own')
  }
  for (const problem of limits.problems) check.problem(problem)
}

/** Only lanes that were asked for: the default adapts itself. */
function checkLanes(limits: OptionsCheck, options: AsyncSinkOptions): void {
  const { orderedLanes, maxInFlightRequests, maxBufferedRequests, maxBatchSize } = options
  if (orderedLanes === undefined) return
  limits.integer('orderedLanes')
  if (areNumbers(orderedLanes, maxInFlightRequests) && orderedLanes > maxInFlightRequests) {
    limits.problem(
      `orderedLanes must be at most maxInFlightRequests, since each has a request in flight, got ${orderedLanes} and ${maxInFlightRequests}`,
    )
  }
  const areCounts = areNumbers(maxBufferedRequests, orderedLanes, maxBatchSize)
  if (areCounts && maxBufferedRequests < 2 * orderedLanes * maxBatchSize) {
    limits.problem(
      `maxBufferedRequests must be at least 2 x orderedLanes x maxBatchSize, or the lanes send emptier batches, got ${maxBufferedRequests}, ${orderedLanes} and ${maxBatchSize}`,
    )
  }
}

function lanesThatFit({ maxInFlightRequests, maxBufferedRequests, maxBatchSize }: AsyncSinkOptions): number {
  const filled = Math.floor(maxBufferedRequests / (2 * maxBatchSize))
  return Math.max(1, Math.min(DEFAULT_ORDERED_LANES, maxInFlightRequests, filled))
}

function checkRetry(limits: OptionsCheck, given: NonNullable<AsyncSinkOptions['retry']>): void {
  const own = new OptionsCheck('', given, Object.keys(RETRY_DEFAULTS))
  own.integer('initialDelayMs')
  own.integer('maxDelayMs')
  for (const name of ['maxAttempts', 'maxElapsedMs'] as const) {
    if (given?.[name] !== Number.POSITIVE_INFINITY) own.integer(name)
  }
  const { initialDelayMs, maxDelayMs } = withDefaults(RETRY_DEFAULTS, given)
  if (areNumbers(initialDelayMs, maxDelayMs) && initialDelayMs > maxDelayMs) {
    own.problem(`initialDelayMs must be at most maxDelayMs, got ${initialDelayMs} and ${maxDelayMs} milliseconds`)
  }
  for (const problem of own.problems) limits.problem(`retry: ${problem}`)
}

/** What is given as undefined counts as not given. */
export function withDefaults<Defaults extends object, Given extends object>(
  defaults: Defaults,
  given: Given | undefined,
): Defaults & Given {
  const present = Object.entries(given ?? {}).filter(([, value]) => value !== undefined)
  return { ...defaults, ...(Object.fromEntries(present) as Given) }
}

/** The limits with their defaults. @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function resolveSinkOptions(options: AsyncSinkOptions): ResolvedSinkOptions {
  const check = new OptionsCheck('AsyncSinkWriter', options, Object.keys(options))
  checkSinkOptions(check, options)
  check.throwIfAny()
  return {
    ...withDefaults(DEFAULTS, options),
    retry: withDefaults(RETRY_DEFAULTS, options.retry),
    orderedLanes: options.orderedLanes ?? lanesThatFit(options),
    rateLimitingStrategy: options.rateLimitingStrategy ?? DEFAULT_STRATEGY,
  }
}
