import { inspect } from 'node:util'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import { Secret, SluiceError } from '@sluice/core'
import { afterEach, expect, test, vi } from 'vitest'
import { type AwsClientConfig, awsClientConfig } from '../src/client-config.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

function errorOf(config: unknown, owner?: string): SluiceError {
  try {
    awsClientConfig(config as AwsClientConfig, owner)
  } catch (error) {
    if (SluiceError.isInstance(error)) return error
  }
  throw new Error('no SluiceError was thrown')
}

test('what is left out has no key, so that the SDK goes on looking', () => {
  expect(Object.keys(awsClientConfig({}))).toEqual([])
  const undefinedFields = { region: undefined, maxAttempts: undefined } as unknown as AwsClientConfig
  expect(Object.keys(awsClientConfig(undefinedFields))).toEqual([])
})

test('without a configuration, region, endpoint, profile, FIPS and attempts come from the environment', async () => {
  vi.stubEnv('AWS_REGION', 'eu-north-1')
  vi.stubEnv('AWS_USE_FIPS_ENDPOINT', 'true')
  vi.stubEnv('AWS_MAX_ATTEMPTS', '7')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAENV')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 's')
  vi.stubEnv('AWS_ENDPOINT_URL_KINESIS', 'http://127.0.0.1:4567')
  const client = new KinesisClient(awsClientConfig({}))
  expect(await client.config.region()).toBe('eu-north-1')
  expect(await client.config.useFipsEndpoint()).toBe(true)
  expect(await client.config.maxAttempts()).toBe(7)
  expect(await client.config.credentials()).toMatchObject({ accessKeyId: 'AKIAENV' })
})

test('what is given wins over the environment', async () => {
  vi.stubEnv('AWS_REGION', 'eu-north-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAENV')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 's')
  const client = new KinesisClient(
    awsClientConfig({
      region: 'us-west-2',
      endpoint: 'http://127.0.0.1:4567',
      maxAttempts: 2,
      credentials: { accessKeyId: 'AKIAGIVEN', secretAccessKey: new Secret('s1'), sessionToken: new Secret('t1') },
    }),
  )
  expect(await client.config.region()).toBe('us-west-2')
  expect(await client.config.maxAttempts()).toBe(2)
  expect(await client.config.endpoint?.()).toMatchObject({ protocol: 'http:', hostname: '127.0.0.1', port: 4567 })
  expect(await client.config.credentials()).toMatchObject({
    accessKeyId: 'AKIAGIVEN',
    secretAccessKey: 's1',
    sessionToken: 't1',
  })
})

test('a provider is asked again when its credentials end', async () => {
  let calls = 0
  const credentials = (): Promise<{ accessKeyId: string; secretAccessKey: string; expiration: Date }> =>
    Promise.resolve({ accessKeyId: `AKIA${++calls}`, secretAccessKey: 's', expiration: new Date(Date.now() - 1) })
  const client = new KinesisClient(awsClientConfig({ region: 'us-west-2', credentials }))
  const first = await client.config.credentials()
  const second = await client.config.credentials()
  expect(second.accessKeyId).not.toBe(first.accessKeyId)
})

test.for([
  [{}, 'https://ingest.timestream.eu-west-1.amazonaws.com/'],
  [{ useFipsEndpoint: true }, 'https://ingest.timestream-fips.eu-west-1.amazonaws.com/'],
  [{ useDualstackEndpoint: true }, 'https://timestream-ingest.eu-west-1.api.aws/'],
  [{ useFipsEndpoint: true, useDualstackEndpoint: true }, 'https://timestream-ingest-fips.eu-west-1.api.aws/'],
] as const)('%j resolves to %s', async ([flags, url]) => {
  const { config } = new TimestreamWriteClient(awsClientConfig({ region: 'eu-west-1', ...flags }))
  const endpoint = config.endpointProvider({
    Region: await config.region(),
    UseFIPS: await config.useFipsEndpoint(),
    UseDualStack: await config.useDualstackEndpoint(),
  })
  expect(endpoint.url.href).toBe(url)
})

test('a provider is told what the SDK tells: to fetch keys anew, and for which client', async () => {
  const told: object[] = []
  const credentials = (options: object = {}): Promise<{ accessKeyId: string; secretAccessKey: string }> => {
    told.push(options)
    return Promise.resolve({ accessKeyId: 'A', secretAccessKey: 's' })
  }
  const client = new KinesisClient(awsClientConfig({ region: 'eu-west-1', credentials }))
  await client.config.credentials({ forceRefresh: true })
  client.destroy()
  expect(told).toEqual([expect.objectContaining({ forceRefresh: true, callerClientConfig: expect.anything() })])
})

test('endpoint discovery stays with the SDK', () => {
  const { config } = new TimestreamWriteClient(awsClientConfig({ region: 'eu-west-1', endpoint: 'http://127.0.0.1:1' }))
  expect(config.isClientEndpointDiscoveryEnabled).toBe(false)
})

test('all problems are reported at once, and name the connector', () => {
  const error = errorOf(
    {
      regoin: 'x',
      region: 'not a region',
      endpoint: 'ftp://host',
      profile: '',
      useFipsEndpoint: 'yes',
      maxAttempts: 0,
      credentials: { accessKeyId: '', secretAccessKey: 5, sessionToken: '', expiration: 'tomorrow' },
    },
    'KinesisSource',
  )
  expect(error.code).toBe('SLUICE_OPTIONS_INVALID')
  expect(error.facts['owner']).toBe('KinesisSource')
  expect(error.facts['problems']).toEqual(
    [
      "unknown option 'regoin'; did you mean 'region'?",
      "region must be the name of a region, such as 'eu-west-1', got 'not a region' (string)",
      "endpoint must be an http or https URL, got 'ftp://host' (string)",
      "profile must be a non-empty string, got '' (string)",
      'useFipsEndpoint must be a boolean, got yes (string)',
      'maxAttempts must be an integer from 1 up, got 0 (number)',
      'credentials.accessKeyId must be a non-empty string',
      'credentials.secretAccessKey must be a non-empty string or a Secret',
      'credentials.sessionToken must be a non-empty string or a Secret',
      'credentials.expiration must be a Date',
    ].map((problem) => problem.replace('got yes (string)', "got 'yes' (string)")),
  )
})

test.for([undefined, null, 'eu-west-1', []])('a configuration that is %j is refused', (config) => {
  expect(errorOf(config).code).toBe('SLUICE_OPTIONS_INVALID')
})

test('no secret shows in an error or in the configuration', () => {
  const credentials = { accessKeyId: '', secretAccessKey: 'hunter2', sessionToken: 'hunter2' }
  const errors = [
    errorOf({ credentials }),
    errorOf({ credentials: 'hunter2' }),
    errorOf({ endpoint: 'http://user:hunter2@127.0.0.1' }),
    errorOf({ endpoint: 'ftp://user:hunter2@127.0.0.1' }),
    errorOf({ endpoint: '//user:hunter2@127.0.0.1' }),
  ]
  for (const error of errors) expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
  const config = awsClientConfig({ credentials: { ...credentials, accessKeyId: 'AKIA' } })
  expect(inspect(config, { depth: 10, showHidden: true })).not.toContain('hunter2')
})
