import {
  ALL_WRITTEN,
  AsyncSinkWriter,
  type Batch,
  type EntryOutcome,
  type Reason,
  type SinkContext,
  type SubmitContext,
  type SubmitOutcome,
} from '@sluice/core'
import type { WriteVerdict } from './classify.ts'
import { FailureLog, type Held } from './errors-log.ts'
import { retriesExhausted, unanswered, unsigned } from './errors.ts'
import { SinkMetrics } from './metrics.ts'
import type { ResolvedSinkOptions } from './options-sink.ts'
import { sliceEntry } from './entries.ts'
import type { Entry } from './series.ts'
import { Transport } from './transport.ts'
import { type EntryFactory, sizeOf } from './writer-entries.ts'
import { joined, setApart } from './writer-apart.ts'
import { type ConfirmedSamples, Repeats } from './writer-confirmed.ts'
import { heldBy, isClosing, maybeStored, optionFor, uncertainOf, withDoubt } from './writer-facts.ts'
import { halvedEntry, type Part, type PartsProgress, sendParts } from './writer-parts.ts'
import { askAgain, charged, ServerErrorJudge } from './writer-judge.ts'
import { PROBE_METRIC } from './writer-probe.ts'
import { Refusals } from './writer-refusals.ts'
import { RequestSender } from './writer-sender.ts'
import { EntryStates } from './writer-states.ts'

/** A request that was not written. */
interface Failed {
  readonly batch: Batch<Entry>
  readonly context: SubmitContext
  readonly verdict: WriteVerdict
  /** When it was sent, as the rule of server errors counts. */
  readonly sentAt: number
}

const POLICY = 'errorHandlingBehaviorConfiguration'

/** Writes batches of series by remote write and gives each entry its outcome: by the status of the answer, never by its words. */
export class PrometheusSinkWriter<In> extends AsyncSinkWriter<In, Entry> {
  protected override readonly answers = 'request'
  /** Only where values name their tenants: for a single destination nothing is asked. */
  protected override readonly destination?: (entry: Entry) => string
  readonly #factory: EntryFactory<In>
  readonly #options: ResolvedSinkOptions<In>
  readonly #transport: Transport
  readonly #sender: RequestSender
  readonly #metrics: SinkMetrics
  readonly #log: FailureLog
  readonly #judge: ServerErrorJudge
  readonly #states = new EntryStates()
  readonly #confirmed: ConfirmedSamples
  /** Of what an attempt before this one, in this process, saw confirmed. */
  readonly #repeats: Repeats
  readonly #refusals: Refusals

  constructor(
    context: SinkContext,
    options: ResolvedSinkOptions<In>,
    factory: EntryFactory<In>,
    confirmed: ConfirmedSamples,
  ) {
    super(context, options.engine)
    if (typeof options.tenant !== 'string') this.destination = ({ tenant }) => tenant
    this.#options = options
    this.#factory = factory
    this.#confirmed = confirmed
    this.#repeats = new Repeats(confirmed)
    this.#transport = new Transport(options.transport)
    this.#metrics = new SinkMetrics(context.metrics, options.metricGroupName)
    this.#log = new FailureLog(context.logger, options.shownUrl)
    this.#refusals = new Refusals({
      policy: options.policy.onPrometheusNonRetriableError,
      hasDeadLetters: context.hasDeadLetters === true,
      metrics: this.#metrics,
      log: this.#log,
    })
    this.#sender = new RequestSender({
      options,
      tenant: typeof options.tenant === 'string' ? options.tenant : '',
      transport: this.#transport,
      metrics: this.#metrics,
      log: this.#log,
      clock: context.clock,
      requestTimeoutMs: this.limits.requestTimeoutMs,
      hasMetadata: () => factory.hasMetadata,
    })
    this.#judge = new ServerErrorJudge({
      clock: context.clock,
      states: this.#states,
      sender: this.#sender,
      isolateAfterServerErrors: options.isolateAfterServerErrors,
      maxRetryCount: options.maxRetryCount,
      maxDelayMs: this.limits.retry.maxDelayMs,
      series: () => factory.series(PROBE_METRIC, { sink: context.sinkUid, instance: factory.instance }),
    })
  }

  override async close(deadlineMs: number): Promise<void> {
    const { clock } = this.context
    // An attempt that fails has no use for what is told beside its entries.
    const until = this.status().inHand === 0 ? clock.now() + deadlineMs : 0
    try {
      await super.close(deadlineMs)
      await this.#sender.close(until - clock.now())
    } finally {
      await this.#transport.close()
    }
  }

  protected convert(value: In, emit: (entry: Entry) => void): void {
    this.#factory.convert(value, emit, this.#refusals.onInvalid)
  }

  protected override orderKey({ series }: Entry): number {
    return series.laneKey
  }

  protected override weight({ size }: Entry): number {
    return size
  }

  protected override sizeInBytes(entry: Entry): number {
    return sizeOf(entry)
  }

  protected async submit(batch: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome> {
    const { entries, destination } = batch
    const apart = setApart(entries, {
      hasInvalid: this.#factory.hasReplaced,
      fits: this.#sender.fitsOf(destination),
      isConfirmed: this.#repeats.of(context),
    })
    if (apart === undefined) return await this.#request(batch, context)
    const { rest } = apart
    const outcome = rest.length === 0 ? ALL_WRITTEN : await this.submit({ ...batch, entries: rest }, context)
    // What is asked for again is so as a whole, with what that says of the destination; what is set apart is again, too.
    if ('fail' in outcome || 'retryAll' in outcome) return outcome
    return joined(entries, outcome, this.#refusals.decide(apart, destination))
  }

  async #request(batch: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome> {
    const { entries, destination } = batch
    if (context.attempt > 1 || batch.trigger === 'isolate') {
      const before = this.#resume(batch, context)
      if (before !== undefined) return await before
    }
    const sentAt = this.#judge.now()
    const verdict = await this.#send(entries, destination, context.signal, batch.trigger === 'isolate')
    if (verdict.kind === 'written') return ALL_WRITTEN
    return await this.#failed({ batch, context, verdict, sentAt })
  }

  async #send(
    entries: readonly Entry[],
    destination: string,
    signal: AbortSignal,
    isIsolating: boolean,
  ): Promise<WriteVerdict> {
    const verdict = await this.#sender.send(entries, destination, signal, isIsolating)
    if (verdict.kind === 'written') {
      this.#judge.written(destination)
      this.#confirmed.remember(entries)
    }
    return verdict
  }

  /** What is to be done with entries that failed before; undefined: to be sent as they are. */
  #resume(batch: Batch<Entry>, context: SubmitContext): SubmitOutcome | Promise<SubmitOutcome> | undefined {
    const { entries } = batch
    for (const entry of entries) {
      const state = this.#states.known(entry)
      if (state === undefined) continue
      if (state.last !== undefined && state.tries > this.#options.maxRetryCount) {
        // The engine gave up the request before its last failure could be told.
        return this.#exhausted({ batch, verdict: state.last })
      }
      if (state.parts === undefined) continue
      if (entries.length > 1) return { isolate: state.parts.reason }
      return this.#sendParts(entry, state.parts, batch, context)
    }
    return undefined
  }

  #failed(failed: Failed): SubmitOutcome | Promise<SubmitOutcome> {
    const { verdict, batch, context } = failed
    for (const entry of uncertainOf(batch.entries, verdict)) this.#states.of(entry).uncertain = true
    for (const entry of maybeStored(batch.entries, verdict)) this.#states.of(entry).mayBeStored = true
    if (isClosing(context)) return verdict.outcome
    this.#judge.hold(batch.destination, verdict)
    if (verdict.timedOut === true && this.limits.failOnTimeout) {
      this.#metrics.counters.numWriteRequestsPermanentlyFailed.value++
      return { fail: unanswered(this.#options.shownUrl, this.#options.transport.socketTimeoutMs) }
    }
    switch (verdict.kind) {
      case 'serverError':
        return this.#serverError(failed)
      case 'fellBack':
        return this.submit(batch, context)
      case 'busy':
      case 'cut':
      case 'unreachable':
      case 'unsigned':
        return this.#again(failed)
      case 'tooLarge':
        return batch.entries.length > 1 ? verdict.outcome : this.#alone(failed)
      case 'refused':
        return batch.entries.length > 1 ? this.#isolate(failed) : this.#alone(failed)
      case 'unsupported':
      case 'unconfirmed':
      case 'caller':
      case 'written':
        break
    }
    this.#metrics.counters.numWriteRequestsPermanentlyFailed.value++
    return verdict.outcome
  }

  async #serverError(failed: Failed): Promise<SubmitOutcome> {
    const { batch, context, verdict, sentAt } = failed
    const { entries } = batch
    const { clock } = this.context
    const judgedFrom = clock.now()
    const isAlone = entries.length === 1 && !this.#divides(failed)
    const judged = await this.#judge.judge({ ...batch, signal: context.signal, isAlone, sentAt })
    // What a probe was told holds for all requests to the destination.
    if (judged.verdict === 'unclear') {
      return this.#again(judged.probe?.kind === 'busy' ? { ...failed, verdict: judged.probe } : failed)
    }
    if (judged.verdict === 'askAgain') {
      // That and another probe have to end before the request as a whole is overdue.
      const isQuick = (clock.now() - judgedFrom) * 6 < this.limits.requestTimeoutMs
      return isQuick ? await this.submit(batch, context) : askAgain(verdict)
    }
    const refused: Failed = { ...failed, verdict: charged(verdict) }
    return entries.length > 1 ? this.#isolate(refused) : this.#alone(refused)
  }

  /** The same again, as far as there are tries. */
  #again(failed: Failed): SubmitOutcome {
    const { batch, verdict, context } = failed
    let tries = 0
    for (const entry of batch.entries) {
      const state = this.#states.of(entry)
      state.tries++
      state.last = verdict
      tries = Math.max(tries, state.tries)
    }
    if (tries > this.#options.maxRetryCount) return this.#exhausted(failed)
    this.#metrics.counters.numWriteRequestsRetries.value++
    this.#log.retried(verdict.reason, heldBy(batch.entries), batch.destination, context.attempt, optionFor(verdict))
    return verdict.outcome
  }

  /** At least one entry of the request has no try left. */
  #exhausted({ batch, verdict }: Pick<Failed, 'batch' | 'verdict'>): SubmitOutcome {
    const { maxRetryCount, policy, shownUrl } = this.#options
    const { entries, destination } = batch
    const { reason } = verdict
    const isIo = verdict.kind === 'cut' || verdict.kind === 'unreachable'
    const option = isIo ? 'onHttpClientIOFail' : 'onMaxRetryExceeded'
    this.#metrics.counters.numWriteRequestsPermanentlyFailed.value++
    if (verdict.kind === 'unsigned') return { fail: unsigned(reason, shownUrl, maxRetryCount + 1) }
    if (policy[option] === 'FAIL') {
      return { fail: retriesExhausted(reason, shownUrl, maxRetryCount + 1, `${POLICY}.${option}`) }
    }
    const dropped = entries.filter((entry) => this.#states.of(entry).tries > maxRetryCount)
    const held = heldBy(dropped)
    this.#metrics.dropped(isIo ? 'io' : 'retryLimit', held.samples)
    this.#log.dropped(reason, held, destination, `${POLICY}.${option}`)
    const spent = { ...reason, code: 'retriesExhausted' }
    const gone = new Set(dropped)
    return {
      entries: entries.map((entry): EntryOutcome =>
        gone.has(entry) ? { kind: 'dropped', reason: spent } : { kind: 'retry', reason },
      ),
    }
  }

  /** Core halves the request until the culprits stand alone, or the budget is spent. */
  #isolate(failed: Failed): SubmitOutcome {
    const { batch, verdict } = failed
    const { entries, destination, trigger } = batch
    const [first] = entries
    let budget = trigger === 'isolate' && first !== undefined ? this.#states.known(first)?.isolation : undefined
    if (budget === undefined) {
      budget = { left: this.#isolationBudget(failed) }
      for (const entry of entries) this.#states.of(entry).isolation = budget
      this.#log.isolated(verdict.reason, heldBy(entries), destination)
    }
    if (budget.left < 2 && verdict.status === 500) {
      // So many culprits at once may be an outage of a part of the receiver: those that are not known to be any are asked for again.
      for (const entry of entries) this.#states.of(entry).isolation = undefined
      return this.#again({
        ...failed,
        verdict: { ...verdict, kind: 'serverError', outcome: { retryAll: verdict.reason } },
      })
    }
    if (budget.left < 2) {
      return this.#giveUp(failed, { ...verdict.reason, code: 'isolationBudget' }, heldBy(entries))
    }
    budget.left -= 2
    return { isolate: verdict.reason }
  }

  /** All of a request full of repeats may be refused, for no fault of their own: then each may be asked for alone. */
  #isolationBudget(failed: Failed): number {
    const { maxIsolationRequests } = this.#options
    return this.#isSuspect(failed)
      ? Math.max(maxIsolationRequests, 2 * failed.batch.entries.length - 2)
      : maxIsolationRequests
  }

  /** An entry was refused alone. */
  #alone(failed: Failed): SubmitOutcome | Promise<SubmitOutcome> {
    const { batch, context, verdict } = failed
    const [entry] = batch.entries
    if (entry === undefined) return verdict.outcome
    if (!this.#divides(failed)) return this.#giveUp(failed, verdict.reason, heldBy(batch.entries))
    const parts = halvedEntry(entry.size, verdict.reason)
    const state = this.#states.of(entry)
    state.parts = parts
    // It was the whole that was suspected.
    state.serverErrors.isSuspected = false
    return this.#sendParts(entry, parts, batch, context)
  }

  /** Whether an entry is sent in parts: of samples that may be repeats a receiver refuses those up to the newest that it has. */
  #divides(failed: Failed): boolean {
    const { batch, verdict } = failed
    return (batch.entries[0]?.size ?? 0) > 1 && (verdict.kind === 'tooLarge' || this.#isSuspect(failed))
  }

  async #sendParts(
    entry: Entry,
    parts: PartsProgress,
    batch: Batch<Entry>,
    context: SubmitContext,
  ): Promise<SubmitOutcome> {
    const { clock } = this.context
    // The request as a whole has a deadline; what is left at half of it is sent by the next.
    const until = clock.now() + this.limits.requestTimeoutMs / 2
    // Meanwhile it may turn out that the destination takes a version that cannot say the entry.
    const fits = (): boolean => this.#sender.fitsOf(batch.destination)?.(entry) !== false
    const { serverErrors } = this.#states.of(entry)
    const goesOn = (): boolean => clock.now() < until && fits()
    const sendPart = async ({ from, to }: Part): Promise<WriteVerdict> => {
      const sentAt = this.#judge.now()
      const verdict = await this.#send([sliceEntry(entry, from, to)], batch.destination, context.signal, true)
      if (verdict.kind !== 'serverError') {
        // Whatever became of it, the next part is another one.
        serverErrors.isSuspected = false
        return verdict
      }
      const isAlone = to - from === 1
      const judged = await this.#judge.judge({ ...batch, signal: context.signal, isAlone, sentAt })
      if (judged.verdict === 'askAgain' && goesOn()) return await sendPart({ from, to })
      return judged.verdict === 'atFault' ? charged(verdict) : verdict
    }
    const ended = await sendParts(parts, sendPart, goesOn)
    if (ended === 'later') {
      const message = `${parts.written} samples of a series were written one part after the other; the rest follows`
      return { retryAll: { code: 'inParts', message }, slowDown: false }
    }
    if (ended !== undefined) {
      const failed: Failed = { batch, context, verdict: ended, sentAt: this.#judge.now() }
      // Of a part's 500 the rule was asked.
      return ended.kind === 'serverError' && !isClosing(context) ? this.#again(failed) : await this.#failed(failed)
    }
    if (parts.refused === 0) return ALL_WRITTEN
    const message = `${parts.refused} of ${parts.refused + parts.written} samples of a series: ${parts.reason.message}`
    const verdict: WriteVerdict = { kind: 'refused', reason: parts.reason, outcome: ALL_WRITTEN }
    const failed: Failed = { batch, context, verdict, sentAt: this.#judge.now() }
    return this.#giveUp(failed, { ...parts.reason, message }, heldBy(batch.entries, parts.refused))
  }

  /** The receiver refuses all entries of the request for themselves: what becomes of them is the policy's to say. */
  #giveUp(failed: Failed, reason: Reason, held: Held): SubmitOutcome {
    const { batch, verdict, context } = failed
    const { entries, destination } = batch
    this.#metrics.counters.numWriteRequestsPermanentlyFailed.value++
    // Nobody knows whether a request without an answer was applied: who wants to hear of every refusal hears of this one too. To others
    // it is no letter, since an outage would make one of each series that it cut.
    const isRepeat = this.#refusals.areAllTold ? context.replaySuspect : this.#isSuspect(failed)
    // Prometheus stores nothing of a request that it refuses: to take all of these for repeats would hide what it refuses for good.
    const hasDoubt = verdict.kind === 'refused' && entries.some((entry) => this.#states.known(entry)?.mayBeStored)
    const outcome =
      verdict.kind !== 'tooLarge' && isRepeat
        ? this.#refusals.refusedOnReplay(reason, held, destination)
        : this.#refusals.refused(hasDoubt ? withDoubt(reason) : reason, held, destination)
    return { entries: entries.map(() => outcome) }
  }

  /** True when the receiver may hold some of it already, so that it may refuse it for that alone. */
  #isSuspect({ batch, context }: Failed): boolean {
    return context.replaySuspect || batch.entries.some((entry) => this.#states.known(entry)?.uncertain === true)
  }
}
