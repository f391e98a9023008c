import {
  CreateDatabaseCommand,
  ListDatabasesCommand,
  TimestreamWriteClient,
  WriteRecordsCommand,
} from '@aws-sdk/client-timestream-write'
import { QueryCommand, TimestreamQueryClient } from '@aws-sdk/client-timestream-query'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTimestreamLocal, type TimestreamLocal } from '../src/index.ts'
import { record } from './support.ts'

const KEY = { accessKeyId: 'AKIDLOCAL', secretAccessKey: 'secret/with+signs' }
const SESSION = { accessKeyId: 'ASIASESSION', secretAccessKey: 'other', sessionToken: 'token==' }
const OLD = { accessKeyId: 'ASIAOLD', secretAccessKey: 'old', sessionToken: 'old' }

let server: TimestreamLocal
beforeAll(async () => {
  server = await startTimestreamLocal({ credentials: [KEY, SESSION, { ...OLD, expiresAt: new Date(Date.now() - 1) }] })
})
afterAll(async () => {
  await server.close()
})

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

async function list(credentials: Keys, more: { systemClockOffset?: number } = {}): Promise<unknown> {
  const client = new TimestreamWriteClient({
    endpoint: server.endpoint,
    region: 'eu-west-1',
    credentials,
    maxAttempts: 1,
    ...more,
  })
  try {
    return await client.send(new ListDatabasesCommand({}))
  } catch (error) {
    return error
  } finally {
    client.destroy()
  }
}

describe('signatures', () => {
  it('of the official clients are right, for long bodies and session tokens too', async () => {
    const config = { endpoint: server.endpoint, region: 'eu-west-1', credentials: SESSION }
    const writer = new TimestreamWriteClient({ ...config, credentials: KEY })
    const reader = new TimestreamQueryClient(config)
    await writer.send(new CreateDatabaseCommand({ DatabaseName: 'signed' }))
    const Records = Array.from({ length: 100 }, (_, i) => record({ Dimensions: [{ Name: 'host', Value: `hé${i}` }] }))
    await expect(
      writer.send(new WriteRecordsCommand({ DatabaseName: 'signed', TableName: 'none', Records })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    expect((await reader.send(new QueryCommand({ QueryString: 'SELECT 1' }))).Rows).toHaveLength(1)
    writer.destroy()
    reader.destroy()
  })

  it.each([
    ['an unknown key', { ...KEY, accessKeyId: 'AKIDOTHER' }, 'UnrecognizedClientException', /token.*is invalid/],
    ['another token', { ...SESSION, sessionToken: 'x' }, 'UnrecognizedClientException', /token.*is invalid/],
    ['no token', { ...KEY, accessKeyId: SESSION.accessKeyId }, 'UnrecognizedClientException', /token.*is invalid/],
    ['a token that does not belong', { ...KEY, sessionToken: 'x' }, 'UnrecognizedClientException', /is invalid/],
    ['another secret', { ...KEY, secretAccessKey: 'x' }, 'InvalidSignatureException', /signature we calculated/],
    ['a key that has expired', OLD, 'ExpiredTokenException', /is expired/],
  ])('with %s are refused', async (_, keys: Keys, name, message) => {
    expect(await list(keys)).toMatchObject({
      name,
      message: expect.stringMatching(message) as string,
      $metadata: { httpStatusCode: 403 },
    })
  })

  it.each([
    ['slow', -6, /Signature expired: .* is now earlier than/],
    ['fast', 6, /Signature not yet current: .* is still later than/],
  ])('of a clock that is %s are refused', async (_, minutes, message) => {
    const answer = await list(KEY, { systemClockOffset: minutes * 60_000 })
    expect(answer).toMatchObject({
      name: 'InvalidSignatureException',
      message: expect.stringMatching(message) as string,
    })
    expect(await list(KEY, { systemClockOffset: (minutes * 60_000 * 4) / 6 })).toHaveProperty('Databases')
  })

  it('are missed when they are not there, not whole, or do not cover what they must', async () => {
    expect(await send({})).toEqual([403, 'MissingAuthenticationTokenException'])
    expect(await send({ authorization: 'Bearer x' })).toEqual([403, 'IncompleteSignatureException'])
    const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
    const of = (service: string, signed: string): Record<string, string> => ({
      'x-amz-date': date,
      authorization: `AWS4-HMAC-SHA256 Credential=${KEY.accessKeyId}/${date.slice(0, 8)}/eu-west-1/${service}/aws4_request, SignedHeaders=${signed}, Signature=${'0'.repeat(64)}`,
    })
    expect(await send(of('timestream', 'x-amz-date'))).toEqual([403, 'IncompleteSignatureException'])
    expect(await send(of('kinesis', 'host;x-amz-date'))).toEqual([403, 'InvalidSignatureException'])
    expect(await send(of('timestream', 'host;x-amz-date'))).toEqual([403, 'InvalidSignatureException'])
    const names = 'constructor;host;tostring;x-amz-date;__proto__'
    expect(await send(of('timestream', names))).toEqual([403, 'InvalidSignatureException'])
  })

  it('cover the body', async () => {
    const client = new TimestreamWriteClient({ endpoint: server.endpoint, region: 'eu-west-1', credentials: KEY })
    client.middlewareStack.add(
      (next) => (args) => {
        Object.assign(args.request as object, { body: '{"MaxResults":2}' })
        return next(args)
      },
      { step: 'deserialize', priority: 'low' },
    )
    await expect(client.send(new ListDatabasesCommand({ MaxResults: 1 }))).rejects.toMatchObject({
      name: 'InvalidSignatureException',
    })
    client.destroy()
  })
})

function send(headers: Record<string, string>): Promise<[number | undefined, unknown]> {
  return new Promise((resolve, reject) => {
    const all = { 'x-amz-target': 'Timestream_20181101.ListDatabases', ...headers }
    const sent = request(server.endpoint, { method: 'POST', headers: all }, (response) => {
      response.resume()
      resolve([response.statusCode, response.headers['x-amzn-errortype']])
    })
    sent.on('error', reject)
    sent.end('{}')
  })
}
