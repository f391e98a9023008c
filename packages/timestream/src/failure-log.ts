import type { EntryOutcome, Logger } from '@sluice/core'
import type { WriteFailure } from './classify.ts'
import { mayBeDropped } from './failures.ts'
import type { FailurePolicy } from './options.ts'
import type { AlignedRequest } from './request.ts'

/** Says what went wrong: one line for a request, no stack for what is known, no record content unless it was asked for. */
export class FailureLog {
  readonly #logger: Logger
  readonly #policy: FailurePolicy

  constructor(logger: Logger, policy: FailurePolicy) {
    this.#logger = logger
    this.#policy = policy
  }

  retried(failure: WriteFailure, request: AlignedRequest, attempt: number): void {
    const details = `Details: ${said(failure)} Option: ${optionFor(failure)}.`
    this.#logger.warn(
      { ...fieldsOf(failure, request), attempt },
      `Retryable '${failure.code}' occurred while inserting to Timestream. Records insertion will be retried. ${details}`,
    )
  }

  rejected(failure: WriteFailure, request: AlignedRequest, outcomes: readonly EntryOutcome[]): void {
    const indexes = outcomes.flatMap(({ kind }, index) => (kind === 'written' ? [] : [index]))
    const reasons = [...new Set(outcomes.flatMap((outcome) => ('reason' in outcome ? [outcome.reason.message] : [])))]
    const option = 'failureHandlerConfig.failProcessingOnRejectedRecordsException'
    this.#logger.warn(
      {
        ...fieldsOf(failure, request),
        rejected: indexes.length,
        reasons: reasons.slice(0, 5),
        ...this.#content(indexes.map((index) => request.Records[index])),
      },
      `Timestream rejected ${indexes.length} of ${request.Records.length} records; the others are stored. Option: ${option}.`,
    )
  }

  /** The culprit is not known yet. */
  isolated(failure: WriteFailure, request: AlignedRequest): void {
    this.#logger.warn(
      fieldsOf(failure, request),
      `Timestream refused a request of ${request.Records.length} records for one of them, which is looked for by sending ` +
        `halves. ${said(failure)} Option: maxIsolationRequests.`,
    )
  }

  refused(failure: WriteFailure, request: AlignedRequest, option: string = optionFor(failure)): void {
    this.#logger.error(
      { ...fieldsOf(failure, request), ...this.#content(request.Records) },
      `'${failure.code}' occurred while inserting to Timestream. ${said(failure)} Option: ${option}.`,
    )
  }

  #content(records: readonly unknown[]): { readonly records?: readonly string[] } {
    if (!this.#policy.printFailedRequests) return {}
    return { records: records.map((record) => JSON.stringify(record, exact)) }
  }
}

function fieldsOf(failure: WriteFailure, { DatabaseName, TableName, Records }: AlignedRequest): object {
  return {
    database: DatabaseName,
    table: TableName,
    requestRecords: Records.length,
    code: failure.code,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
    ...(failure.requestId === undefined ? {} : { requestId: failure.requestId }),
  }
}

function said({ message, httpStatus, requestId }: WriteFailure): string {
  return `Status Code: ${httpStatus ?? 'none'}, Request ID: ${requestId ?? 'none'}, Message: ${message.replace(/\s+/g, ' ')}.`
}

/** What to turn when this goes on. */
function optionFor(failure: WriteFailure): string {
  const { action, kind, slowDown } = failure
  if (action === 'credentials') return 'credentialsProviderType'
  if (action === 'rediscover') return 'writeClientConfig.endpointOverride'
  if (action !== 'retry') {
    return mayBeDropped(failure) ? 'failureHandlerConfig.failProcessingOnErrorDefault' : 'writeClientConfig'
  }
  if (kind === 'unknown') return 'writeClientConfig.requestTimeout'
  if (kind === 'throttled') return slowDown ? 'maxInFlightRequests' : 'writeClientConfig.maxErrorRetry'
  return 'writeClientConfig.maxErrorRetry'
}

function exact(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
