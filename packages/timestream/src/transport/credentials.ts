import { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import type { AwsCredentials } from '@sluice/aws'
import { messageOf, SluiceError } from '@sluice/core'
import type { OwnClientOptions } from '../options.ts'

/** The SDK tells it with `forceRefresh` that what it remembers is no good. */
type Provider = (options?: object) => Promise<AwsCredentials>

/** The provider that the options ask for; undefined leaves the search to the SDK. */
export function credentialsOf(options: OwnClientOptions): Provider | AwsCredentials | undefined {
  const { credentials } = options
  if (credentials !== undefined) return typeof credentials === 'function' ? named(credentials) : credentials
  switch (options.credentialsProviderType) {
    case 'ENV_VAR':
      return () => Promise.resolve(fromEnvironment(process.env))
    case 'SYS_PROP':
      return () => Promise.resolve(fromArguments(process.argv))
    case 'PROFILE':
      return fromProfile(options)
    case 'AUTO':
    default:
      return undefined
  }
}

/** A provider of the caller that has not answered for so long is asked again. */
const MAX_FETCH_MS = 30_000

/**
 * Whatever it fails with is an error of a provider, as the SDK's own are: fetching the keys again may help. One that does not answer
 * fails too: the SDK would share its fetch with every later request, and none would ever be sent.
 */
function named(provider: Provider): Provider {
  return async (options) => {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new Error(`no answer within ${MAX_FETCH_MS} ms`)), MAX_FETCH_MS).unref()
    try {
      return await Promise.race([provider(options), late])
    } catch (error) {
      if (error instanceof Error && error.name !== 'Error') throw error
      const cause = messageOf(error)
      throw Object.assign(new Error(`the credentials cannot be fetched: ${cause}`, { cause: error }), {
        name: 'CredentialsProviderError',
      })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** @throws SluiceError `SLUICE_ACCESS_DENIED` if a key is missing. */
export function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): AwsCredentials {
  return keys(
    environment['AWS_ACCESS_KEY_ID'],
    environment['AWS_SECRET_ACCESS_KEY'],
    environment['AWS_SESSION_TOKEN'],
    'ENV_VAR: the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set',
  )
}

/**
 * Reads Java's system properties from the arguments of the program: `node app.js -Daws.accessKeyId=... -Daws.secretKey=...`.
 *
 * @throws SluiceError `SLUICE_ACCESS_DENIED` if a key is missing.
 */
export function fromArguments(argv: readonly string[]): AwsCredentials {
  const property = (name: string): string | undefined => {
    const prefix = `-D${name}=`
    return argv.findLast((argument) => argument.startsWith(prefix))?.slice(prefix.length)
  }
  return keys(
    property('aws.accessKeyId'),
    property('aws.secretAccessKey') ?? property('aws.secretKey'),
    property('aws.sessionToken'),
    'SYS_PROP: the program needs -Daws.accessKeyId=... and -Daws.secretKey=... among its arguments, after the script name',
  )
}

/**
 * Reads a profile through the SDK: keys, roles, single sign-on, processes.
 *
 * The SDK's chain goes on to containers and instances when the profile gives nothing; their identity is not the one that was
 * asked for, and is refused.
 */
function fromProfile({ credentialConfig, region }: OwnClientOptions): Provider {
  const { profileName, profileConfigPath } = credentialConfig
  const files =
    profileConfigPath === undefined ? {} : { filepath: profileConfigPath, configFilepath: profileConfigPath }
  const profile = profileName as string
  const client = new TimestreamWriteClient({ profile, ...(region === undefined ? {} : { region }), ...files })
  const where = profileConfigPath === undefined ? 'the shared AWS files' : `'${profileConfigPath}'`
  const problem = `PROFILE: ${where} gave no credentials for profile '${profile}'`
  return async (options) => {
    let found: AwsCredentials
    try {
      found = await client.config.credentials(options)
    } catch (error) {
      // What others say, such as the service that gives a role, says enough.
      if (!(error instanceof Error) || error.name !== 'CredentialsProviderError') throw error
      const { name, message } = error
      throw Object.assign(new Error(`${problem}: ${message}`, { cause: error }), { name })
    }
    const source: unknown = Reflect.get(found, '$source')
    if (Object.keys(source ?? {}).some((name) => name.startsWith('CREDENTIALS_PROFILE'))) return found
    throw new SluiceError('SLUICE_ACCESS_DENIED', problem)
  }
}

function keys(
  accessKeyId: string | undefined,
  secretAccessKey: string | undefined,
  sessionToken: string | undefined,
  problem: string,
): AwsCredentials {
  if (!accessKeyId || !secretAccessKey) throw new SluiceError('SLUICE_ACCESS_DENIED', problem)
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }
}
