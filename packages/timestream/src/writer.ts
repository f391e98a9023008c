import {
  AsyncSinkWriter,
  type Batch,
  type BatchTrigger,
  messageOf,
  type Reason,
  type SinkContext,
  type SubmitContext,
  type SubmitOutcome,
} from '@sluice/core'
import { classifyWriteError } from './classify.ts'
import { Converter } from './convert.ts'
import { CloudWatchReports } from './cloudwatch-reports.ts'
import type { Sent } from './failure-log.ts'
import { Failures } from './failed-writes.ts'
import type { Unsound } from './handler.ts'
import { SinkMetrics } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'
import type { Entry } from './record/entry.ts'
import { versionOf } from './record/values.ts'
import type { Item } from './request/layout.ts'
import { RequestMaker } from './request/maker.ts'
import { Book, type Whole } from './submission.ts'
import { Tables } from './tables/tables.ts'
import { outsideWindow } from './tables/window.ts'
import { callsOf, type Transport, type WriteAnswer } from './transport/transport.ts'

/** Requests for one batch, at most: records with the same key, or whose version is raised, are sent one after the other. */
const MAX_REQUESTS = 8

/** How often the version of one record is raised before its conflict is final. */
const MAX_RAISES = 3

/** What `submit` knows of its batch. */
interface Submit {
  readonly attempt: number
  readonly trigger: BatchTrigger
  readonly signal: AbortSignal
}

/** Writes batches of records with WriteRecords and gives each record the outcome that the service names. */
export class TimestreamSinkWriter<In> extends AsyncSinkWriter<In, Entry> {
  /** What WriteRecords says of single records is final; what is repeated is the whole request. */
  protected override readonly answers = 'request'
  readonly #options: ResolvedOptions<In>
  readonly #transport: Transport
  readonly #converter: Converter<In>
  readonly #maker: RequestMaker<In>
  readonly #tables: Tables | undefined
  readonly #metrics: SinkMetrics
  readonly #failures: Failures
  readonly #reports: CloudWatchReports | undefined

  constructor(context: SinkContext, options: ResolvedOptions<In>, transport: Transport) {
    const reports = options.emitSinkMetricsToCloudWatch ? new CloudWatchReports(context, transport) : undefined
    super(reports === undefined ? context : { ...context, metrics: reports.group }, options.engine)
    this.#reports = reports
    const { ensureTable: ensure, checkRetention: checksRetention, policy } = options
    const { clock, logger } = context
    const { requestTimeout } = options.ownClient
    this.#options = options
    this.#transport = transport
    this.#converter = new Converter(options)
    this.#maker = new RequestMaker(options, context.keyed === true)
    this.#tables =
      ensure === undefined && !checksRetention
        ? undefined
        : new Tables({
            ensure,
            checksRetention,
            timeoutMs: requestTimeout,
            clock,
            logger,
            client: () => transport.control,
          })
    this.#metrics = new SinkMetrics(this.context.metrics, clock)
    this.#failures = new Failures({ context, options, transport, metrics: this.#metrics, limits: this.limits })
    if (policy.overwriteConflicts) {
      logger.warn(
        { sink: context.sinkUid },
        'Records that conflict with stored ones overwrite them, whichever is newer: a replay of old records overwrites newer ones. Option: rejectionPolicy.overwriteConflicts.',
      )
    }
  }

  override async close(deadlineMs: number): Promise<void> {
    const endsAt = this.context.clock.now() + deadlineMs
    try {
      await super.close(deadlineMs)
    } finally {
      await this.#reports?.close(Math.max(0, endsAt - this.context.clock.now()))
      await this.#transport.close()
    }
  }

  protected convert(value: In, emit: (entry: Entry) => void): void {
    this.#converter.convert(value, emit)
  }

  protected override sizeInBytes(entry: Entry): number {
    return entry.sizeInBytes
  }

  protected async submit({ entries, trigger }: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome> {
    const { attempt, signal } = context
    const submit = { attempt, trigger, signal }
    const book = new Book(entries.length)
    const all = entries.map((entry, index) => ({ index, entry, raises: 0 }))
    const sound = await this.#takeOut(all, book, submit)
    if ('whole' in sound) return sound.whole
    let { items } = sound
    const { clock } = this.context
    const lastStartAt = clock.now() + this.#options.writeTimeoutMs
    for (let request = 0; items.length > 0; request++) {
      // What is stored by then stays so: given up as a whole, the batch would begin anew each time.
      if (request === MAX_REQUESTS) {
        book.putOff(items, TOO_MANY_OF_ONE_KEY)
        break
      }
      if (request > 0 && clock.now() > lastStartAt) {
        book.putOff(items, TIME_IS_UP)
        break
      }
      const { send, followers, later } = this.#maker.layOut(items)
      book.follow(followers)
      const raised: Item[] = []
      const whole = await this.#write(send, book, raised, submit)
      if (whole !== undefined) {
        // What has its outcome keeps it.
        const isWhole = request === 0 && ('isolate' in whole || (book.isEmpty && later.length === 0))
        if (isWhole || 'fail' in whole) return whole
        if ('retryAll' in whole) {
          book.retry(send, whole)
          book.putOff(later, whole.retryAll)
        } else {
          // Who is to blame the repeat will find out.
          book.putOff([...send, ...later], whole.isolate)
        }
        break
      }
      // In their order again: of two values for one key the later one is to win.
      items = [...later, ...raised].sort((a, b) => a.index - b.index)
    }
    return book.close()
  }

  /** Takes out what the service would refuse; gives the others, or what becomes of the whole batch. */
  async #takeOut(
    items: readonly Item[],
    book: Book,
    { attempt, signal }: Submit,
  ): Promise<{ readonly items: readonly Item[] } | { readonly whole: Whole }> {
    const first = items[0] as Item
    const { databaseName, tableName } = this.#maker.destinationOf(first.entry.table)
    let window
    if (this.#tables !== undefined && databaseName !== undefined && tableName !== undefined) {
      const { discovery } = this.#transport
      try {
        const known = this.#tables.get({ databaseName, tableName })
        window = known instanceof Promise ? await abortable(known, signal) : known
      } catch (error) {
        return { whole: this.#failures.beforeWrite(error, { databaseName, tableName, attempt, discovery, signal }) }
      }
    }
    if (window === undefined && items.every(({ entry }) => entry.problems.length === 0)) return { items }
    const wallNow = this.context.clock.wallNow()
    const sound: Item[] = []
    const unsound: Unsound[] = []
    for (const item of items) {
      const { problems } = item.entry
      const outside =
        window === undefined || problems.length > 0 ? undefined : outsideWindow(window, item.entry, wallNow)
      if (problems.length > 0) unsound.push({ item, reason: { code: 'InvalidRecord', message: problems.join('; ') } })
      else if (outside !== undefined) unsound.push({ item, reason: outside })
      else sound.push(item)
    }
    const to = { databaseName: databaseName ?? '', tableName: tableName ?? '' }
    const whole = this.#failures.unsound(unsound, to, book)
    return whole === undefined ? { items: sound } : { whole }
  }

  /** Sends one request; undefined if it ended record by record, as the book then says. */
  async #write(items: readonly Item[], book: Book, raised: Item[], submit: Submit): Promise<Whole | undefined> {
    const request = this.#maker.make(items)
    if ('fail' in request || 'isolate' in request) return request
    const sent: Sent = { request, items }
    this.#metrics.sending(request)
    const { discovery } = this.#transport
    let answer: WriteAnswer
    try {
      answer = await abortable(this.#transport.send(request, submit.signal), submit.signal)
    } catch (error) {
      const failure = classifyWriteError(error)
      if (!failure.beforeRequest) this.#metrics.calls.value += callsOf(error)
      return this.#failures.of(error, { ...submit, failure, sent, discovery, book, raise: this.#raise(raised) })
    }
    this.#metrics.calls.value += answer.calls
    this.#failures.accepted()
    // Silence is not success, nor is half of it: the service does not say which records it has not counted, so that each is sent alone.
    // Alone it says enough: whether a repeat of what is stored is counted is documented nowhere, and a refusal has a form of its own.
    const isCounted = typeof answer.total === 'number' && (answer.total >= request.count || items.length === 1)
    if (!isCounted) return { isolate: countedTooFew(answer.total, request.count) }
    this.#metrics.writesSuccess.value++
    book.written(items)
    return undefined
  }

  /** Puts a record back with a version above the stored one; false if the policy does not say so, or it was done too often. */
  #raise(raised: Item[]): (item: Item, existingVersion: number | bigint | undefined) => boolean {
    if (!this.#options.policy.overwriteConflicts) return () => false
    return (item, existingVersion) => {
      if (existingVersion === undefined || item.raises >= MAX_RAISES) return false
      const version = BigInt(existingVersion) + 1n
      // There is none above the highest.
      if (versionOf(version) === undefined) return false
      raised.push({ index: item.index, entry: item.entry.withVersion(version), raises: item.raises + 1 })
      return true
    }
  }
}

/** Ends with the signal even if what is waited for does not: the SDK waits for another client's discovery without looking at signals. */
function abortable<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(Object.assign(new Error(messageOf(signal.reason)), { name: 'AbortError' }))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([waited, aborted]).finally(() => signal.removeEventListener('abort', onAbort))
}

function countedTooFew(total: unknown, sent: number): Reason {
  const said = typeof total === 'number' ? `RecordsIngested.Total ${total}` : 'no RecordsIngested.Total'
  return { code: 'answerMalformed', message: `the answer says success with ${said}, for a request of ${sent} records` }
}

const TIME_IS_UP = {
  code: 'sameKey',
  message: 'values of one key are sent one after the other, and the answers for those before this one took long',
}

const TOO_MANY_OF_ONE_KEY = {
  code: 'sameKey',
  message: `values of one key are sent one after the other, ${MAX_REQUESTS} for one batch, and these came after them`,
}
