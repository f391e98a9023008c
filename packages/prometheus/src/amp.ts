import type * as SigningPackage from '@smithy/signature-v4'
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { type Clock, isSecret, OptionsCheck, SluiceError, systemClock } from '@sluice/core'
import {
  type AwsCredentials,
  type AwsCredentialsProvider,
  credentialsProblem,
  CredentialsSource,
} from './amp-credentials.ts'
import type { PrometheusRequestSigner } from './signer.ts'

export type { AwsCredentials, AwsCredentialsProvider } from './amp-credentials.ts'

/** Options of {@link ampSigner}. */
export interface AmpSignerOptions {
  /** Region of the workspace, such as `eu-central-1`. */
  readonly region: string
  /**
   * Credentials, or what gives them: asked for each request, except that what has an `expiration` is kept until five minutes before it.
   * `fromNodeProviderChain()` of `@aws-sdk/credential-providers` looks where the AWS SDK does.
   */
  readonly credentials: AwsCredentials | AwsCredentialsProvider
  /** Tells the time of signatures. @default the time of the process */
  readonly clock?: Pick<Clock, 'wallNow'>
}

/**
 * Signs requests to Amazon Managed Service for Prometheus: Signature Version 4 of the service `aps`, over the compressed body, the
 * path, the query and every header that is given. Each attempt has a signature of its own time. Needs the package
 * `@smithy/signature-v4`.
 *
 * The headers that it adds are `x-amz-date`, `x-amz-content-sha256`, `authorization` and, with temporary credentials,
 * `x-amz-security-token`. A signature that cannot be made is a failed attempt, which is repeated.
 *
 * See https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-onboard-ingest-metrics-remote-write.html and
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options; the signer itself, when the package is not
 *   installed; `SLUICE_ACCESS_DENIED` when there are no credentials.
 * @example
 * ```ts
 * import { fromNodeProviderChain } from '@aws-sdk/credential-providers'
 *
 * const sink = new PrometheusSink({
 *   prometheusRemoteWriteUrl: 'https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write',
 *   requestSigner: ampSigner({ region: 'eu-central-1', credentials: fromNodeProviderChain() }),
 * })
 * ```
 */
export function ampSigner(options: AmpSignerOptions): PrometheusRequestSigner {
  const { region, credentials, clock } = checked(options)
  const wallNow = (): number => clock.wallNow()
  const source = new CredentialsSource(typeof credentials === 'function' ? credentials : () => credentials, wallNow)
  return async (headers, compressedBody, url) => {
    const { SignatureV4 } = await loadSignatureV4()
    const signer = new SignatureV4({ service: 'aps', region, credentials: () => source.get(), sha256: Sha256 })
    const bodyHash = createHash('sha256').update(compressedBody).digest('hex')
    const given = Object.entries(headers).filter(([name]) => !ADDED.has(name.toLowerCase()))
    const { headers: signed } = await signer.sign(
      {
        method: 'POST',
        protocol: url.protocol,
        hostname: url.hostname,
        path: url.pathname,
        query: queryOf(url),
        headers: { ...Object.fromEntries(given), host: url.host, 'x-amz-content-sha256': bodyHash },
      },
      { signingDate: new Date(wallNow()) },
    )
    for (const name of Object.keys(headers)) if (ADDED.has(name.toLowerCase())) delete headers[name]
    for (const name of ADDED) {
      const value = signed[name]
      if (value !== undefined) headers[name] = value
    }
  }
}

const PACKAGE = '@smithy/signature-v4'

const ADDED: ReadonlySet<string> = new Set([
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
  'authorization',
])

function checked(options: AmpSignerOptions): Required<AmpSignerOptions> {
  const check = new OptionsCheck('ampSigner', options, ['region', 'credentials', 'clock'])
  check.string('region', {
    required: true,
    pattern: /^[a-z0-9-]+$/,
    says: 'the name of a region, such as eu-central-1',
  })
  const { region, credentials, clock = systemClock }: AmpSignerOptions = Object(options)
  if (typeof credentials !== 'function') {
    const problem = isSecret(credentials) ? 'credentials must be an object' : credentialsProblem(credentials)
    if (problem !== undefined) check.problem(`credentials, unless a function: ${problem}`)
  }
  if (typeof Reflect.get(Object(clock), 'wallNow') !== 'function') check.refuse('clock', 'a Clock')
  check.throwIfAny()
  return { region, credentials, clock }
}

/** Repeated names keep all of their values. A `+` stands for itself or for a space, as the service likes: it is not signed. */
function queryOf(url: URL): Record<string, string[]> {
  if (url.search.includes('+')) {
    throw new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      "a '+' in the query of the address cannot be signed: write %2B or %20 instead",
    )
  }
  const names = [...new Set(url.searchParams.keys())]
  return Object.fromEntries(names.map((name) => [name, url.searchParams.getAll(name)]))
}

async function loadSignatureV4(): Promise<Pick<typeof SigningPackage, 'SignatureV4'>> {
  try {
    return await import('@smithy/signature-v4')
  } catch (error) {
    const isMissing = Reflect.get(Object(error), 'code') === 'ERR_MODULE_NOT_FOUND'
    if (!isMissing || !String(error).includes(PACKAGE)) throw error
    throw new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `ampSigner needs the package ${PACKAGE}, which is not installed: npm install ${PACKAGE}`,
      { cause: error },
    )
  }
}

/** The hash that the package wants, of Node.js. */
class Sha256 {
  readonly #hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', keyOf(secret))
  }

  update(data: Uint8Array): void {
    this.#hash.update(data)
  }

  // oxlint-disable-next-line require-await -- the package wants a promise
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }

  reset(): void {
    throw new SluiceError('SLUICE_INTERNAL', 'a hash was to be used again')
  }
}

function keyOf(secret: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof secret === 'string') return secret
  return ArrayBuffer.isView(secret)
    ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
    : new Uint8Array(secret)
}
