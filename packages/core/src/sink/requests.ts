import { kindOf, messageOf, SluiceError } from '../errors.ts'
import type { Counter } from '../metrics/registry.ts'
import { SINK_METRICS, type SinkCounters } from '../metrics/sink-metrics.ts'
import { deadline, type Timer } from '../runtime/clock.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { WakeUp } from '../runtime/signal.ts'
import { type SinkSubmitMessage, traceSubmit } from '../runtime/tracing.ts'
import type { Disposition } from './disposition.ts'
import type { InHand } from './in-hand.ts'
import type { Lane } from './lane.ts'
import type { ResolvedSinkOptions } from './options.ts'
import { judge, type Verdict } from './outcome.ts'
import type { Parcel } from './parcel.ts'
import { Request } from './request.ts'
import type { Outgoing } from './scheduler.ts'
import type { Batch, BatchTrigger, SinkContext, SubmitContext, SubmitOutcome } from './spi.ts'

export interface RequestsPlan<Entry> {
  readonly context: SinkContext
  readonly limits: ResolvedSinkOptions
  readonly counters: SinkCounters
  readonly hand: InHand<Entry>
  readonly disposition: Disposition<Entry>
  submit(batch: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome>
  isClosing(): boolean
  /** A request of the lane has ended, and its entries have their places. */
  onAnswered(lane: Lane<Entry>): void
}

/** Sends requests, gives up those whose answer is overdue, and hands on what became of each. */
export class Requests<Entry> {
  readonly #plan: RequestsPlan<Entry>
  readonly #batches: Partial<Record<BatchTrigger, Counter>> = {}
  readonly #ended = new WakeUp()
  /** For the oldest request: all have the same time, so they fall due in the order in which they were sent. */
  #expiry: Timer | undefined
  #lastSendTimeMs: number = Number.NaN

  constructor(plan: RequestsPlan<Entry>) {
    this.#plan = plan
  }

  /** Requests that may be sent beside those in flight. */
  get slots(): number {
    return this.#plan.limits.maxInFlightRequests - this.#plan.hand.requests.size
  }

  /** Time from sending to the answer of the request that ended last. */
  get lastSendTimeMs(): number {
    return this.#lastSendTimeMs
  }

  send({ parcel, lane, trigger }: Outgoing<Entry>, now: number): void {
    const { context, hand, limits } = this.#plan
    this.#countSent(parcel, trigger)
    this.#sabotageEarlyAcknowledgement(parcel)
    const request = new Request(parcel, lane, trigger, now, context.settlement)
    hand.requests.add(request)
    lane.inFlight++
    lane.destination.inFlight++
    if (this.#expiry === undefined) this.#expireAt(now + limits.requestTimeoutMs)
    // A copy: what a sink or a user's function does to its list must not reach the engine's.
    const entries = parcel.entries.slice()
    const batch: Batch<Entry> = { entries, destination: lane.destination.name, weight: parcel.weight, trigger }
    failpoint('sink:submitting')
    let outcome: Promise<SubmitOutcome>
    try {
      outcome = traceSubmit(this.#factsOf(request), () => this.#plan.submit(batch, request))
    } catch (error) {
      outcome = Promise.reject(error)
    }
    Promise.resolve(outcome).then(
      (value) => this.#finish(request, judged(value, parcel.length)),
      (error: unknown) => this.#finish(request, thrown(error)),
    )
  }

  /** Aborts what is under way and waits for it until the deadline. */
  async close(deadlineMs: number): Promise<void> {
    const { context, hand } = this.#plan
    const reason = new SluiceError('SLUICE_CLOSED', 'the writer was closed', { restartable: true })
    const { promise: expired, resolve } = Promise.withResolvers<void>()
    const expiry = deadline(context.clock, deadlineMs, resolve)
    for (const request of hand.requests) request.abort(reason)
    await Promise.race([this.#allEnded(), expired])
    expiry.cancel()
    this.#expiry?.cancel()
    this.#expiry = undefined
  }

  async #allEnded(): Promise<void> {
    while (this.#plan.hand.requests.size > 0) await this.#ended.wait()
  }

  #finish(request: Request<Entry>, verdict: Verdict): void {
    const { context, counters, hand, disposition } = this.#plan
    const { parcel, lane } = request
    if (!hand.requests.delete(request)) {
      counters.numLateAnswers.value++
      return
    }
    failpoint('sink:answered')
    lane.inFlight--
    lane.destination.inFlight--
    this.#lastSendTimeMs = context.clock.now() - request.sentAt
    try {
      if (this.#plan.isClosing()) disposition.applyClosed(parcel, verdict)
      else {
        disposition.apply(parcel, lane, verdict)
        if (lane.isEmpty) lane.destination.isolating.delete(lane)
        this.#plan.onAnswered(lane)
      }
    } catch (error) {
      context.fail(
        new SluiceError('SLUICE_INTERNAL', `an answer could not be applied: ${messageOf(error)}`, { cause: error }),
      )
    }
    failpoint('sink:settled')
    if (this.#plan.isClosing()) this.#ended.wake()
  }

  #expireAt(at: number): void {
    const { clock } = this.#plan.context
    this.#expiry = deadline(clock, at - clock.now(), () => this.#expire())
  }

  #expire(): void {
    const { context, limits, hand } = this.#plan
    const { requestTimeoutMs, failOnTimeout } = limits
    const now = context.clock.now()
    const message = `no answer within ${requestTimeoutMs} ms (requestTimeoutMs)`
    const error = new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { restartable: true })
    for (const request of hand.requests.sentBy(now - requestTimeoutMs)) {
      request.abort(error)
      const reason = { code: 'timeout', message }
      this.#finish(
        request,
        failOnTimeout ? { kind: 'fail', error } : { kind: 'all', reason, slowDown: true, unknown: true },
      )
    }
    // Not before: what was sent meanwhile is due after those that are left.
    this.#expiry = undefined
    const { oldestSentAt } = hand.requests
    if (oldestSentAt !== undefined) this.#expireAt(oldestSentAt + requestTimeoutMs)
  }

  #factsOf({ parcel, lane, attempt, trigger }: Request<Entry>): SinkSubmitMessage {
    const { name: destination } = lane.destination
    const { sinkUid: sink } = this.#plan.context
    return { sink, destination, entries: parcel.length, bytes: parcel.sizeInBytes, attempt, trigger }
  }

  /** What the fault campaigns must catch: inputs acknowledged when they are sent instead of when they are stored. */
  #sabotageEarlyAcknowledgement(parcel: Parcel<Entry>): void {
    if (!parcel.holdsTokens || !failpoint('sabotage:ack-early')) return
    parcel.holdsTokens = false
    for (let index = 0; index < parcel.length; index++) this.#plan.context.settlement.settle(parcel.token(index))
  }

  #countSent(parcel: Parcel<Entry>, trigger: BatchTrigger): void {
    const { counters, context } = this.#plan
    counters.numRequests.value++
    const batches = (this.#batches[trigger] ??= context.metrics.counter(SINK_METRICS.numBatches, { trigger }))
    batches.value++
    if (parcel.exact) return
    if (parcel.isFresh) {
      counters.numRecordsSend.value += parcel.length
      counters.numBytesSend.value += parcel.sizeInBytes
      return
    }
    for (let index = 0; index < parcel.length; index++) {
      if (parcel.isRepeat(index)) continue
      counters.numRecordsSend.value++
      counters.numBytesSend.value += parcel.size(index)
    }
  }
}

function judged(outcome: SubmitOutcome, entries: number): Verdict {
  try {
    return judge(outcome, entries)
  } catch (error) {
    return thrown(error)
  }
}

/** An error that is thrown says as little as silence does, unless it is one of ours: those are meant. */
function thrown(error: unknown): Verdict {
  if (SluiceError.isInstance(error)) return { kind: 'fail', error }
  return {
    kind: 'halve',
    reason: { code: 'submitThrew', message: `submit threw: ${kindOf(error)}`, cause: error },
    counted: true,
  }
}
