import { messageOf, SluiceError } from '../errors.ts'
import { SINK_METRICS, sinkCounters, type SinkCounters } from '../metrics/sink-metrics.ts'
import { WakeUp } from '../runtime/signal.ts'
import { Destinations } from './destinations.ts'
import { Disposition } from './disposition.ts'
import { ColumnPool } from './entry-queue.ts'
import { keyed, measured, named, recordTooLarge, refuseReturned } from './entry-rules.ts'
import { InHand } from './in-hand.ts'
import type { Destination, Lane } from './lane.ts'
import { Leaving } from './leaving.ts'
import { type AsyncSinkOptions, resolveSinkOptions, type ResolvedSinkOptions } from './options.ts'
import { Requests } from './requests.ts'
import { Scheduler } from './scheduler.ts'
import type {
  Batch,
  Reason,
  SinkContext,
  SinkStatus,
  SinkWriter,
  SubmitContext,
  SubmitOutcome,
  WriteBatch,
} from './spi.ts'
import { sinkStatus } from './status.ts'

/** Which of the optional methods a writer has. */
interface Hooks<Entry> {
  readonly sizeInBytes: boolean
  readonly weight: boolean
  /** The destination of a writer that does not choose one. */
  readonly only: Destination<Entry> | undefined
}

/**
 * The sink engine: buffers entries, makes batches by size, weight and age, keeps requests in flight, repeats what is to be
 * repeated, and gives every entry exactly one outcome. A sink adds `convert` and `submit`.
 *
 * Follows Flink's AsyncSinkWriter (FLIP-171) and adds attempts per entry, delays between repeats, partial outcomes, isolation
 * of culprits, destinations, ordered lanes, and batches that never shrink under throttling.
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
  /**
   * How the store answers. `entry`: for each by itself; then a request of an ordered lane holds one entry of each key only, since the
   * next one must not be stored before a repeat of the first. `request`: for all of a request together.
   */
  protected readonly answers: 'entry' | 'request' = 'entry'
  readonly #hand = new InHand<Entry>()
  readonly #destinations: Destinations<Entry>
  readonly #disposition: Disposition<Entry>
  readonly #scheduler: Scheduler<Entry>
  readonly #leaving: Leaving<Entry>
  readonly #requests: Requests<Entry>
  readonly #counters: SinkCounters
  readonly #room = new WakeUp()
  /** What the conversion under way emitted; its slots are reused, since emptying a list costs more than converting a record. */
  readonly #scratch: (Entry | undefined)[] = []
  /** {@link NOT_CONVERTING} while no conversion is under way. */
  #emitted = NOT_CONVERTING
  readonly #emit = (entry: Entry): void => {
    if (this.#emitted === NOT_CONVERTING) this.context.fail(emittedLate(this.context.sinkUid))
    else this.#scratch[this.#emitted++] = entry
  }
  /** The only lane of a writer that has neither destinations nor order. */
  #single: Lane<Entry> | undefined
  #hooks: Hooks<Entry> | undefined
  #ordered: boolean | undefined
  /** The sink said `fail`: what is in hand waits for the end of the attempt. */
  #hasFailed = false
  #closing: Promise<void> | undefined

  /** @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options. */
  constructor(context: SinkContext, options: AsyncSinkOptions) {
    this.context = context
    this.limits = resolveSinkOptions(options)
    const { limits } = this
    const hand = this.#hand
    const pool = new ColumnPool(limits.maxBatchSize)
    this.#destinations = new Destinations({
      destinations: hand.destinations,
      limits,
      pool,
      clock: context.clock,
      isOrdered: () => this.#isOrdered,
    })
    this.#counters = sinkCounters(context.metrics)
    this.#disposition = new Disposition({
      context,
      limits,
      counters: this.#counters,
      hand,
      pool,
      isOrdered: () => this.#isOrdered,
      onParked: (parcel) => {
        if (limits.entryTimeoutMs === Number.POSITIVE_INFINITY) return
        this.#leaving.watch(parcel.oldestAt, context.clock.now())
      },
      onFailed: () => {
        this.#hasFailed = true
      },
      onLeft: () => this.#room.wake(),
    })
    this.#scheduler = new Scheduler({
      hand,
      limits,
      clock: context.clock,
      isDistinct: () => this.answers === 'entry',
      hasSeveralDestinations: () => this.#destinations.areSeveral,
      onTime: (now) => this.#onTime(now),
    })
    this.#leaving = new Leaving({
      context,
      limits,
      counters: this.#counters,
      hand,
      disposition: this.#disposition,
      scheduler: this.#scheduler,
    })
    this.#requests = new Requests({
      context,
      limits,
      counters: this.#counters,
      hand,
      disposition: this.#disposition,
      submit: (batch, submitContext) => this.submit(batch, submitContext),
      isClosing: () => this.#closing !== undefined,
      onAnswered: (lane) => {
        const now = context.clock.now()
        this.#scheduler.answered(lane, now)
        if (this.destination !== undefined) this.#destinations.forgetIfAtRest(lane.destination)
        this.#pump()
      },
    })
    this.#registerGauges()
  }

  /**
   * Turns one value into none, one or many entries. Synchronous and repeatable: the same value always gives the same entries.
   * A throw refuses the value (stage `convert`).
   */
  protected abstract convert(value: In, emit: (entry: Entry) => void): void

  /** Sends one request and says what became of it. Rejecting is allowed, and treated as `isolate`. */
  protected abstract submit(batch: Batch<Entry>, context: SubmitContext): Promise<SubmitOutcome>

  /** Table, tenant, queue: entries of different destinations never share a request. @default one for all */
  protected destination?(entry: Entry): string

  /**
   * What the order of sending is kept for: entries with the same key are sent, and repeated, in their order. An integer from 0 to
   * 2^53 - 1; `orderKeyOf` makes one of a string. The keys of `keyBy` win. @default no order
   */
  protected orderKey?(entry: Entry): number

  /** The entry's share of `maxBatchWeight`. @default 1 */
  protected weight?(entry: Entry): number

  /** The entry's bytes, for `maxBatchSizeInBytes`, `maxRecordSizeInBytes`, `maxBufferedBytes` and metrics. @default 0 */
  protected sizeInBytes?(entry: Entry): number

  write(batch: WriteBatch<In>, from: number, to: number): number {
    if (this.#closing !== undefined) return from
    const now = this.context.clock.now()
    let index = from
    while (index < to && this.#hasRoom()) {
      this.#accept(batch, index, now)
      index++
      if (this.#scheduler.hasReady && this.#requests.slots > 0) this.#send(now)
    }
    this.#pump()
    return index
  }

  ready(): Promise<void> {
    if (this.#closing === undefined && this.#hasRoom()) return Promise.resolve()
    return this.#room.wait()
  }

  hasten(): void {
    if (this.#closing !== undefined) return
    const now = this.context.clock.now()
    for (const lane of this.#hand.lanes()) {
      lane.queue.hasten()
      this.#scheduler.consider(lane, now)
    }
    this.#pump()
  }

  release(_splitId: string): number {
    if (this.#closing !== undefined) return 0
    const returned = this.#leaving.release(this.context.clock.now())
    this.#pump()
    return returned
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0)
  }

  status(): SinkStatus {
    return sinkStatus(this.#counters, this.#hand, this.context.clock.now())
  }

  get #isOrdered(): boolean {
    this.#ordered ??= this.#decideOrder()
    return this.#ordered
  }

  #decideOrder(): boolean {
    const isOrdered = this.context.keyed === true || this.orderKey !== undefined
    const { orderedLanes, maxInFlightRequests } = this.limits
    if (isOrdered) {
      this.context.logger.debug(
        { sink: this.context.sinkUid, orderedLanes, maxInFlightRequests },
        'Entries are sent in order of their keys. Options: orderedLanes, maxBufferedRequests',
      )
    }
    return isOrdered
  }

  #hasRoom(): boolean {
    const { bufferedRecords, bufferedBytes } = this.#hand
    return bufferedRecords < this.limits.maxBufferedRequests && bufferedBytes < this.limits.maxBufferedBytes
  }

  #accept(batch: WriteBatch<In>, at: number, now: number): void {
    const { values, tokens, byteLengths } = batch
    const value = values[at] as In
    const rawBytes = byteLengths[at] as number
    const scratch = this.#scratch
    this.#emitted = 0
    try {
      const returned: unknown = this.convert(value, this.#emit)
      if (returned !== undefined) refuseReturned(returned)
    } catch (error) {
      this.#emitted = NOT_CONVERTING
      scratch.length = 0
      this.#counters.numRecordsAccepted.value++
      const reason = { code: 'convertThrew', message: messageOf(error), cause: error }
      this.#refuse(tokens[at] as number, rawBytes, now, reason, { value })
      return
    }
    const count = this.#emitted
    this.#emitted = NOT_CONVERTING
    this.#counters.numRecordsAccepted.value += count
    if (count !== 1) this.context.settlement.became(tokens[at] as number, count)
    // Whole bytes: the sum comes back to exactly 0 when everything is settled.
    const rawShare = count === 1 ? rawBytes : Math.ceil(rawBytes / count)
    for (let index = 0; index < count; index++) {
      this.#enqueue(scratch[index] as Entry, batch, at, rawShare, now)
      scratch[index] = undefined
    }
  }

  #enqueue(entry: Entry, { tokens, keys }: WriteBatch<In>, at: number, rawShare: number, now: number): void {
    const { maxBatchSize, maxBatchWeight, maxBatchSizeInBytes, maxRecordSizeInBytes, entryTimeoutMs } = this.limits
    const hooks = (this.#hooks ??= this.#findHooks())
    let size = 0
    let weight = 1
    let key = keys === undefined ? NO_KEY : (keys[at] as number)
    let lane = this.#single
    let name = ''
    try {
      if (hooks.sizeInBytes) size = measured('sizeInBytes', this.sizeInBytes?.(entry))
      if (hooks.weight) weight = measured('weight', this.weight?.(entry))
      if (lane === undefined) {
        if (key === NO_KEY && this.#isOrdered) key = keyed(this.orderKey?.(entry))
        if (hooks.only === undefined) name = named(this.destination?.(entry))
      }
    } catch (error) {
      const reason = { code: 'convertThrew', message: messageOf(error), cause: error }
      this.#refuse(tokens[at] as number, rawShare, now, reason, { entry })
      return
    }
    const charge = rawShare + size
    if (size > maxRecordSizeInBytes) {
      this.#refuse(tokens[at] as number, charge, now, recordTooLarge(size, maxRecordSizeInBytes), { entry })
      return
    }
    lane ??= (hooks.only ?? this.#destinations.of(name)).laneOf(key)
    const { queue } = lane
    this.#hand.bufferedBytes += charge
    this.#hand.bufferedRecords++
    queue.push(entry, tokens, at, now, size, weight, charge, key)
    const { length } = queue
    if (length === 1 && entryTimeoutMs !== Number.POSITIVE_INFINITY) this.#leaving.watch(now, now)
    // Nothing changes for the lane between its first entry and a full batch.
    const isFull = length === maxBatchSize || queue.weight >= maxBatchWeight || queue.sizeInBytes >= maxBatchSizeInBytes
    if (length === 1 || isFull) this.#scheduler.consider(lane, now)
  }

  /** Looked at once: to find out for every entry that a writer has none costs more than everything else here. */
  #findHooks(): Hooks<Entry> {
    const only = this.destination === undefined ? this.#destinations.of('') : undefined
    if (only !== undefined && !this.#isOrdered) this.#single = only.laneOf(0)
    return { sizeInBytes: this.sizeInBytes !== undefined, weight: this.weight !== undefined, only }
  }

  #refuse(token: number, bytes: number, now: number, reason: Reason, what: { value?: In; entry?: Entry }): void {
    this.#disposition.refuse({ token, stage: 'convert', reason, attempts: 0, ...what }, bytes, now, true)
  }

  /** Sends whatever may be sent now. */
  #pump(): void {
    if (this.#closing !== undefined) return
    const now = this.context.clock.now()
    this.#send(now)
    if (this.#hand.requests.size === 0 && !this.#hasRoom() && !this.#hasFailed) {
      // Nothing more is admitted and no answer will make room: the batches cannot become fuller than they are.
      const outgoing = this.#scheduler.fullest(now)
      if (outgoing !== undefined) this.#requests.send(outgoing, now)
    }
    // Also after a timer or a hasten: entries that left the buffer made room.
    if (this.#hasRoom()) this.#room.wake()
  }

  #send(now: number): void {
    // Asked for each time: a sink may hasten while it sends.
    while (this.#requests.slots > 0 && !this.#hasFailed) {
      const outgoing = this.#scheduler.next(now, this.#requests.slots)
      if (outgoing === undefined) return
      this.#requests.send(outgoing, now)
      this.#scheduler.consider(outgoing.lane, now)
    }
  }

  #onTime(now: number): void {
    this.#leaving.expire(now)
    for (const destination of this.#hand.destinations.values()) {
      this.#scheduler.considerAll(destination, now)
      if (this.destination !== undefined) this.#destinations.forgetIfAtRest(destination)
    }
    this.#pump()
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#scheduler.stop()
    await this.#requests.close(deadlineMs)
    this.#counters.numRecordsAbandoned.value += this.#hand.count()
    this.#hand.clear()
    this.#single = undefined
    this.#hooks = undefined
    this.#room.wake()
  }

  #registerGauges(): void {
    const { metrics } = this.context
    metrics.gauge(SINK_METRICS.inHand, () => this.#hand.count())
    metrics.gauge(SINK_METRICS.bufferedRecords, () => this.#hand.bufferedRecords)
    metrics.gauge(SINK_METRICS.bufferedBytes, () => this.#hand.bufferedBytes)
    metrics.gauge(SINK_METRICS.inFlightRequests, () => this.#hand.requests.size)
    metrics.gauge(SINK_METRICS.currentSendTime, () => this.#requests.lastSendTimeMs)
  }
}

const NOT_CONVERTING = -1

/** The value counts as filtered out by then: its entry would be lost without a word. */
function emittedLate(sink: string): SluiceError {
  return new SluiceError('SLUICE_SINK_FAILED', `sink ${sink}: convert called emit after it had returned`)
}

/** No order key is negative. */
const NO_KEY = -1
