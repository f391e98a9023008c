import * as sdk from '@aws-sdk/client-timestream-write'
import { SluiceError } from '@sluice/core'
import { expect, test } from 'vitest'
import { classifyWriteError, type TimestreamException, type WriteAction } from '../src/classify.ts'

const service = (name: string, status?: number, message = 'said'): Error =>
  Object.assign(new Error(message), {
    name,
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
  })

const network = (code: string, more: object = {}): Error => Object.assign(new Error(code), { code, ...more })

/** As the JSON client throws it. */
const direct = (name: string, facts: { readonly isSent: boolean; readonly code?: string }): Error =>
  Object.assign(new Error('no answer'), { name, ...facts })

const discovery = (reason: unknown): Error =>
  Object.assign(new Error('The operation to discover endpoint failed.'), { reason })

type Row = readonly [error: unknown, action: WriteAction, exception: TimestreamException, unknown?: boolean]

const rows: readonly Row[] = [
  [service('ThrottlingException', 429), 'retry', 'ThrottlingException'],
  [service('InternalServerException', 500), 'retry', 'InternalServerException'],
  [service('ValidationException', 400), 'invalid', 'ValidationException'],
  [service('InvalidEndpointException', 421), 'rediscover', 'InvalidEndpointException'],
  [service('AccessDeniedException', 403), 'denied', 'AccessDeniedException'],
  [service('ConflictException', 409), 'fatal', 'ConflictException'],
  [service('ResourceNotFoundException', 404), 'missing', 'ResourceNotFoundException'],
  [service('RejectedRecordsException', 419), 'rejected', 'RejectedRecordsException'],
  [service('ServiceQuotaExceededException', 402), 'fatal', 'ServiceQuotaExceededException'],
  [service('UnrecognizedClientException', 403), 'credentials', 'UNKNOWN'],
  [service('InvalidSignatureException', 403), 'credentials', 'UNKNOWN'],
  [service('ExpiredTokenException', 403), 'credentials', 'UNKNOWN'],
  [service('SerializationException', 400), 'invalid', 'UNKNOWN'],
  [service('UnknownOperationException', 404), 'rediscover', 'UNKNOWN'],
  [service('SomethingNew', 400), 'fatal', 'UNKNOWN'],
  [service('SomethingNew', 401), 'credentials', 'UNKNOWN'],
  [service('SomethingNew', 403), 'credentials', 'UNKNOWN'],
  [service('SomethingNew', 404), 'missing', 'UNKNOWN'],
  [service('SomethingNew', 408), 'retry', 'UNKNOWN'],
  [service('SomethingNew', 413), 'fatal', 'UNKNOWN'],
  [service('SomethingNew', 419), 'rejected', 'UNKNOWN'],
  [service('SomethingNew', 421), 'rediscover', 'UNKNOWN'],
  [service('SomethingNew', 429), 'retry', 'UNKNOWN'],
  [service('SomethingNew', 500), 'retry', 'UNKNOWN'],
  [service('SomethingNew', 502), 'retry', 'UNKNOWN'],
  [service('SomethingNew', 503), 'retry', 'UNKNOWN'],
  [service('SomethingNew', 504), 'retry', 'UNKNOWN'],
  [service('SyntaxError', 200), 'retry', 'UNKNOWN', true],
  [network('ECONNREFUSED'), 'retry', 'UNKNOWN'],
  [network('ENOTFOUND'), 'retry', 'UNKNOWN'],
  [network('EAI_AGAIN'), 'retry', 'UNKNOWN'],
  [network('ETIMEDOUT', { syscall: 'connect' }), 'retry', 'UNKNOWN'],
  [network('ETIMEDOUT', { name: 'TimeoutError' }), 'retry', 'UNKNOWN', true],
  [network('ECONNRESET'), 'retry', 'UNKNOWN', true],
  [network('EPIPE'), 'retry', 'UNKNOWN', true],
  [network('ERR_STREAM_PREMATURE_CLOSE'), 'retry', 'UNKNOWN', true],
  [service('TimeoutError'), 'retry', 'UNKNOWN', true],
  [service('AbortError'), 'retry', 'UNKNOWN', true],
  // The same of the transport that sends by itself.
  [direct('ConnectionError', { isSent: false, code: 'ECONNREFUSED' }), 'retry', 'UNKNOWN'],
  [direct('ConnectionError', { isSent: true, code: 'UND_ERR_SOCKET' }), 'retry', 'UNKNOWN', true],
  [direct('TimeoutError', { isSent: true, code: 'ETIMEDOUT' }), 'retry', 'UNKNOWN', true],
  [direct('TimeoutError', { isSent: false, code: 'ETIMEDOUT' }), 'retry', 'UNKNOWN'],
  [direct('AbortError', { isSent: true }), 'retry', 'UNKNOWN', true],
  [service('CredentialsProviderError'), 'credentials', 'UNKNOWN'],
  // A service that gives credentials.
  [service('AccessDenied', 403), 'credentials', 'UNKNOWN'],
  [discovery(service('AccessDeniedException', 403)), 'denied', 'AccessDeniedException'],
  [discovery(service('ThrottlingException', 429)), 'retry', 'ThrottlingException'],
  // The request was not sent.
  [discovery(network('ECONNRESET')), 'retry', 'UNKNOWN'],
  // No record can be at fault.
  [discovery(service('ValidationException', 400)), 'fatal', 'ValidationException'],
  [discovery(undefined), 'fatal', 'UNKNOWN'],
  [new Error('Region is missing'), 'fatal', 'UNKNOWN'],
  [new TypeError('x is not a function'), 'fatal', 'UNKNOWN'],
  [new SluiceError('SLUICE_ACCESS_DENIED', 'no keys'), 'fatal', 'UNKNOWN'],
  ['a text', 'fatal', 'UNKNOWN'],
  [undefined, 'fatal', 'UNKNOWN'],
  [null, 'fatal', 'UNKNOWN'],
  [{}, 'fatal', 'UNKNOWN'],
]

test.for(rows.map((row) => [describeError(row[0]), ...row] as const))(
  '%s',
  ([, error, action, exception, unknown = false]) => {
    expect(classifyWriteError(error)).toMatchObject({ action, exception, unknown })
  },
)

test('every exception class of the SDK has a row', () => {
  const classes = Object.keys(sdk).filter(
    (name) => name.endsWith('Exception') && !name.startsWith('TimestreamWriteService'),
  )
  const covered = new Set(rows.map(([error]) => (error instanceof Error ? error.name : '')))
  expect(classes.filter((name) => !covered.has(name))).toEqual([])
  expect(classes.length).toBeGreaterThanOrEqual(9)
})

test('only throttling of the memory store does not slow down', () => {
  expect(classifyWriteError(service('ThrottlingException', 429)).slowDown).toBe(false)
  expect(classifyWriteError(service('ThrottlingException', 429, 'see ActiveMagneticStorePartitions')).slowDown).toBe(
    true,
  )
  expect(classifyWriteError(service('InternalServerException', 500)).slowDown).toBe(true)
  expect(classifyWriteError(network('ECONNRESET')).slowDown).toBe(true)
})

test('the store knows nothing of credentials that fail: nothing slows down', () => {
  expect(classifyWriteError(service('ProviderError'))).toMatchObject({ slowDown: false, unknown: false })
})

test('a message that quotes the records of the request is told without them', () => {
  const said =
    "2 validation errors detected: Value '[Record(host=\nvery-private)]' at 'records' failed to satisfy constraint: " +
    "Member must have length less than or equal to 100; Value 'private-too' at 'tableName' failed to satisfy constraint: x"
  const { message } = classifyWriteError(service('ValidationException', 400, said))
  expect(message).toBe(
    "2 validation errors detected: Value at 'records' failed to satisfy constraint: " +
      "Member must have length less than or equal to 100; Value at 'tableName' failed to satisfy constraint: x",
  )
  expect(classifyWriteError(service('ValidationException', 400, 'x'.repeat(100_000))).message).toHaveLength(4096)
})

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const metadata: unknown = Reflect.get(error, '$metadata')
  return `${error.name} ${JSON.stringify(metadata ?? '')} ${error.message} ${describeReason(error)}`
}

function describeReason(error: Error): string {
  const reason: unknown = Reflect.get(error, 'reason')
  return reason instanceof Error ? describeError(reason) : ''
}
