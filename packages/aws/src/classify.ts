import { messageOf } from '@sluice/core'

/**
 * What an error of an AWS client means for the request.
 *
 * - `throttled`: the service asks for fewer requests.
 * - `transient`: the same request may succeed later, and this one was answered, or never reached the service.
 * - `unknown`: no answer, or none that could be read: the request may have been applied.
 * - `accessDenied`: the caller has no, wrong or expired credentials, or lacks the right.
 * - `notFound`: the resource does not exist.
 * - `validation`: the service refuses the content of the request.
 * - `other`: anything else.
 */
export type AwsErrorKind = 'throttled' | 'transient' | 'unknown' | 'accessDenied' | 'notFound' | 'validation' | 'other'

export interface AwsFailure {
  readonly kind: AwsErrorKind
  /** The name of the exception, or the code of the network error: `ThrottlingException`, `ECONNRESET`. */
  readonly code: string
  readonly message: string
  readonly requestId?: string
  readonly httpStatus?: number
  /**
   * Of `accessDenied`: the credentials could not be fetched, or they, or the time of the signature, have expired. The request
   * changed nothing, and a repeat may find fresh ones; a lasting cause looks the same, so repeats need a bound.
   */
  readonly renewable?: true
}

const RENEWABLE: readonly string[] = [
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'IDPCommunicationError',
  'IDPCommunicationErrorException',
  'InstanceMetadataV1FallbackError',
  // The token for web identity is a file, which is replaced while it is in use.
  'InvalidIdentityToken',
  'InvalidIdentityTokenException',
  'ProviderError',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'TokenProviderError',
]

const NAMES: Readonly<
  Record<'throttled' | 'accessDenied' | 'notFound' | 'validation' | 'transient', readonly string[]>
> = {
  throttled: [
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
  ],
  accessDenied: [
    ...RENEWABLE,
    'AccessDenied',
    'AccessDeniedException',
    'AuthFailure',
    'IDPRejectedClaim',
    'IDPRejectedClaimException',
    'IncompleteSignature',
    'IncompleteSignatureException',
    'InvalidClientTokenId',
    'InvalidSignatureException',
    'KMSAccessDeniedException',
    'MissingAuthenticationToken',
    'MissingAuthenticationTokenException',
    'NotAuthorized',
    'OptInRequired',
    'RegionDisabledException',
    'SignatureDoesNotMatch',
    'UnauthorizedException',
    'UnrecognizedClientException',
  ],
  notFound: ['NoSuchBucket', 'NotFoundException', 'QueueDoesNotExist', 'ResourceNotFoundException'],
  validation: [
    'InvalidArgumentException',
    'InvalidParameterException',
    'InvalidParameterValue',
    'InvalidParameterValueException',
    'MalformedQueryString',
    'SerializationException',
    'ValidationError',
    'ValidationException',
  ],
  transient: [
    'InternalError',
    'InternalFailure',
    'InternalFailureException',
    'InternalServerException',
    'InternalServiceError',
    'RequestTimeout',
    'RequestTimeoutException',
    'ServiceUnavailable',
    'ServiceUnavailableException',
  ],
}

const KIND_BY_NAME: ReadonlyMap<string, AwsErrorKind> = new Map(
  Object.entries(NAMES).flatMap(([kind, names]) => names.map((name) => [name, kind as AwsErrorKind] as const)),
)

/** The connection was never there, so the service has not seen the request. */
const NOT_SENT: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_SYSTEM',
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EMFILE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENFILE',
  'ENOBUFS',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
])

const NO_ANSWER: ReadonlySet<string> = new Set([
  'ECONNABORTED',
  'ECONNRESET',
  'EPIPE',
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_STREAM_CANCEL',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ESOCKETTIMEDOUT',
  'ETIMEDOUT',
  'UND_ERR_SOCKET',
])

/** What the failure of a step before the request (endpoint discovery) means for the request, which was not sent. */
const BEFORE_REQUEST: Readonly<Record<AwsErrorKind, AwsErrorKind>> = {
  throttled: 'throttled',
  transient: 'transient',
  unknown: 'transient',
  accessDenied: 'accessDenied',
  notFound: 'other',
  validation: 'other',
  other: 'other',
}

/** Causes are followed this far; a chain may be circular. */
const MAX_DEPTH = 5

/**
 * Says what an error of an AWS SDK client (version 3) means for the request. Pure and total: whatever was thrown has a kind.
 *
 * The name that the service gives decides first, then the code of a connection that was cut (the status of an answer that was cut
 * says nothing), then the HTTP status, then any other code of the network error; an error that says nothing (such as that of a
 * failed endpoint discovery) is judged by its cause.
 *
 * @example
 * ```ts
 * classifyAwsError(error) // { kind: 'throttled', code: 'ThrottlingException', message: 'Rate exceeded', httpStatus: 429 }
 * ```
 */
export function classifyAwsError(error: unknown): AwsFailure {
  return classify(error, 0)
}

function classify(error: unknown, depth: number): AwsFailure {
  const name = textOf(error, 'name') ?? 'Error'
  const networkCode = textOf(error, 'code')
  // An answer that was cut is none, whatever its status.
  const isCut = networkCode !== undefined && NO_ANSWER.has(networkCode) && !KIND_BY_NAME.has(name)
  const httpStatus = isCut ? undefined : statusOf(error)
  const requestId = textOf(get(error, '$metadata'), 'requestId')
  const kind = kindOf(error, name, networkCode, httpStatus)
  const cause = get(error, 'reason') ?? get(error, 'cause')
  if (kind === 'other' && httpStatus === undefined && depth < MAX_DEPTH && isObject(cause)) {
    const inner = classify(cause, depth + 1)
    const kindOfRequest = get(error, 'reason') === undefined ? inner.kind : BEFORE_REQUEST[inner.kind]
    return { ...inner, kind: kindOfRequest, message: `${saidBy(error)} (${inner.message})` }
  }
  const isNetwork = httpStatus === undefined && networkCode !== undefined && KIND_BY_NAME.get(name) === undefined
  return {
    kind,
    code: isNetwork ? networkCode : name,
    message: saidBy(error),
    ...(requestId === undefined ? {} : { requestId }),
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(isRenewable(error, name) ? { renewable: true } : {}),
  }
}

/** A service that refuses a signature quotes the headers that were signed, with the session token. */
const SESSION_TOKEN = /(x-amz-security-token: ?)[^\s'"]+/gi

function saidBy(error: unknown): string {
  // A gateway may have put anything where the SDK reads the message.
  const said: unknown = messageOf(error)
  return (typeof said === 'string' ? said : messageOf(said)).replace(SESSION_TOKEN, '$1[secret]')
}

function isRenewable(error: unknown, name: string): boolean {
  if (RENEWABLE.includes(name)) return true
  // A clock that is off: the SDK has corrected it for the next try, or the answer says so.
  if (name !== 'InvalidSignatureException' && name !== 'SignatureDoesNotMatch') return false
  const isCorrected = get(get(error, '$metadata'), 'clockSkewCorrected') === true
  return isCorrected || /signature (?:expired|not yet current)/i.test(saidBy(error))
}

function kindOf(
  error: unknown,
  name: string,
  networkCode: string | undefined,
  httpStatus: number | undefined,
): AwsErrorKind {
  const named = KIND_BY_NAME.get(name)
  if (named !== undefined) return named
  if (httpStatus !== undefined) return kindOfStatus(httpStatus, name)
  // The JSON client knows; of others, the code tells.
  const isSent = get(error, 'isSent')
  if (isSent === true) return 'unknown'
  if (networkCode !== undefined && NOT_SENT.has(networkCode)) return 'transient'
  if (textOf(error, 'syscall') === 'connect' || saidBy(error).includes('did not establish a connection')) {
    return 'transient'
  }
  const isAnswerMissing =
    name === 'TimeoutError' || name === 'AbortError' || (networkCode !== undefined && NO_ANSWER.has(networkCode))
  if (!isAnswerMissing) return 'other'
  return isSent === false ? 'transient' : 'unknown'
}

function kindOfStatus(status: number, name: string): AwsErrorKind {
  if (status === 429) return 'throttled'
  if (status === 401 || status === 403) return 'accessDenied'
  if (status === 404 && name !== 'UnknownOperationException') return 'notFound'
  if (status === 408 || status >= 500) return 'transient'
  // An answer that says "done" and cannot be read is no answer.
  return status >= 200 && status < 300 ? 'unknown' : 'other'
}

function statusOf(error: unknown): number | undefined {
  const status = get(get(error, '$metadata'), 'httpStatusCode') ?? get(get(error, '$response'), 'statusCode')
  return typeof status === 'number' ? status : undefined
}

function textOf(value: unknown, key: string): string | undefined {
  const text = get(value, key)
  return typeof text === 'string' && text !== '' ? text : undefined
}

function get(value: unknown, key: string): unknown {
  return isObject(value) ? Reflect.get(value, key) : undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
