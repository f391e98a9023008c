import { type AwsFailure, classifyAwsError } from '@sluice/aws'

/** The exceptions of the service, as metrics and logs name them. */
export const TIMESTREAM_EXCEPTIONS = [
  'ThrottlingException',
  'InternalServerException',
  'ValidationException',
  'InvalidEndpointException',
  'AccessDeniedException',
  'ConflictException',
  'ResourceNotFoundException',
  'RejectedRecordsException',
  'ServiceQuotaExceededException',
] as const

export type TimestreamException = (typeof TIMESTREAM_EXCEPTIONS)[number] | 'UNKNOWN'

/**
 * What an error of WriteRecords asks for.
 *
 * - `rejected`: some records were refused, the others are stored.
 * - `invalid`: the request is refused for one of its records, and the service does not say which.
 * - `retry`: the whole request again.
 * - `rediscover`: the endpoint is no longer valid.
 * - `credentials`: the caller's credentials could not be fetched, have expired (`renewable`: a repeat may help) or are not
 *   accepted.
 * - `denied` (a right is missing), `missing`, `fatal`: no record is at fault, and a repeat does not help.
 */
export type WriteAction =
  | 'rejected'
  | 'invalid'
  | 'retry'
  | 'rediscover'
  | 'credentials'
  | 'denied'
  | 'missing'
  | 'fatal'

export interface WriteFailure extends AwsFailure {
  readonly action: WriteAction
  /** For the metrics `numOf...`. */
  readonly exception: TimestreamException
  /** The request may have been applied. */
  readonly unknown: boolean
  /** The service was not asked to write: what has to be known first, such as the endpoint, could not be found out. */
  readonly beforeRequest: boolean
  /**
   * False for the throttling of the memory store, which grows with the load it is offered, and for credentials, of which the
   * store knows nothing; true for the throttling of the magnetic store, and for everything else that is repeated.
   */
  readonly slowDown: boolean
}

const ACTIONS: Readonly<Record<AwsFailure['kind'], WriteAction>> = {
  throttled: 'retry',
  transient: 'retry',
  unknown: 'retry',
  accessDenied: 'credentials',
  notFound: 'missing',
  validation: 'invalid',
  other: 'fatal',
}

/**
 * Says what an error of WriteRecords asks for. Pure and total.
 *
 * See https://docs.aws.amazon.com/timestream/latest/developerguide/API_WriteRecords.html and, on throttling,
 * https://docs.aws.amazon.com/timestream/latest/developerguide/data-ingest.html
 */
export function classifyWriteError(error: unknown): WriteFailure {
  const failure = classifyAwsError(error)
  const exception = TIMESTREAM_EXCEPTIONS.find((name) => name === failure.code) ?? 'UNKNOWN'
  return {
    ...failure,
    message: withoutValues(failure.message),
    exception,
    action: actionOf(failure),
    unknown: failure.kind === 'unknown',
    beforeRequest: failure.httpStatus === undefined ? failure.kind !== 'unknown' : isOfDiscovery(error),
    slowDown: slowsDown(failure),
  }
}

/** As the SDK and the direct transport throw it: an error without an answer of its own, and its reason. */
function isOfDiscovery(error: unknown): boolean {
  const { reason, $metadata }: { readonly reason?: unknown; readonly $metadata?: unknown } = Object(error)
  return reason !== undefined && Reflect.get(Object($metadata), 'httpStatusCode') === undefined
}

/** What the service quotes of a request that breaks its model: `Value '[Record(...), ...]' at 'records' failed to satisfy ...`. */
const QUOTED_VALUE = /\bValue '.*?' at '/gs

/** What it quotes it may not mark. */
const MAX_MESSAGE_LENGTH = 4096

/** Messages reach logs and errors, where records are shown only on request. */
function withoutValues(message: string): string {
  return message.replace(QUOTED_VALUE, "Value at '").slice(0, MAX_MESSAGE_LENGTH)
}

function slowsDown({ kind, message }: AwsFailure): boolean {
  if (kind === 'throttled') return message.includes('ActiveMagneticStorePartitions')
  return kind !== 'accessDenied'
}

function actionOf({ kind, code, httpStatus }: AwsFailure): WriteAction {
  if (code === 'RejectedRecordsException' || httpStatus === 419) return 'rejected'
  // The regional endpoint knows no WriteRecords: it was asked because a discovered one was not known yet.
  if (code === 'InvalidEndpointException' || httpStatus === 421 || code === 'UnknownOperationException')
    return 'rediscover'
  // The only name under which the service speaks of rights. Others, also those of the services that give credentials, are about
  // who the caller is.
  if (code === 'AccessDeniedException') return 'denied'
  return ACTIONS[kind]
}
