import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { requireOrSkip, startFauxqs, temporaryFolder } from '@sluice/testkit'
import { expect, test } from 'vitest'
import { classifyAwsError } from '../../src/classify.ts'
import { JsonClient, type JsonService } from '../../src/json-client.ts'
import { KEYS, sdkClient, thrownBy, TIMESTREAM } from './support.ts'

const run = promisify(execFile)

const SQS: JsonService = {
  signingName: 'sqs',
  targetPrefix: 'AmazonSQS',
  contentType: 'application/x-amz-json-1.0',
  exceptions: () => undefined,
}

test('a queue of an SQS server: messages go in and come out', async () => {
  await using fauxqs = await startFauxqs()
  // Of the client, only the configuration counts.
  const peer = new KinesisClient({ endpoint: fauxqs.endpoint, region: 'us-east-1', credentials: KEYS })
  await using client = new JsonClient({ client: peer, service: SQS, maxConnections: 2, timeoutMs: 30_000 })
  const call = async (operation: string, input: object): Promise<Record<string, unknown>> =>
    (await client.call(operation, JSON.stringify(input))).body as Record<string, unknown>
  const { QueueUrl } = await call('CreateQueue', { QueueName: 'orders' })
  const sent = await call('SendMessage', { QueueUrl, MessageBody: 'Grüße ✓' })
  const { Messages } = await call('ReceiveMessage', { QueueUrl, MaxNumberOfMessages: 10 })
  expect(Messages).toMatchObject([{ Body: 'Grüße ✓', MessageId: sent['MessageId'] }])
  const error = await thrownBy(call('SendMessage', { QueueUrl: `${String(QueueUrl)}-gone`, MessageBody: 'x' }))
  expect(error.name).toMatch(/QueueDoesNotExist|NonExistentQueue/)
  expect(error).toMatchObject({ $fault: 'client', $metadata: { httpStatusCode: 400, attempts: 1 } })
})

const hasOpenssl = await run('openssl', ['version']).then(
  () => true,
  () => false,
)

test.skipIf(requireOrSkip('openssl', hasOpenssl, 'openssl is not on the PATH'))(
  'a server with a certificate that nobody knows gets no request',
  async () => {
    await using folder = await temporaryFolder()
    const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    const names = ['-subj', '/CN=timestream', '-addext', 'subjectAltName=IP:127.0.0.1']
    await run('openssl', [...make, ...names, '-keyout', key, '-out', cert])
    let requests = 0
    const server = createServer({ cert: await readFile(cert), key: await readFile(key) }, (_, response) => {
      requests++
      response.end('{}')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const peer = sdkClient({ endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}` })
    const client = new JsonClient({ client: peer, service: TIMESTREAM, maxConnections: 1, timeoutMs: 30_000 })
    const error = await thrownBy(client.call('WriteRecords', '{}'))
    expect(error).toMatchObject({ name: 'ConnectionError', code: 'DEPTH_ZERO_SELF_SIGNED_CERT', isSent: false })
    expect(classifyAwsError(error)).toMatchObject({ kind: 'other', code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(requests).toBe(0)
    await client.close()
    server.closeAllConnections()
    server.close()
  },
)

/** Prints whether undici is loaded with an entry of the package. */
function script(entry: string): string {
  return `
    import { registerHooks } from 'node:module'
    const names = []
    registerHooks({ resolve(name, context, next) { names.push(name); return next(name, context) } })
    await import(${JSON.stringify(new URL(`../../src/${entry}.ts`, import.meta.url).href)})
    console.log(names.includes('undici'))
  `
}

test.each([
  ['index', 'false'],
  ['json-client', 'true'],
])('with the entry %s undici is loaded: %s', async (entry, isLoaded) => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script(entry)])
  expect(stdout.trim()).toBe(isLoaded)
})
