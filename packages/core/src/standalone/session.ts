import type { CheckpointStore } from '../checkpoint/storage.ts'
import type { DeadLetterStatus } from '../dead-letters/dead-letters.ts'
import { Delivery } from '../dead-letters/delivery.ts'
import { distinct, openDeadLetters } from '../dead-letters/lifecycle.ts'
import { SluiceError } from '../errors.ts'
import { Assignments } from '../job/assignments.ts'
import { type Lent, sourceContext } from '../job/contexts.ts'
import { Grace } from '../job/grace.ts'
import type { AnySource, JobPlan } from '../job/plan.ts'
import { restoredState } from '../job/restore.ts'
import { type Released, releaseSplits } from '../job/split-release.ts'
import { StartWatch } from '../job/start-watch.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import { SOURCE_METRICS } from '../metrics/source-metrics.ts'
import { Breather } from '../runtime/breather.ts'
import { WakeUp } from '../runtime/signal.ts'
import type { ReaderStatus, ReleaseHow, SourceReader, SourceSplit, SplitEnumerator } from '../source/spi.ts'
import { Tracker } from '../tracker/tracker.ts'
import { Feed, type Run } from './feed.ts'
import { Hand, type Retry } from './hand.ts'
import type { ResolvedMessagesOptions } from './options.ts'
import { Positions } from './positions.ts'
import { type OldestMessage, Window } from './window.ts'

/** What `status()` of messages and batches tells. */
export interface MessagesStatus {
  readonly state: 'idle' | 'starting' | 'running' | 'exhausted' | 'ended' | 'failed'
  /** Records handed out or refused by decode. */
  readonly emitted: number
  /** Messages handed out and not acknowledged, those that wait to be handed out again included. */
  readonly unacked: number
  /** Records that a kill at this moment would repeat; for sources that acknowledge one by one, what is unacked or not yet told. */
  readonly repeatIfKilledNow: number
  readonly oldest?: OldestMessage
  /** Why nothing is handed out although there may be more. */
  readonly waitingFor?: string
  /** Acknowledgements and refusals that came after the end or the release of the split, and did nothing. */
  readonly late: number
  readonly readers: readonly ReaderStatus[]
  readonly deadLetters: DeadLetterStatus
}

/**
 * One source read by hand. It is made of the parts of an attempt of a job (tracker, assignments, releases, checkpoints,
 * acknowledgements, dead letters) around a loop of its own: a job emits ahead of its sinks, so that a checkpoint would wait for
 * records that nobody has asked for, and ends only with all that was emitted; here a record is emitted when it is handed out.
 *
 * Of each split what is settled before the first record that is not is acknowledged, to the record: at each interval, and at the end,
 * when every split goes back as it would in a rebalance.
 */
export class Session {
  readonly #source: AnySource
  readonly #options: ResolvedMessagesOptions
  readonly #tracker: Tracker
  readonly #delivery: Delivery
  readonly hand: Hand
  readonly #window: Window
  readonly #breather: Breather
  readonly #assignments: Assignments<Feed>
  readonly #abort = new AbortController()
  readonly #woken = new WakeUp()
  readonly #watch: StartWatch
  readonly #unregister: (() => void)[] = []
  #state: MessagesStatus['state'] = 'idle'
  #store: CheckpointStore | undefined
  #positions: Positions | undefined
  #enumerator: SplitEnumerator<unknown> | undefined
  #reader: SourceReader<unknown, SourceSplit> | undefined
  #feed: Feed | undefined
  #failure: SluiceError | undefined
  #ending: Promise<void> | undefined

  constructor(source: AnySource, options: ResolvedMessagesOptions) {
    this.#source = source
    this.#options = options
    this.#watch = new StartWatch(options.job.clock, options.job.startTimeoutMs)
    const { job } = options
    const { acknowledgement } = source
    this.#tracker = new Tracker({
      maxRetainedBytes: job.maxRetainedBytes,
      acknowledgement,
      onEnded: (batch, index, how) => this.#reader?.recordEnded(batch, index, how),
    })
    this.#delivery = this.#makeDelivery()
    this.hand = new Hand({
      tracker: this.#tracker,
      delivery: this.#delivery,
      late: job.metrics.group({ job: job.name }).counter(JOB_METRICS.numLateSettlements),
      acknowledgement,
      maxAttempts: options.maxAttempts,
      onEnded: () => this.#onEnded(),
    })
    this.#window = new Window({
      ...job,
      tracker: this.#tracker,
      hand: this.hand,
      acknowledgement,
      maxUnacked: options.maxUnacked,
    })
    this.#breather = new Breather(job.clock)
    this.#assignments = new Assignments<Feed>({
      source,
      parallelism: 1,
      fail: this.#fail,
      release: async (...how) => (await this.#release(...how)).splits,
    })
  }

  get clock(): ResolvedMessagesOptions['job']['clock'] {
    return this.#options.job.clock
  }

  /**
   * The next message to repeat, or the next records, at most `max`; undefined at the end.
   *
   * @throws SluiceError whatever ended the reading, after everything was closed.
   */
  async take(max: number): Promise<Run | Retry | undefined> {
    if (this.#state === 'idle') void this.#start()
    // A loop over messages that are here already would leave timers and sockets no turn.
    const pause = this.#breather.turn()
    if (pause !== undefined) await pause
    for (;;) {
      if (this.#failure !== undefined || this.#ending !== undefined) {
        await this.close()
        return undefined
      }
      const taken = this.#takeNow(max)
      if (taken !== undefined) return taken
      if (this.#feed?.ended === true && this.#isThrough()) {
        if (this.#tracker.unsettled === 0) await this.close()
        return undefined
      }
      await this.#woken.wait()
      this.#breather.rested()
    }
  }

  /**
   * Acknowledges what was acked, gives the rest back, and closes the source, within the deadline.
   *
   * @throws SluiceError what ended the reading, or why the last acknowledgement failed.
   */
  async close(): Promise<void> {
    this.#ending ??= this.#end()
    await this.#ending
    if (this.#failure !== undefined) throw this.#failure
  }

  /** As after the last message: what was handed out may still be acknowledged. */
  async leave(): Promise<void> {
    if (this.#state !== 'exhausted') await this.close()
  }

  status(): MessagesStatus {
    const { oldest, waitingFor } = this.#window
    return {
      state: this.#state,
      emitted: this.#tracker.next,
      unacked: this.hand.size,
      repeatIfKilledNow: this.#repeatIfKilledNow(),
      ...(oldest === undefined ? {} : { oldest }),
      ...(waitingFor === undefined ? {} : { waitingFor }),
      late: this.hand.late,
      readers: this.#assignments.readers.map((reader) => reader.status()),
      deadLetters: this.#delivery.status(),
    }
  }

  #repeatIfKilledNow(): number {
    const positions = this.#positions
    const kept = this.#source.positionAuthority === 'external' ? positions?.acknowledgedUpTo : positions?.coveredUpTo
    return this.#tracker.next - (kept ?? 0)
  }

  #takeNow(max: number): Run | Retry | undefined {
    if (this.#state !== 'running') return undefined
    const retry = this.hand.takeRetry()
    if (retry !== undefined) return retry
    const { room } = this.#window
    const run = room > 0 ? this.#feed?.take(Math.min(room, max)) : undefined
    if (run === undefined) this.#window.logStall()
    return run
  }

  /** Nothing will be handed out any more; what the caller still has may be acknowledged until {@link Session.close}. */
  #isThrough(): boolean {
    // Dead letters under way may still fail the loop.
    if (this.hand.size === 0 && this.#tracker.unsettled > 0) return false
    this.#state = 'exhausted'
    this.hand.refuseRetries()
    return true
  }

  #onEnded(): void {
    this.#woken.wake()
    if (this.#state === 'exhausted' && this.#tracker.unsettled === 0) this.#closeAlone()
  }

  /** Nobody pulls any more: what goes wrong is told by `close`, and by the log. */
  #closeAlone(): void {
    this.close().catch((error: unknown) => {
      const { logger, name } = this.#options.job
      logger.error({ job: name, err: error }, 'The messages could not be ended well')
    })
  }

  readonly #fail = (error: SluiceError): void => {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#woken.wake()
    if (this.#state === 'exhausted') this.#closeAlone()
  }

  async #start(): Promise<void> {
    this.#state = 'starting'
    try {
      await Promise.race([this.#setUp(), this.#watch.expired])
    } catch (error) {
      this.#fail(SluiceError.from(error, 'SLUICE_SOURCE_FAILED', this.#source.uid))
    }
    this.#woken.wake()
  }

  /** May still run when the end has come: after each wait it looks, and then makes nothing more. */
  async #setUp(): Promise<void> {
    const { job } = this.#options
    const { clock, logger, name, checkpoints, deadLetters, deadLetterRetry } = job
    await openDeadLetters(distinct(deadLetters, new Map()), clock, deadLetterRetry.timeoutMs)
    if (this.#ending !== undefined) return
    this.#watch.begin('opening the checkpoint storage')
    const store = await checkpoints.storage.open(name, logger)
    if (this.#ending !== undefined) return await store[Symbol.asyncDispose]()
    this.#store = store
    if (!job.durable && this.#source.positionAuthority === 'checkpoint') {
      logger.warn(
        { job: name },
        'Positions are kept in memory only: set checkpoints.storage to go on after a restart of the process',
      )
    }
    this.#watch.begin('loading the newest checkpoint')
    const restored = await store.load()
    const state = restoredState(this.#source, restored, name, store.loadedFrom)
    if (this.#ending !== undefined) return
    const lent = this.#lent(store)
    const positions = this.#makePositions(store, restored?.id ?? 0)
    this.#positions = positions
    const enumerator = this.#source.createEnumerator(this.#assignments.context(sourceContext(lent)), state)
    this.#enumerator = enumerator
    const reader = this.#source.createReader({ ...sourceContext(lent), subtask: 0 })
    this.#reader = reader
    const feed = this.#makeFeed(reader)
    this.#assignments.members.push({ reader, subtask: feed })
    this.#watch.begin(`finding the splits of source '${this.#source.uid}'`)
    await enumerator.start()
    this.#watch.end()
    if (restored === undefined && this.#source.positionAuthority === 'checkpoint' && this.#ending === undefined)
      await positions.storeStart()
    if (this.#ending !== undefined || this.#failure !== undefined) return
    this.#assignments.open()
    positions.start()
    this.#registerGauges()
    this.#feed = feed
    this.#state = 'running'
  }

  #lent(store: CheckpointStore): Lent {
    const { job } = this.#options
    const { checkpoints, ...rest } = job
    const plan: JobPlan = {
      ...rest,
      ...checkpoints,
      source: this.#source,
      steps: [],
      sinks: [],
      sinkDeadLetters: new Map(),
      store,
    }
    return {
      plan,
      tracker: this.#tracker,
      delivery: this.#delivery,
      signal: this.#abort.signal,
      fail: this.#fail,
      requestCheckpoint: (reason) => this.#positions?.request(reason),
    }
  }

  #makeFeed(reader: SourceReader<unknown, SourceSplit>): Feed {
    const { metrics, name } = this.#options.job
    const group = metrics.group({ job: name, source: this.#source.uid })
    return new Feed({
      sourceUid: this.#source.uid,
      reader,
      tracker: this.#tracker,
      recordsEmitted: group.counter(JOB_METRICS.numRecordsEmitted),
      recordErrors: group.counter(SOURCE_METRICS.numRecordsInErrors),
      splitFinished: (splitId) => this.#positions?.splitFinished(splitId),
      refused: (refusal) => this.#delivery.refused(undefined, refusal),
      wake: () => this.#onEnded(),
    })
  }

  #makeDelivery(): Delivery {
    const { job } = this.#options
    const { deadLetters, name, metrics } = job
    return new Delivery({
      ...job,
      job: name,
      retry: job.deadLetterRetry,
      metrics: metrics.group({ job: name }),
      targets: distinct(deadLetters, new Map()),
      target: () => deadLetters,
      origin: (token) => this.#tracker.origin(token),
      isAwaited: () => this.hand.size === 0 || this.#tracker.waitsFor !== undefined,
      fail: this.#fail,
    })
  }

  #makePositions(store: CheckpointStore, restoredId: number): Positions {
    return new Positions({
      source: this.#source,
      options: this.#options,
      tracker: this.#tracker,
      assignments: this.#assignments,
      store,
      restoredId,
      enumerator: () => this.#enumerator,
      hasten: () => this.#delivery.hasten(),
      release: (splitIds, deadlineMs) => this.#release(splitIds, 'revoked', deadlineMs),
      fail: this.#fail,
    })
  }

  async #release(splitIds: readonly string[], how: ReleaseHow, deadlineMs: number): Promise<Released> {
    const released = await releaseSplits(
      {
        clock: this.#options.job.clock,
        tracker: this.#tracker,
        members: this.#assignments.members,
        writers: [this.hand],
        signal: this.#abort.signal,
        hastenUntil: () => {
          this.#delivery.hasten()
          return () => undefined
        },
        takeUnacknowledged: ({ reader }, splitId) => this.#positions?.takeOf(reader, splitId) ?? [],
        giveUpCheckpoint: () => this.#positions?.giveUp(),
      },
      splitIds,
      how,
      deadlineMs,
    )
    this.#positions?.released(released.splits)
    return released
  }

  async #end(): Promise<void> {
    const { clock, logger, name, deadLetters } = this.#options.job
    const grace = new Grace(clock, logger, name, this.#options.closeDeadlineMs)
    this.#watch.end()
    this.#woken.wake()
    // First the position after what was handed out: the rest of a batch goes back.
    this.#feed?.reportEmitted()
    this.#reader?.stopFetching()
    this.#tracker.stopWaiting()
    if (this.#state === 'running' || this.#state === 'exhausted') await this.#acknowledgeLast(grace)
    this.#delivery.end()
    this.hand.end()
    this.#abort.abort(new SluiceError('SLUICE_CLOSED', 'the messages were closed', { restartable: true }))
    const stopped = this.#positions?.stop()
    await grace.spend([() => this.#reader?.close(grace.leftMs)])
    await grace.spend([async () => this.#enumerator?.[Symbol.asyncDispose](), () => stopped])
    await grace.spend([async () => this.#store?.[Symbol.asyncDispose](), async () => deadLetters?.close?.()])
    this.#tracker.end()
    for (const unregister of this.#unregister) unregister()
    this.#state = this.#failure === undefined ? 'ended' : 'failed'
    this.#woken.wake()
  }

  async #acknowledgeLast(grace: Grace): Promise<void> {
    try {
      await this.#positions?.end(grace)
    } catch (error) {
      this.#fail(SluiceError.from(error, 'SLUICE_STATE_STORAGE', this.#source.uid))
    }
  }

  #registerGauges(): void {
    const { metrics, name } = this.#options.job
    const group = metrics.group({ job: name })
    this.#unregister.push(
      group.gauge(JOB_METRICS.unsettledRecords, () => this.#tracker.unsettled),
      group.gauge(JOB_METRICS.retainedBytes, () => this.#tracker.retainedBytes),
      group.gauge(JOB_METRICS.repeatIfKilledNow, () => this.#repeatIfKilledNow()),
    )
  }
}
