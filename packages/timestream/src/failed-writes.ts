import { type BatchTrigger, type EntryOutcome, type Reason, type SinkContext, SluiceError } from '@sluice/core'
import type { WriteFailure } from './classify.ts'
import { classifyWriteError } from './classify.ts'
import { FailureLog, type Sent } from './failure-log.ts'
import { fatalError, mayBeDropped } from './failures.ts'
import { ask, refusedUnsent, type Unsound } from './handler.ts'
import type { SinkMetrics } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'
import type { FailedWrite, Remedy } from './policy.ts'
import { type Rejection, rejectionsOf } from './rejections.ts'
import type { Entry } from './record/entry.ts'
import { versionOf } from './record/values.ts'
import type { Item } from './request/layout.ts'
import type { Book, Whole } from './submission.ts'
import type { Discovery, Transport } from './transport/transport.ts'

/** Milliseconds that requests are repeated for credentials that cannot be fetched, or have expired. */
const MAX_CREDENTIALS_WAIT_MS = 60_000

/** A request that ended with an error. */
export interface FailedRequest {
  readonly failure: WriteFailure
  readonly sent: Sent
  readonly discovery: Discovery
  readonly attempt: number
  readonly trigger: BatchTrigger
  readonly signal: AbortSignal
  /** Where outcomes of single records go. */
  readonly book: Book
  /** Sends a record again with a version above the stored one; false if it is not to be. */
  readonly raise: (item: Item, existingVersion: number | bigint | undefined) => boolean
}

/** Where records were to go for whose table was asked in vain. */
export interface BeforeWrite {
  readonly databaseName: string
  readonly tableName: string
  readonly attempt: number
  readonly discovery: Discovery
  readonly signal: AbortSignal
}

export interface FailuresPlan {
  readonly context: SinkContext
  readonly options: ResolvedOptions<never>
  readonly transport: Transport
  readonly metrics: SinkMetrics
  readonly limits: { readonly retry: { readonly maxAttempts: number } }
}

/** Says what becomes of records whose request failed: by the kind of the error, and the policy that the user chose. */
export class Failures {
  readonly #plan: FailuresPlan
  readonly #log: FailureLog
  /** Since when there have been no usable credentials. */
  #credentialsFailedAt: number | undefined
  /** Records that are not sent and were told of, with what a handler said: the rest of their batch may be repeated, and they with it. */
  readonly #told = new WeakMap<Entry, Remedy | undefined>()

  constructor(plan: FailuresPlan) {
    this.#plan = plan
    this.#log = new FailureLog(plan.context.logger, plan.options.policy, plan.options.transport)
  }

  /** A request was answered. */
  accepted(): void {
    this.#credentialsFailedAt = undefined
  }

  /** Undefined if every record of the request has its outcome in the book, or will be sent again at once. */
  of(error: unknown, failed: FailedRequest): Whole | undefined {
    const { failure, signal } = failed
    const isRepeated = failure.action === 'retry'
    // A writer that closes gives up its requests, and the next attempt of the job repeats them: that is no failure of theirs.
    if (!isRepeated || !isClosing(signal)) this.#plan.metrics.failed(failure.exception)
    // Whoever gave up the request has decided that it is repeated: nobody else is asked.
    if (isRepeated && signal.aborted) return this.#again(failed)
    if (failure.action !== 'credentials' && failure.httpStatus !== undefined) this.#credentialsFailedAt = undefined
    const decided = this.#decision(error, failed)
    if (decided !== undefined) return decided === DECIDED ? undefined : decided
    switch (failure.action) {
      case 'rejected':
        return this.#rejected(error, failed)
      case 'invalid':
        return this.#invalid(failed)
      case 'retry':
        return this.#plan.options.engine.failOnTimeout === true && isTimeout(failure)
          ? this.#overdue(failed)
          : this.#again(failed)
      case 'rediscover':
        if (this.#hasTries(failed) && this.#plan.transport.rediscover(failed.discovery)) return this.#again(failed)
        break
      case 'credentials':
        if (this.#hasTries(failed) && this.#awaitsCredentials(failure)) return this.#again(failed)
        break
      case 'denied':
      case 'missing':
      case 'fatal':
        break
    }
    return this.#fatal(error, failed)
  }

  /** What was asked before the write failed: nothing was sent. */
  beforeWrite(error: unknown, before: BeforeWrite): Whole {
    const { databaseName: database, tableName: table, attempt, discovery, signal } = before
    const failure = classifyWriteError(error)
    const hasTries = attempt < this.#plan.limits.retry.maxAttempts
    if (!hasTries || !this.#mayAskAgain(failure, discovery)) {
      return { fail: SluiceError.isInstance(error) ? error : this.#fatalError(failure, database, table, 'table') }
    }
    if (!isClosing(signal)) this.#log.tableRetried(failure, database, table, attempt)
    return { retryAll: reasonOf(failure), slowDown: false, unknown: false }
  }

  /** Records that are not sent. Undefined unless the job is to fail. */
  unsound(
    found: readonly Unsound[],
    to: Pick<FailedWrite, 'databaseName' | 'tableName'>,
    book: Book,
  ): Whole | undefined {
    const untold = found.filter(({ item }) => !this.#told.has(item.entry))
    const failed = this.#tell(untold, to)
    if (failed !== undefined) return failed
    const { remedies } = this.#plan.options.policy
    for (const { item, reason } of found) {
      const remedy = remedies[reason.code === 'OutsideRetention' ? 'outsideRetention' : 'invalid']
      const fail = this.#apply(this.#told.get(item.entry) ?? remedy, item, reason, book)
      if (fail !== undefined) return fail
    }
    return undefined
  }

  #tell(untold: readonly Unsound[], to: Pick<FailedWrite, 'databaseName' | 'tableName'>): Whole | undefined {
    if (untold.length === 0) return undefined
    this.#plan.metrics.invalid.value += untold.length
    this.#log.unsound(
      untold.map(({ item }) => item),
      untold.map(({ reason }) => reason.message),
    )
    const { handler } = this.#plan.options.policy
    for (const [, same] of Map.groupBy(untold, ({ reason }) => reason.code)) {
      const decision = handler === undefined ? 'default' : ask(handler, { ...to, ...refusedUnsent(same) })
      if (typeof decision === 'object') return decision
      // What is not sent is not sent again either.
      const remedy = decision === 'default' || decision === 'retry' ? undefined : decision
      for (const { item } of same) this.#told.set(item.entry, remedy)
    }
    return undefined
  }

  /** What a handler of the user says; undefined if it leaves the decision to the sink. */
  #decision(error: unknown, failed: FailedRequest): Whole | typeof DECIDED | undefined {
    const { handler } = this.#plan.options.policy
    if (handler === undefined) return undefined
    const { failure, sent, book } = failed
    const { databaseName, tableName } = sent.request
    const rejections = failure.action === 'rejected' ? this.#listed(error, sent, failure) : undefined
    const at = sent.items.filter((_, index) => rejections === undefined || rejections[index] !== undefined)
    const records = at.map(({ entry }) => entry.toRecord())
    const decision = ask(handler, { databaseName, tableName, error, failure, records })
    if (typeof decision === 'object') return decision
    if (decision === 'default') return undefined
    if (decision === 'retry') return this.#again(failed)
    this.#log.decided(failure, sent, rejections)
    if (decision === 'fail') {
      return { fail: SluiceError.isInstance(error) ? error : this.#fatalError(failure, databaseName, tableName) }
    }
    if (rejections?.includes(undefined) === true) this.#plan.metrics.writesSuccess.value++
    for (const [index, item] of sent.items.entries()) {
      const rejection = rejections?.[index]
      if (rejections !== undefined && rejection === undefined) book.written([item])
      else book.note(item, outcomeOf(decision, rejection?.reason ?? reasonOf(failure)))
    }
    return DECIDED
  }

  /** After the last try of an entry a repeat would refuse it, and it is not at fault. */
  #hasTries({ attempt }: FailedRequest): boolean {
    return attempt < this.#plan.limits.retry.maxAttempts
  }

  #mayAskAgain(failure: WriteFailure, discovery: Discovery): boolean {
    if (failure.action === 'rediscover') return this.#plan.transport.rediscover(discovery)
    return failure.action === 'retry' || (failure.action === 'credentials' && this.#awaitsCredentials(failure))
  }

  #awaitsCredentials({ renewable }: WriteFailure): boolean {
    const now = this.#plan.context.clock.now()
    this.#credentialsFailedAt ??= now
    return renewable === true && now - this.#credentialsFailedAt < MAX_CREDENTIALS_WAIT_MS
  }

  #again(failed: FailedRequest): Whole {
    const { failure, sent, attempt, signal } = failed
    // A writer that closes repeats nothing: the next attempt of the job does.
    if (!isClosing(signal)) {
      if (this.#hasTries(failed)) {
        this.#plan.metrics.retries.value++
        this.#log.retried(failure, sent, attempt)
      } else this.#log.refused(failure, sent)
    }
    return { retryAll: reasonOf(failure), slowDown: failure.slowDown, unknown: failure.unknown }
  }

  #overdue({ failure, sent }: FailedRequest): Whole {
    this.#log.refused(failure, sent)
    const { databaseName: database, tableName: table } = sent.request
    const message = `Timestream did not answer a request in time (failOnTimeout). ${failure.code}: ${failure.message}`
    const facts = { database, table, code: failure.code }
    return { fail: new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { restartable: true, facts }) }
  }

  #listed(error: unknown, sent: Sent, failure: WriteFailure): readonly (Rejection | undefined)[] | undefined {
    const isConverted = this.#plan.options.batchConverter !== undefined
    const versions = isConverted ? convertedVersions(sent) : sent.items.map(({ entry }) => entry.version)
    return rejectionsOf(Reflect.get(Object(error), 'RejectedRecords'), versions, failure)
  }

  #rejected(error: unknown, failed: FailedRequest): Whole | undefined {
    const { failure, sent, book, raise } = failed
    const rejections = this.#listed(error, sent, failure)
    const remedies = this.#plan.options.policy.remedies
    if (rejections === undefined) {
      // Who was rejected is not certain, so no record may count as stored: each is asked for alone.
      const message = `the service rejected records without naming each of them once: ${failure.message}`
      const reason = { ...reasonOf(failure), message }
      const only = sent.items.length === 1 ? sent.items[0] : undefined
      return only === undefined ? { isolate: reason } : this.#apply(remedies.other, only, reason, book)
    }
    if (rejections.includes(undefined)) this.#plan.metrics.writesSuccess.value++
    this.#log.rejected(failure, sent, rejections)
    for (const [index, item] of sent.items.entries()) {
      const rejection = rejections[index]
      if (rejection === undefined) book.written([item])
      else if (!isVersion(rejection) || !raise(item, rejection.existingVersion)) {
        const fail = this.#apply(remedies[rejection.kind], item, rejection.reason, book)
        if (fail !== undefined) return fail
      }
    }
    return undefined
  }

  #invalid({ failure, sent, trigger, book }: FailedRequest): Whole | undefined {
    const reason = reasonOf(failure)
    const [only, ...more] = sent.items
    if (only !== undefined && more.length === 0) {
      this.#log.invalid(failure, sent)
      return this.#apply(this.#plan.options.policy.remedies.invalid, only, reason, book)
    }
    if (trigger !== 'isolate') this.#log.isolated(failure, sent)
    return { isolate: reason }
  }

  /** A failure of the job where there are dead letters; without any, a refusal fails it too, and names the record's origin. */
  #apply(remedy: Remedy, item: Item, reason: Reason, book: Book): Whole | undefined {
    if (remedy === 'fail' && this.#plan.context.hasDeadLetters === true) {
      const message = `Timestream does not take a record, and the options say to fail: ${reason.code}: ${reason.message}`
      return { fail: new SluiceError('SLUICE_RECORD_REFUSED', message, { facts: { code: reason.code } }) }
    }
    book.note(item, outcomeOf(remedy, reason))
    return undefined
  }

  #fatal(error: unknown, { failure, sent, book }: FailedRequest): Whole | undefined {
    this.#log.refused(failure, sent)
    const { databaseName, tableName } = sent.request
    // Errors of our own come from providers of credentials.
    const droppable = mayBeDropped(failure) && !SluiceError.isInstance(error)
    const fail = SluiceError.isInstance(error) ? error : this.#fatalError(failure, databaseName, tableName)
    if (this.#plan.options.policy.failsOnError || !droppable || fail.restartable) return { fail }
    for (const item of sent.items) book.note(item, { kind: 'dropped', reason: reasonOf(failure) })
    return undefined
  }

  #fatalError(failure: WriteFailure, database: string, table: string, asked: 'write' | 'table' = 'write'): SluiceError {
    return fatalError(failure, { database, table, asked, isEnsured: this.#plan.options.ensureTable !== undefined })
  }
}

/** The handler's decision is in the book. */
const DECIDED = Symbol('decided')

/** As they were sent: a `batchConverter` may give versions of its own. */
function convertedVersions({ request }: Sent): readonly (number | bigint | undefined)[] {
  const { CommonAttributes, Records = [] } = request.toSdk()
  return Records.map(({ Version }) => versionOf(Version ?? CommonAttributes?.Version))
}

function isClosing(signal: AbortSignal): boolean {
  const reason: unknown = signal.reason
  return SluiceError.isInstance(reason) && reason.code === 'SLUICE_CLOSED'
}

/** As the transports tell that time is up; what was not sent by then is no request without an answer. */
const TIMEOUTS: ReadonlySet<string> = new Set(['ESOCKETTIMEDOUT', 'ETIMEDOUT', 'TimeoutError'])

function isTimeout({ kind, code }: WriteFailure): boolean {
  return kind === 'unknown' && TIMEOUTS.has(code)
}

function isVersion({ kind }: Rejection): boolean {
  return kind === 'conflict' || kind === 'olderVersion'
}

function outcomeOf(remedy: Remedy, reason: Reason): EntryOutcome {
  return { kind: remedy === 'ignore' ? 'dropped' : 'refuse', reason }
}

function reasonOf({ code, message, requestId }: WriteFailure): Reason {
  return { code, message, ...(requestId === undefined ? {} : { requestId }) }
}
