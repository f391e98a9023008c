import { isSecret, OptionsCheck, type Secret } from '@sluice/core'

/** Keys of an AWS identity. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string | Secret
  readonly sessionToken?: string | Secret
  /** When the keys end; a provider is asked again before. */
  readonly expiration?: Date
}

/**
 * How an AWS client finds its region, endpoint and credentials. What is left out is found by the AWS SDK itself, as in every
 * other program that uses it: environment variables (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL_...`), the shared
 * configuration files, and the roles of containers and instances.
 *
 * See https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
 *
 * @example
 * ```ts
 * const config: AwsClientConfig = { region: 'eu-west-1', profile: 'metrics' }
 * ```
 */
export interface AwsClientConfig {
  /** For example `eu-west-1`. @default what the SDK finds */
  readonly region?: string
  /** Overrides the endpoint of the service; `http:` is allowed, for servers on your own machine. @default what the SDK finds */
  readonly endpoint?: string
  /** Keys, or a function that fetches them (those of `@aws-sdk/credential-providers` fit). @default what the SDK finds */
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials>)
  /** Profile of the shared configuration files. @default what the SDK finds */
  readonly profile?: string
  /** Use endpoints that comply with FIPS 140. @default what the SDK finds */
  readonly useFipsEndpoint?: boolean
  /** Use endpoints that have IPv6 too. @default what the SDK finds */
  readonly useDualstackEndpoint?: boolean
  /** Tries of one request by the SDK, the first included. @default what the SDK finds (3) */
  readonly maxAttempts?: number
}

interface PlainCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}

/** Configuration for the constructor of any client of the AWS SDK, version 3. It has no key for what was left out. */
export type SdkClientConfig = Omit<AwsClientConfig, 'credentials'> & {
  readonly credentials?: () => Promise<PlainCredentials>
}

/** The names of all fields: for the check of unknown ones. */
export const AWS_CLIENT_CONFIG_FIELDS: readonly (keyof AwsClientConfig)[] = [
  'region',
  'endpoint',
  'credentials',
  'profile',
  'useFipsEndpoint',
  'useDualstackEndpoint',
  'maxAttempts',
]

/** A region becomes a label of a host name. */
const REGION = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i

/**
 * Checks a configuration on behalf of a connector; problems go to the connector's own check, so that all are reported at once.
 * No problem shows a key or a password.
 *
 * @param label - names a field as the connector's options do. @default the field's own name
 */
export function checkAwsClientConfig(
  check: OptionsCheck,
  config: AwsClientConfig,
  label: (field: keyof AwsClientConfig) => string = (field) => field,
): void {
  const { region, endpoint, credentials, profile, maxAttempts } = config
  if (region !== undefined && (typeof region !== 'string' || !REGION.test(region))) {
    check.problem(`${label('region')} must be the name of a region, such as 'eu-west-1', got ${shown(region)}`)
  }
  if (endpoint !== undefined) {
    const problem = endpointProblem(endpoint)
    if (problem !== undefined) check.problem(`${label('endpoint')} must be ${problem}`)
  }
  if (profile !== undefined && (typeof profile !== 'string' || profile === '')) {
    check.problem(`${label('profile')} must be a non-empty string, got ${shown(profile)}`)
  }
  for (const field of ['useFipsEndpoint', 'useDualstackEndpoint'] as const) {
    const value = config[field]
    if (value !== undefined && typeof value !== 'boolean') {
      check.problem(`${label(field)} must be a boolean, got ${shown(value)}`)
    }
  }
  if (maxAttempts !== undefined && !(Number.isSafeInteger(maxAttempts) && maxAttempts >= 1)) {
    check.problem(`${label('maxAttempts')} must be an integer from 1 up, got ${shown(maxAttempts)}`)
  }
  if (credentials !== undefined) checkCredentials(check, credentials, label('credentials'))
}

/**
 * Turns a configuration into that of an AWS SDK client.
 *
 * Fields that are absent stay absent, since the SDK would take a key that is present as an answer and stop looking. Endpoint
 * discovery is left to the SDK.
 *
 * @param owner - names the connector in the error.
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem.
 * @example
 * ```ts
 * const client = new KinesisClient({ ...awsClientConfig(config), requestHandler: awsRequestHandler() })
 * ```
 */
export function awsClientConfig(config: AwsClientConfig, owner = 'AwsClientConfig'): SdkClientConfig {
  const check = new OptionsCheck(owner, config, AWS_CLIENT_CONFIG_FIELDS)
  if (typeof config === 'object' && config !== null) checkAwsClientConfig(check, config)
  check.throwIfAny()
  const { credentials, ...rest } = config
  const present = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  if (credentials === undefined) return present
  const provide: (options?: object) => Promise<AwsCredentials> =
    typeof credentials === 'function' ? credentials : () => Promise.resolve(credentials)
  // What the SDK tells a provider: to forget what it remembers, and the region and the endpoint settings of the client.
  return { ...present, credentials: async (options?: object) => plain(await provide(options)) }
}

function plain(credentials: AwsCredentials): PlainCredentials {
  const { secretAccessKey, sessionToken } = credentials
  return {
    // A provider's further fields (account, scope, source) are the SDK's business.
    ...credentials,
    secretAccessKey: revealed(secretAccessKey),
    ...(sessionToken === undefined ? {} : { sessionToken: revealed(sessionToken) }),
  } as PlainCredentials
}

function revealed(value: string | Secret): string {
  return isSecret(value) ? value.reveal() : value
}

function checkCredentials(check: OptionsCheck, value: unknown, name: string): void {
  if (typeof value === 'function') return
  if (typeof value !== 'object' || value === null) {
    check.problem(`${name} must be an object with accessKeyId and secretAccessKey, or a function, got ${typeof value}`)
    return
  }
  const field = (key: string): unknown => Reflect.get(value, key)
  if (!isFilled(field('accessKeyId'))) check.problem(`${name}.accessKeyId must be a non-empty string`)
  const secret = field('secretAccessKey')
  if (!isSecret(secret) && !isFilled(secret)) {
    check.problem(`${name}.secretAccessKey must be a non-empty string or a Secret`)
  }
  const token = field('sessionToken')
  if (token !== undefined && !isSecret(token) && !isFilled(token)) {
    check.problem(`${name}.sessionToken must be a non-empty string or a Secret`)
  }
  const expiration = field('expiration')
  if (expiration !== undefined && !(expiration instanceof Date)) check.problem(`${name}.expiration must be a Date`)
}

function isFilled(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

/** The rule that an endpoint breaks. A URL with a password is not repeated in the problem. */
function endpointProblem(value: unknown): string | undefined {
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (url === null) return `a URL, such as 'https://host.example:8443', got ${shown(value)}`
  if (url.username !== '' || url.password !== '') return 'a URL without user name and password'
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `an http or https URL, got ${shown(value)}`
  return undefined
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 100).replace(/\/\/[^/]*@/, '//...@')}' (string)`
  return typeof value === 'number' || typeof value === 'boolean' ? `${value} (${typeof value})` : typeof value
}
