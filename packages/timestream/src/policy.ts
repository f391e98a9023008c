import type { OptionsCheck } from '@sluice/core'
import type { WriteFailure } from './classify.ts'

/**
 * What becomes of a record that is not stored: `deadLetter` gives it to the job's dead letters, and without any the job fails;
 * `ignore` drops and counts it; `fail` fails the job although there are dead letters.
 */
export type Remedy = 'deadLetter' | 'ignore' | 'fail'

const REMEDIES: readonly Remedy[] = ['deadLetter', 'ignore', 'fail']

/**
 * Why a record is not stored.
 *
 * - `conflict`: the store holds other values for its dimensions, measure name, time and version.
 * - `olderVersion`: the store holds a higher version.
 * - `outsideRetention`: its time is outside of what the table takes.
 * - `invalid`: it breaks a rule of the service, found before sending or by the service.
 * - `other`: any other reason of the service.
 */
export type RejectionKind = 'conflict' | 'olderVersion' | 'outsideRetention' | 'invalid' | 'other'

const KINDS: readonly RejectionKind[] = ['conflict', 'olderVersion', 'outsideRetention', 'invalid', 'other']

/** What becomes of records that the store does not take, by reason. */
export interface RejectionPolicy extends Partial<Readonly<Record<RejectionKind, Remedy>>> {
  /**
   * Sends a record that conflicts, or is older, again with a version above the stored one. The last writer then wins, whoever it is:
   * a replay of old records overwrites newer ones, and two writers overwrite one another without end. Warned of at the start.
   *
   * @default false
   */
  readonly overwriteConflicts?: boolean
}

/**
 * A request, or records of it, that the service did not take, or would not: for {@link WriteRequestFailureHandler}. Records that break a
 * rule are found before they are sent; they come as a ValidationException would, and those outside of the retention as a
 * RejectedRecordsException, with `failure.beforeRequest`.
 */
export interface FailedWrite {
  readonly databaseName: string
  readonly tableName: string
  /** What was thrown; a SluiceError `SLUICE_RECORD_REFUSED` for records that were not sent. */
  readonly error: unknown
  /** Its name, HTTP status, message and request id, and what it asks for. */
  readonly failure: WriteFailure
  /** What the decision is about: the rejected records of a RejectedRecordsException, else all of the request. */
  readonly records: readonly unknown[]
}

/**
 * - `default`: as if there were no handler: the flags beside it decide.
 * - `retry`: the whole request again, after a pause. For records that were not sent, the same as `default`.
 * - `deadLetter`: the records are refused one by one: to the dead letters, or the job fails.
 * - `ignore`: the records are dropped and counted.
 * - `fail`: the job fails.
 */
export type FailureDecision = 'default' | 'retry' | Remedy

/** Decides about failed writes instead of the sink. Synchronous; what it throws fails the job. */
export interface WriteRequestFailureHandler {
  onWriteError(failed: FailedWrite): FailureDecision
}

export interface FailureHandlerConfig {
  /**
   * Who decides: the name of the handler of the sink, with or without its Java package, or an object of yours.
   *
   * @default 'DefaultWriteRequestFailureHandler'
   */
  readonly failureHandlerClass?:
    | 'DefaultWriteRequestFailureHandler'
    | `${string}.DefaultWriteRequestFailureHandler`
    | WriteRequestFailureHandler
  /** Log the content of records that failed. They may hold sensitive data. @default false */
  readonly printFailedRequests?: boolean
  /**
   * What happens to records that the service rejects one by one. True: the job fails, also where it has dead letters. False: they
   * are dropped and counted. The other records of the request are stored in both cases.
   *
   * @default true
   */
  readonly failProcessingOnRejectedRecordsException?: boolean
  /**
   * What happens to a record for which the service refuses a whole request, or would. The sink finds it before sending, or by sending
   * halves. True: the job fails, also where it has dead letters. False: it is dropped and counted.
   *
   * @default true
   */
  readonly failProcessingOnValidationException?: boolean
  /**
   * What happens when the service answers with any other error that a repeat does not heal, such as a missing table, a missing
   * right or a quota. True: the job fails and no record is lost. False: all records of the request are dropped and counted.
   *
   * The job fails with either value when a restart may help, when the credentials are at fault, and when the request could
   * not be sent.
   *
   * @default true
   */
  readonly failProcessingOnErrorDefault?: boolean
}

/** What decides about records that are not stored: the `failureHandlerConfig` if one was given, else the `rejectionPolicy`. */
export interface Policy {
  readonly remedies: Readonly<Record<RejectionKind, Remedy>>
  readonly failsOnError: boolean
  readonly printFailedRequests: boolean
  readonly overwriteConflicts: boolean
  readonly handler: WriteRequestFailureHandler | undefined
  /** The options that a user would turn, for log lines. */
  readonly options: { readonly rejected: string; readonly invalid: string; readonly error: string }
}

const FLAGS = [
  'printFailedRequests',
  'failProcessingOnRejectedRecordsException',
  'failProcessingOnValidationException',
  'failProcessingOnErrorDefault',
] as const

export const FAILURE_HANDLER_OPTIONS: readonly string[] = ['failureHandlerClass', ...FLAGS]
export const REJECTION_OPTIONS: readonly string[] = [...KINDS, 'overwriteConflicts']

const DEFAULT_HANDLER = /(?:^|\.)DefaultWriteRequestFailureHandler$/

/** @param check - over options in which groups are flattened: `failureHandlerConfig.printFailedRequests`. */
export function checkPolicy(check: OptionsCheck, handlerClass: unknown, areBothGiven: boolean): void {
  for (const flag of FLAGS) check.boolean(`failureHandlerConfig.${flag}`)
  for (const kind of KINDS) check.oneOf(`rejectionPolicy.${kind}`, REMEDIES)
  check.boolean('rejectionPolicy.overwriteConflicts')
  if (areBothGiven) {
    check.problem('rejectionPolicy has no effect beside failureHandlerConfig, which decides alone: give one of the two')
  }
  if (handlerClass === undefined || typeof Reflect.get(Object(handlerClass), 'onWriteError') === 'function') return
  if (typeof handlerClass === 'string' && DEFAULT_HANDLER.test(handlerClass)) return
  check.refuse(
    'failureHandlerConfig.failureHandlerClass',
    "'DefaultWriteRequestFailureHandler' or an object with a method onWriteError",
  )
}

export function resolvePolicy(
  given: FailureHandlerConfig | undefined,
  rejectionPolicy: RejectionPolicy | undefined,
): Policy {
  if (given === undefined) {
    const remedies = Object.fromEntries(KINDS.map((kind) => [kind, rejectionPolicy?.[kind] ?? 'deadLetter']))
    const option = 'rejectionPolicy'
    return {
      remedies: remedies as Record<RejectionKind, Remedy>,
      failsOnError: true,
      printFailedRequests: false,
      overwriteConflicts: rejectionPolicy?.overwriteConflicts ?? false,
      handler: undefined,
      options: { rejected: option, invalid: option, error: 'failureHandlerConfig.failProcessingOnErrorDefault' },
    }
  }
  const rejected = remedy(given.failProcessingOnRejectedRecordsException)
  const handler = given.failureHandlerClass
  return {
    remedies: {
      conflict: rejected,
      olderVersion: rejected,
      outsideRetention: rejected,
      other: rejected,
      invalid: remedy(given.failProcessingOnValidationException),
    },
    failsOnError: given.failProcessingOnErrorDefault ?? true,
    printFailedRequests: given.printFailedRequests ?? false,
    overwriteConflicts: false,
    handler: typeof handler === 'object' ? handler : undefined,
    options: {
      rejected: 'failureHandlerConfig.failProcessingOnRejectedRecordsException',
      invalid: 'failureHandlerConfig.failProcessingOnValidationException',
      error: 'failureHandlerConfig.failProcessingOnErrorDefault',
    },
  }
}

function remedy(fails: boolean | undefined): Remedy {
  return (fails ?? true) ? 'fail' : 'ignore'
}
