import { type Clock, type Logger, type MetricSample, OptionsCheck, silentLogger, systemClock } from '@sluice/core'
import type { SdkClientLike } from '../json/sdk-client.ts'
import type { CloudWatchSender } from './sender.ts'

/** Options of {@link cloudWatchMetrics}. */
export interface CloudWatchMetricsOptions {
  /**
   * A client of the AWS SDK, of any service, which is asked for region and credentials, and whether endpoints are to be FIPS and
   * dual-stack. Nothing is sent through it. A client that has an endpoint of its own keeps it only if it is a `CloudWatchClient`.
   * Give this or `sender`.
   */
  readonly client?: SdkClientLike
  /** Sends instead of a client of this package: `new CloudWatch({})` of `@aws-sdk/client-cloudwatch`. Give this or `client`. */
  readonly sender?: CloudWatchSender
  /** With `client`: where to send. Needed in partitions other than AWS, China and GovCloud. @default `monitoring.<region>...` */
  readonly endpoint?: string
  /** Namespace of the metrics, at most 255 characters; not `AWS/...`, which is reserved. @default 'Sluice' */
  readonly namespace?: string
  /** Dimensions of every metric beside its labels, such as `{ stage: 'prod' }`: at most 20. @default none */
  readonly dimensions?: Readonly<Record<string, string>>
  /** Milliseconds between two reports: 1000 to 3600000. CloudWatch keeps one value a minute. @default 60000 */
  readonly intervalMs?: number
  /** Milliseconds that one request may take: 1 to 60000. @default 10000 */
  readonly timeoutMs?: number
  /**
   * Chooses what is reported. Each metric with its dimensions costs about 0.30 USD a month.
   *
   * @default every metric but those of single splits (with a label `split`)
   */
  readonly select?: (sample: MetricSample) => boolean
  /** Told when reports fail, and when they work again. @default says nothing */
  readonly logger?: Logger
  /** @default the time of the process; the wait for the next report does not keep the process alive */
  readonly clock?: Clock
}

/** What the reporter works with: every default filled in. */
export interface ResolvedOptions
  extends
    Required<Omit<CloudWatchMetricsOptions, 'client' | 'sender' | 'endpoint'>>,
    Pick<CloudWatchMetricsOptions, 'client' | 'sender' | 'endpoint'> {
  /** Calls back when the next report is due. */
  readonly after: Clock['after']
}

const NAMES: readonly (keyof CloudWatchMetricsOptions)[] = [
  'client',
  'sender',
  'endpoint',
  'namespace',
  'dimensions',
  'intervalMs',
  'timeoutMs',
  'select',
  'logger',
  'clock',
]

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function resolvedOptions(options: CloudWatchMetricsOptions): ResolvedOptions {
  const check = new OptionsCheck('cloudWatchMetrics', options, NAMES)
  const given: CloudWatchMetricsOptions = Object(options)
  if ((given.client === undefined) === (given.sender === undefined)) check.problem('give either client or sender')
  if (given.sender !== undefined && typeof Reflect.get(Object(given.sender), 'putMetricData') !== 'function') {
    check.refuse('sender', 'an object with putMetricData')
  }
  if (given.endpoint !== undefined) {
    if (given.sender !== undefined) check.problem('endpoint is for client: a sender has its own')
    if (!isHttp(given.endpoint)) check.problem('endpoint must be an http or https URL without user name and password')
  }
  check.string('namespace', {
    pattern: /^(?!AWS\/|:)[\w./#: -]{0,254}[\w./#:-]$/,
    says: "1 to 255 letters, digits and '.', '-', '_', '/', '#', ':', ' ', and not begin with 'AWS/' or ':'",
  })
  checkDimensions(check, given.dimensions)
  check.integer('intervalMs', { min: 1000, max: 3_600_000 })
  check.integer('timeoutMs', { max: 60_000 })
  check.function('select')
  check.throwIfAny()
  const { namespace = 'Sluice', dimensions = {}, intervalMs = 60_000, timeoutMs = 10_000 } = given
  const { select = isOfNoSplit, logger = silentLogger, clock = systemClock } = given
  const after = given.clock === undefined ? afterUnlessDone : clock.after.bind(clock)
  return { ...given, namespace, dimensions, intervalMs, timeoutMs, select, logger, clock, after }
}

/** Does not keep the process alive. */
function afterUnlessDone(delayMs: number, callback: () => void): ReturnType<Clock['after']> {
  const timeout = setTimeout(callback, delayMs).unref()
  return { cancel: () => clearTimeout(timeout) }
}

function isOfNoSplit({ labels }: MetricSample): boolean {
  return labels['split'] === undefined
}

function isHttp(value: unknown): boolean {
  const url = typeof value === 'string' ? URL.parse(value) : null
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
}

function checkDimensions(check: OptionsCheck, dimensions: unknown): void {
  if (dimensions === undefined) return
  const entries = Object.entries(Object(dimensions))
  const isRecord = typeof dimensions === 'object' && dimensions !== null && !Array.isArray(dimensions)
  if (!isRecord || entries.length > 20) check.refuse('dimensions', 'an object of at most 20 texts')
  for (const [name, value] of entries) {
    const isName = /^(?!:)[\x20-\x7e]{1,255}$/.test(name) && name.trim() !== ''
    if (isName && typeof value === 'string' && /^[\x20-\x7e]{1,1024}$/.test(value) && value.trim() !== '') continue
    check.problem(
      `dimensions['${name}'] must be 1 to 1024 characters of ASCII under a name of 1 to 255, not beginning with ':'`,
    )
  }
}
