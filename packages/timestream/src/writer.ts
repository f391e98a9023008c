import type { WriteRecordsCommandOutput } from '@aws-sdk/client-timestream-write'
import {
  ALL_WRITTEN,
  AsyncSinkWriter,
  type Batch,
  type BatchTrigger,
  messageOf,
  type Reason,
  type SinkContext,
  SluiceError,
  type SubmitContext,
  type SubmitOutcome,
} from '@sluice/core'
import { classifyWriteError, type WriteFailure } from './classify.ts'
import { convertElement } from './convert.ts'
import { FailureLog } from './failure-log.ts'
import { fatalError, mayBeDropped } from './failures.ts'
import { SinkMetrics } from './metrics.ts'
import type { ResolvedOptions, TimestreamRecord } from './options.ts'
import { rejectionOutcomes } from './rejections.ts'
import { type AlignedRequest, batchConverterThrew, makeRequest } from './request.ts'
import { recordSizeInBytes } from './size.ts'
import type { Discovery, WriteClient } from './write-client.ts'

/** Milliseconds that requests are repeated for credentials that cannot be fetched, or have expired. */
const MAX_CREDENTIALS_WAIT_MS = 60_000

/** A request that ended with an error. */
interface Failed {
  readonly failure: WriteFailure
  readonly request: AlignedRequest
  readonly discovery: Discovery
  readonly attempt: number
  readonly trigger: BatchTrigger
  readonly signal: AbortSignal
}

/** Writes batches of records with WriteRecords and gives each record the outcome that the service names. */
export class TimestreamSinkWriter<In> extends AsyncSinkWriter<In, TimestreamRecord> {
  /** What WriteRecords says of single records is final; what is repeated is the whole request. */
  protected override readonly answers = 'request'
  readonly #options: ResolvedOptions<In>
  readonly #client: WriteClient
  readonly #metrics: SinkMetrics
  readonly #log: FailureLog
  /** Since when there have been no usable credentials. */
  #credentialsFailedAt: number | undefined

  constructor(context: SinkContext, options: ResolvedOptions<In>, client: WriteClient) {
    super(context, options.engine)
    this.#options = options
    this.#client = client
    this.#metrics = new SinkMetrics(context.metrics, context.clock)
    this.#log = new FailureLog(context.logger, options.policy)
  }

  override async close(deadlineMs: number): Promise<void> {
    try {
      await super.close(deadlineMs)
    } finally {
      this.#client.close()
    }
  }

  protected convert(value: In, emit: (record: TimestreamRecord) => void): void {
    convertElement(this.#options.elementConverter, value, emit)
  }

  protected override sizeInBytes(record: TimestreamRecord): number {
    return recordSizeInBytes(record)
  }

  protected async submit(
    { entries, trigger }: Batch<TimestreamRecord>,
    { attempt, signal }: SubmitContext,
  ): Promise<SubmitOutcome> {
    let request: AlignedRequest
    try {
      request = makeRequest(entries, this.#options, this.#options.batchConverter)
    } catch (error) {
      if (SluiceError.isInstance(error)) return { fail: error }
      return { isolate: batchConverterThrew(error) }
    }
    this.#metrics.sending(request)
    const discovery = this.#client.discovery
    let answer: WriteRecordsCommandOutput
    try {
      answer = await this.#send(request, signal)
    } catch (error) {
      const failure = classifyWriteError(error)
      this.#metrics.failed(failure.exception)
      if (failure.action !== 'credentials' && failure.httpStatus !== undefined) this.#credentialsFailedAt = undefined
      return this.#failed(error, { failure, request, discovery, attempt, trigger, signal })
    }
    this.#credentialsFailedAt = undefined
    // Silence is not success: whatever answered, it was not WriteRecords.
    if (typeof answer.RecordsIngested?.Total !== 'number') return { isolate: ANSWER_WITHOUT_COUNT }
    this.#metrics.writesSuccess.value++
    return ALL_WRITTEN
  }

  /** Ends with the signal even if the SDK does not: it waits for another client's discovery without looking at signals. */
  #send(request: AlignedRequest, signal: AbortSignal): Promise<WriteRecordsCommandOutput> {
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const onAbort = (): void => reject(Object.assign(new Error(messageOf(signal.reason)), { name: 'AbortError' }))
    signal.addEventListener('abort', onAbort, { once: true })
    return Promise.race([this.#client.send(request, signal), aborted]).finally(() =>
      signal.removeEventListener('abort', onAbort),
    )
  }

  #failed(error: unknown, failed: Failed): SubmitOutcome {
    const { failure, request } = failed
    switch (failure.action) {
      case 'rejected':
        return this.#rejected(error, failure, request)
      case 'invalid':
        return this.#invalid(failed)
      case 'retry':
        return this.#again(failed)
      case 'rediscover':
        if (this.#hasTries(failed) && this.#client.rediscover(failed.discovery)) return this.#again(failed)
        break
      case 'credentials':
        if (this.#hasTries(failed) && this.#awaitsCredentials(failure)) return this.#again(failed)
        break
      case 'denied':
      case 'missing':
      case 'fatal':
        break
    }
    return this.#fatal(error, failure, request)
  }

  /** After the last try of an entry a repeat would refuse it, and it is not at fault. */
  #hasTries({ attempt }: Failed): boolean {
    return attempt < this.limits.retry.maxAttempts
  }

  #awaitsCredentials({ renewable }: WriteFailure): boolean {
    const now = this.context.clock.now()
    this.#credentialsFailedAt ??= now
    return renewable === true && now - this.#credentialsFailedAt < MAX_CREDENTIALS_WAIT_MS
  }

  #again({ failure, request, attempt, signal }: Failed): SubmitOutcome {
    const reason: unknown = signal.reason
    // A writer that closes repeats nothing: the next attempt of the job does.
    if (!SluiceError.isInstance(reason) || reason.code !== 'SLUICE_CLOSED') {
      this.#metrics.retries.value++
      this.#log.retried(failure, request, attempt)
    }
    return { retryAll: reasonOf(failure), slowDown: failure.slowDown, unknown: failure.unknown }
  }

  #rejected(error: unknown, failure: WriteFailure, request: AlignedRequest): SubmitOutcome {
    const kind = this.#options.policy.failProcessingOnRejectedRecordsException ? 'refuse' : 'dropped'
    const list: unknown = Reflect.get(Object(error), 'RejectedRecords')
    const outcomes = rejectionOutcomes(list, request.Records.length, failure, kind)
    if (outcomes === undefined) {
      // Who was rejected is not certain, so no record may count as stored: each is asked for alone.
      const message = `the service rejected records without naming each of them once: ${failure.message}`
      return this.#oneByOne({ ...reasonOf(failure), message }, request, kind)
    }
    if (outcomes.some((outcome) => outcome.kind === 'written')) this.#metrics.writesSuccess.value++
    this.#log.rejected(failure, request, outcomes)
    return { entries: outcomes }
  }

  #invalid({ failure, request, trigger }: Failed): SubmitOutcome {
    const fails = this.#options.policy.failProcessingOnValidationException
    if (request.Records.length === 1) {
      this.#log.refused(failure, request, 'failureHandlerConfig.failProcessingOnValidationException')
    } else if (trigger !== 'isolate') {
      this.#log.isolated(failure, request)
    }
    return this.#oneByOne(reasonOf(failure), request, fails ? 'refuse' : 'dropped')
  }

  /** Lets the engine find the culprits, and applies the policy to those that it finds. */
  #oneByOne(reason: Reason, request: AlignedRequest, kind: 'refuse' | 'dropped'): SubmitOutcome {
    return request.Records.length === 1 ? { entries: [{ kind, reason }] } : { isolate: reason }
  }

  #fatal(error: unknown, failure: WriteFailure, request: AlignedRequest): SubmitOutcome {
    this.#log.refused(failure, request)
    // Errors of our own come from providers of credentials.
    const droppable = mayBeDropped(failure) && !SluiceError.isInstance(error)
    if (this.#options.policy.failProcessingOnErrorDefault || !droppable) {
      return { fail: SluiceError.isInstance(error) ? error : fatalError(failure, request) }
    }
    const reason = reasonOf(failure)
    return { entries: request.Records.map(() => ({ kind: 'dropped', reason })) }
  }
}

const ANSWER_WITHOUT_COUNT: Reason = {
  code: 'answerMalformed',
  message: 'the answer says success without RecordsIngested, which WriteRecords always counts',
}

function reasonOf({ code, message, requestId }: WriteFailure): Reason {
  return { code, message, ...(requestId === undefined ? {} : { requestId }) }
}
