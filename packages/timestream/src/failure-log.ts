import type { Logger } from '@sluice/core'
import type { WriteFailure } from './classify.ts'
import { mayBeDropped } from './failures.ts'
import type { Policy } from './policy.ts'
import type { Rejection } from './rejections.ts'
import type { Item } from './request/layout.ts'
import type { WriteRequest } from './request/request.ts'

/** A request and the records that it was made of. */
export interface Sent {
  readonly request: WriteRequest
  readonly items: readonly Item[]
}

/** Says what went wrong: one line for a request, no stack for what is known, no record content unless it was asked for. */
export class FailureLog {
  readonly #logger: Logger
  readonly #policy: Policy
  /** The option for how often a request is repeated: the SDK does it inside, the engine outside. */
  readonly #repeats: string

  constructor(logger: Logger, policy: Policy, transport: 'direct' | 'sdk') {
    this.#logger = logger
    this.#policy = policy
    this.#repeats = transport === 'sdk' ? 'writeClientConfig.maxErrorRetry' : 'retry'
  }

  retried(failure: WriteFailure, sent: Sent, attempt: number): void {
    const details = `Details: ${said(failure)} Option: ${this.#optionFor(failure)}.`
    this.#logger.warn(
      { ...fieldsOf(failure, sent), attempt },
      `Retryable '${failure.code}' occurred while inserting to Timestream. Records insertion will be retried. ${details}`,
    )
  }

  rejected(failure: WriteFailure, sent: Sent, rejections: readonly (Rejection | undefined)[]): void {
    const items = sent.items.filter((_, index) => rejections[index] !== undefined)
    this.#logger.warn(
      { ...fieldsOf(failure, sent), ...rejectedOf(rejections), ...this.#content(items) },
      `Timestream rejected ${items.length} of ${sent.request.count} records; the others are stored. Option: ${this.#policy.options.rejected}.`,
    )
  }

  /** The culprit is not known yet. */
  isolated(failure: WriteFailure, sent: Sent): void {
    this.#logger.warn(
      fieldsOf(failure, sent),
      `Timestream refused a request of ${sent.request.count} records for one of them, which is looked for by sending ` +
        `halves. ${said(failure)} Option: maxIsolationRequests.`,
    )
  }

  /** The culprit stands alone. */
  invalid(failure: WriteFailure, sent: Sent): void {
    this.#refused(failure, sent, this.#policy.options.invalid)
  }

  refused(failure: WriteFailure, sent: Sent): void {
    this.#refused(failure, sent, this.#optionFor(failure))
  }

  /** What a handler of the user has decided, about the rejected records if the service named them. */
  decided(failure: WriteFailure, sent: Sent, rejections: readonly (Rejection | undefined)[] | undefined): void {
    const items = sent.items.filter((_, index) => rejections === undefined || rejections[index] !== undefined)
    this.#logger.error(
      { ...fieldsOf(failure, sent), ...rejectedOf(rejections), ...this.#content(items) },
      `'${failure.code}' occurred while inserting to Timestream. ${said(failure)} Option: failureHandlerConfig.failureHandlerClass.`,
    )
  }

  /** What is asked before a write: nothing was sent. */
  tableRetried(failure: WriteFailure, database: string, table: string, attempt: number): void {
    this.#logger.warn(
      { database, table, ...factsOf(failure), attempt },
      `Retryable '${failure.code}' occurred while asking Timestream for the table. It will be asked again. Details: ` +
        `${said(failure)} Options: ensureTable, checkRetention.`,
    )
  }

  /** Records that were found to break a rule before they were sent: one line for a batch. */
  unsound(items: readonly Item[], reasons: readonly string[]): void {
    this.#logger.warn(
      { records: items.length, reasons: [...new Set(reasons)].slice(0, 5), ...this.#content(items) },
      `${items.length} records break rules of Timestream and are not sent. Option: ${this.#policy.options.invalid}.`,
    )
  }

  #refused(failure: WriteFailure, sent: Sent, option: string): void {
    this.#logger.error(
      { ...fieldsOf(failure, sent), ...this.#content(sent.items) },
      `'${failure.code}' occurred while inserting to Timestream. ${said(failure)} Option: ${option}.`,
    )
  }

  #content(items: readonly Item[]): { readonly content?: readonly string[] } {
    if (!this.#policy.printFailedRequests) return {}
    return { content: items.map(({ entry }) => contentOf(entry)) }
  }

  /** What to turn when this goes on. */
  #optionFor(failure: WriteFailure): string {
    const { action, kind, slowDown } = failure
    if (action === 'credentials') return 'credentialsProviderType'
    if (action === 'rejected') return this.#policy.options.rejected
    if (action === 'invalid') return this.#policy.options.invalid
    if (action === 'rediscover') return 'writeClientConfig.endpointOverride'
    if (action !== 'retry') return mayBeDropped(failure) ? this.#policy.options.error : 'writeClientConfig'
    if (kind === 'unknown') return 'writeClientConfig.requestTimeout'
    if (kind === 'throttled' && slowDown) return 'maxInFlightRequests'
    return this.#repeats
  }
}

function fieldsOf(failure: WriteFailure, { request }: Sent): object {
  return {
    database: request.databaseName,
    table: request.tableName,
    requestRecords: request.count,
    ...factsOf(failure),
  }
}

function factsOf({ code, httpStatus, requestId }: WriteFailure): object {
  return {
    code,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** How many records the service rejected, and why; nothing if it did not name them. */
function rejectedOf(rejections: readonly (Rejection | undefined)[] | undefined): object {
  if (rejections === undefined) return {}
  const messages = rejections.flatMap((rejection) => rejection?.reason.message ?? [])
  return { rejected: messages.length, reasons: [...new Set(messages)].slice(0, 5) }
}

function said({ message, httpStatus, requestId }: WriteFailure): string {
  return `Status Code: ${httpStatus ?? 'none'}, Request ID: ${requestId ?? 'none'}, Message: ${message.replace(/\s+/g, ' ')}.`
}

/** A record that was refused may hold anything, also what JSON does not know. */
function contentOf(entry: unknown): string {
  try {
    return JSON.stringify(entry, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))
  } catch {
    return '[not readable]'
  }
}
