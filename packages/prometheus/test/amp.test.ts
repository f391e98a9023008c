import { Secret } from '@sluice/core'
import { SignatureV4 } from '@smithy/signature-v4'
import * as fc from 'fast-check'
import { execFile } from 'node:child_process'
import { createHash, createHmac, type Hash } from 'node:crypto'
import { promisify } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import { ampSigner, type AmpSignerOptions, type AwsCredentials } from '../src/amp.ts'
import { classifyError } from '../src/classify.ts'
import { Transport } from '../src/transport.ts'
import { Receiver } from './receiver.ts'
import { hex, type ReferenceRequest, referenceAuthorization } from './sigv4-reference.ts'

const KEY = 'AKIDEXAMPLE'
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const CREDENTIALS: AwsCredentials = { accessKeyId: KEY, secretAccessKey: SECRET }
const NOW = Date.UTC(2015, 7, 30, 12, 36, 0)
const URL_OF_WORKSPACE = 'https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write'
const BODY = new TextEncoder().encode('compressed')
const PROTOCOL_HEADERS = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf',
  'x-prometheus-remote-write-version': '0.1.0',
}

const fixed = { wallNow: () => NOW }

async function sign(
  more: Partial<AmpSignerOptions> = {},
  url = URL_OF_WORKSPACE,
  given: Readonly<Record<string, string>> = PROTOCOL_HEADERS,
  body = BODY,
): Promise<Record<string, string>> {
  const headers = { ...given }
  await ampSigner({ region: 'us-east-1', credentials: CREDENTIALS, clock: fixed, ...more })(headers, body, new URL(url))
  return headers
}

function reference(more: Partial<ReferenceRequest> = {}): string {
  return referenceAuthorization({
    method: 'POST',
    service: 'aps',
    region: 'us-east-1',
    accessKeyId: KEY,
    secretAccessKey: SECRET,
    amzDate: '20150830T123600Z',
    path: '/workspaces/ws-1/api/v1/remote_write',
    query: [],
    headers: {},
    body: BODY,
    ...more,
  })
}

describe('the reference that the signer is compared with', () => {
  const suite = { service: 'service', path: '/', body: '' }
  const headers = { Host: 'example.amazonaws.com', 'X-Amz-Date': '20150830T123600Z' }

  test.each<[string, Partial<ReferenceRequest>, string]>([
    ['get-vanilla', { method: 'GET', headers }, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    ['post-vanilla', { headers }, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'post-vanilla-query',
      { headers, query: [['Param1', 'value1']] },
      '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11',
    ],
    [
      'get-vanilla-query-order-key-case',
      {
        method: 'GET',
        headers,
        query: [
          ['Param2', 'value2'],
          ['Param1', 'value1'],
        ],
      },
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'post-header-key-sort',
      { headers: { ...headers, 'My-Header1': 'value1' } },
      'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c',
    ],
  ])("gives AWS's published signature of %s", (_, more, signature) => {
    expect(reference({ ...suite, ...more })).toMatch(new RegExp(`Signature=${signature}$`))
  })
})

describe('ampSigner', () => {
  test('signs the compressed body, the host and the headers of the protocol, for aps', async () => {
    const headers = await sign()
    expect(headers).toMatchObject({ ...PROTOCOL_HEADERS, 'x-amz-date': '20150830T123600Z' })
    expect(headers['x-amz-content-sha256']).toBe(hex(BODY))
    expect(headers).not.toHaveProperty('host')
    expect(headers).not.toHaveProperty('x-amz-security-token')
    expect(headers['authorization']).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/aps/aws4_request, ' +
        'SignedHeaders=content-encoding;content-type;host;x-amz-content-sha256;x-amz-date;x-prometheus-remote-write-version, ' +
        'Signature=98f95709cd0d68bf05beb5c534953caae158c3290bc393e0a8340c7178cc04a8',
    )
  })

  test('gives what the reference gives for any path, query, headers and body', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 8 })
    const value = fc.stringMatching(/^[!-~]([ -~]{0,12}[!-~])?$/)
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          text.filter((part) => part !== '' && part !== '.' && part !== '..' && part.isWellFormed()),
          { maxLength: 4 },
        ),
        fc.array(
          fc.tuple(
            text.filter((name) => name !== '' && name.isWellFormed()),
            text.filter((each) => each.isWellFormed()),
          ),
        ),
        fc.dictionary(
          fc.stringMatching(/^x-[a-z0-9-]{1,8}$/).filter((name) => !name.startsWith('x-amz')),
          value,
          { maxKeys: 3 },
        ),
        fc.uint8Array({ maxLength: 40 }),
        fc.option(
          value.filter((token) => !token.includes(' ')),
          { nil: undefined },
        ),
        fc.constantFrom('', ':8443'),
        async (parts, query, extra, body, token, port) => {
          const url = new URL(`https://aps.example${port}/`)
          url.pathname = `/${parts.map(encodeURIComponent).join('/')}`
          url.search = query.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')
          const credentials = { ...CREDENTIALS, ...(token === undefined ? {} : { sessionToken: token }) }
          const headers = await sign({ credentials }, url.href, { ...PROTOCOL_HEADERS, ...extra }, body)
          const { authorization, ...rest } = headers
          expect(authorization).toBe(
            reference({ path: url.pathname, query, headers: { ...rest, host: url.host }, body }),
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  test('gives what the package gives when it is used by itself', async () => {
    const sha256 = class {
      readonly #hash: Hash | ReturnType<typeof createHmac>
      constructor(secret?: unknown) {
        this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Uint8Array)
      }
      update(data: Uint8Array) {
        this.#hash.update(data)
      }
      digest = () => Promise.resolve(new Uint8Array(this.#hash.digest()))
      reset() {}
    }
    const signer = new SignatureV4({
      service: 'aps',
      region: 'us-east-1',
      credentials: { accessKeyId: KEY, secretAccessKey: SECRET, sessionToken: 'token' },
      sha256,
    })
    const { headers } = await signer.sign(
      {
        method: 'POST',
        protocol: 'https:',
        hostname: 'aps-workspaces.us-east-1.amazonaws.com',
        path: '/workspaces/ws-1/api/v1/remote_write',
        query: { a: '1 2', b: ['y', 'x'] },
        headers: { ...PROTOCOL_HEADERS, host: 'aps-workspaces.us-east-1.amazonaws.com' },
        body: BODY,
      },
      { signingDate: new Date(NOW) },
    )
    const ours = await sign(
      { credentials: { ...CREDENTIALS, sessionToken: 'token' } },
      `${URL_OF_WORKSPACE}?b=y&a=1%202&b=x`,
    )
    expect({ ...ours, host: headers['host'] }).toStrictEqual(headers)
  })

  test('signs temporary credentials with their token, also as secrets', async () => {
    const credentials = { accessKeyId: KEY, secretAccessKey: new Secret(SECRET), sessionToken: new Secret('the-token') }
    const headers = await sign({ credentials })
    const { authorization, ...rest } = headers
    expect(rest['x-amz-security-token']).toBe('the-token')
    expect(authorization).toContain('x-amz-security-token')
    const host = 'aps-workspaces.us-east-1.amazonaws.com'
    expect(authorization).toBe(reference({ headers: { ...rest, host } }))
  })

  test('replaces an older signature, whatever the case of its names', async () => {
    const old = {
      Authorization: 'old',
      'X-Amz-Date': 'old',
      'X-Amz-Security-Token': 'old',
      'x-amz-content-sha256': 'old',
    }
    expect(await sign({}, URL_OF_WORKSPACE, { ...PROTOCOL_HEADERS, ...old })).toStrictEqual(await sign())
  })

  test("refuses a '+' in a query, which can be read in two ways", async () => {
    await expect(sign({}, `${URL_OF_WORKSPACE}?a=1+2`)).rejects.toThrow(/'\+'.*%2B or %20/)
  })

  test('a request that is repeated has a new signature of its own time', async () => {
    await using receiver = await Receiver.start()
    let now = NOW
    const requestSigner = ampSigner({ region: 'us-east-1', credentials: CREDENTIALS, clock: { wallNow: () => now } })
    const transport = transportTo(receiver.url, requestSigner)
    try {
      for (let attempt = 0; attempt < 3; attempt++, now += 600_000) {
        await transport.post({ body: BODY, headers: PROTOCOL_HEADERS, signal: new AbortController().signal })
      }
    } finally {
      await transport.close()
    }
    expect(receiver.received.map(({ headers }) => headers['x-amz-date'])).toStrictEqual([
      '20150830T123600Z',
      '20150830T124600Z',
      '20150830T125600Z',
    ])
    for (const { headers, body } of receiver.received) {
      const names = /SignedHeaders=([^,]*)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? []
      expect(names).toContain('host')
      const amzDate = String(headers['x-amz-date'])
      const signed = Object.fromEntries(names.map((name) => [name, String(headers[name])]))
      // What arrived is what was signed.
      expect(headers.authorization).toBe(reference({ amzDate, path: '/api/v1/write', headers: signed, body }))
    }
  })
})

describe('credentials of ampSigner', () => {
  test('a provider is asked for every request when its credentials have no end', async () => {
    let asked = 0
    const signer = ampSigner({
      region: 'us-east-1',
      clock: fixed,
      credentials: () => ({ accessKeyId: `KEY${asked++}`, secretAccessKey: SECRET }),
    })
    const keys: (string | undefined)[] = []
    for (let count = 0; count < 3; count++) {
      const headers: Record<string, string> = {}
      await signer(headers, BODY, new URL(URL_OF_WORKSPACE))
      keys.push(/Credential=([^/]*)/.exec(headers['authorization'] ?? '')?.[1])
    }
    expect(keys).toStrictEqual(['KEY0', 'KEY1', 'KEY2'])
  })

  test('those with an end are kept until five minutes before it, and to the end while a renewal fails', async () => {
    let now = NOW
    let asked = 0
    let failing = false
    const signer = ampSigner({
      region: 'us-east-1',
      clock: { wallNow: () => now },
      credentials: () => {
        asked++
        if (failing) throw new Error('no answer')
        return { ...CREDENTIALS, expiration: new Date(NOW + 3_600_000) }
      },
    })
    const once = async () => signer({}, BODY, new URL(URL_OF_WORKSPACE))
    await Promise.all([once(), once(), once()])
    now = NOW + 3_299_999
    await once()
    expect(asked).toBe(1)
    failing = true
    now = NOW + 3_300_000
    await once()
    expect(asked).toBe(2)
    now = NOW + 3_600_000
    await expect(once()).rejects.toThrow('the provider of credentials failed: no answer')
  })

  test('a provider that does not answer is asked again after a minute', async () => {
    let now = NOW
    let asked = 0
    const signer = ampSigner({
      region: 'us-east-1',
      clock: { wallNow: () => now },
      credentials: () => (asked++ === 0 ? new Promise(() => undefined) : CREDENTIALS),
    })
    let settled = 0
    const once = async () => Promise.resolve(signer({}, BODY, new URL(URL_OF_WORKSPACE))).finally(() => settled++)
    void once()
    await vi.waitFor(() => expect(asked).toBe(1))
    now += 60_000
    await once()
    expect([asked, settled]).toStrictEqual([2, 1])
  })

  test('the signer that has none makes a failed attempt without a secret in it', async () => {
    const broken: readonly (readonly [unknown, RegExp])[] = [
      [{ accessKeyId: KEY, secretAccessKey: 'hidden value' }, /secretAccessKey must be/],
      [{ accessKeyId: 'hidden value', secretAccessKey: SECRET }, /accessKeyId must be/],
      [{ ...CREDENTIALS, sessionToken: 'hidden value' }, /sessionToken must be/],
      [{ ...CREDENTIALS, expiration: 'hidden value' }, /expiration must be/],
      [undefined, /must be an object/],
    ]
    for (const [given, message] of broken) {
      const transport = transportTo(
        'http://127.0.0.1:9/',
        ampSigner({
          region: 'us-east-1',
          credentials: () => Promise.resolve(given as AwsCredentials),
        }),
      )
      const error: unknown = await transport
        .post({ body: BODY, headers: PROTOCOL_HEADERS, signal: new AbortController().signal })
        .catch((thrown: unknown) => thrown)
      await transport.close()
      const { kind, reason } = classifyError(error, 'http://x', (text) => text)
      expect(kind).toBe('unsigned')
      expect(reason.message).toMatch(message)
      expect(reason.message).not.toContain('hidden')
      expect(reason.message).not.toContain(SECRET)
    }
  })

  test('options are checked at once, and no secret is shown', () => {
    const bad = { region: '', credentials: { accessKeyId: KEY, secretAccessKey: 'hidden value' }, clock: {}, regoin: 1 }
    const make = (): unknown => ampSigner(bad as unknown as AmpSignerOptions)
    expect(make).toThrow(
      /4 invalid option[^]*regoin[^]*did you mean 'region'[^]*region must be[^]*secretAccessKey[^]*clock/,
    )
    expect(make).not.toThrow(/hidden/)
  })

  test('says what is to be installed when the package is missing', async () => {
    const script = `
      import { registerHooks } from 'node:module'
      registerHooks({
        resolve(specifier, context, next) {
          return next(specifier === '@smithy/signature-v4' ? '@smithy/signature-v4' + '-missing' : specifier, context)
        },
      })
      const { ampSigner } = await import(${JSON.stringify(new URL('../src/amp.ts', import.meta.url).href)})
      const signer = ampSigner({ region: 'us-east-1', credentials: { accessKeyId: 'A', secretAccessKey: 'B' } })
      await signer({}, new Uint8Array(), new URL('http://x/')).catch((error) => console.log(error.code, error.message))
    `
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 15_000,
    })
    expect(stdout).toBe(
      'SLUICE_OPTIONS_INVALID ampSigner needs the package @smithy/signature-v4, which is not installed: npm install @smithy/signature-v4\n',
    )
  })
})

function transportTo(url: string, requestSigner: ReturnType<typeof ampSigner>): Transport {
  return new Transport({
    url,
    socketTimeoutMs: 5000,
    connectTimeoutMs: 5000,
    maxInFlightRequests: 2,
    requestSigner,
    authorization: undefined,
    secrets: [],
    tls: undefined,
    proxyUrl: undefined,
    dispatcher: undefined,
  })
}
