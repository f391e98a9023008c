import * as sdk from '@aws-sdk/client-timestream-write'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { classifyAwsError } from '../../src/classify.ts'
import type { JsonClient } from '../../src/json-client.ts'
import { jsonClient, KEYS, LocalServer, sdkClient, thrownBy, TIMESTREAM } from './support.ts'

let server: LocalServer
let client: JsonClient
let peer: sdk.TimestreamWriteClient

beforeAll(async () => {
  server = await LocalServer.start()
  client = jsonClient(server)
  peer = sdkClient({ endpoint: server.endpoint })
})

afterAll(async () => {
  await client.close()
  peer.destroy()
  await server[Symbol.asyncDispose]()
})

interface Scripted {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

function answer({ status, headers = {}, body }: Scripted): void {
  server.answering = (response) => response.writeHead(status, headers).end(body)
}

async function ours(scripted: Scripted): ReturnType<typeof thrownBy> {
  answer(scripted)
  return await thrownBy(client.call('WriteRecords', '{}'))
}

const COMMAND = { DatabaseName: 'd', TableName: 't', Records: [] }

async function theirs(scripted: Scripted): ReturnType<typeof thrownBy> {
  answer(scripted)
  return await thrownBy(peer.send(new sdk.WriteRecordsCommand(COMMAND)))
}

test("errors are the SDK's own exceptions", async () => {
  let modelled = 0
  await fc.assert(
    fc.asyncProperty(scripts, async (scripted) => {
      const mine = await ours(scripted)
      const other = await theirs(scripted)
      expect(mine.constructor).toBe(other.constructor)
      expect(facts(mine)).toEqual(facts(other))
      expect(classifyAwsError(mine)).toEqual(classifyAwsError(other))
      if (mine.constructor !== sdk.TimestreamWriteServiceException) modelled++
    }),
    { numRuns: 100 },
  )
  expect(modelled).toBeGreaterThan(25)
})

/** What both tell of an error; the SDK adds the raw response, and the name in the answer's own form. */
function facts(error: Error): unknown {
  const own = Object.entries(error).filter(([key]) => !SDK_ONLY.has(key))
  const told = { ...Object.fromEntries(own), name: error.name, message: error.message }
  // Without what is undefined.
  return JSON.parse(JSON.stringify(told))
}

const SDK_ONLY = new Set(['$response', '$retryable', '__type', 'code', 'Code', 'stack'])

const NAMES = [
  'AccessDeniedException',
  'ConflictException',
  'InternalServerException',
  'InvalidEndpointException',
  'RejectedRecordsException',
  'ResourceNotFoundException',
  'ServiceQuotaExceededException',
  'ThrottlingException',
  'ValidationException',
  'ExpiredTokenException',
  'InvalidSignatureException',
  'SomethingNewException',
  'UnknownOperationException',
]

const names = fc
  .constantFrom(...NAMES)
  .chain((name) =>
    fc.constantFrom(
      name,
      `com.amazonaws.timestreamwrite#${name}`,
      `com.amazonaws.timestream.v20181101#${name}`,
      `${name}:http://internal.example/coral/`,
      `com.amazonaws.timestreamwrite#${name}:http://internal.example/`,
    ),
  )
const messages = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => text.trim() !== '')
const rejected = fc.record(
  {
    RecordIndex: fc.nat(99),
    Reason: messages,
    ExistingVersion: fc.oneof(fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER)),
  },
  { requiredKeys: ['RecordIndex', 'Reason'], noNullPrototype: true },
)
const scripts: fc.Arbitrary<Scripted> = fc
  .record({
    status: fc.constantFrom(400, 401, 402, 403, 404, 409, 419, 421, 429, 500, 503),
    name: names,
    where: fc.constantFrom('type', 'code', 'header'),
    message: messages,
    messageAs: fc.constantFrom('message', 'Message'),
    requestId: fc.option(fc.uuid(), { nil: undefined }),
    records: fc.option(fc.array(rejected, { maxLength: 3 }), { nil: undefined }),
    indented: fc.boolean(),
  })
  .map(({ status, name, where, message, messageAs, requestId, records, indented }) => ({
    status,
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      ...(requestId === undefined ? {} : { 'x-amzn-requestid': requestId }),
      ...(where === 'header' ? { 'x-amzn-errortype': name } : {}),
    },
    body: JSON.stringify(
      {
        ...(where === 'type' ? { __type: name } : {}),
        ...(where === 'code' ? { code: name } : {}),
        [messageAs]: message,
        ...(records !== undefined && name.includes('Rejected') ? { RejectedRecords: records } : {}),
      },
      undefined,
      indented ? 2 : 0,
    ),
  }))

test('versions beyond 2^53 of rejected records are exact', async () => {
  const error = await ours({
    status: 419,
    body: '{"__type":"x#RejectedRecordsException","Message":"m","RejectedRecords":[{"RecordIndex":0,"ExistingVersion":1700000000000000001}]}',
  })
  expect(error).toBeInstanceOf(sdk.RejectedRecordsException)
  expect(error['RejectedRecords']).toEqual([{ RecordIndex: 0, ExistingVersion: 1700000000000000001n }])
})

test.each([
  ['<html>503 Service Temporarily Unavailable</html>', 503, 'transient'],
  ['', 502, 'transient'],
  ['', 403, 'accessDenied'],
  ['[]', 429, 'throttled'],
  ['{"__type":7}', 500, 'transient'],
  ['{"__type":"<script>"}', 500, 'transient'],
  ['null', 302, 'other'],
])('%j with status %d is the base exception', async (body, status, kind) => {
  const error = await ours({ status, body, headers: { location: 'http://127.0.0.1:9/' } })
  expect(error).toBeInstanceOf(sdk.TimestreamWriteServiceException)
  expect(error).toMatchObject({
    name: 'Unknown',
    message: `HTTP status ${status} without a message`,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status, attempts: 1, totalRetryDelay: 0 },
  })
  expect(classifyAwsError(error)).toMatchObject({ kind })
})

test('an answer sets no field that says who the error is', async () => {
  const fields = '"$metadata":{"httpStatusCode":200},"$fault":"x","stack":"s","name":"n","cause":"c","isSent":false'
  const body = `{"__type":"ThrottlingException","message":"m",${fields},"toString":"t","__proto__":{"polluted":1}}`
  const error = await ours({ status: 429, body })
  expect(error).toBeInstanceOf(sdk.ThrottlingException)
  expect(error).toMatchObject({ name: 'ThrottlingException', $fault: 'client', $metadata: { httpStatusCode: 429 } })
  expect(Object.keys(error).toSorted()).toEqual(['$fault', '$metadata', '$response', '$retryable', 'name'])
  expect(error['polluted']).toBeUndefined()
  expect(String(error)).toBe('ThrottlingException: m')
  expect(error.stack).toContain('ThrottlingException')
})

test('the service repeats the signed headers of a request that it refuses: no secret is in the error', async () => {
  const quoted = `should have been 'POST\\n/\\nx-amz-security-token:${KEYS.sessionToken}\\n' ${KEYS.secretAccessKey}`
  const body = `{"__type":"SomethingElse","message":"${quoted}","Detail":{"canonical":["${quoted}"]}}`
  const error = await ours({ status: 403, body })
  expect(error.message).toContain('x-amz-security-token:[secret]')
  const shown = JSON.stringify([error, error.message, error.stack])
  expect(shown).toContain('"canonical"')
  expect(shown).not.toContain(KEYS.sessionToken)
  expect(shown).not.toContain(KEYS.secretAccessKey)
})

test('what is too short to be a key of AWS does not change what the service says', async () => {
  const credentials = { accessKeyId: 'e', secretAccessKey: 'e', sessionToken: 'record' }
  const peerOfShort = sdkClient({ endpoint: server.endpoint, credentials })
  await using short = jsonClient(server, { client: peerOfShort })
  const reason = 'A record already exists with the same time, dimensions, measure name, and record version.'
  answer({
    status: 419,
    body: JSON.stringify({
      __type: 'RejectedRecordsException',
      message: reason,
      RejectedRecords: [{ RecordIndex: 0, Reason: reason }],
    }),
  })
  const error = await thrownBy(short.call('WriteRecords', '{}'))
  expect(error).toMatchObject({ message: reason, RejectedRecords: [{ RecordIndex: 0, Reason: reason }] })
  peerOfShort.destroy()
})

test('long messages are cut, and a service without classes gives plain errors', async () => {
  const { baseException: _, ...service } = TIMESTREAM
  await using plain = jsonClient(server, { service: { ...service, exceptions: () => undefined } })
  answer({ status: 400, body: JSON.stringify({ __type: 'ValidationException', message: 'x'.repeat(10_000) }) })
  const error = await thrownBy(plain.call('WriteRecords', '{}'))
  expect(error.constructor).toBe(Error)
  expect(error).toMatchObject({ name: 'ValidationException', $fault: 'client' })
  expect(error.message).toHaveLength(4096)
})
