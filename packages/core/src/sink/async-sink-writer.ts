import { messageOf, SluiceError } from '../errors.ts'
import { SINK_METRICS, sinkCounters, type SinkCounters } from '../metrics/sink-metrics.ts'
import { backoffMs } from '../runtime/backoff.ts'
import { deadline, type Timer } from '../runtime/clock.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { WakeUp } from '../runtime/signal.ts'
import { CongestionControl } from './congestion-control.ts'
import { DueQueue } from './due-queue.ts'
import { emptyParcel, EntryQueue, moveEntry, type Parcel, sum } from './entry-queue.ts'
import { type AsyncSinkOptions, resolveSinkOptions, type ResolvedSinkOptions } from './options.ts'
import { halves, judge, type Verdict } from './outcome.ts'
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

interface InFlight<Entry> {
  readonly parcel: Parcel<Entry>
  readonly abort: AbortController
  readonly done: Promise<void>
}

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
  readonly #queue = new EntryQueue<Entry>()
  readonly #waiting = new DueQueue<Entry>()
  readonly #inFlight = new Set<InFlight<Entry>>()
  /** Entries whose refusal is being decided, by token: in hand until a dead letter is confirmed. */
  readonly #refusing = new Set<{ readonly since: number; readonly reason: string }>()
  readonly #congestion: CongestionControl
  readonly #counters: SinkCounters
  readonly #room = new WakeUp()
  readonly #scratch: Entry[] = []
  readonly #emit = (entry: Entry): void => {
    this.#scratch.push(entry)
  }
  #bufferedBytes = 0
  #hastenedUpTo = 0
  #timer: { readonly dueAt: number; readonly timer: Timer } | undefined
  #closing: Promise<void> | undefined
  #lastSendTimeMs = Number.NaN

  /** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options. */
  constructor(context: SinkContext, options: AsyncSinkOptions) {
    this.context = context
    this.limits = resolveSinkOptions(options)
    this.#congestion = new CongestionControl(this.limits.maxInFlightRequests)
    this.#counters = sinkCounters(context.metrics)
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
    const { maxBatchSize } = this.limits
    const now = this.context.clock.now()
    let index = from
    while (index < to && this.#hasRoom()) {
      this.#accept(batch.values[index] as In, batch.tokens[index] as number, batch.byteLengths[index] as number, now)
      index++
      if (this.#queue.length >= maxBatchSize && this.#inFlight.size < this.#congestion.limit) this.#pump()
    }
    this.#pump()
    return index
  }

  ready(): Promise<void> {
    if (this.#closing === undefined && this.#hasRoom()) return Promise.resolve()
    return this.#room.wait()
  }

  hasten(): void {
    this.#hastenedUpTo = this.#queue.pushed
    this.#pump()
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
    const inFlightRecords = this.#countInFlight()
    const oldest = this.#oldest()
    return {
      accepted: counters.numRecordsAccepted.value,
      written: counters.numRecordsOut.value,
      duplicate: counters.numRecordsDuplicate.value,
      dropped: counters.numRecordsDropped.value,
      deadLettered: counters.numRecordsDeadLettered.value,
      returned: counters.numRecordsReturned.value,
      abandoned: counters.numRecordsAbandoned.value,
      inHand: this.#inHand(),
      bufferedRecords: this.#queue.length + this.#waiting.entries,
      retryingRecords: this.#waiting.entries,
      inFlightRecords,
      inFlightRequests: this.#inFlight.size,
      bufferedBytes: this.#bufferedBytes,
      ...(oldest === undefined ? {} : { oldest }),
    }
  }

  #hasRoom(): boolean {
    return (
      this.#queue.length + this.#waiting.entries < this.limits.maxBufferedRequests &&
      this.#bufferedBytes < this.limits.maxBufferedBytes
    )
  }

  #accept(value: In, token: number, rawBytes: number, now: number): void {
    const scratch = this.#scratch
    scratch.length = 0
    try {
      this.convert(value, this.#emit)
    } catch (error) {
      this.#counters.numRecordsAccepted.value++
      this.#refuse(token, 0, 'convert', { code: 'convertThrew', message: messageOf(error), cause: error }, 0, undefined)
      return
    }
    const count = scratch.length
    if (count !== 1) this.context.settlement.became(token, count)
    this.#counters.numRecordsAccepted.value += count
    const rawShare = count === 0 ? 0 : rawBytes / count
    for (const entry of scratch) {
      const size = this.sizeInBytes === undefined ? 0 : this.sizeInBytes(entry)
      const charge = rawShare + size
      if (size > this.limits.maxRecordSizeInBytes) {
        const message = `${size} bytes, allowed are ${this.limits.maxRecordSizeInBytes} (maxRecordSizeInBytes)`
        this.#refuse(token, 0, 'convert', { code: 'recordTooLarge', message }, 0, entry)
        continue
      }
      this.#bufferedBytes += charge
      this.#queue.push(entry, token, now, size, this.weight === undefined ? 1 : this.weight(entry), charge)
    }
    scratch.length = 0
  }

  /** Sends whatever may be sent now and sets the timer for the rest. */
  #pump(): void {
    if (this.#closing !== undefined) return
    const now = this.context.clock.now()
    while (this.#inFlight.size < this.#congestion.limit) {
      const next = this.#nextParcel(now)
      if (next === undefined) break
      this.#send(next.parcel, next.trigger)
    }
    this.#arm(now)
  }

  #nextParcel(now: number): { parcel: Parcel<Entry>; trigger: BatchTrigger } | undefined {
    const due = this.#waiting.peekDue(now)
    if (due !== undefined) {
      const parcel = this.#waiting.pop() as Parcel<Entry>
      if (!parcel.exact) this.#topUp(parcel, now)
      return { parcel, trigger: parcel.isolation === undefined ? 'retry' : 'isolate' }
    }
    const trigger = this.#trigger(now)
    if (trigger === undefined) return undefined
    const parcel = emptyParcel<Entry>()
    this.#fill(parcel)
    return { parcel, trigger }
  }

  /** Fills a repeated request with other due entries, then with new ones: a repeat never costs a request of its own for long. */
  #topUp(parcel: Parcel<Entry>, now: number): void {
    const { maxBatchSize, maxBatchSizeInBytes, maxBatchWeight } = this.limits
    for (;;) {
      const other = this.#waiting.peekDue(now)
      if (other === undefined || other.exact) break
      if (parcel.entries.length + other.entries.length > maxBatchSize) break
      if (sum(parcel.sizes) + sum(other.sizes) > maxBatchSizeInBytes) break
      if (sum(parcel.weights) + sum(other.weights) > maxBatchWeight) break
      this.#waiting.pop()
      for (let index = 0; index < other.entries.length; index++) moveEntry(other, index, parcel)
    }
    this.#fill(parcel)
  }

  #fill(parcel: Parcel<Entry>): void {
    this.#queue.fill(parcel, this.limits.maxBatchSize, this.limits.maxBatchSizeInBytes, this.limits.maxBatchWeight)
  }

  #trigger(now: number): BatchTrigger | undefined {
    const queue = this.#queue
    const { oldestAt } = queue
    if (oldestAt === undefined) return undefined
    if (queue.length >= this.limits.maxBatchSize) return 'size'
    if (queue.weight >= this.limits.maxBatchWeight || queue.sizeInBytes >= this.limits.maxBatchSizeInBytes)
      return 'weight'
    if (queue.taken < this.#hastenedUpTo) return 'hasten'
    return oldestAt + this.limits.maxTimeInBufferMS <= now ? 'time' : undefined
  }

  #arm(now: number): void {
    // With every request slot taken, the next answer pumps; a timer that is due already would only spin.
    if (this.#inFlight.size >= this.#congestion.limit) return
    const { oldestAt } = this.#queue
    const age = oldestAt === undefined ? Number.POSITIVE_INFINITY : oldestAt + this.limits.maxTimeInBufferMS
    const dueAt = Math.min(age, this.#waiting.nextDueAt ?? Number.POSITIVE_INFINITY)
    if (dueAt === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.dueAt <= dueAt)) return
    this.#timer?.timer.cancel()
    const timer = this.context.clock.after(dueAt - now, () => {
      this.#timer = undefined
      this.#pump()
    })
    this.#timer = { dueAt, timer }
  }

  #send(parcel: Parcel<Entry>, trigger: BatchTrigger): void {
    const { clock, metrics, settlement } = this.context
    const counters = this.#counters
    const sentAt = clock.now()
    this.#countSent(parcel)
    counters.numRequests.value++
    metrics.counter(SINK_METRICS.numBatches, { trigger }).value++
    if (failpoint('sabotage:ack-early') && parcel.holdsTokens) {
      parcel.holdsTokens = false
      for (const token of parcel.tokens) settlement.settle(token)
    }
    const abort = new AbortController()
    const batch: Batch<Entry> = { entries: parcel.entries, weight: sum(parcel.weights), trigger }
    const attempt = 1 + (parcel.attempts === undefined ? 0 : Math.max(...parcel.attempts))
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const flight: InFlight<Entry> = { parcel, abort, done }
    this.#inFlight.add(flight)
    const finish = (verdict: Verdict | undefined): void => {
      if (!this.#inFlight.delete(flight)) {
        counters.numLateAnswers.value++
        return
      }
      expiry.cancel()
      resolve()
      if (this.#closing !== undefined) {
        this.#settleOnly(parcel, verdict)
        return
      }
      this.#lastSendTimeMs = clock.now() - sentAt
      if (verdict !== undefined) this.#apply(parcel, verdict)
      this.#pump()
      if (this.#hasRoom()) this.#room.wake()
    }
    const expiry = deadline(clock, this.limits.requestTimeoutMs, () => {
      const message = `no answer within ${this.limits.requestTimeoutMs} ms (requestTimeoutMs)`
      finish({ kind: 'all', reason: { code: 'timeout', message }, slowDown: true, unknown: true })
      abort.abort(new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { restartable: true }))
    })
    void this.#submitSafely(batch, { attempt, signal: abort.signal }).then((outcome) =>
      finish(judge(outcome, parcel.entries.length)),
    )
    failpoint('sink:submitted')
  }

  async #submitSafely(batch: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome> {
    try {
      return await this.submit(batch, context)
    } catch (error) {
      if (SluiceError.isInstance(error)) return { fail: error }
      return { isolate: { code: 'submitThrew', message: messageOf(error), cause: error } }
    }
  }

  #apply(parcel: Parcel<Entry>, verdict: Verdict): void {
    const counters = this.#counters
    switch (verdict.kind) {
      case 'written':
        this.#congestion.onSuccess()
        for (let index = 0; index < parcel.entries.length; index++) this.#settle(parcel, index, 'written')
        return
      case 'entries':
        this.#applyEach(parcel, verdict)
        return
      case 'all':
        counters.numRecordsSendErrors.value += parcel.entries.length
        if (verdict.unknown) counters.numRequestsUnknown.value++
        if (verdict.slowDown) {
          counters.numRequestsThrottled.value++
          this.#congestion.onSlowDown()
        }
        this.#retryParcel(parcel, verdict.reason, verdict.afterMs)
        return
      case 'halve':
        counters.numRecordsSendErrors.value += parcel.entries.length
        this.#halve(parcel, verdict)
        return
      case 'fail':
        this.#retryParcel(parcel, { code: verdict.error.code, message: verdict.error.message }, undefined)
        this.context.fail(verdict.error)
    }
  }

  #applyEach(parcel: Parcel<Entry>, verdict: Extract<Verdict, { kind: 'entries' }>): void {
    const again = new Map<string, { parcel: Parcel<Entry>; reason: Reason; afterMs: number | undefined }>()
    for (const [index, outcome] of verdict.entries.entries()) {
      if (outcome.kind === 'retry') {
        const key = `${outcome.reason.code} ${outcome.afterMs ?? ''}`
        const group = again.get(key) ?? {
          parcel: emptyParcel<Entry>(),
          reason: outcome.reason,
          afterMs: outcome.afterMs,
        }
        group.parcel.holdsTokens = parcel.holdsTokens
        moveEntry(parcel, index, group.parcel)
        again.set(key, group)
      } else if (outcome.kind === 'refuse') {
        this.#bufferedBytes -= parcel.charges[index] ?? 0
        const attempts = (parcel.attempts?.[index] ?? 0) + 1
        this.#refuse(
          parcel.tokens[index] as number,
          parcel.sizes[index] ?? 0,
          'store',
          outcome.reason,
          attempts,
          parcel.entries[index],
        )
      } else {
        this.#settle(parcel, index, outcome.kind)
      }
      if (outcome.kind !== 'written' && outcome.kind !== 'duplicate') this.#counters.numRecordsSendErrors.value++
    }
    if (again.size === 0) this.#congestion.onSuccess()
    for (const group of again.values()) this.#retryParcel(group.parcel, group.reason, group.afterMs)
  }

  #retryParcel(parcel: Parcel<Entry>, reason: Reason, afterMs: number | undefined): void {
    const { retry } = this.limits
    const kept = {
      ...emptyParcel<Entry>(),
      exact: parcel.exact,
      isolation: parcel.isolation,
      holdsTokens: parcel.holdsTokens,
    }
    let most = 0
    parcel.attempts ??= parcel.entries.map(() => 0)
    for (let index = 0; index < parcel.entries.length; index++) {
      const attempts = (parcel.attempts[index] ?? 0) + 1
      parcel.attempts[index] = attempts
      if (attempts < retry.maxAttempts) {
        moveEntry(parcel, index, kept)
        most = Math.max(most, attempts)
        continue
      }
      const exhausted: Reason = {
        ...reason,
        code: 'retriesExhausted',
        message: `${attempts} tries (retry.maxAttempts), the last ended with ${reason.code}: ${reason.message}`,
      }
      this.#bufferedBytes -= parcel.charges[index] ?? 0
      this.#refuse(
        parcel.tokens[index] as number,
        parcel.sizes[index] ?? 0,
        'store',
        exhausted,
        attempts,
        parcel.entries[index],
      )
    }
    if (kept.entries.length === 0) return
    kept.reason = `${reason.code}: ${reason.message}`
    this.#counters.numRecordsRetried.value += kept.entries.length
    const wait = Math.max(afterMs ?? 0, backoffMs(most, this.context.random, retry))
    this.#waiting.push(kept, this.context.clock.now() + wait)
  }

  #halve(parcel: Parcel<Entry>, verdict: Extract<Verdict, { kind: 'halve' }>): void {
    const { reason, counted } = verdict
    if (counted) parcel.isolation ??= { left: this.limits.maxIsolationRequests }
    const budget = parcel.isolation
    const spent = budget !== undefined && budget.left < 2
    if (parcel.entries.length === 1 || spent) {
      const refused = parcel.entries.length === 1 ? reason : { ...reason, code: 'isolationBudget' }
      for (let index = 0; index < parcel.entries.length; index++) {
        this.#bufferedBytes -= parcel.charges[index] ?? 0
        const attempts = (parcel.attempts?.[index] ?? 0) + 1
        this.#refuse(
          parcel.tokens[index] as number,
          parcel.sizes[index] ?? 0,
          'store',
          refused,
          attempts,
          parcel.entries[index],
        )
      }
      return
    }
    if (budget !== undefined) budget.left -= 2
    for (const half of halves(parcel)) {
      half.reason = `${reason.code}: ${reason.message}`
      this.#waiting.push(half, this.context.clock.now())
    }
  }

  #settle(parcel: Parcel<Entry>, index: number, kind: 'written' | 'duplicate' | 'dropped'): void {
    const counters = this.#counters
    this.#bufferedBytes -= parcel.charges[index] ?? 0
    if (kind === 'written') {
      counters.numRecordsOut.value++
      counters.numBytesOut.value += parcel.sizes[index] ?? 0
    } else if (kind === 'duplicate') counters.numRecordsDuplicate.value++
    else counters.numRecordsDropped.value++
    if (parcel.holdsTokens) this.context.settlement.settle(parcel.tokens[index] as number)
  }

  /** Hands the decision to core. The entry stays in hand until a letter is confirmed: a refusal is not an outcome. */
  #refuse(
    token: number,
    size: number,
    stage: 'convert' | 'store',
    reason: Reason,
    attempts: number,
    entry: Entry | undefined,
  ): void {
    const held = { since: this.context.clock.now(), reason: `refused, ${reason.code}: ${reason.message}` }
    this.#refusing.add(held)
    this.#bufferedBytes += size
    const { settlement } = this.context
    settlement.refused({ token, stage, reason, attempts, ...(entry === undefined ? {} : { entry }) }).then(
      (delivered) => {
        if (!delivered || !this.#refusing.delete(held)) return
        this.#bufferedBytes -= size
        this.#counters.numRecordsDeadLettered.value++
        settlement.settle(token)
        this.#room.wake()
      },
      (error: unknown) =>
        this.context.fail(SluiceError.from(error, 'SLUICE_SINK_FAILED', 'a refusal could not be handled')),
    )
  }

  /** After close: an answer that still came in time settles; nothing is repeated. */
  #settleOnly(parcel: Parcel<Entry>, verdict: Verdict | undefined): void {
    for (let index = 0; index < parcel.entries.length; index++) {
      const kind = verdict?.kind === 'entries' ? verdict.entries[index]?.kind : verdict?.kind
      if (kind === 'written' || kind === 'duplicate' || kind === 'dropped') this.#settle(parcel, index, kind)
      else this.#counters.numRecordsAbandoned.value++
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock } = this.context
    // Set before anything else runs: from here on nothing new is sent.
    await Promise.resolve()
    this.#timer?.timer.cancel()
    const { promise: expired, resolve } = Promise.withResolvers<void>()
    const expiry = clock.after(deadlineMs, resolve)
    const flights = [...this.#inFlight]
    for (const { abort } of flights)
      abort.abort(new SluiceError('SLUICE_CLOSED', 'the writer was closed', { restartable: true }))
    await Promise.race([Promise.all(flights.map(({ done }) => done)), expired])
    expiry.cancel()
    this.#counters.numRecordsAbandoned.value += this.#inHand()
    this.#queue.clear()
    this.#waiting.clear()
    this.#inFlight.clear()
    this.#refusing.clear()
    this.#bufferedBytes = 0
    this.#room.wake()
  }

  #countSent(parcel: Parcel<Entry>): void {
    const { numRecordsSend, numBytesSend } = this.#counters
    for (let index = 0; index < parcel.entries.length; index++) {
      if ((parcel.attempts?.[index] ?? 0) > 0 || parcel.exact) continue
      numRecordsSend.value++
      numBytesSend.value += parcel.sizes[index] ?? 0
    }
  }

  #countInFlight(): number {
    let count = 0
    for (const { parcel } of this.#inFlight) count += parcel.entries.length
    return count
  }

  #inHand(): number {
    let waiting = 0
    for (const parcel of this.#waiting.parcels()) waiting += parcel.entries.length
    return this.#queue.length + waiting + this.#countInFlight() + this.#refusing.size
  }

  #oldest(): SinkStatus['oldest'] {
    let since = this.#queue.oldestAt ?? Number.POSITIVE_INFINITY
    let reason = 'waiting for its batch'
    const consider = (at: number | undefined, why: string): void => {
      if (at === undefined || at >= since) return
      since = at
      reason = why
    }
    for (const parcel of this.#waiting.parcels()) consider(parcel.enqueuedAt[0], `to be retried, ${parcel.reason}`)
    for (const { parcel } of this.#inFlight) consider(parcel.enqueuedAt[0], 'waiting for the answer of its request')
    for (const refusal of this.#refusing) consider(refusal.since, refusal.reason)
    return since === Number.POSITIVE_INFINITY ? undefined : { ageMs: this.context.clock.now() - since, reason }
  }

  #registerGauges(): void {
    const { metrics } = this.context
    metrics.gauge(SINK_METRICS.inHand, () => this.#inHand())
    metrics.gauge(SINK_METRICS.bufferedRecords, () => this.#queue.length + this.#waiting.entries)
    metrics.gauge(SINK_METRICS.bufferedBytes, () => this.#bufferedBytes)
    metrics.gauge(SINK_METRICS.inFlightRequests, () => this.#inFlight.size)
    metrics.gauge(SINK_METRICS.currentSendTime, () => this.#lastSendTimeMs)
  }
}
