import { messageOf, SluiceError } from '../errors.ts'
import type { Counter } from '../metrics/registry.ts'
import { SINK_METRICS, sinkCounters, type SinkCounters } from '../metrics/sink-metrics.ts'
import { deadline, type Timer } from '../runtime/clock.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { WakeUp } from '../runtime/signal.ts'
import { CongestionControl } from './congestion-control.ts'
import { Disposition } from './disposition.ts'
import { type Flight, InHand } from './in-hand.ts'
import { type AsyncSinkOptions, resolveSinkOptions, type ResolvedSinkOptions } from './options.ts'
import { judge, type Verdict } from './outcome.ts'
import { Parcel } from './parcel.ts'
import type {
  Batch,
  BatchTrigger,
  Reason,
  SinkContext,
  SinkStatus,
  SinkWriter,
  SubmitContext,
  SubmitOutcome,
  WriteBatch,
} from './spi.ts'

/**
 * The sink engine: buffers entries, makes batches by size, weight and age, keeps requests in flight, repeats what is to be
 * repeated, and gives every entry exactly one outcome. A sink adds `convert` and `submit`.
 *
 * Follows Flink's AsyncSinkWriter (FLIP-171) and adds attempts per entry, delays between repeats, partial outcomes, isolation
 * of culprits, and batches that never shrink under throttling.
 *
 * @example
 * ```ts
 * class HttpWriter extends AsyncSinkWriter<Point, string> {
 *   protected convert(point: Point, emit: (line: string) => void): void {
 *     emit(`${point.name} ${point.value}`)
 *   }
 *   protected async submit(batch: Batch<string>, { signal }: SubmitContext): Promise<SubmitOutcome> {
 *     const answer = await fetch(this.#url, { method: 'POST', body: batch.entries.join('\n'), signal })
 *     if (answer.ok) return ALL_WRITTEN
 *     return { retryAll: { code: String(answer.status), message: answer.statusText } }
 *   }
 * }
 * ```
 */
export abstract class AsyncSinkWriter<In, Entry> implements SinkWriter<In> {
  protected readonly context: SinkContext
  protected readonly limits: ResolvedSinkOptions
  readonly #hand = new InHand<Entry>()
  readonly #disposition: Disposition<Entry>
  readonly #congestion: CongestionControl
  readonly #counters: SinkCounters
  readonly #batches: Partial<Record<BatchTrigger, Counter>> = {}
  readonly #room = new WakeUp()
  /** What the conversion under way emitted; its slots are reused, since emptying a list costs more than converting a record. */
  readonly #scratch: (Entry | undefined)[] = []
  #emitted = 0
  readonly #emit = (entry: Entry): void => {
    this.#scratch[this.#emitted++] = entry
  }
  #hastenedUpTo = 0
  #timer: { readonly dueAt: number; readonly timer: Timer } | undefined
  #closing: Promise<void> | undefined
  #lastSendTimeMs: number = Number.NaN

  /** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options. */
  constructor(context: SinkContext, options: AsyncSinkOptions) {
    this.context = context
    this.limits = resolveSinkOptions(options)
    this.#congestion = new CongestionControl(this.limits.maxInFlightRequests)
    this.#counters = sinkCounters(context.metrics)
    this.#disposition = new Disposition(context, this.limits, this.#counters, this.#hand, this.#congestion, () =>
      this.#room.wake(),
    )
    this.#registerGauges()
  }

  /**
   * Turns one value into none, one or many entries. Synchronous and repeatable: the same value always gives the same entries.
   * A throw refuses the value (stage `convert`).
   */
  protected abstract convert(value: In, emit: (entry: Entry) => void): void

  /** Sends one request and says what became of it. Rejecting is allowed, and treated as `isolate`. */
  protected abstract submit(batch: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome>

  /** The entry's share of `maxBatchWeight`. @default 1 */
  protected weight?(entry: Entry): number

  /** The entry's bytes, for `maxBatchSizeInBytes`, `maxRecordSizeInBytes`, `maxBufferedBytes` and metrics. @default 0 */
  protected sizeInBytes?(entry: Entry): number

  write(batch: WriteBatch<In>, from: number, to: number): number {
    if (this.#closing !== undefined) return from
    const { queue, flights } = this.#hand
    const now = this.context.clock.now()
    let index = from
    while (index < to && this.#hasRoom()) {
      this.#accept(batch.values[index] as In, batch.tokens[index] as number, batch.byteLengths[index] as number, now)
      index++
      if (queue.length >= this.limits.maxBatchSize && flights.size < this.#congestion.limit) this.#pump()
    }
    this.#pump()
    return index
  }

  ready(): Promise<void> {
    if (this.#closing === undefined && this.#hasRoom()) return Promise.resolve()
    return this.#room.wait()
  }

  hasten(): void {
    this.#hastenedUpTo = this.#hand.queue.pushed
    this.#pump()
  }

  release(_splitId: string): number {
    return 0
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0)
  }

  status(): SinkStatus {
    const counters = this.#counters
    const hand = this.#hand
    const oldest = hand.oldest(this.context.clock.now())
    return {
      accepted: counters.numRecordsAccepted.value,
      written: counters.numRecordsOut.value,
      duplicate: counters.numRecordsDuplicate.value,
      dropped: counters.numRecordsDropped.value,
      deadLettered: counters.numRecordsDeadLettered.value,
      returned: counters.numRecordsReturned.value,
      abandoned: counters.numRecordsAbandoned.value,
      inHand: hand.count(),
      bufferedRecords: hand.bufferedRecords,
      retryingRecords: hand.waiting.entries,
      inFlightRecords: hand.countInFlight(),
      inFlightRequests: hand.flights.size,
      bufferedBytes: hand.bufferedBytes,
      ...(oldest === undefined ? {} : { oldest }),
    }
  }

  #hasRoom(): boolean {
    const { bufferedRecords, bufferedBytes } = this.#hand
    return bufferedRecords < this.limits.maxBufferedRequests && bufferedBytes < this.limits.maxBufferedBytes
  }

  #accept(value: In, token: number, rawBytes: number, now: number): void {
    const scratch = this.#scratch
    this.#emitted = 0
    try {
      this.convert(value, this.#emit)
    } catch (error) {
      scratch.length = 0
      this.#counters.numRecordsAccepted.value++
      this.#refuse(token, rawBytes, now, { code: 'convertThrew', message: messageOf(error), cause: error })
      return
    }
    const count = this.#emitted
    this.#counters.numRecordsAccepted.value += count
    if (count !== 1) this.context.settlement.became(token, count)
    // Whole bytes: the sum comes back to exactly 0 when everything is settled.
    const rawShare = count === 1 ? rawBytes : Math.ceil(rawBytes / count)
    for (let index = 0; index < count; index++) {
      this.#enqueue(scratch[index] as Entry, token, rawShare, now)
      scratch[index] = undefined
    }
  }

  #enqueue(entry: Entry, token: number, rawShare: number, now: number): void {
    let size = 0
    let weight = 1
    try {
      if (this.sizeInBytes !== undefined) size = measured('sizeInBytes', this.sizeInBytes(entry))
      if (this.weight !== undefined) weight = measured('weight', this.weight(entry))
    } catch (error) {
      this.#refuse(token, rawShare, now, { code: 'convertThrew', message: messageOf(error), cause: error }, entry)
      return
    }
    if (size > this.limits.maxRecordSizeInBytes) {
      const message = `${size} bytes, allowed are ${this.limits.maxRecordSizeInBytes} (maxRecordSizeInBytes)`
      this.#refuse(token, rawShare + size, now, { code: 'recordTooLarge', message }, entry)
      return
    }
    this.#hand.bufferedBytes += rawShare + size
    this.#hand.queue.push(entry, token, now, size, weight, rawShare + size)
  }

  #refuse(token: number, bytes: number, now: number, reason: Reason, entry?: Entry): void {
    const refusal = { token, stage: 'convert', reason, attempts: 0, ...(entry === undefined ? {} : { entry }) } as const
    this.#disposition.refuse(refusal, bytes, now, true)
  }

  /** Sends whatever may be sent now and sets the timer for the rest. */
  #pump(): void {
    if (this.#closing !== undefined) return
    const now = this.context.clock.now()
    while (this.#hand.flights.size < this.#congestion.limit) {
      const next = this.#nextParcel(now)
      if (next === undefined) break
      this.#send(next.parcel, next.trigger)
    }
    this.#arm(now)
    // Also after a timer or a hasten: entries that left the buffer made room.
    if (this.#hasRoom()) this.#room.wake()
  }

  #nextParcel(now: number): { readonly parcel: Parcel<Entry>; readonly trigger: BatchTrigger } | undefined {
    const due = this.#hand.waiting.popDue(now)
    if (due !== undefined) {
      if (!due.exact) this.#topUp(due, now)
      return { parcel: due, trigger: due.exact ? 'isolate' : 'retry' }
    }
    const trigger = this.#trigger(now)
    if (trigger === undefined) return undefined
    const parcel = new Parcel<Entry>()
    this.#fill(parcel)
    return { parcel, trigger }
  }

  /** Fills a repeated request with other due entries, then with new ones: a repeat does not cost a request of its own. */
  #topUp(parcel: Parcel<Entry>, now: number): void {
    const { maxBatchSize, maxBatchSizeInBytes, maxBatchWeight } = this.limits
    // A request whose tokens are settled must not be mixed with one that holds them.
    const fits = (other: Parcel<Entry>): boolean =>
      !other.exact &&
      other.holdsTokens === parcel.holdsTokens &&
      parcel.length + other.length <= maxBatchSize &&
      parcel.sizeInBytes + other.sizeInBytes <= maxBatchSizeInBytes &&
      parcel.weight + other.weight <= maxBatchWeight
    for (let other = this.#hand.waiting.popDue(now, fits); other !== undefined;) {
      for (let index = 0; index < other.length; index++) parcel.move(other, index)
      other = this.#hand.waiting.popDue(now, fits)
    }
    if (parcel.holdsTokens) this.#fill(parcel)
  }

  #fill(parcel: Parcel<Entry>): void {
    const { maxBatchSize, maxBatchSizeInBytes, maxBatchWeight } = this.limits
    this.#hand.queue.moveTo(parcel, maxBatchSize, maxBatchSizeInBytes, maxBatchWeight)
  }

  #trigger(now: number): BatchTrigger | undefined {
    const { queue, flights, bufferedBytes } = this.#hand
    const { oldestAt } = queue
    if (oldestAt === undefined) return undefined
    if (queue.length >= this.limits.maxBatchSize) return 'size'
    if (queue.weight >= this.limits.maxBatchWeight || queue.sizeInBytes >= this.limits.maxBatchSizeInBytes)
      return 'weight'
    // Nothing more is admitted and no answer will make room: the batch cannot become fuller than it is.
    if (flights.size === 0 && bufferedBytes >= this.limits.maxBufferedBytes) return 'weight'
    if (queue.taken < this.#hastenedUpTo) return 'hasten'
    return oldestAt + this.limits.maxTimeInBufferMS <= now ? 'time' : undefined
  }

  #arm(now: number): void {
    const { queue, waiting, flights } = this.#hand
    // With every request slot taken, the next answer pumps; a timer that is due already would only spin.
    if (flights.size >= this.#congestion.limit) return
    const { oldestAt } = queue
    const age = oldestAt === undefined ? Number.POSITIVE_INFINITY : oldestAt + this.limits.maxTimeInBufferMS
    const dueAt = Math.min(age, waiting.nextDueAt ?? Number.POSITIVE_INFINITY)
    if (dueAt === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.dueAt <= dueAt)) return
    this.#timer?.timer.cancel()
    const timer = this.context.clock.after(dueAt - now, () => {
      this.#timer = undefined
      this.#pump()
    })
    this.#timer = { dueAt, timer }
  }

  #send(parcel: Parcel<Entry>, trigger: BatchTrigger): void {
    this.#countSent(parcel, trigger)
    this.#sabotageEarlyAcknowledgement(parcel)
    const { clock } = this.context
    const sentAt = clock.now()
    const abort = new AbortController()
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const finish = (verdict: Verdict): void => {
      if (!this.#hand.flights.delete(flight)) {
        this.#counters.numLateAnswers.value++
        return
      }
      expiry.cancel()
      this.#lastSendTimeMs = clock.now() - sentAt
      this.#answered(parcel, verdict)
      resolve()
    }
    const expiry = deadline(clock, this.limits.requestTimeoutMs, () => {
      const message = `no answer within ${this.limits.requestTimeoutMs} ms (requestTimeoutMs)`
      finish({ kind: 'all', reason: { code: 'timeout', message }, slowDown: true, unknown: true })
      abort.abort(new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { restartable: true }))
    })
    const flight: Flight<Entry> = { parcel, abort, expiry, done }
    this.#hand.flights.add(flight)
    // A copy: what a sink or a user's function does to its list must not reach the engine's.
    const batch: Batch<Entry> = { entries: parcel.entries.slice(), destination: '', weight: parcel.weight, trigger }
    void this.#submitSafely(batch, parcel.length, { attempt: 1 + parcel.mostTries, signal: abort.signal, replaySuspect: false }).then(finish)
  }

  async #submitSafely(batch: Batch<Entry>, entries: number, context: SubmitContext): Promise<Verdict> {
    try {
      return judge(await this.submit(batch, context), entries)
    } catch (error) {
      if (SluiceError.isInstance(error)) return { kind: 'fail', error }
      const reason = { code: 'submitThrew', message: messageOf(error), cause: error }
      return { kind: 'halve', reason, counted: true }
    }
  }

  #answered(parcel: Parcel<Entry>, verdict: Verdict): void {
    try {
      if (this.#closing !== undefined) {
        this.#disposition.applyClosed(parcel, verdict)
        return
      }
      this.#disposition.apply(parcel, verdict)
    } catch (error) {
      this.context.fail(
        new SluiceError('SLUICE_INTERNAL', `an answer could not be applied: ${messageOf(error)}`, { cause: error }),
      )
      return
    }
    this.#pump()
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock } = this.context
    const hand = this.#hand
    this.#timer?.timer.cancel()
    const { promise: expired, resolve } = Promise.withResolvers<void>()
    const expiry = deadline(clock, deadlineMs, resolve)
    const flights = [...hand.flights]
    const reason = new SluiceError('SLUICE_CLOSED', 'the writer was closed', { restartable: true })
    for (const { abort } of flights) abort.abort(reason)
    await Promise.race([Promise.all(flights.map(({ done }) => done)), expired])
    expiry.cancel()
    this.#counters.numRecordsAbandoned.value += hand.count()
    hand.clear()
    this.#room.wake()
  }

  /** What the fault campaigns must catch: inputs acknowledged when they are sent instead of when they are stored. */
  #sabotageEarlyAcknowledgement(parcel: Parcel<Entry>): void {
    if (!parcel.holdsTokens || !failpoint('sabotage:ack-early')) return
    parcel.holdsTokens = false
    for (let index = 0; index < parcel.length; index++) this.context.settlement.settle(parcel.token(index))
  }

  #countSent(parcel: Parcel<Entry>, trigger: BatchTrigger): void {
    const { numRequests, numRecordsSend, numBytesSend } = this.#counters
    numRequests.value++
    const batches = (this.#batches[trigger] ??= this.context.metrics.counter(SINK_METRICS.numBatches, { trigger }))
    batches.value++
    if (parcel.exact) return
    if (parcel.attempts === undefined) {
      numRecordsSend.value += parcel.length
      numBytesSend.value += parcel.sizeInBytes
      return
    }
    for (let index = 0; index < parcel.length; index++) {
      if (parcel.tries(index) > 0) continue
      numRecordsSend.value++
      numBytesSend.value += parcel.size(index)
    }
  }

  #registerGauges(): void {
    const { metrics } = this.context
    metrics.gauge(SINK_METRICS.inHand, () => this.#hand.count())
    metrics.gauge(SINK_METRICS.bufferedRecords, () => this.#hand.bufferedRecords)
    metrics.gauge(SINK_METRICS.bufferedBytes, () => this.#hand.bufferedBytes)
    metrics.gauge(SINK_METRICS.inFlightRequests, () => this.#hand.flights.size)
    metrics.gauge(SINK_METRICS.currentSendTime, () => this.#lastSendTimeMs)
  }
}

/** A sum with NaN would never again compare as full or as empty. */
function measured(what: string, value: number): number {
  if (value >= 0 && value < Number.POSITIVE_INFINITY) return value
  throw new RangeError(`${what} must give a number from 0 up, got ${value}`)
}
