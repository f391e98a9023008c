import { createHash, createHmac, type Hash, type Hmac, hash } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { amzDateOf, canonicalPath, canonicalQuery, type SigningIdentity, SigV4Signer } from '../../src/json/sigv4.ts'
import { VECTORS } from './sigv4-vectors.ts'

const SUITE_IDENTITY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const SUITE_SCOPE = { region: 'us-east-1', service: 'service' }

test.each(VECTORS)("AWS's test suite: $name", ({ method = 'GET', path = '/', query = '', body = '', ...vector }) => {
  const signer = new SigV4Signer(SUITE_SCOPE)
  const amzDate = amzDateOf(Date.UTC(2015, 7, 30, 12, 36))
  const { signedHeaders = 'host;x-amz-date', headers = {} } = vector
  const request = {
    method,
    canonicalPath: canonicalPath(path),
    canonicalQuery: canonicalQuery(new URLSearchParams(query)),
    headers: { host: 'example.amazonaws.com', 'x-amz-date': amzDate, ...headers },
    bodyHash: hash('sha256', body, 'hex'),
  }
  expect(signer.authorization(request, SUITE_IDENTITY, amzDate)).toBe(
    'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ' +
      `SignedHeaders=${signedHeaders}, Signature=${vector.signature}`,
  )
})

test('the time of a signature has no milliseconds', () => {
  expect(amzDateOf(Date.UTC(2026, 0, 2, 3, 4, 5, 678))).toBe('20260102T030405Z')
})

test('a cached key is used for its own day and secret only', async () => {
  const signer = new SigV4Signer({ region: 'eu-west-1', service: 'timestream' })
  const first = { accessKeyId: 'AKID1', secretAccessKey: 'secret one' }
  const second = { accessKeyId: 'AKID2', secretAccessKey: 'secret two' }
  const today = Date.UTC(2026, 5, 1, 23, 59, 59)
  for (const [identity, wallMs] of [
    [first, today],
    [first, today + 1000],
    [second, today + 1000],
    [second, today],
    [first, today],
  ] as const) {
    const request = { ...EMPTY, headers: { host: 'x', 'x-amz-date': amzDateOf(wallMs) } }
    const expected = await sdkAuthorization(request, 'timestream', 'eu-west-1', identity, wallMs)
    expect(signer.authorization(request, identity, amzDateOf(wallMs))).toBe(expected)
  }
})

test("random requests have the signature of the SDK's signer", async () => {
  const seen = { queries: 0, tokens: 0, paths: 0, bodies: 0 }
  await fc.assert(
    fc.asyncProperty(requests, identities, times, async ({ path, query, headers, body }, identity, wallMs) => {
      const amzDate = amzDateOf(wallMs)
      const bodyHash = hash('sha256', body, 'hex')
      const { sessionToken } = identity
      const sent = {
        ...headers,
        host: 'ingest.example',
        'x-amz-content-sha256': bodyHash,
        'x-amz-date': amzDate,
        ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
      }
      const signer = new SigV4Signer({ region: 'eu-west-1', service: 'sqs' })
      const ours = signer.authorization(
        {
          method: 'POST',
          canonicalPath: canonicalPath(path),
          canonicalQuery: canonicalQuery(query),
          headers: sent,
          bodyHash,
        },
        identity,
        amzDate,
      )
      const request = { method: 'POST', path, query, headers: { ...headers, host: 'ingest.example' }, body }
      expect(ours).toBe(await sdkAuthorization(request, 'sqs', 'eu-west-1', identity, wallMs))
      seen.queries += query.size > 1 ? 1 : 0
      seen.tokens += sessionToken === undefined ? 0 : 1
      seen.paths += path === '/' ? 0 : 1
      seen.bodies += body.byteLength > 0 ? 1 : 0
    }),
    { numRuns: 500 },
  )
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50)
})

const EMPTY = {
  method: 'POST',
  path: '/',
  query: new URLSearchParams(),
  canonicalPath: '/',
  canonicalQuery: '',
  body: new Uint8Array(),
  bodyHash: hash('sha256', '', 'hex'),
}

const segments = fc.oneof(fc.constantFrom('', '.', '..', 'a b', '%20', 'é', "!'()*", '~'), fc.string({ maxLength: 8 }))
const words = fc.oneof(fc.constantFrom('a', 'A', 'a-b', '', "*'()!", '~', 'ሴ', '+', ' '), fc.string({ maxLength: 6 }))
const headerNames = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/).map((name) => `my-${name}`)
const headerValues = fc.stringMatching(/^[\x20-\x7e\t]{0,20}$/)
const identities: fc.Arbitrary<SigningIdentity> = fc.record(
  {
    accessKeyId: fc.stringMatching(/^AKIA[A-Z0-9]{4,16}$/),
    secretAccessKey: fc.stringMatching(/^[A-Za-z0-9/+]{8,40}$/),
    sessionToken: fc.stringMatching(/^[A-Za-z0-9/+=]{8,60}$/),
  },
  { requiredKeys: ['accessKeyId', 'secretAccessKey'] },
)
const times = fc.integer({ min: 0, max: Date.UTC(2099, 0, 1) })
const requests = fc.record({
  path: fc
    .array(
      segments.filter((segment) => !/[/?#]/.test(segment)),
      { maxLength: 5 },
    )
    .map((parts) => `/${parts.join('/')}`),
  query: fc
    .array(fc.tuple(words, words), { maxLength: 5 })
    .map((pairs) => new URLSearchParams(pairs.filter(([name]) => name !== 'x-amz-signature'))),
  headers: fc.dictionary(headerNames, headerValues, { maxKeys: 4 }),
  body: fc.uint8Array({ maxLength: 300 }),
})

interface SdkRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Record<string, string>
  readonly body: Uint8Array
}

async function sdkAuthorization(
  { method, path, query, headers, body }: SdkRequest,
  service: string,
  region: string,
  identity: SigningIdentity,
  wallMs: number,
): Promise<string | undefined> {
  const { accessKeyId, secretAccessKey, sessionToken } = identity
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
  const signer = new SignatureV4({
    service,
    region,
    credentials,
    sha256: Sha256,
    applyChecksum: headers['host'] !== 'x',
  })
  const names = [...new Set(query.keys())]
  const signed = await signer.sign(
    {
      method,
      protocol: 'https:',
      hostname: 'ingest.example',
      path,
      query: Object.fromEntries(names.map((name) => [name, query.getAll(name)])),
      headers,
      body,
    },
    { signingDate: new Date(wallMs) },
  )
  return signed.headers['authorization']
}

class Sha256 {
  readonly #hash: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = secret instanceof ArrayBuffer ? new Uint8Array(secret) : (secret as string | Uint8Array)
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', key)
  }

  update(data: Uint8Array): void {
    this.#hash.update(data)
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }

  reset(): void {
    throw new Error('not used')
  }
}
