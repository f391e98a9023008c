const STATUS = {
  ValidationException: 400,
  SerializationException: 400,
  QueryExecutionException: 400,
  ServiceQuotaExceededException: 402,
  AccessDeniedException: 403,
  ExpiredTokenException: 403,
  IncompleteSignatureException: 403,
  InvalidSignatureException: 403,
  MissingAuthenticationTokenException: 403,
  UnrecognizedClientException: 403,
  ResourceNotFoundException: 404,
  UnknownOperationException: 404,
  ConflictException: 409,
  RequestEntityTooLargeException: 413,
  RejectedRecordsException: 419,
  InvalidEndpointException: 421,
  ThrottlingException: 429,
  InternalServerException: 500,
  ServiceUnavailableException: 503,
} as const

/** Name of an error that the server answers with, as the SDK's exception classes spell it. */
export type ServiceErrorType = keyof typeof STATUS

export const SERVICE_ERROR_TYPES: readonly ServiceErrorType[] = Object.keys(STATUS) as ServiceErrorType[]

/** An answer that is an error of the service: type, HTTP status, message, and further members of the body as JSON text. */
export class ServiceError extends Error {
  readonly type: ServiceErrorType
  readonly statusCode: number
  readonly members: string

  constructor(type: ServiceErrorType, message: string, members: string = '') {
    super(message)
    this.name = type
    this.type = type
    this.statusCode = STATUS[type]
    this.members = members
  }
}

export function validationError(message: string): ServiceError {
  return new ServiceError('ValidationException', message)
}

/** Why the server could not start, or why a journal could not be read. */
export type TimestreamLocalErrorCode =
  | 'TIMESTREAM_LOCAL_OPTIONS'
  | 'TIMESTREAM_LOCAL_PORT_IN_USE'
  | 'TIMESTREAM_LOCAL_DATA_IN_USE'
  | 'TIMESTREAM_LOCAL_DATA_DIR'
  | 'TIMESTREAM_LOCAL_JOURNAL'

const MARKER = Symbol.for('sluice.timestream-local.error')

/**
 * Thrown by `startTimestreamLocal` and `readJournal`.
 *
 * @example
 * ```ts
 * catch (error) {
 *   if (TimestreamLocalError.isInstance(error) && error.code === 'TIMESTREAM_LOCAL_PORT_IN_USE') useAnotherPort()
 * }
 * ```
 */
export class TimestreamLocalError extends Error {
  readonly code: TimestreamLocalErrorCode
  /** Every problem found, one sentence each; at least one. */
  readonly problems: readonly string[]

  constructor(code: TimestreamLocalErrorCode, problems: readonly string[], options?: ErrorOptions) {
    super(problems.join('\n'), options)
    this.name = 'TimestreamLocalError'
    this.code = code
    this.problems = problems
    Object.defineProperty(this, MARKER, { value: true })
  }

  /** True for an error of this class, also of another copy of the package. */
  static isInstance(error: unknown): error is TimestreamLocalError {
    return typeof error === 'object' && error !== null && MARKER in error
  }
}
