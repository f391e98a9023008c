import { checkAwsClientConfig } from '@sluice/aws'
import { type AsyncSinkOptions, checkSinkOptions, OptionsCheck } from '@sluice/core'
import type { FailurePolicy, OwnClientOptions, ResolvedOptions, TimestreamSinkOptions } from './options.ts'
import { MAX_PAUSE_MS } from './retry-strategy.ts'

/** The limit of WriteRecords. */
const MAX_RECORDS_PER_REQUEST = 100

const ENGINE_DEFAULTS = {
  maxBatchSize: MAX_RECORDS_PER_REQUEST,
  maxBufferedRequests: 1000,
  maxInFlightRequests: 100,
  maxTimeInBufferMS: 15_000,
} as const

const ENGINE_OPTIONS = [
  'maxBatchSize',
  'maxBufferedRequests',
  'maxInFlightRequests',
  'maxTimeInBufferMS',
  'maxRecordSizeInBytes',
  'maxBufferedBytes',
  'maxIsolationRequests',
  'entryTimeoutMs',
  'failOnTimeout',
  'orderedLanes',
  'rateLimitingStrategy',
  'retry',
] as const

const POLICY_DEFAULTS: FailurePolicy = {
  printFailedRequests: false,
  failProcessingOnRejectedRecordsException: true,
  failProcessingOnValidationException: true,
  failProcessingOnErrorDefault: true,
}

const GROUPS = {
  writeClientConfig: [
    'maxConcurrency',
    'maxErrorRetry',
    'region',
    'requestTimeout',
    'endpointOverride',
    'useFipsEndpoint',
    'useDualstackEndpoint',
  ],
  credentialConfig: ['profileName', 'profileConfigPath'],
  failureHandlerConfig: Object.keys(POLICY_DEFAULTS),
} as const satisfies Partial<Record<keyof TimestreamSinkOptions<unknown>, readonly string[]>>

const PLAIN_OPTIONS = [
  'uid',
  'databaseName',
  'tableName',
  'elementConverter',
  'batchConverter',
  'credentialsProviderType',
  'client',
] as const

type Loose = Readonly<Record<string, unknown>>

/**
 * Checks the options and fills in the defaults.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem.
 */
export function resolveOptions<In>(options: TimestreamSinkOptions<In>): ResolvedOptions<In> {
  if (!isObject(options)) new OptionsCheck('TimestreamSink', options, []).throwIfAny()
  const given: Loose = { ...options }
  const groups = Object.keys(GROUPS) as (keyof typeof GROUPS)[]
  const known = [...PLAIN_OPTIONS, ...ENGINE_OPTIONS, ...groups.flatMap((name) => pathsOf(name))]
  // Groups are flattened, so that their options are checked, and their names suggested, with their full path.
  const flat: Record<string, unknown> = { ...ENGINE_DEFAULTS, ...withoutUndefined(given) }
  for (const name of groups) {
    const value = given[name]
    if (!isObject(value)) continue
    delete flat[name]
    for (const [key, inner] of Object.entries(value)) flat[`${name}.${key}`] = inner
  }
  const check = new OptionsCheck('TimestreamSink', flat, [...known, ...groups])
  for (const name of groups) {
    const value = given[name]
    if (value === undefined || isObject(value)) continue
    check.problem(`${name} must be an object, got ${Array.isArray(value) ? 'array' : typeof value}`)
  }
  const engine = engineOptions(given)
  const own = ownClientOptions(given, engine.maxInFlightRequests)
  checkPlain(check)
  checkSinkOptions(check, engine)
  if (Number.isSafeInteger(engine.maxBatchSize) && engine.maxBatchSize > MAX_RECORDS_PER_REQUEST) {
    check.refuse('maxBatchSize', `an integer from 1 to ${MAX_RECORDS_PER_REQUEST}, the limit of WriteRecords`)
  }
  checkClient(check, given, own)
  for (const path of pathsOf('failureHandlerConfig')) check.boolean(path)
  check.throwIfAny()
  return {
    uid: options.uid ?? 'timestream',
    databaseName: options.databaseName,
    tableName: options.tableName,
    elementConverter: options.elementConverter,
    batchConverter: options.batchConverter,
    engine: { ...engine, requestTimeoutMs: coveringTimeoutMs(own) },
    policy: { ...POLICY_DEFAULTS, ...groupOf(given, 'failureHandlerConfig') },
    client: options.client,
    ownClient: own,
  }
}

/** Long enough for every try that the SDK makes by itself, with its pauses, and for a discovery before the first. */
function coveringTimeoutMs({ maxErrorRetry, requestTimeout }: OwnClientOptions): number {
  return (maxErrorRetry + 2) * requestTimeout + maxErrorRetry * MAX_PAUSE_MS
}

function engineOptions(given: Loose): AsyncSinkOptions {
  const picked = ENGINE_OPTIONS.filter((name) => given[name] !== undefined).map((name) => [name, given[name]])
  return { ...ENGINE_DEFAULTS, ...(Object.fromEntries(picked) as Partial<AsyncSinkOptions>) }
}

function ownClientOptions(given: Loose, maxInFlightRequests: number): OwnClientOptions {
  return {
    maxConcurrency: maxInFlightRequests,
    maxErrorRetry: 10,
    requestTimeout: 20_000,
    credentialsProviderType: 'AUTO',
    ...groupOf(given, 'writeClientConfig'),
    ...withoutUndefined({ credentialsProviderType: given['credentialsProviderType'] }),
    credentialConfig: groupOf(given, 'credentialConfig'),
  }
}

function checkPlain(check: OptionsCheck): void {
  const name = {
    required: true,
    pattern: /^[\w.-]{1,256}$/,
    says: "a name of 1 to 256 letters, digits, '_', '.' or '-'",
  }
  check.string('uid')
  check.string('databaseName', name)
  check.string('tableName', name)
  check.function('elementConverter', true)
  check.function('batchConverter')
  check.oneOf('credentialsProviderType', ['AUTO', 'ENV_VAR', 'SYS_PROP', 'PROFILE'])
}

function checkClient(check: OptionsCheck, given: Loose, own: OwnClientOptions): void {
  check.integer('writeClientConfig.maxConcurrency')
  check.integer('writeClientConfig.maxErrorRetry', { min: 0, max: 100 })
  check.integer('writeClientConfig.requestTimeout', { max: 3_600_000 })
  check.string('credentialConfig.profileName')
  check.string('credentialConfig.profileConfigPath')
  const { endpointOverride, ...rest } = own
  checkAwsClientConfig(
    check,
    {
      ...pick(rest, ['region', 'useFipsEndpoint', 'useDualstackEndpoint']),
      ...withoutUndefined({ endpoint: endpointOverride }),
    },
    (field) => `writeClientConfig.${field === 'endpoint' ? 'endpointOverride' : field}`,
  )
  const type = own.credentialsProviderType
  if (type === 'PROFILE' && own.credentialConfig.profileName === undefined) {
    check.problem("credentialConfig.profileName must be given with credentialsProviderType 'PROFILE'")
  }
  if (type !== 'PROFILE' && Object.keys(own.credentialConfig).length > 0) {
    check.problem(`credentialConfig needs credentialsProviderType 'PROFILE', got '${type}'`)
  }
  if (given['client'] === undefined) return
  if (!isObject(given['client']) || typeof given['client']['send'] !== 'function') {
    check.problem('client must be a TimestreamWriteClient of @aws-sdk/client-timestream-write')
  }
  for (const name of ['writeClientConfig', 'credentialsProviderType', 'credentialConfig']) {
    if (given[name] !== undefined) check.problem(`client excludes ${name}: configure the client that you pass instead`)
  }
}

function pathsOf(group: keyof typeof GROUPS): readonly string[] {
  return GROUPS[group].map((name) => `${group}.${name}`)
}

function groupOf(given: Loose, name: keyof typeof GROUPS): Loose {
  const value = given[name]
  return isObject(value) ? withoutUndefined(value) : {}
}

function pick(from: Loose, names: readonly string[]): Loose {
  return Object.fromEntries(names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]))
}

function withoutUndefined(from: object): Loose {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined))
}

function isObject(value: unknown): value is Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
