import { messageOf, SluiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import type { MetricGroup } from '../metrics/registry.ts'
import { type Clock, deadline, type Timer } from '../runtime/clock.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { WakeUp } from '../runtime/signal.ts'
import { type CheckpointMessage, type CheckpointResult, traceCheckpoint } from '../runtime/tracing.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { Checkpoint, CheckpointStore } from './storage.ts'

export interface CoordinatorPlan {
  /** Name of the job: for the tracing channel. */
  readonly job?: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: MetricGroup
  readonly store: CheckpointStore
  readonly tracker: Tracker
  readonly intervalMs: number
  readonly minPauseMs: number
  readonly timeoutMs: number
  /** The id of the last checkpoint of earlier attempts and processes; 0 if there was none. */
  readonly lastId: number
  /** When the last one before was stored, by the clock. @default now */
  readonly completedAt?: number | undefined
  /** Inputs below it are covered; asked in the turn of the snapshot. @default everything emitted so far */
  barrier?(): number
  /** Takes the state of all parts in one turn of the event loop. */
  snapshot(id: number): Checkpoint
  /** Sends partial batches now. */
  hasten(): void
  /** Tells the readers that the checkpoint and all before it are stored. Inputs below the barrier are covered by it. */
  acknowledge(id: number, barrier: number): Promise<void>
  /** A checkpoint has ended; one that was not stored is covered by the next. */
  ended?(isStored: boolean): void
  /** What holds the oldest unsettled input back, where a barrier is waited for. */
  oldest?(): string
  fail(error: SluiceError): void
}

/** Figures for `status()`. */
export interface CheckpointStatus {
  readonly completed: number
  readonly failed: number
  /** Milliseconds since a checkpoint was stored, or since the first attempt of the process began. */
  readonly sinceCompletedMs: number
  readonly open?: { readonly id: number; readonly ageMs: number }
  readonly last?: {
    readonly id: number
    readonly durationMs: number
    readonly bytes: number
    readonly createdAtMs: number
  }
}

/**
 * Takes checkpoints: at most one is open, it ends by completion or by timeout, and the next starts `minPauseMs` after that.
 * Storing is serialised by this; acknowledgement runs in the background, one at a time, for the newest stored checkpoint.
 */
export class CheckpointCoordinator {
  readonly #plan: CoordinatorPlan
  #id: number
  #open:
    | { readonly id: number; readonly barrier: number; readonly startedAt: number; readonly ended: Promise<void> }
    | undefined
  #timer: Timer | undefined
  #started = false
  #stopped = false
  #requested = false
  #lastEndedAt = Number.NEGATIVE_INFINITY
  /** Tokens below are covered by a stored checkpoint. */
  #coveredUpTo = 0
  #acknowledgedUpTo = 0
  #last: CheckpointStatus['last']
  #completedAt: number
  #storeFailure: SluiceError | undefined
  #acknowledging: Promise<void> | undefined
  #acknowledgeExpiry: Timer | undefined
  /** The newest stored checkpoint that is to be acknowledged. */
  #toAcknowledge = { id: 0, barrier: 0 }
  /** Why the newest acknowledgement failed; undefined when it did not. */
  #notAcknowledged: unknown
  /** Releases of splits under way: what they give back is in no snapshot yet. */
  #holds = 0
  readonly #unheld = new WakeUp()
  /** Ends the wait for what the open checkpoint covers. */
  #giveUp: ((outcome: 'stopped' | 'released') => void) | undefined

  constructor(plan: CoordinatorPlan) {
    this.#plan = plan
    this.#id = plan.lastId
    this.#completedAt = plan.completedAt ?? plan.clock.now()
    plan.metrics.gauge(JOB_METRICS.lastCheckpointDuration, () => this.#last?.durationMs ?? Number.NaN)
    plan.metrics.gauge(JOB_METRICS.lastCheckpointSize, () => this.#last?.bytes ?? Number.NaN)
  }

  get coveredUpTo(): number {
    return this.#coveredUpTo
  }

  /** Tokens below are acknowledged to the source: where the service keeps the positions, only those are not read again. */
  get acknowledgedUpTo(): number {
    return this.#acknowledgedUpTo
  }

  /** The barrier of the open checkpoint: what was emitted before it is waited for. */
  get openBarrier(): number | undefined {
    return this.#open?.barrier
  }

  /** Set when a store did not end in time. */
  get storeFailure(): SluiceError | undefined {
    return this.#storeFailure
  }

  /** Starts the interval. */
  start(): void {
    this.#started = true
    this.#schedule(this.#requested ? this.#untilAllowed() : this.#plan.intervalMs)
  }

  /** Takes one as soon as the rules allow; before the start, whose splits would be missing in it, only then. */
  request(reason: string): void {
    this.#plan.logger.debug({ reason }, 'A checkpoint was requested')
    this.#requested = true
    if (this.#started && this.#open === undefined) this.#schedule(this.#untilAllowed())
  }

  /**
   * One checkpoint of everything emitted so far, however long that takes to be settled; resolves when it is stored and acknowledged.
   *
   * @throws SluiceError `SLUICE_SOURCE_FAILED`, restartable, when the source did not take the acknowledgement.
   */
  async takeFinal(): Promise<void> {
    do {
      while (!this.#stopped && (this.#open !== undefined || this.#holds > 0)) {
        await (this.#open?.ended ?? this.#unheld.wait())
      }
      if (this.#stopped) return
      this.#timer?.cancel()
      this.#timer = undefined
    } while ((await this.#take(Number.POSITIVE_INFINITY, 'final')) === 'released')
    await this.#acknowledging
    if (this.#notAcknowledged === undefined || this.#stopped) return
    throw new SluiceError(
      'SLUICE_SOURCE_FAILED',
      `the last checkpoint is stored, but the source did not take its acknowledgement: ${messageOf(this.#notAcknowledged)}`,
      { cause: this.#notAcknowledged, restartable: true },
    )
  }

  /**
   * Splits are being given back: until the returned function is called no checkpoint begins, because the positions in its snapshot would
   * lie behind inputs that are returned, or it would have those splits nowhere.
   *
   * @param givesUp - inputs in hand are returned: an open checkpoint that waits for them would cover them. The next one begins as soon
   *   as it may.
   */
  hold(givesUp: boolean): () => void {
    this.#holds++
    if (givesUp) this.#giveUp?.('released')
    return () => {
      this.#holds--
      if (this.#holds > 0) return
      this.#unheld.wake()
      if (this.#started && this.#requested && this.#open === undefined) this.#schedule(this.#untilAllowed())
    }
  }

  /** Ends the interval and waits for a store under way: a store must never overtake one of the next attempt. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#giveUp?.('stopped')
    this.#unheld.wake()
    // An acknowledgement that ignores its end must not keep the process alive.
    this.#acknowledgeExpiry?.cancel()
    await this.#open?.ended
  }

  status(): CheckpointStatus {
    const { metrics, clock } = this.#plan
    const open = this.#open
    return {
      completed: metrics.counter(JOB_METRICS.numberOfCompletedCheckpoints).value,
      failed: metrics.counter(JOB_METRICS.numberOfFailedCheckpoints).value,
      sinceCompletedMs: clock.now() - this.#completedAt,
      ...(open === undefined ? {} : { open: { id: open.id, ageMs: clock.now() - open.startedAt } }),
      ...(this.#last === undefined ? {} : { last: this.#last }),
    }
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    if (this.#stopped) return
    this.#timer = this.#plan.clock.after(delayMs, () => {
      this.#timer = undefined
      if (this.#holds > 0) this.#requested = true
      else if (this.#open === undefined && !this.#stopped)
        void this.#take(this.#plan.timeoutMs, this.#requested ? 'request' : 'interval')
    })
  }

  #untilAllowed(): number {
    return Math.max(0, this.#lastEndedAt + this.#plan.minPauseMs - this.#plan.clock.now())
  }

  async #take(
    timeoutMs: number,
    trigger: CheckpointMessage['trigger'],
  ): Promise<CheckpointResult['outcome'] | undefined> {
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const { clock, tracker, job } = this.#plan
    const barrier = this.#plan.barrier?.() ?? tracker.next
    const startedAt = clock.now()
    this.#requested = false
    this.#id++
    const id = this.#id
    this.#open = { id, barrier, startedAt, ended }
    const message = { ...(job === undefined ? {} : { job }), id, trigger, covers: barrier - this.#coveredUpTo }
    try {
      const { outcome } = await traceCheckpoint(message, () => this.#complete(id, barrier, startedAt, timeoutMs))
      if (outcome === 'released') this.#requested = true
      this.#plan.ended?.(outcome === 'stored')
      return outcome
    } catch (error) {
      this.#plan.metrics.counter(JOB_METRICS.numberOfFailedCheckpoints).value++
      this.#plan.fail(SluiceError.from(error, 'SLUICE_STATE_STORAGE', `checkpoint ${id} failed`))
      return undefined
    } finally {
      this.#open = undefined
      this.#lastEndedAt = clock.now()
      if (timeoutMs !== Number.POSITIVE_INFINITY) {
        const pause = this.#untilAllowed()
        this.#schedule(this.#requested ? pause : Math.max(pause, startedAt + this.#plan.intervalMs - clock.now()))
      }
      resolve()
    }
  }

  async #complete(id: number, barrier: number, startedAt: number, timeoutMs: number): Promise<CheckpointResult> {
    const { clock, metrics, logger } = this.#plan
    const checkpoint = this.#plan.snapshot(id)
    failpoint('checkpoint:snapshot')
    this.#plan.hasten()
    const waited = await this.#settled(barrier, timeoutMs)
    this.#giveUp = undefined
    if (this.#stopped || waited === 'stopped') return { outcome: 'stopped' }
    if (waited === 'released') {
      logger.info({ id }, 'A checkpoint was given up, because splits were released; the next one covers it')
      return { outcome: 'released' }
    }
    if (waited === 'timedOut') {
      metrics.counter(JOB_METRICS.numberOfFailedCheckpoints).value++
      logger.warn(
        { id, timeoutMs, oldest: this.#plan.oldest?.() },
        'A checkpoint ran into its timeout; the next one covers it',
      )
      return { outcome: 'timedOut' }
    }
    failpoint('checkpoint:settled')
    const bytes = await this.#store(checkpoint)
    failpoint('checkpoint:stored')
    this.#coveredUpTo = Math.max(this.#coveredUpTo, barrier)
    this.#completedAt = clock.now()
    this.#last = { id, durationMs: clock.now() - startedAt, bytes, createdAtMs: checkpoint.createdAtMs }
    metrics.counter(JOB_METRICS.numberOfCompletedCheckpoints).value++
    this.#toAcknowledge = { id, barrier }
    this.#acknowledging ??= this.#acknowledgeNewest()
    return { outcome: 'stored', bytes }
  }

  /** A store that was given up may still end and would overtake any later one: no attempt of this process may follow. */
  async #store(checkpoint: Checkpoint): Promise<number> {
    const { clock, store, timeoutMs } = this.#plan
    const { promise: expired, reject } = Promise.withResolvers<never>()
    const expiry = deadline(clock, timeoutMs, () => {
      const message = `the storage did not store checkpoint ${checkpoint.id} within ${timeoutMs} ms (checkpoints.timeoutMs)`
      this.#storeFailure = new SluiceError('SLUICE_STATE_STORAGE', message, { facts: { id: checkpoint.id, timeoutMs } })
      reject(this.#storeFailure)
    })
    try {
      return await Promise.race([store.store(checkpoint), expired])
    } finally {
      expiry.cancel()
    }
  }

  /** How the wait for everything before the barrier ended. */
  #settled(barrier: number, timeoutMs: number): Promise<'settled' | 'timedOut' | 'released' | 'stopped'> {
    if (failpoint('sabotage:skip-flush')) return Promise.resolve('settled')
    const { clock, tracker } = this.#plan
    return new Promise((resolve) => {
      const timer =
        timeoutMs === Number.POSITIVE_INFINITY ? undefined : clock.after(timeoutMs, () => resolve('timedOut'))
      this.#giveUp = (outcome) => {
        timer?.cancel()
        resolve(outcome)
      }
      void tracker.settledUpTo(barrier).then(() => {
        timer?.cancel()
        return resolve('settled')
      })
    })
  }

  /** Acknowledgement is cumulative: what was stored meanwhile is covered by the newest. Nothing follows after the stop. */
  async #acknowledgeNewest(): Promise<void> {
    for (let done = 0; done < this.#toAcknowledge.id && !this.#stopped;) {
      const { id, barrier } = this.#toAcknowledge
      try {
        await this.#acknowledge(id, barrier)
        failpoint('checkpoint:acknowledged')
        this.#notAcknowledged = undefined
        this.#acknowledgedUpTo = barrier
      } catch (error) {
        this.#notAcknowledged = error
        this.#plan.metrics.counter(JOB_METRICS.numAcknowledgementsFailed).value++
        this.#plan.logger.warn(
          { id, error: messageOf(error) },
          'An acknowledgement failed; the next checkpoint repeats it',
        )
      }
      done = id
    }
    this.#acknowledging = undefined
  }

  async #acknowledge(id: number, barrier: number): Promise<void> {
    const { clock, timeoutMs } = this.#plan
    const { promise: expired, reject } = Promise.withResolvers<never>()
    const expiry = deadline(clock, timeoutMs, () =>
      reject(new Error(`no answer within ${timeoutMs} ms (checkpoints.timeoutMs)`)),
    )
    this.#acknowledgeExpiry = expiry
    try {
      await Promise.race([this.#plan.acknowledge(id, barrier), expired])
    } finally {
      expiry.cancel()
    }
  }
}
