import type { GetRecordsOutput } from '@aws-sdk/client-kinesis'
import {
  backoffMs,
  type Counter,
  type Fetched,
  type MetricGroup,
  type SourceContext,
  type SplitFetcher,
} from '@sluice/core'

import type { KinesisApi } from './api.ts'
import { type BatchContext, KinesisRecordBatch } from './batch.ts'
import { fatalError, judge, type Judgement } from './classify.ts'
import { KINESIS_METRICS } from './metrics.ts'
import { ExpiryGuard, failPositionLost, MIN_RETENTION_MS, type Retention } from './retention.ts'
import { type KinesisPosition, type KinesisSplit, wantsOldest } from './split.ts'
import { WarningInterval } from './warning-interval.ts'

export interface FetcherOptions<T> extends BatchContext<T> {
  readonly maxRecordsPerFetch: number
  readonly emptyFetchIntervalMs: number
  readonly fetchIntervalMs: number
}

const BACKOFF = { initialDelayMs: 200, maxDelayMs: 10_000 }
/** After so many failures in a row the iterator itself may be what is wrong. */
const FAILURES_PER_ITERATOR = 3
/** How far behind the shard an answer was says nothing any more when it is this old and no other one came. */
const LAG_MAX_AGE_MS = 10_000

/** Reads one shard: keeps the iterator and the position up to which records were fetched, which is ahead of what was emitted. */
export class KinesisSplitFetcher<T> implements SplitFetcher<T, KinesisSplit> {
  readonly #context: SourceContext
  readonly #api: KinesisApi
  readonly #options: FetcherOptions<T>
  readonly #guard: ExpiryGuard
  readonly #metrics: ReturnType<typeof fetchCounters>
  readonly #warning: WarningInterval
  /**
   * What became known of a position after a batch ended at it. By the position itself: emission passes it later than fetching,
   * and what nobody can ask for any more goes.
   */
  readonly #known = new WeakMap<KinesisPosition, KinesisSplit>()
  #split: KinesisSplit
  #iterator: string | undefined
  #millisBehindLatest: number | undefined
  #answeredAt = 0
  #failures = 0
  /** Iterators in a row that had expired. */
  #expired = 0

  constructor(
    context: SourceContext,
    api: KinesisApi,
    options: FetcherOptions<T>,
    retention: Retention,
    split: KinesisSplit,
  ) {
    this.#context = context
    this.#api = api
    this.#options = options
    this.#split = split
    this.#guard = new ExpiryGuard(context, retention)
    this.#warning = new WarningInterval(context.clock)
    this.#metrics = fetchCounters(context.metrics)
  }

  /** The state of the shard when emission is at a position, with what is known by now. */
  withKnown(emitted: KinesisSplit): KinesisSplit {
    return this.#known.get(emitted.position) ?? emitted
  }

  /**
   * A failure that a repeat may heal comes back as a delay and not as a wait in here: the memory that is set aside for an
   * answer is free for other shards meanwhile.
   */
  async fetch(signal: AbortSignal): Promise<Fetched<T, KinesisSplit>> {
    const { clock } = this.#context
    const startedAt = clock.now()
    const startedMs = clock.wallNow()
    try {
      const expiredMs = await this.#guard.check(this.#split, signal)
      if (expiredMs !== undefined) this.#learn({ ...this.#split, readUpToMs: expiredMs })
      this.#iterator ??= await this.#openIterator(signal)
      // A closed shard whose records have all expired has no iterator.
      if (this.#iterator === undefined) return this.#fetched({}, startedAt, startedMs)
      const output = await this.#api.getRecords(this.#iterator, this.#options.maxRecordsPerFetch, signal)
      this.#metrics.numFetches.value++
      this.#succeeded()
      return this.#fetched(output, startedAt, startedMs)
    } catch (error) {
      if (signal.aborted) return this.#later(0)
      return this.#failed(error)
    }
  }

  async #openIterator(signal: AbortSignal): Promise<string | undefined> {
    const { splitId, position } = this.#split
    try {
      return await this.#api.getShardIterator(splitId, position, signal)
    } catch (error) {
      if (position.kind !== 'AFTER' || judge(error, 'running').failure.kind !== 'validation') throw error
      // A sequence number that this shard never gave out: the stream is another one than the checkpoint is of.
      const nowMs = this.#context.clock.wallNow()
      return failPositionLost(this.#context, this.#split, nowMs - MIN_RETENTION_MS, nowMs, error)
    }
  }

  #fetched(
    output: GetRecordsOutput | Record<string, never>,
    startedAt: number,
    startedMs: number,
  ): Fetched<T, KinesisSplit> {
    const { clock } = this.#context
    const { Records: records = [], NextShardIterator: next, MillisBehindLatest: behind } = output
    const batch = new KinesisRecordBatch(this.#options, this.#split, records, {
      last: next === undefined,
      fetchedMs: clock.wallNow(),
      awayFromMs: this.#guard.awayFromMs(this.#split),
    })
    this.#iterator = next
    this.#millisBehindLatest = behind ?? this.#millisBehindLatest
    this.#answeredAt = clock.now()
    const atEnd = records.length === 0 && behind === 0
    const [arrivedMs] = batch.eventTimesMs
    if (arrivedMs !== undefined) {
      // Nothing lies between the position, which emission may not have passed yet, and the first record after it.
      if (!wantsOldest(this.#split)) this.#learn({ ...this.#split, readUpToMs: arrivedMs })
      this.#split = batch.splitAfter(records.length - 1)
    } else {
      this.#metrics.numEmptyFetches.value++
      const { splitId, parentShardIds, position } = this.#split
      if (atEnd) this.#learn({ splitId, parentShardIds, position, readUpToMs: startedMs })
    }
    const { fetchIntervalMs, emptyFetchIntervalMs } = this.#options
    const untilNext = Math.max(0, fetchIntervalMs - (clock.now() - startedAt))
    const fetched = this.#later(atEnd ? Math.max(emptyFetchIntervalMs, untilNext) : untilNext)
    return { ...fetched, batch }
  }

  #learn(split: KinesisSplit): void {
    this.#split = split
    this.#known.set(split.position, split)
  }

  #later(delayMs: number): Fetched<T, KinesisSplit> {
    const tooOld = this.#context.clock.now() - this.#answeredAt > LAG_MAX_AGE_MS
    const behind = tooOld ? undefined : this.#millisBehindLatest
    return { delayMs, ...(behind === undefined ? {} : { millisBehindLatest: behind }) }
  }

  async #failed(error: unknown): Promise<Fetched<T, KinesisSplit>> {
    const judgement = judge(error, 'running')
    const { verdict } = judgement
    if (verdict === 'fatal') throw fatalError(error, await this.#target())
    if (verdict === 'expired') {
      this.#metrics.numExpiredIterators.value++
      this.#iterator = undefined
      // A new iterator that has expired already must not be asked for without end.
      const again = this.#expired++
      return this.#later(again === 0 ? 0 : backoffMs(again, this.#context.random, BACKOFF))
    }
    this.#failures++
    this.#metrics.numFetchErrors.value++
    if (verdict === 'throttled') this.#metrics.numFetchesThrottled.value++
    else if (this.#failures % FAILURES_PER_ITERATOR === 0) this.#iterator = undefined
    if (this.#warning.due()) this.#log(judgement)
    return this.#later(backoffMs(this.#failures, this.#context.random, BACKOFF))
  }

  #log({ verdict, failure }: Judgement): void {
    const { code, message, requestId } = failure
    this.#context.logger.warn(
      {
        source: this.#context.sourceUid,
        split: this.#split.splitId,
        failures: this.#failures,
        code,
        error: message,
        requestId,
      },
      verdict === 'throttled'
        ? 'the shard is read faster than the service allows; repeating with backoff (option fetchIntervalMs)'
        : 'reading the shard failed; repeating with backoff (option requestTimeoutMs)',
    )
  }

  #succeeded(): void {
    this.#expired = 0
    if (this.#failures === 0) return
    this.#context.logger.info(
      { source: this.#context.sourceUid, split: this.#split.splitId, failures: this.#failures },
      'the shard is read again',
    )
    this.#failures = 0
    this.#warning.reset()
  }

  async #target(): Promise<string> {
    return `shard ${this.#split.splitId} of ${await this.#api.describeTarget()}`
  }
}

function fetchCounters(
  metrics: MetricGroup,
): Readonly<
  Record<'numFetches' | 'numEmptyFetches' | 'numFetchErrors' | 'numFetchesThrottled' | 'numExpiredIterators', Counter>
> {
  return {
    numFetches: metrics.counter(KINESIS_METRICS.numFetches),
    numEmptyFetches: metrics.counter(KINESIS_METRICS.numEmptyFetches),
    numFetchErrors: metrics.counter(KINESIS_METRICS.numFetchErrors),
    numFetchesThrottled: metrics.counter(KINESIS_METRICS.numFetchesThrottled),
    numExpiredIterators: metrics.counter(KINESIS_METRICS.numExpiredIterators),
  }
}
