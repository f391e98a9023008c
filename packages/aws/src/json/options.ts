import { type Clock, OptionsCheck, systemClock } from '@sluice/core'
import type { SdkClientLike } from './sdk-client.ts'
import type { ServiceExceptions } from './service-error.ts'

/** What is to be known of a service that speaks AWS JSON over HTTP. */
export interface JsonService extends ServiceExceptions {
  /** Name of the service in signatures: `timestream`, `sqs`. */
  readonly signingName: string
  /** What stands before the operation in `x-amz-target`: `Timestream_20181101`, `AmazonSQS`. */
  readonly targetPrefix: string
  /** Of the service's protocol: AWS JSON 1.0 or 1.1. */
  readonly contentType: 'application/x-amz-json-1.0' | 'application/x-amz-json-1.1'
}

/** Options of {@link JsonClient}. */
export interface JsonClientOptions {
  /** A client of the AWS SDK, which is asked for region, endpoint and credentials. Nothing is sent through it, and it is never destroyed. */
  readonly client: SdkClientLike
  /** Whom to talk to. */
  readonly service: JsonService
  /** Connections to one endpoint, at most: as many as requests are in flight. More requests wait for one. 1 to 10000. */
  readonly maxConnections: number
  /**
   * Milliseconds from the call to the end of the answer, at most: credentials, connection, request and answer. 1 to 900000. An answer
   * that has come is not given up because the process was busy.
   */
  readonly timeoutMs: number
  /** Milliseconds to establish a connection, at most. @default 5000, or `timeoutMs` if that is less */
  readonly connectTimeoutMs?: number
  /** Bytes of one answer, at most; a longer one is an error. @default 16777216 (16 MiB) */
  readonly maxResponseBytes?: number
  /** @default the time of the process */
  readonly clock?: Clock
}

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem. */
export function checkedOptions(options: JsonClientOptions): Required<JsonClientOptions> {
  const check = new OptionsCheck('JsonClient', options, NAMES)
  const { client, service, maxConnections, timeoutMs, connectTimeoutMs, maxResponseBytes, clock }: JsonClientOptions =
    Object(options)
  const config: unknown = Reflect.get(Object(client), 'config')
  const missing = CONFIG.filter((name) => typeof Reflect.get(Object(config), name) !== 'function')
  if (missing.length > 0)
    check.problem(`client must be a client of the AWS SDK: its config has no ${missing.join(', ')}`)
  checkService(check, service)
  check.integer('maxConnections', { required: true, max: 10_000 })
  check.integer('timeoutMs', { required: true, max: MAX_TIMEOUT_MS })
  check.integer('connectTimeoutMs', { max: MAX_TIMEOUT_MS })
  check.integer('maxResponseBytes', { max: 1024 ** 3 })
  check.throwIfAny()
  return {
    client,
    service,
    maxConnections,
    timeoutMs,
    connectTimeoutMs: connectTimeoutMs ?? Math.min(5000, timeoutMs),
    maxResponseBytes: maxResponseBytes ?? 16 * 1024 * 1024,
    clock: clock ?? systemClock,
  }
}

/** A signature is good for 15 minutes. */
export const MAX_TIMEOUT_MS = 900_000

const NAMES: readonly (keyof JsonClientOptions)[] = [
  'client',
  'service',
  'maxConnections',
  'timeoutMs',
  'connectTimeoutMs',
  'maxResponseBytes',
  'clock',
]

const CONFIG = ['region', 'credentials', 'useFipsEndpoint', 'useDualstackEndpoint', 'endpointProvider']

function checkService(check: OptionsCheck, service: unknown): void {
  const names = ['signingName', 'targetPrefix', 'contentType', 'exceptions', 'baseException']
  const nested = new OptionsCheck('JsonClient', service, names, 'service.')
  const word = { required: true, pattern: /^[\w.-]+$/, says: "letters, digits, '_', '.' and '-'" }
  nested.string('signingName', word)
  nested.string('targetPrefix', word)
  nested.string('contentType', {
    required: true,
    pattern: /^application\/x-amz-json-1\.[01]$/,
    says: "'application/x-amz-json-1.0' or 'application/x-amz-json-1.1'",
  })
  nested.function('exceptions', true)
  nested.function('baseException')
  for (const problem of nested.problems) check.problem(problem)
}
