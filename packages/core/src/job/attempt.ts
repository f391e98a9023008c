import { CheckpointCoordinator, type CheckpointStatus } from '../checkpoint/coordinator.ts'
import type { Checkpoint, EmittedHint } from '../checkpoint/storage.ts'
import { Delivery } from '../dead-letters/delivery.ts'
import { distinct } from '../dead-letters/lifecycle.ts'
import { SluiceError } from '../errors.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import { failpoint } from '../runtime/failpoints.ts'
import type { SinkWriter } from '../sink/spi.ts'
import type { SplitEnumerator } from '../source/spi.ts'
import { Tracker } from '../tracker/tracker.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { Assignments } from './assignments.ts'
import { type Lent, sinkContext, sourceContext } from './contexts.ts'
import { Emission } from './emission.ts'
import { Grace } from './grace.ts'
import { type Handover, type Leftover, leftoverOf } from './handover.ts'
import type { AnySink, JobPlan, ReleaseSplits } from './plan.ts'
import { oldestReason } from './oldest.ts'
import { ReplayHints } from './replay-hints.ts'
import { restoredState } from './restore.ts'
import type { AttemptStatus } from './status.ts'
import { releaseSplits } from './split-release.ts'
import { StartWatch } from './start-watch.ts'

/**
 * One run of a job, from the restored checkpoint to its end. Everything in it belongs to this attempt alone: after the end no
 * part of it acknowledges, stores or writes.
 */
export class Attempt {
  readonly #plan: JobPlan
  readonly #tracker: Tracker
  readonly #delivery: Delivery
  readonly #abort = new AbortController()
  readonly #failed = Promise.withResolvers<never>()
  readonly #closing = Promise.withResolvers<void>()
  readonly #stopAsked = Promise.withResolvers<'drain' | 'close'>()
  readonly #assignments: Assignments
  readonly #acknowledgements: Acknowledgements
  readonly #writers = new Map<string, SinkWriter<unknown>>()
  readonly #emission: Emission
  readonly #lent: Lent
  readonly #hints: ReplayHints
  /** Until this attempt runs, the one before it says what is unsettled. */
  readonly #before: Handover | undefined
  #isRunning = false
  /** Releases that wait for what is in hand: partial batches are sent at once. */
  #hastening = 0
  #enumerator: SplitEnumerator<unknown> | undefined
  #coordinator: CheckpointCoordinator | undefined
  #failure: SluiceError | undefined
  /** The checkpoint that this attempt began with; 0 if there was none. */
  #restoredId = 0
  #emitted: EmittedHint | undefined
  readonly #watch: StartWatch
  #closed = false
  #ended = false

  /** @param before - of the attempt before this one in the same process. */
  constructor(plan: JobPlan, before?: Handover) {
    this.#plan = plan
    this.#before = before
    const late = plan.metrics.group({ job: plan.name }).counter(JOB_METRICS.numLateSettlements)
    const { acknowledgement } = plan.source
    this.#tracker = new Tracker({
      maxRetainedBytes: plan.maxRetainedBytes,
      acknowledgement,
      onLateCall: () => late.value++,
      ...(acknowledgement === 'individual'
        ? { onEnded: (batch, index, how) => this.#assignments.readerOf(batch.splitId)?.recordEnded(batch, index, how) }
        : {}),
    })
    this.#acknowledgements = new Acknowledgements(this.#tracker)
    this.#assignments = new Assignments({ ...plan, fail: this.#fail, release: this.#releaseSplits })
    this.#delivery = this.#makeDelivery()
    this.#watch = new StartWatch(plan.clock, plan.startTimeoutMs)
    this.#lent = {
      plan,
      tracker: this.#tracker,
      delivery: this.#delivery,
      signal: this.#abort.signal,
      fail: this.#fail,
      requestCheckpoint: this.#requestCheckpoint,
    }
    this.#emission = new Emission({
      ...this.#lent,
      assignments: this.#assignments,
      openBarrier: () => (this.#hastening > 0 ? Number.POSITIVE_INFINITY : this.#coordinator?.openBarrier),
      splitFinished: (splitId, subtask) => this.#enumerator?.splitFinished(splitId, subtask),
    })
    this.#hints = new ReplayHints({
      ...plan,
      job: plan.name,
      tracker: this.#tracker,
      completed: () => this.#coordinator?.status().last?.id ?? this.#restoredId,
    })
    // Whoever awaits run() learns of it; without an awaiter yet it must not count as unhandled.
    this.#failed.promise.catch(() => undefined)
  }

  /**
   * Runs until the input ended or {@link Attempt.stop} was called and everything was settled, stored and acknowledged.
   *
   * @param onFailed - told at once; the ending of the parts may take its time.
   * @throws SluiceError the first failure, after everything was ended; that of a store which did not end comes before it.
   */
  async run(onRunning: () => void, onFailed: (error: SluiceError) => void): Promise<Leftover> {
    try {
      await Promise.race([this.#setUp(), this.#failed.promise, this.#closing.promise, this.#watch.expired])
      if (this.#failure !== undefined) throw this.#failure
      if (this.#closed) return await this.#end()
      this.#isRunning = true
      onRunning()
      const loops = Promise.all(this.#assignments.members.map(({ subtask }) => subtask.run()))
      const how = await Promise.race([
        loops.then(() => 'ended' as const),
        this.#failed.promise,
        this.#stopAsked.promise,
      ])
      if (how === 'close') return await this.#end()
      if (how === 'drain') this.#stopReading()
      await Promise.race([loops, this.#failed.promise, this.#closing.promise])
      await Promise.race([this.#coordinator?.takeFinal(), this.#failed.promise, this.#closing.promise])
      if (this.#failure !== undefined) throw this.#failure
      return await this.#end()
    } catch (error) {
      this.#failure ??= SluiceError.from(error, 'SLUICE_SOURCE_FAILED', `job '${this.#plan.name}'`)
      onFailed(this.#failure)
      await this.#end()
      throw this.#coordinator?.storeFailure ?? this.#failure
    }
  }

  /** `drain` settles, stores and acknowledges what was emitted; `close`, also after `drain`, ends with what is settled. */
  stop(how: 'drain' | 'close'): void {
    if (how === 'close') {
      this.#closed = true
      this.#closing.resolve()
    }
    this.#stopAsked.resolve(how)
  }

  /** Neither reads nor emits until {@link Attempt.resume}; what is in hand is settled, and checkpoints go on. */
  pause(): void {
    this.#emission.pause()
    this.hasten()
  }

  resume(): void {
    this.#emission.resume()
  }

  hasten(): void {
    for (const writer of this.#writers.values()) writer.hasten()
    this.#delivery.hasten()
  }

  status(): AttemptStatus {
    return {
      emitted: this.#tracker.next,
      unsettled: this.leftover().unsettled,
      repeatIfKilledNow: this.#repeatIfKilledNow(),
      retainedBytes: this.#tracker.retainedBytes,
      waitingFor: this.#waitingFor(),
      rateLimit: this.#emission.rateLimit,
      readers: this.#assignments.readers.map((reader) => reader.status()),
      sinks: Object.fromEntries([...this.#writers].map(([uid, writer]) => [uid, writer.status()])),
      deadLetters: this.#delivery.status(),
      checkpoints: this.#checkpoints(),
    }
  }

  #checkpoints(): CheckpointStatus | undefined {
    if (this.#coordinator !== undefined || this.#before === undefined) return this.#coordinator?.status()
    return { completed: 0, failed: 0, sinceCompletedMs: this.#plan.clock.now() - this.#before.completedAt }
  }

  #repeatIfKilledNow(): number {
    if (!this.#isRunning && this.#before !== undefined) return this.#before.repeatIfKilledNow
    const { positionAuthority, acknowledgement } = this.#plan.source
    const kept = positionAuthority === 'external' ? this.#coordinator?.acknowledgedUpTo : this.#coordinator?.coveredUpTo
    const emitted = this.#tracker.next - (kept ?? 0)
    // What the attempt before this one had emitted, and this one has not come to, is repeated too: here, unless others may get it.
    if (this.#before?.emitted === undefined || acknowledgement === 'individual') return emitted
    const isOurs = (splitId: string): boolean =>
      positionAuthority === 'checkpoint' || this.#assignments.readerOf(splitId) !== undefined
    return emitted + this.#tracker.splits.expectedRepeats(isOurs)
  }

  readonly #fail = (error: SluiceError): void => {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#failed.reject(error)
  }

  readonly #requestCheckpoint = (reason: string): void => this.#coordinator?.request(reason)

  /** May still run when the attempt has ended: after each wait it looks, and then makes nothing more. */
  async #setUp(): Promise<void> {
    const { source, sinks, parallelism, name, store } = this.#plan
    this.#watch.begin('loading the newest checkpoint')
    const restored = await store.load()
    failpoint('start:restored')
    const state = restoredState(source, restored, name, store.loadedFrom)
    this.#restoredId = restored?.id ?? 0
    await this.#hints.restore(this.#restoredId, this.#before?.emitted)
    // Before the parts that may ask it for a checkpoint.
    const coordinator = this.#makeCoordinator(this.#restoredId)
    this.#coordinator = coordinator
    for (const sink of sinks) {
      if (this.#ended) return
      this.#watch.begin(`making the writer of sink '${sink.uid}'`)
      await this.#makeWriter(sink)
    }
    if (this.#ended) return
    const enumerator = source.createEnumerator(this.#assignments.context(sourceContext(this.#lent)), state)
    this.#enumerator = enumerator
    for (let subtask = 0; subtask < parallelism; subtask++) {
      const reader = source.createReader({ ...sourceContext(this.#lent), subtask })
      this.#emission.add(reader, subtask, [...this.#writers.values()])
    }
    this.#registerGauges()
    this.#watch.begin(`finding the splits of source '${source.uid}'`)
    await enumerator.start()
    failpoint('start:splits')
    this.#watch.end()
    // Start positions are stored before the first read: a crash before the first interval must not move LATEST.
    if (restored === undefined && source.positionAuthority === 'checkpoint' && !this.#ended)
      await coordinator.takeFinal()
    if (this.#ended || this.#failure !== undefined) return
    failpoint('start:stored')
    this.#assignments.open()
    coordinator.start()
    this.#hints.start()
  }

  async #makeWriter(sink: AnySink): Promise<void> {
    let writer: SinkWriter<unknown>
    try {
      writer = await sink.createWriter(sinkContext(this.#lent, sink))
    } catch (error) {
      throw SluiceError.from(error, 'SLUICE_SINK_FAILED', sink.uid)
    }
    if (this.#ended) await writer.close(0)
    else this.#writers.set(sink.uid, writer)
  }

  #makeCoordinator(lastId: number): CheckpointCoordinator {
    const { clock, logger, metrics, store, intervalMs, minPauseMs, timeoutMs, name } = this.#plan
    return new CheckpointCoordinator({
      job: name,
      clock,
      logger,
      metrics: metrics.group({ job: name }),
      store,
      tracker: this.#tracker,
      intervalMs,
      minPauseMs,
      timeoutMs,
      lastId,
      completedAt: this.#before?.completedAt,
      snapshot: (id) => this.#snapshot(id),
      hasten: () => this.hasten(),
      acknowledge: (id, barrier) => this.#acknowledgements.acknowledge(this.#assignments.readers, id, barrier),
      ended: (isStored) => this.#emission.checkpointEnded(isStored),
      oldest: () => this.#oldestReason(),
      fail: this.#fail,
    })
  }

  /** All parts in one turn of the event loop: positions, splits not yet handed out, and the enumerator's state fit together. */
  #snapshot(id: number): Checkpoint {
    const { source, name, clock } = this.#plan
    for (const { subtask } of this.#assignments.members) subtask.reportEmitted()
    this.#tracker.splits.forgetFinished((splitId) => this.#assignments.readerOf(splitId) !== undefined)
    this.#hints.barrier(id)
    const splits = this.#assignments.readers.flatMap((reader) => [...reader.snapshotState(id)])
    splits.push(...this.#assignments.pending)
    const enumerator = this.#enumerator?.snapshotState(id)
    return {
      id,
      job: name,
      createdAtMs: clock.wallNow(),
      sources: { [source.uid]: { stateVersion: source.stateVersion, enumerator, splits } },
    }
  }

  readonly #releaseSplits: ReleaseSplits = async (splitIds, how, deadlineMs) => {
    const { splits } = await releaseSplits(
      {
        clock: this.#plan.clock,
        tracker: this.#tracker,
        members: this.#assignments.members,
        writers: [...this.#writers.values()],
        signal: this.#abort.signal,
        hastenUntil: () => this.#hastenUntil(),
        takeUnacknowledged: ({ reader }, splitId) => this.#acknowledgements.takeOf(reader, splitId),
        giveUpCheckpoint: (isWrong) => this.#coordinator?.hold(isWrong),
      },
      splitIds,
      how,
      deadlineMs,
    )
    return splits
  }

  #hastenUntil(): () => void {
    this.#hastening++
    this.hasten()
    return () => {
      this.#hastening--
    }
  }

  #makeDelivery(): Delivery {
    const { name, deadLetters, sinkDeadLetters, metrics } = this.#plan
    return new Delivery({
      ...this.#plan,
      job: name,
      retry: this.#plan.deadLetterRetry,
      metrics: metrics.group({ job: name }),
      targets: distinct(deadLetters, sinkDeadLetters),
      target: (sink) => (sink === undefined ? undefined : sinkDeadLetters.get(sink)) ?? deadLetters,
      origin: (token) => this.#tracker.origin(token),
      isAwaited: (token) => token < (this.#coordinator?.openBarrier ?? 0) || this.#tracker.waitsFor !== undefined,
      fail: this.#fail,
    })
  }

  #stopReading(): void {
    for (const { subtask } of this.#assignments.members) subtask.stop()
    this.hasten()
    // Not closed: what is settled now is yet to be acknowledged.
    for (const reader of this.#assignments.readers) reader.stopFetching()
  }

  /** For the attempt after this one, which has ended. */
  handover(): Handover {
    const completedAt = this.#plan.clock.now() - (this.#checkpoints()?.sinceCompletedMs ?? 0)
    return { ...this.leftover(), emitted: this.#emitted, repeatIfKilledNow: this.#repeatIfKilledNow(), completedAt }
  }

  /** What is emitted and not settled; after a failure it is repeated by the next attempt. */
  leftover(): Leftover {
    if (!this.#isRunning && this.#before !== undefined) return leftoverOf(this.#before)
    const { unsettled } = this.#tracker
    return { unsettled, unsettledBySplit: Object.fromEntries(this.#tracker.unsettledBySplit()) }
  }

  /** Ends every part, in the order in which they feed each other, and says what was left. */
  async #end(): Promise<Leftover> {
    this.#ended = true
    this.#watch.end()
    const { clock, logger, name, restartGraceMs } = this.#plan
    this.#emission.end()
    this.#delivery.end()
    this.#abort.abort(new SluiceError('SLUICE_CLOSED', 'the attempt ended', { restartable: true }))
    const stored = this.#coordinator?.stop()
    this.#hints.stop()
    const grace = new Grace(clock, logger, name, restartGraceMs)
    // Side by side: a writer sends nothing more from here on, however long a reader takes.
    await grace.spend([
      ...[...this.#writers.values()].map((writer) => () => writer.close(grace.leftMs)),
      ...this.#assignments.readers.map((reader) => () => reader.close(grace.leftMs)),
    ])
    await grace.spend([async () => this.#enumerator?.[Symbol.asyncDispose]()])
    // A store under way must not overtake one of the next attempt; only when none follows is it given up.
    if (this.#failure?.restartable !== false) await Promise.race([stored, this.#closing.promise])
    await grace.spend([() => stored])
    // Only now is it certain which checkpoint the next attempt begins with.
    this.#emitted = this.#hints.emitted ?? this.#before?.emitted
    await grace.spend([() => this.#hints.finish()])
    const leftover = this.leftover()
    this.#tracker.end()
    return leftover
  }

  #oldestReason(): string {
    return oldestReason(
      this.#writers,
      this.#assignments.members.map(({ subtask }) => subtask),
    )
  }

  /** Why nothing more is emitted, although there may be more to read. */
  #waitingFor(): string | undefined {
    const bound = this.#tracker.waitsFor
    return bound === undefined ? undefined : `room below ${bound}; oldest: ${this.#oldestReason()}`
  }

  #registerGauges(): void {
    const group = this.#plan.metrics.group({ job: this.#plan.name })
    group.gauge(JOB_METRICS.unsettledRecords, () => this.leftover().unsettled)
    group.gauge(JOB_METRICS.retainedBytes, () => this.#tracker.retainedBytes)
    group.gauge(JOB_METRICS.repeatIfKilledNow, () => this.#repeatIfKilledNow())
  }
}
