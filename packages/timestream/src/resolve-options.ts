import { checkAwsClientConfig } from '@sluice/aws'
import { type AsyncSinkOptions, checkSinkOptions, OptionsCheck } from '@sluice/core'
import { keepingOrder } from './alignment.ts'
import { checkMapping, mappingConverter, type RecordMapping } from './mapping.ts'
import type { ElementConverter, OwnClientOptions, ResolvedOptions, TimestreamSinkOptions } from './options.ts'
import { checkPolicy, FAILURE_HANDLER_OPTIONS, REJECTION_OPTIONS, resolvePolicy } from './policy.ts'
import { RESOURCE_NAME } from './tables/names.ts'
import { checkEnsureTable } from './tables/settings.ts'
import { MAX_PAUSE_MS } from './transport/retry-strategy.ts'
import { checkVersion, versionReader } from './versions.ts'

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

/** The longest that a signature is good for. */
const MAX_REQUEST_TIMEOUT_MS = 900_000

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
  failureHandlerConfig: FAILURE_HANDLER_OPTIONS,
  rejectionPolicy: REJECTION_OPTIONS,
  numbers: ['nonFinite', 'negativeZero'],
} as const satisfies Partial<Record<keyof TimestreamSinkOptions<unknown>, readonly string[]>>

/** In the original connector. */
const NULL_BY_DEFAULT: ReadonlySet<string> = new Set([
  'credentialConfig',
  'credentialConfig.profileName',
  'credentialConfig.profileConfigPath',
  'writeClientConfig.endpointOverride',
])

const PLAIN_OPTIONS = [
  'uid',
  'databaseName',
  'tableName',
  'elementConverter',
  'mapping',
  'version',
  'batchConverter',
  'orderBySeries',
  'ensureTable',
  'checkRetention',
  'transport',
  'emitSinkMetricsToCloudWatch',
  'credentialsProviderType',
  'credentials',
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
  const given = withoutNulls(options)
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
    check.refuse(name, 'an object')
  }
  const engine = engineOptions(given)
  const own = ownClientOptions(given, engine.maxInFlightRequests)
  checkPlain(check, given)
  checkSinkOptions(check, engine)
  if (Number.isSafeInteger(engine.maxBatchSize) && engine.maxBatchSize > MAX_RECORDS_PER_REQUEST) {
    check.refuse('maxBatchSize', `an integer from 1 to ${MAX_RECORDS_PER_REQUEST}, the limit of WriteRecords`)
  }
  checkClient(check, given, own)
  const areBothGiven = given['failureHandlerConfig'] !== undefined && given['rejectionPolicy'] !== undefined
  checkPolicy(check, groupOf(given, 'failureHandlerConfig')['failureHandlerClass'], areBothGiven)
  check.throwIfAny()
  const { tableName } = options
  const transport = options.transport ?? (options.client === undefined ? 'direct' : 'sdk')
  const timeoutMs = writeTimeoutMs(own, transport)
  return {
    uid: options.uid ?? 'timestream',
    databaseName: options.databaseName,
    tableName: typeof tableName === 'string' ? tableName : undefined,
    router: typeof tableName === 'function' ? tableName : undefined,
    elementConverter: converterOf(options),
    version: versionReader(options.version ?? options.mapping?.version),
    batchConverter: options.batchConverter === undefined ? undefined : keepingOrder(options.batchConverter),
    numbers: { nonFinite: 'refuse', negativeZero: 'zero', ...groupOf(given, 'numbers') },
    orderBySeries: options.orderBySeries ?? false,
    ensureTable: options.ensureTable === true ? {} : options.ensureTable === false ? undefined : options.ensureTable,
    checkRetention: options.checkRetention ?? false,
    // For a discovery, and for requests one after the other: records with the same key are not sent together.
    engine: { ...engine, requestTimeoutMs: own.requestTimeout + 2 * timeoutMs },
    writeTimeoutMs: timeoutMs,
    policy: resolvePolicy(options.failureHandlerConfig, options.rejectionPolicy),
    transport,
    emitSinkMetricsToCloudWatch: options.emitSinkMetricsToCloudWatch ?? false,
    client: options.client,
    ownClient: own,
  }
}

/** What the original connector leaves null by default is left out. */
function withoutNulls(options: object): Loose {
  const given: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (isLeftNull(name, value)) continue
    const inner = Object.hasOwn(GROUPS, name) && isObject(value) ? Object.entries(value) : undefined
    given[name] =
      inner === undefined ? value : Object.fromEntries(inner.filter(([key, of]) => !isLeftNull(`${name}.${key}`, of)))
  }
  return given
}

function isLeftNull(path: string, value: unknown): boolean {
  return value === null && NULL_BY_DEFAULT.has(path)
}

function converterOf<In>({ elementConverter, mapping }: TimestreamSinkOptions<In>): ElementConverter<In> {
  // One of the two was checked to be there.
  return elementConverter ?? mappingConverter(mapping as RecordMapping<In>)
}

/** Long enough for every try of one request that the transport makes by itself, with its pauses. */
function writeTimeoutMs({ maxErrorRetry, requestTimeout }: OwnClientOptions, transport: 'direct' | 'sdk'): number {
  if (transport === 'direct') return requestTimeout
  return (maxErrorRetry + 1) * requestTimeout + maxErrorRetry * MAX_PAUSE_MS
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
    ...withoutUndefined({
      credentialsProviderType: given['credentialsProviderType'],
      credentials: given['credentials'],
    }),
    credentialConfig: groupOf(given, 'credentialConfig'),
  }
}

function checkPlain(check: OptionsCheck, given: Loose): void {
  const { tableName, elementConverter, mapping } = given
  // A batch converter may name both, a router the database.
  const isConverted = given['batchConverter'] !== undefined
  check.string('uid')
  check.string('databaseName', { ...RESOURCE_NAME, required: !isConverted && typeof tableName !== 'function' })
  if (typeof tableName !== 'function') check.string('tableName', { ...RESOURCE_NAME, required: !isConverted })
  if (elementConverter === undefined && mapping === undefined) {
    check.problem('elementConverter must be a function, got undefined; or give a mapping')
  }
  check.function('elementConverter')
  if (elementConverter !== undefined && mapping !== undefined) {
    check.problem('mapping and elementConverter exclude one another: give one of the two')
  }
  if (mapping !== undefined) checkMapping(check, mapping)
  checkVersion(check, 'version', given['version'])
  if (given['version'] !== undefined && isObject(mapping) && mapping['version'] !== undefined) {
    check.problem('version and mapping.version exclude one another: give one of the two')
  }
  check.function('batchConverter')
  check.oneOf('numbers.nonFinite', ['refuse', 'omit'])
  check.oneOf('numbers.negativeZero', ['zero', 'refuse'])
  for (const flag of ['orderBySeries', 'checkRetention', 'emitSinkMetricsToCloudWatch']) check.boolean(flag)
  checkEnsureTable(check, given['ensureTable'])
  const isNamed = tableName !== undefined && (typeof tableName === 'function' || given['databaseName'] !== undefined)
  for (const option of ['ensureTable', 'checkRetention']) {
    if (isNamed || !isConverted || given[option] === undefined || given[option] === false) continue
    check.problem(`${option} needs databaseName and tableName: what a batchConverter names is known too late`)
  }
  check.oneOf('transport', ['direct', 'sdk'])
  check.oneOf('credentialsProviderType', ['AUTO', 'ENV_VAR', 'SYS_PROP', 'PROFILE'])
}

function checkClient(check: OptionsCheck, given: Loose, own: OwnClientOptions): void {
  check.integer('writeClientConfig.maxConcurrency', { max: 10_000 })
  check.integer('writeClientConfig.maxErrorRetry', { min: 0, max: 100 })
  check.integer('writeClientConfig.requestTimeout', { max: MAX_REQUEST_TIMEOUT_MS })
  check.string('credentialConfig.profileName')
  check.string('credentialConfig.profileConfigPath')
  const { endpointOverride, ...rest } = own
  checkAwsClientConfig(
    check,
    {
      ...pick(rest, ['region', 'useFipsEndpoint', 'useDualstackEndpoint', 'credentials']),
      ...withoutUndefined({ endpoint: endpointOverride }),
    },
    (field) =>
      field === 'credentials' ? field : `writeClientConfig.${field === 'endpoint' ? 'endpointOverride' : field}`,
  )
  const type = own.credentialsProviderType
  if (type === 'PROFILE' && own.credentialConfig.profileName === undefined) {
    check.problem("credentialConfig.profileName must be given with credentialsProviderType 'PROFILE'")
  }
  if (type !== 'PROFILE' && Object.keys(own.credentialConfig).length > 0) {
    check.problem(`credentialConfig needs credentialsProviderType 'PROFILE', got '${type}'`)
  }
  if (given['credentials'] !== undefined && given['credentialsProviderType'] !== undefined) {
    check.problem('credentials excludes credentialsProviderType: give one of the two')
  }
  if (given['client'] === undefined) return
  if (given['transport'] === 'direct') check.problem("client excludes transport 'direct', which sends by itself")
  if (!isObject(given['client']) || typeof given['client']['send'] !== 'function') {
    check.problem('client must be a TimestreamWriteClient of @aws-sdk/client-timestream-write')
  }
  for (const name of ['writeClientConfig', 'credentialsProviderType', 'credentialConfig', 'credentials']) {
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
