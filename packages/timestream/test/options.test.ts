import { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { SluiceError } from '@sluice/core'
import { expect, test } from 'vitest'
import type { TimestreamSinkOptions } from '../src/options.ts'
import { resolveOptions } from '../src/resolve-options.ts'
import { TimestreamSink } from '../src/sink.ts'

const minimal = { databaseName: 'metrics', tableName: 'hosts', elementConverter: () => undefined }

function problemsOf(options: unknown): readonly string[] {
  try {
    resolveOptions(options as TimestreamSinkOptions<unknown>)
    return []
  } catch (error) {
    if (!SluiceError.isInstance(error) || error.code !== 'SLUICE_OPTIONS_INVALID') throw error
    return error.facts['problems'] as readonly string[]
  }
}

test('the defaults are those of the original connector', () => {
  const { engine, policy, uid, ownClient } = resolveOptions(minimal)
  expect(uid).toBe('timestream')
  expect(engine).toMatchObject({
    maxBatchSize: 100,
    maxBufferedRequests: 1000,
    maxInFlightRequests: 100,
    maxTimeInBufferMS: 15_000,
  })
  const deadLetter = 'deadLetter'
  expect(policy).toMatchObject({
    printFailedRequests: false,
    failsOnError: true,
    overwriteConflicts: false,
    remedies: {
      conflict: deadLetter,
      olderVersion: deadLetter,
      outsideRetention: deadLetter,
      invalid: deadLetter,
      other: deadLetter,
    },
  })
  expect(resolveOptions(minimal)).toMatchObject({
    transport: 'direct',
    numbers: { nonFinite: 'refuse', negativeZero: 'zero' },
    ensureTable: undefined,
    checkRetention: false,
    orderBySeries: false,
    emitSinkMetricsToCloudWatch: false,
  })
  expect(ownClient).toEqual({
    maxConcurrency: 100,
    maxErrorRetry: 10,
    requestTimeout: 20_000,
    credentialsProviderType: 'AUTO',
    credentialConfig: {},
  })
})

test('the engine waits longer than the SDK can take with all of its repeats', () => {
  const writeClientConfig = { maxErrorRetry: 2, requestTimeout: 1000 }
  const { engine } = resolveOptions({ ...minimal, transport: 'sdk', writeClientConfig })
  expect(engine.requestTimeoutMs).toBeGreaterThanOrEqual(3 * 1000 + 2 * 20_000)
})

test('maxConcurrency follows maxInFlightRequests', () => {
  expect(resolveOptions({ ...minimal, maxInFlightRequests: 7 }).ownClient.maxConcurrency).toBe(7)
})

test('an option that is undefined has its default', () => {
  const options = { ...minimal, maxBatchSize: undefined, failureHandlerConfig: { printFailedRequests: undefined } }
  const resolved = resolveOptions(options as never)
  expect(resolved.engine.maxBatchSize).toBe(100)
  expect(resolved.policy.printFailedRequests).toBe(false)
})

test.for([
  [
    { maxBatchSize: 101 },
    /^maxBatchSize must be an integer from 1 to 100, the limit of WriteRecords, got 101 \(number\)$/,
  ],
  [{ maxBatchSize: 0 }, /^maxBatchSize must be an integer from 1/],
  [{ maxBatchSize: '5' }, /^maxBatchSize must be an integer/],
  [
    { maxBatchSize: 100, maxBufferedRequests: 100 },
    /^maxBufferedRequests must be greater than maxBatchSize, got 100 and 100$/,
  ],
  [{ maxInFlightRequests: -1 }, /^maxInFlightRequests must be an integer/],
  [{ maxTimeInBufferMS: 1.5 }, /^maxTimeInBufferMS must be an integer/],
  [{ maxTimeInBufferMs: 5 }, /^unknown option 'maxTimeInBufferMs'; did you mean 'maxTimeInBufferMS'\?$/],
  [{ emitSinkMetricsToCloudWatch: 'yes' }, /^emitSinkMetricsToCloudWatch must be a boolean/],
  [{ elementConverter: undefined }, /^elementConverter must be a function, got undefined; or give a mapping$/],
  [{ tableName: undefined }, /^tableName must be a name of 3 to 256/],
  [{ transport: 'http' }, /^transport must be one of 'direct', 'sdk'/],
  [{ numbers: { nonFinite: 'drop' } }, /^numbers.nonFinite must be one of 'refuse', 'omit'/],
  [{ numbers: 5 }, /^numbers must be an object, got 5 \(number\)$/],
  [{ version: 5 }, /^version must be the name of a field, a function/],
  [{ numbers: null }, /^numbers must be an object, got null$/],
  [{ writeClientConfig: null }, /^writeClientConfig must be an object, got null$/],
  [{ ensureTable: null }, /^ensureTable must be a boolean or an object, got null$/],
  [{ version: null }, /^version must be the name of a field.*, got null$/],
  [
    { elementConverter: undefined, mapping: null },
    /^mapping must be an object with time, dimensions, measures and measureName, got null$/,
  ],
  [{ version: { sqs: () => 1 } }, /^version must be the name of a field, a function/],
  [{ mapping: { time: 't', dimensions: ['d'], measures: ['m'], measureName: 'n' } }, /^mapping and elementConverter/],
  [
    { rejectionPolicy: { conflict: 'drop' } },
    /^rejectionPolicy.conflict must be one of 'deadLetter', 'ignore', 'fail'/,
  ],
  [{ rejectionPolicy: { conflicts: 'fail' } }, /^unknown option 'rejectionPolicy.conflicts'; did you mean/],
  [{ rejectionPolicy: {}, failureHandlerConfig: {} }, /^rejectionPolicy has no effect beside failureHandlerConfig/],
  [
    { failureHandlerConfig: { failureHandlerClass: 'com.example.Mine' } },
    /^failureHandlerConfig.failureHandlerClass must be 'DefaultWriteRequestFailureHandler' or an object/,
  ],
  [{ ensureTable: 'yes' }, /^ensureTable must be a boolean or an object, got string$/],
  [{ ensureTable: { memoryStoreRetentionHours: 0 } }, /^ensureTable.memoryStoreRetentionHours must be an integer/],
  [{ ensureTable: { retention: 1 } }, /^unknown option 'ensureTable.retention'$/],
  [{ ensureTable: { rejectedDataLocation: { bucketName: 'b' } } }, /needs ensureTable.magneticStoreWrites$/],
  [
    { ensureTable: { magneticStoreWrites: true, rejectedDataLocation: { bucketName: 'b', prefx: 'p/' } } },
    /^unknown option 'ensureTable.rejectedDataLocation.prefx'; did you mean 'ensureTable.rejectedDataLocation.prefix'\?$/,
  ],
  [
    { ensureTable: { magneticStoreWrites: true, rejectedDataLocation: { bucketName: 'b', prefix: 5 } } },
    /^ensureTable.rejectedDataLocation.prefix must be a non-empty string, got 5 \(number\)$/,
  ],
  [
    { ensureTable: { magneticStoreWrites: true, rejectedDataLocation: {} } },
    /^ensureTable.rejectedDataLocation.bucketName must be a non-empty string, got undefined$/,
  ],
  [
    { ensureTable: { magneticStoreWrites: true, rejectedDataLocation: 'b' } },
    /^ensureTable.rejectedDataLocation must be an object, got 'b' \(string\)$/,
  ],
  [
    { ensureTable: { magneticStoreWrites: true, rejectedDataLocation: null } },
    /^ensureTable.rejectedDataLocation must be an object, got null$/,
  ],
  [{ ensureTable: { reconcil: true } }, /^unknown option 'ensureTable.reconcil'; did you mean 'ensureTable.reconcile'/],
  [{ ensureTable: { partitionKey: 'time' } }, /^ensureTable.partitionKey: the dimension name 'time' is reserved$/],
  [
    { tableName: undefined, batchConverter: (): void => {}, checkRetention: true },
    /^checkRetention needs databaseName and tableName: what a batchConverter names is known too late$/,
  ],
  [{ databaseName: undefined, batchConverter: (): void => {}, ensureTable: {} }, /^ensureTable needs databaseName/],
  [{ credentials: { accessKeyId: 'A' } }, /^credentials.secretAccessKey must be/],
  [{ credentials: () => undefined, credentialsProviderType: 'AUTO' }, /^credentials excludes credentialsProviderType/],
  [{ databaseName: '' }, /^databaseName must be a name of 3 to 256/],
  [{ tableName: 'a b' }, /^tableName must be a name/],
  [{ databaseName: 'ab' }, /^databaseName must be a name of 3 to 256 letters, digits, .*, got 'ab' \(string\)$/],
  [{ tableName: 'ab' }, /^tableName must be a name of 3 to 256/],
  [{ elementConverter: 'x' }, /^elementConverter must be a function/],
  [{ batchConverter: {} }, /^batchConverter must be a function/],
  [{ retry: 5 }, /^retry: options must be an object, got 5/],
  [{ retry: { maxAtempts: 5 } }, /^retry: unknown option 'maxAtempts'; did you mean 'maxAttempts'\?$/],
  [{ retry: { maxAttempts: 0 } }, /^retry: maxAttempts must be an integer from 1 up/],
  [{ retry: { initialDelayMs: 10, maxDelayMs: 5 } }, /^retry: initialDelayMs must be at most maxDelayMs/],
  [{ writeClientConfig: 5 }, /^writeClientConfig must be an object, got 5 \(number\)$/],
  [
    { writeClientConfig: { regoin: 'x' } },
    /^unknown option 'writeClientConfig.regoin'; did you mean 'writeClientConfig.region'\?$/,
  ],
  [{ writeClientConfig: { region: 'not a region' } }, /^writeClientConfig.region must be the name of a region/],
  [{ writeClientConfig: { requestTimeout: 0 } }, /^writeClientConfig.requestTimeout must be an integer from 1/],
  [{ writeClientConfig: { maxErrorRetry: -1 } }, /^writeClientConfig.maxErrorRetry must be an integer from 0 to 100/],
  [{ writeClientConfig: { maxConcurrency: 0 } }, /^writeClientConfig.maxConcurrency must be an integer/],
  [{ writeClientConfig: { endpointOverride: 'nowhere' } }, /^writeClientConfig.endpointOverride must be a URL/],
  [{ writeClientConfig: { useFipsEndpoint: 'yes' } }, /^writeClientConfig.useFipsEndpoint must be a boolean/],
  [{ failureHandlerConfig: { printFailedRequests: 1 } }, /^failureHandlerConfig.printFailedRequests must be a boolean/],
  [
    { credentialsProviderType: 'BASIC' },
    /^credentialsProviderType must be one of 'AUTO', 'ENV_VAR', 'SYS_PROP', 'PROFILE'/,
  ],
  [{ credentialsProviderType: 'PROFILE' }, /^credentialConfig.profileName must be given/],
  [
    { credentialConfig: { profileName: 'p' } },
    /^credentialConfig needs credentialsProviderType 'PROFILE', got 'AUTO'$/,
  ],
  [{ client: {} }, /^client must be a TimestreamWriteClient/],
] as const)('%j is one problem', ([change, problem]) => {
  const problems = problemsOf({ ...minimal, ...change })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(problem)
})

test('all problems are reported at once', () => {
  const problems = problemsOf({
    tableName: 5,
    maxBatchSize: 0,
    writeClientConfig: { region: 5, requestTimeout: -1 },
    credentialsProviderType: 'PROFILE',
    colour: 'red',
  })
  expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
    'unknown',
    'databaseName',
    'tableName',
    'elementConverter',
    'maxBatchSize',
    'writeClientConfig.requestTimeout',
    'writeClientConfig.region',
    'credentialConfig.profileName',
  ])
})

test('an injected client excludes the options that would configure another', () => {
  const client = new TimestreamWriteClient({ region: 'eu-west-1' })
  const problems = problemsOf({ ...minimal, client, writeClientConfig: {}, credentialsProviderType: 'AUTO' })
  expect(problems).toEqual([
    'client excludes writeClientConfig: configure the client that you pass instead',
    'client excludes credentialsProviderType: configure the client that you pass instead',
  ])
})

test.for([undefined, null, 5, []])('options that are %j are refused', (options) => {
  expect(problemsOf(options)).toHaveLength(1)
})

test('a sink says what repeats do', () => {
  const sink = new TimestreamSink({ ...minimal, uid: 'hosts' })
  expect(sink).toMatchObject({ uid: 'hosts', repeats: 'idempotent', spiVersion: 1 })
})

test('the configuration object of the original connector runs unchanged', () => {
  const timestreamSinkConfig = {
    maxBatchSize: 100,
    maxBufferedRequests: 1000,
    maxInFlightRequests: 100,
    maxTimeInBufferMS: 15_000,
    emitSinkMetricsToCloudWatch: true,
    writeClientConfig: {
      maxConcurrency: 100,
      maxErrorRetry: 10,
      region: 'eu-west-1',
      requestTimeout: 20_000,
      endpointOverride: 'https://ingest-cell1.timestream.eu-west-1.amazonaws.com',
    },
    credentialsProviderType: 'PROFILE',
    credentialConfig: { profileName: 'metrics', profileConfigPath: '/opt/.aws/config' },
    failureHandlerConfig: {
      failureHandlerClass: 'com.amazonaws.samples.connectors.timestream.DefaultWriteRequestFailureHandler',
      printFailedRequests: false,
      failProcessingOnRejectedRecordsException: true,
      failProcessingOnErrorDefault: true,
    },
  } as const
  // There the request of the batch converter names database and table.
  const resolved = resolveOptions({
    elementConverter: () => undefined,
    batchConverter: () => ({ DatabaseName: 'd', TableName: 't', Records: [] }),
    ...timestreamSinkConfig,
  })
  expect(resolved.policy.remedies).toMatchObject({ conflict: 'fail', other: 'fail', invalid: 'fail' })
  expect(resolved).toMatchObject({ emitSinkMetricsToCloudWatch: true, databaseName: undefined, tableName: undefined })
})

test('what the original connector leaves null by default is left out', () => {
  const { ownClient } = resolveOptions({
    ...minimal,
    writeClientConfig: { region: 'eu-west-1', endpointOverride: null },
    credentialConfig: null,
  } as never)
  expect(ownClient).toEqual(resolveOptions({ ...minimal, writeClientConfig: { region: 'eu-west-1' } }).ownClient)
  const credentialConfig = { profileName: null, profileConfigPath: null }
  expect(problemsOf({ ...minimal, credentialsProviderType: 'AUTO', credentialConfig })).toEqual([])
  const profile = { profileName: 'metrics', profileConfigPath: null }
  const resolved = resolveOptions({
    ...minimal,
    credentialsProviderType: 'PROFILE',
    credentialConfig: profile,
  } as never)
  expect(resolved.ownClient.credentialConfig).toEqual({ profileName: 'metrics' })
  for (const config of [null, credentialConfig]) {
    expect(problemsOf({ ...minimal, credentialsProviderType: 'PROFILE', credentialConfig: config })).toEqual([
      "credentialConfig.profileName must be given with credentialsProviderType 'PROFILE'",
    ])
  }
  const client = new TimestreamWriteClient({ region: 'eu-west-1' })
  expect(problemsOf({ ...minimal, client, credentialConfig: null })).toEqual([])
  client.destroy()
})

test('failureHandlerConfig decides alone, with its own defaults', () => {
  const flags = { failProcessingOnRejectedRecordsException: false }
  const { policy } = resolveOptions({ ...minimal, failureHandlerConfig: flags })
  expect(policy.remedies).toEqual({
    conflict: 'ignore',
    olderVersion: 'ignore',
    outsideRetention: 'ignore',
    other: 'ignore',
    invalid: 'fail',
  })
})

test('with a client the transport is the SDK', () => {
  const client = new TimestreamWriteClient({ region: 'eu-west-1' })
  expect(resolveOptions({ ...minimal, client }).transport).toBe('sdk')
  expect(problemsOf({ ...minimal, client, transport: 'direct' })).toEqual([
    "client excludes transport 'direct', which sends by itself",
  ])
  client.destroy()
})
