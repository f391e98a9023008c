import { expect, test } from 'vitest'
import { type AwsErrorKind, classifyAwsError } from '../src/classify.ts'

const service = (name: string, status?: number): Error =>
  Object.assign(new Error('said'), { name, $metadata: { httpStatusCode: status, requestId: 'r-1' } })

const network = (code: string, more: object = {}): Error => Object.assign(new Error(`net ${code}`), { code, ...more })

const rows: readonly (readonly [label: string, error: unknown, kind: AwsErrorKind, code: string])[] = [
  ...[
    'BandwidthLimitExceeded',
    'EC2ThrottledException',
    'KMSThrottlingException',
    'LimitExceededException',
    'PriorRequestNotComplete',
    'ProvisionedThroughputExceededException',
    'RequestLimitExceeded',
    'RequestThrottled',
    'RequestThrottledException',
    'SlowDown',
    'ThrottledException',
    'Throttling',
    'ThrottlingException',
    'TooManyRequestsException',
  ].map((name) => [`${name} with 400`, service(name, 400), 'throttled', name] as const),
  ...[
    'AccessDenied',
    'AccessDeniedException',
    'ExpiredToken',
    'ExpiredTokenException',
    'InvalidClientTokenId',
    'InvalidSignatureException',
    'MissingAuthenticationTokenException',
    'SignatureDoesNotMatch',
    'UnrecognizedClientException',
  ].map((name) => [`${name} with 400`, service(name, 400), 'accessDenied', name] as const),
  ['credentials', service('CredentialsProviderError'), 'accessDenied', 'CredentialsProviderError'],
  ['token', service('TokenProviderError'), 'accessDenied', 'TokenProviderError'],
  ['a stream', service('ResourceNotFoundException', 400), 'notFound', 'ResourceNotFoundException'],
  ['a queue', service('QueueDoesNotExist', 400), 'notFound', 'QueueDoesNotExist'],
  ['validation', service('ValidationException', 400), 'validation', 'ValidationException'],
  ['an argument', service('InvalidArgumentException', 400), 'validation', 'InvalidArgumentException'],
  ['a body', service('SerializationException', 400), 'validation', 'SerializationException'],
  ['no such operation', service('UnknownOperationException', 404), 'other', 'UnknownOperationException'],
  ...(
    [
      [400, 'other'],
      [401, 'accessDenied'],
      [402, 'other'],
      [403, 'accessDenied'],
      [404, 'notFound'],
      [408, 'transient'],
      [409, 'other'],
      [413, 'other'],
      [429, 'throttled'],
      [500, 'transient'],
      [502, 'transient'],
      [503, 'transient'],
      [504, 'transient'],
      [509, 'transient'],
      [200, 'unknown'],
      [302, 'other'],
    ] as const
  ).map(([status, kind]) => [`status ${status}`, service('Odd', status), kind, 'Odd'] as const),
  ['InternalFailure', service('InternalFailure'), 'transient', 'InternalFailure'],
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_SYSTEM', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOBUFS'].map(
    (code) => [code, network(code), 'transient', code] as const,
  ),
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_HTTP2_STREAM_ERROR'].map(
    (code) => [code, network(code), 'unknown', code] as const,
  ),
  ['a connect that timed out', network('ETIMEDOUT', { syscall: 'connect' }), 'transient', 'ETIMEDOUT'],
  ['undici: a connect that timed out', network('UND_ERR_CONNECT_TIMEOUT'), 'transient', 'UND_ERR_CONNECT_TIMEOUT'],
  ['undici: a socket that closed', network('UND_ERR_SOCKET'), 'unknown', 'UND_ERR_SOCKET'],
  ['a reset before the request was sent', network('ECONNRESET', { isSent: false }), 'transient', 'ECONNRESET'],
  ['a lost route after it was sent', network('EHOSTUNREACH', { isSent: true }), 'unknown', 'EHOSTUNREACH'],
  ['an answer that is not HTTP', network('HPE_INVALID_CONSTANT', { isSent: true }), 'unknown', 'HPE_INVALID_CONSTANT'],
  ['a certificate', network('DEPTH_ZERO_SELF_SIGNED_CERT', { isSent: false }), 'other', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['a timeout', service('TimeoutError'), 'unknown', 'TimeoutError'],
  ['an abort', new DOMException('aborted', 'AbortError'), 'unknown', 'AbortError'],
  [
    'a connection timeout of the handler',
    Object.assign(new Error('the request socket did not establish a connection with the server within 5 ms'), {
      name: 'TimeoutError',
    }),
    'transient',
    'TimeoutError',
  ],
  ['a cause', new Error('fetch failed', { cause: network('ECONNRESET') }), 'unknown', 'ECONNRESET'],
  ['a discovery', Object.assign(new Error('d'), { reason: network('ECONNRESET') }), 'transient', 'ECONNRESET'],
  [
    'a discovery that is denied',
    Object.assign(new Error('d'), { reason: service('AccessDeniedException', 403) }),
    'accessDenied',
    'AccessDeniedException',
  ],
  [
    'a discovery that is invalid',
    Object.assign(new Error('d'), { reason: service('ValidationException', 400) }),
    'other',
    'ValidationException',
  ],
  ...[200, 400, 403, 404, 419, 421, 429, 500].map(
    (status) =>
      [
        `an answer with ${status} that was cut`,
        network('ECONNRESET', { $metadata: { httpStatusCode: status }, $response: { statusCode: status } }),
        'unknown',
        'ECONNRESET',
      ] as const,
  ),
  [
    'an exception with the code of a cut connection',
    Object.assign(service('ThrottlingException', 400), { code: 'ECONNRESET' }),
    'throttled',
    'ThrottlingException',
  ],
  ['a raw response', { name: 'SyntaxError', $response: { statusCode: 502 } }, 'transient', 'SyntaxError'],
  ['an Error', new Error('Region is missing'), 'other', 'Error'],
  ['a text', 'boom', 'other', 'Error'],
  ['nothing', undefined, 'other', 'Error'],
  ['null', null, 'other', 'Error'],
  ['a number', 5, 'other', 'Error'],
  ['an object without prototype', Object.create(null), 'other', 'Error'],
  ['fields of wrong types', { name: 5, code: {}, $metadata: 'x', $response: null, cause: 7 }, 'other', 'Error'],
]

test.for(rows)('%s', ([, error, kind, code]) => {
  expect(classifyAwsError(error)).toMatchObject({ kind, code })
})

const signature = (message: string, more: object = {}): Error =>
  Object.assign(new Error(message), {
    name: 'InvalidSignatureException',
    $metadata: { httpStatusCode: 403, ...more },
  })

test.for([
  ...[
    'CredentialsProviderError',
    'ExpiredToken',
    'ExpiredTokenException',
    'IDPCommunicationErrorException',
    'InstanceMetadataV1FallbackError',
    'InvalidIdentityTokenException',
    'ProviderError',
    'RequestExpired',
    'RequestInTheFuture',
    'RequestTimeTooSkewed',
    'TokenProviderError',
  ].map((name) => [name, service(name, 403), true] as const),
  ['a discovery', Object.assign(new Error('d'), { reason: service('ExpiredTokenException', 403) }), true],
  ['a clock that was corrected', signature('does not match', { clockSkewCorrected: true }), true],
  ['a clock that is late', signature('Signature expired: 20260101T000000Z is now earlier than ...'), true],
  ['a clock that is early', signature('Signature not yet current: 20260101T000000Z is still later than'), true],
  ['a wrong secret', signature('The request signature we calculated does not match'), undefined],
  ['an unknown key', service('UnrecognizedClientException', 403), undefined],
  // The SDK marks every error on a machine whose clock is off.
  [
    'a right',
    Object.assign(service('AccessDeniedException', 403), { $metadata: { clockSkewCorrected: true } }),
    undefined,
  ],
] as const)('credentials may be renewed: %s', ([, error, renewable]) => {
  const failure = classifyAwsError(error)
  expect([failure.kind, failure.renewable]).toEqual(['accessDenied', renewable])
})

test('message, request and status are kept', () => {
  expect(classifyAwsError(service('ThrottlingException', 429))).toEqual({
    kind: 'throttled',
    code: 'ThrottlingException',
    message: 'said',
    requestId: 'r-1',
    httpStatus: 429,
  })
  expect(classifyAwsError(new Error('outer', { cause: network('EPIPE') })).message).toBe('outer (net EPIPE)')
})

test('a message that quotes what was signed does not show the session token', () => {
  const quoted = `The Canonical String should have been\n'POST\n/\n\nx-amz-security-token:IQoJb3/JpZ2lu+X2Vj==\n\nhost'`
  const refused = Object.assign(new Error(quoted), { name: 'SignatureDoesNotMatch' })
  for (const error of [refused, Object.assign(new Error('no endpoint'), { reason: refused })]) {
    const { message } = classifyAwsError(error)
    expect(message).toContain("'POST\n/\n\nx-amz-security-token:[secret]\n\nhost'")
    expect(message).not.toContain('JpZ2lu')
  }
})

test('a message that is no text is told, too', () => {
  for (const status of [undefined, 502]) {
    const error = Object.assign(service('Odd', status), { message: { why: 'gateway' } })
    expect(classifyAwsError(error)).toMatchObject({ message: "{ why: 'gateway' }", code: 'Odd' })
  }
})

test('a chain of causes that is circular ends', () => {
  const error = new Error('round')
  error.cause = error
  expect(classifyAwsError(error).kind).toBe('other')
})

test('the status of an answer that was cut is not told: it decides nothing', () => {
  expect(classifyAwsError(network('ECONNRESET', { $metadata: { httpStatusCode: 419 } }))).not.toHaveProperty(
    'httpStatus',
  )
})
