import { SluiceError } from '@sluice/core'
import type { SigningIdentity, SigningScope } from './sigv4.ts'

/** Credentials as an SDK client gives them. */
export interface SdkIdentity extends SigningIdentity {
  /** Of temporary credentials. */
  readonly expiration?: Date | undefined
}

/**
 * What is used of an AWS SDK client (version 3): its configuration, never its HTTP handler. `new TimestreamWriteClient(...)` and
 * `new SQSClient(...)` are such clients.
 */
export interface SdkClientLike {
  readonly config: {
    region(): Promise<string>
    credentials(options?: { readonly forceRefresh?: boolean }): Promise<SdkIdentity>
    useFipsEndpoint(): Promise<boolean>
    useDualstackEndpoint(): Promise<boolean>
    // Each service has parameters of its own.
    endpointProvider(parameters: object): SdkEndpoint
    readonly isCustomEndpoint?: boolean | undefined
  }
}

/** What the endpoint rules of a service gave. */
export interface SdkEndpoint {
  readonly url: URL
  /** May name region and service of the signature. */
  readonly properties?: Readonly<Record<string, unknown>>
}

/** Where the requests of a client go. */
export interface ResolvedEndpoint {
  readonly url: URL
  /** True if the user named the endpoint, in code, environment or shared files. */
  readonly isCustom: boolean
  readonly scope: SigningScope
}

/**
 * Asks an SDK client where its requests go: region, FIPS, dual-stack and custom endpoints are judged by the SDK's own rules.
 *
 * @throws what the SDK throws, such as for a missing region; SluiceError `SLUICE_OPTIONS_INVALID` for an endpoint that cannot be used.
 */
export async function resolveEndpoint({ config }: SdkClientLike, signingName: string): Promise<ResolvedEndpoint> {
  const [region, useFips, useDualStack, custom] = await Promise.all([
    config.region(),
    config.useFipsEndpoint(),
    config.useDualstackEndpoint(),
    customEndpoint(config),
  ])
  const { url, properties } = config.endpointProvider({
    Region: region,
    UseFIPS: useFips,
    UseDualStack: useDualStack,
    ...(custom === undefined ? {} : { Endpoint: custom }),
  })
  const [scheme] = (properties?.['authSchemes'] ?? []) as readonly {
    readonly signingRegion?: string
    readonly signingName?: string
  }[]
  return {
    url: checkedEndpoint(url),
    isCustom: custom !== undefined,
    scope: { region: scheme?.signingRegion ?? region, service: scheme?.signingName ?? signingName },
  }
}

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` */
export function checkedEndpoint(url: URL): URL {
  const isHttp = url.protocol === 'https:' || url.protocol === 'http:'
  if (isHttp && url.username === '' && url.password === '') return url
  const rule = isHttp ? 'must be a URL without user name and password' : 'must be an http or https URL'
  throw new SluiceError('SLUICE_OPTIONS_INVALID', `JsonClient: the endpoint ${rule}, got one of '${url.host}'`)
}

/** What the SDK reads, in its order: the option, then `AWS_ENDPOINT_URL_...` and the shared files. */
async function customEndpoint(config: SdkClientLike['config']): Promise<string | undefined> {
  const call = async (name: string): Promise<unknown> => {
    const provider: unknown = Reflect.get(config, name)
    return typeof provider === 'function' ? await (provider as () => unknown)() : undefined
  }
  if (config.isCustomEndpoint === true) return hrefOf(await call('endpoint'))
  if (Reflect.get(config, 'ignoreConfiguredEndpointUrls') === true) return undefined
  return hrefOf(await call('serviceConfiguredEndpoint'))
}

/** The SDK keeps an endpoint as text, as a URL or in parts. */
function hrefOf(endpoint: unknown): string | undefined {
  if (typeof endpoint === 'string') return endpoint === '' ? undefined : endpoint
  if (typeof endpoint !== 'object' || endpoint === null) return undefined
  const url: unknown = Reflect.get(endpoint, 'url')
  if (url instanceof URL) return url.href
  const { protocol, hostname, port, path } = endpoint as Readonly<Record<string, string | number | undefined>>
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path ?? '/'}`
}
