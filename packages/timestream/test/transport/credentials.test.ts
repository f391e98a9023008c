import { classifyAwsError } from '@sluice/aws'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { SluiceError } from '@sluice/core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { credentialsOf, fromArguments, fromEnvironment } from '../../src/transport/credentials.ts'
import { clientFactory } from '../../src/transport/own-client.ts'
import type { OwnClientOptions } from '../../src/options.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-credentials-'))
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

function provided(found: ReturnType<typeof credentialsOf>): Promise<unknown> {
  if (typeof found !== 'function') throw new Error('there is no provider')
  return found()
}

function options(type: OwnClientOptions['credentialsProviderType'], config = {}): OwnClientOptions {
  return {
    maxConcurrency: 1,
    maxErrorRetry: 0,
    requestTimeout: 1000,
    credentialsProviderType: type,
    credentialConfig: config,
  }
}

test('AUTO leaves the search to the SDK', () => {
  expect(credentialsOf(options('AUTO'))).toBeUndefined()
})

test('keys and providers of the caller are taken as they are', async () => {
  const credentials = { accessKeyId: 'A', secretAccessKey: 's' }
  expect(credentialsOf({ ...options('AUTO'), credentials })).toBe(credentials)
  const asked: unknown[] = []
  const provider = (given?: object): Promise<typeof credentials> =>
    Promise.resolve(credentials).finally(() => asked.push(given))
  const provide = credentialsOf({ ...options('AUTO'), credentials: provider })
  if (typeof provide !== 'function') throw new Error('a provider became keys')
  expect(await provide({ forceRefresh: true })).toBe(credentials)
  expect(asked).toEqual([{ forceRefresh: true }])
})

test('a provider of the caller that does not answer is asked again', async () => {
  vi.useFakeTimers()
  try {
    let asked = 0
    const keys = { accessKeyId: 'A', secretAccessKey: 's' }
    const credentials = (): Promise<typeof keys> =>
      ++asked === 1 ? new Promise(() => undefined) : Promise.resolve(keys)
    const closed = new AbortController().signal
    const client = clientFactory({ ...options('AUTO'), region: 'eu-west-1', credentials }, closed)()
    const first = client.config.credentials().catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(await first).toMatchObject({ name: 'CredentialsProviderError' })
    expect(await client.config.credentials()).toMatchObject(keys)
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

/** What a provider that rejects with the error is made to reject with. */
async function failing(error: Error): Promise<unknown> {
  const credentials = async (): Promise<never> => {
    throw error
  }
  try {
    return await provided(credentialsOf({ ...options('AUTO'), credentials }))
  } catch (reason) {
    return reason
  }
}

test('whatever a provider of the caller fails with is repeated, as errors of the SDK are', async () => {
  const own = Object.assign(new Error('no role'), { name: 'TokenProviderError' })
  expect(await failing(own)).toBe(own)
  const error = await failing(new Error('the vault is sealed'))
  expect(error).toMatchObject({
    name: 'CredentialsProviderError',
    message: 'the credentials cannot be fetched: the vault is sealed',
  })
  expect(classifyAwsError(error)).toMatchObject({ kind: 'accessDenied', renewable: true })
})

test('ENV_VAR reads the variables, each time anew', async () => {
  const provide = credentialsOf(options('ENV_VAR'))
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIA1')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 's')
  vi.stubEnv('AWS_SESSION_TOKEN', 't')
  expect(await provided(provide)).toEqual({ accessKeyId: 'AKIA1', secretAccessKey: 's', sessionToken: 't' })
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIA2')
  expect(await provided(provide)).toMatchObject({ accessKeyId: 'AKIA2' })
})

test('missing variables are named, and what is there is not shown', () => {
  const error = thrown(() => fromEnvironment({ AWS_SECRET_ACCESS_KEY: 'very-secret' }))
  expect(error.code).toBe('SLUICE_ACCESS_DENIED')
  expect(error.message).toContain('AWS_ACCESS_KEY_ID')
  expect(inspect(error)).not.toContain('very-secret')
})

test.for([
  [['-Daws.accessKeyId=A', '-Daws.secretKey=s=='], { accessKeyId: 'A', secretAccessKey: 's==' }],
  [
    ['-Daws.accessKeyId=A', '-Daws.secretAccessKey=s', '-Daws.sessionToken=t'],
    { accessKeyId: 'A', secretAccessKey: 's', sessionToken: 't' },
  ],
  [['-Daws.accessKeyId=A', '-Daws.accessKeyId=B', '-Daws.secretKey=s'], { accessKeyId: 'B', secretAccessKey: 's' }],
] as const)('SYS_PROP reads %j', ([argv, credentials]) => {
  expect(fromArguments(['node', 'app.js', ...argv, 'other'])).toEqual(credentials)
})

test.for([[[]], [['-Daws.accessKeyId=A']], [['-Daws.accessKeyId=', '-Daws.secretKey=very-secret']]] as const)(
  'SYS_PROP names what is missing in %j',
  ([argv]) => {
    const error = thrown(() => fromArguments(argv))
    expect(error.message).toContain('-Daws.secretKey=...')
    expect(inspect(error)).not.toContain('very-secret')
  },
)

test.for(['[metrics]', '[profile metrics]'])('PROFILE reads the section %s of a file of its own', async (section) => {
  const path = join(folder, 'aws')
  await writeFile(path, `${section}\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n`)
  const provide = credentialsOf(options('PROFILE', { profileName: 'metrics', profileConfigPath: path }))
  expect(await provided(provide)).toMatchObject({ accessKeyId: 'AKIAFILE', secretAccessKey: 's' })
})

test('PROFILE reads the shared files', async () => {
  const path = join(folder, 'credentials')
  await writeFile(path, `[metrics]\naws_access_key_id = AKIASHARED\naws_secret_access_key = s\n`)
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', path)
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'none'))
  const provide = credentialsOf(options('PROFILE', { profileName: 'metrics' }))
  expect(await provided(provide)).toMatchObject({ accessKeyId: 'AKIASHARED' })
})

test.for(['a file without it', 'no file'])('PROFILE names the profile and the file: %s', async (what) => {
  const path = join(folder, 'aws')
  if (what !== 'no file') await writeFile(path, '[other]\n')
  const provide = credentialsOf(options('PROFILE', { profileName: 'metrics', profileConfigPath: path }))
  const error: unknown = await provided(provide).catch((reason: unknown) => reason)
  expect(error).toMatchObject({
    message: expect.stringContaining(`'${path}' gave no credentials for profile 'metrics'`),
  })
  expect(classifyAwsError(error)).toMatchObject({ kind: 'accessDenied', renewable: true })
})

test('PROFILE takes no identity from elsewhere', async () => {
  const path = join(folder, 'aws')
  await writeFile(path, '[other]\n')
  const asked: string[] = []
  // The container's identity, which the SDK's chain falls back to.
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end(
      JSON.stringify({ AccessKeyId: 'AKIAELSE', SecretAccessKey: 's', Token: 't', Expiration: '2099-01-01T00:00:00Z' }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as AddressInfo
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `http://127.0.0.1:${port}/identity`)
    const provide = credentialsOf(options('PROFILE', { profileName: 'metrics', profileConfigPath: path }))
    await expect(provided(provide)).rejects.toThrow(`'${path}' gave no credentials for profile 'metrics'`)
    expect(asked).toEqual(['/identity'])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

function thrown(run: () => unknown): SluiceError {
  try {
    run()
  } catch (error) {
    if (SluiceError.isInstance(error)) return error
  }
  throw new Error('no SluiceError was thrown')
}
