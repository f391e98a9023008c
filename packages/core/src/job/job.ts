import { type AdminServer, startAdminServer } from '../admin/server.ts'
import type { CheckpointStore } from '../checkpoint/storage.ts'
import type { DeadLetters } from '../dead-letters/dead-letters.ts'
import { distinct, openDeadLetters } from '../dead-letters/lifecycle.ts'
import { SluiceError } from '../errors.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { delay } from '../runtime/clock.ts'
import { SINK_METRICS } from '../metrics/sink-metrics.ts'
import { watchEventLoopDelay } from '../runtime/event-loop-delay.ts'
import { Rate } from '../runtime/rate.ts'
import { Attempt } from './attempt.ts'
import { Grace } from './grace.ts'
import { type Handover, type Leftover, leftoverOf, NOTHING_LEFT } from './handover.ts'
import type { ResolvedJobOptions } from './options.ts'
import type { JobPlan } from './plan.ts'
import { StartWatch } from './start-watch.ts'
import type { JobEnd, JobStatus } from './status.ts'

/** The parts of a job that `start()` was given. */
export type Pipeline = Pick<JobPlan, 'source' | 'steps' | 'sinks' | 'sinkDeadLetters' | 'rateLimit'>

/**
 * A running pipeline. Disposing it drains it with the default deadline.
 *
 * @example
 * ```ts
 * await using job = stream(source).sinkTo(sink).start({ name: 'hosts' })
 * await job.done
 * ```
 */
export class Job implements AsyncDisposable {
  /** Resolves when the job ended; rejects with a SluiceError when it failed. */
  readonly done: Promise<JobEnd>
  readonly metrics: MetricRegistry
  readonly #pipeline: Pipeline
  readonly #options: ResolvedJobOptions
  /** Aborts when the job is asked to drain or to close. */
  readonly #stopping = new AbortController()
  readonly #closing = Promise.withResolvers<undefined>()
  readonly #startedAt: number
  readonly #emittedRate: Rate
  readonly #writtenRates: ReadonlyMap<string, Rate>
  #attempt: Attempt | undefined
  #attempts = 0
  #state: Exclude<JobStatus['state'], 'paused'> = 'starting'
  #paused = false
  #asked: 'drain' | 'close' | undefined
  #lastError: JobStatus['lastError']
  #admin: AdminServer | undefined

  /** @internal use `stream(...).sinkTo(...).start(...)` */
  constructor(pipeline: Pipeline, options: ResolvedJobOptions) {
    this.#pipeline = pipeline
    this.#options = options
    this.metrics = options.metrics
    this.#startedAt = options.clock.now()
    this.#emittedRate = new Rate(this.#startedAt)
    this.#writtenRates = new Map(pipeline.sinks.map(({ uid }) => [uid, new Rate(this.#startedAt)]))
    this.done = this.#run()
    // A failure is logged and kept in done; a caller that only disposes must not crash on an unhandled rejection.
    this.done.catch(() => undefined)
  }

  /**
   * Stops reading, writes and acknowledges what was emitted, and ends. At the deadline it becomes {@link Job.close}, which takes at
   * most the job's `restartGraceMs` more.
   *
   * @param deadlineMs - default: the job's `drainDeadlineMs`.
   */
  async drain(deadlineMs: number = this.#options.drainDeadlineMs): Promise<JobEnd> {
    if (this.#state === 'ended' || this.#state === 'failed') return this.done
    if (this.#asked === undefined) {
      this.#asked = 'drain'
      if (this.#state === 'running') this.#state = 'draining'
      this.#options.logger.info({ job: this.#options.name, deadlineMs }, 'Draining')
      this.#attempt?.stop('drain')
      this.#stopping.abort()
    }
    const expiry = this.#options.clock.after(deadlineMs, () => void this.close().catch(() => undefined))
    try {
      return await this.done
    } finally {
      expiry.cancel()
    }
  }

  /** Ends within `restartGraceMs`, with what is settled; the rest is repeated at the next start. */
  close(): Promise<JobEnd> {
    this.#asked = 'close'
    this.#attempt?.stop('close')
    this.#stopping.abort()
    this.#closing.resolve(undefined)
    return this.done
  }

  /**
   * Stops reading and emitting until {@link Job.resume}, over restarts too. What is in hand is written and settled, and
   * checkpoints go on, as do acknowledgements and heartbeats of the source: a paused job keeps its splits. `drain()` and
   * `close()` end it as ever. Does nothing when it is paused or has ended.
   */
  pause(): void {
    if (this.#paused || this.#state === 'ended' || this.#state === 'failed') return
    this.#paused = true
    this.#options.logger.info({ job: this.#options.name }, 'Paused')
    this.#attempt?.pause()
  }

  /** Reads and emits on from where it was paused. Does nothing when it is not paused. */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#options.logger.info({ job: this.#options.name }, 'Resumed')
    this.#attempt?.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The error is the caller's through `done`; a disposer that threw it again would hide it behind a SuppressedError.
    await this.drain().catch(() => undefined)
  }

  /** Address of the admin server, once it listens; undefined without one. */
  get adminUrl(): string | undefined {
    return this.#admin?.url
  }

  status(): JobStatus {
    const attempt = this.#attempt?.status()
    return {
      name: this.#options.name,
      state: this.#state === 'running' && this.#paused ? 'paused' : this.#state,
      attempt: this.#attempts,
      restarts: Math.max(0, this.#attempts - 1),
      uptimeMs: this.#options.clock.now() - this.#startedAt,
      emitted: attempt?.emitted ?? 0,
      rates: this.#rates(),
      unsettled: attempt?.unsettled ?? 0,
      repeatIfKilledNow: attempt?.repeatIfKilledNow ?? 0,
      retainedBytes: attempt?.retainedBytes ?? 0,
      ...(attempt?.waitingFor === undefined ? {} : { waitingFor: attempt.waitingFor }),
      ...(attempt?.rateLimit === undefined ? {} : { rateLimit: attempt.rateLimit }),
      readers: attempt?.readers ?? [],
      sinks: attempt?.sinks ?? {},
      deadLetters: attempt?.deadLetters ?? { delivered: 0, pending: 0, errors: 0 },
      checkpoints: attempt?.checkpoints,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    }
  }

  #rates(): JobStatus['rates'] {
    const { name, clock } = this.#options
    const { source, sinks } = this.#pipeline
    const now = clock.now()
    const emitted = this.metrics.group({ job: name, source: source.uid }).counter(JOB_METRICS.numRecordsEmitted)
    return {
      emittedPerSecond: this.#emittedRate.look(now, emitted.value),
      writtenPerSecond: Object.fromEntries(
        sinks.map(({ uid }) => {
          const written = this.metrics.group({ job: name, sink: uid }).counter(SINK_METRICS.numRecordsOut)
          return [uid, this.#writtenRates.get(uid)?.look(now, written.value) ?? 0]
        }),
      ),
    }
  }

  async #run(): Promise<JobEnd> {
    const { name, logger, checkpoints, admin, durable } = this.#options
    let store: CheckpointStore | undefined
    const watch = watchEventLoopDelay({
      job: name,
      logger,
      metrics: this.metrics.group({ job: name }),
      steps: this.#pipeline.steps.map(({ stage }) => stage),
    })
    try {
      // The caller has the job in hand before anything of it runs.
      await Promise.resolve()
      if (admin !== undefined) this.#admin = await startAdminServer(admin, this, checkpoints.intervalMs)
      await this.#openDeadLetters()
      store = await this.#open()
      if (!durable && this.#pipeline.source.positionAuthority === 'checkpoint') {
        logger.warn(
          { job: name },
          'Positions are kept in memory only: set checkpoints.storage to go on after a restart of the process',
        )
      }
      const leftover = store === undefined ? NOTHING_LEFT : await this.#attemptUntilEnd(this.#plan(store))
      this.#state = 'ended'
      const end = { how: this.#how(), ...leftover }
      logger.info({ job: name, ...end }, 'The job ended')
      return end
    } catch (error) {
      const failure = SluiceError.from(error, 'SLUICE_INTERNAL', `job '${name}'`)
      this.#state = 'failed'
      this.#noteError(failure)
      logger.error({ job: name, err: failure }, 'The job failed')
      throw failure
    } finally {
      watch[Symbol.dispose]()
      await this.#release(store)
      await this.#admin?.close()
    }
  }

  get #deadLetters(): readonly DeadLetters[] {
    return distinct(this.#options.deadLetters, this.#pipeline.sinkDeadLetters)
  }

  async #openDeadLetters(): Promise<void> {
    const { clock, deadLetterRetry } = this.#options
    await Promise.race([openDeadLetters(this.#deadLetters, clock, deadLetterRetry.timeoutMs), this.#closing.promise])
  }

  /** Undefined when the job was closed first; a store that comes later is given back. */
  async #open(): Promise<CheckpointStore | undefined> {
    const { name, logger, checkpoints, clock, startTimeoutMs } = this.#options
    const watch = new StartWatch(clock, startTimeoutMs)
    watch.begin('opening the checkpoint storage')
    const opening = checkpoints.storage.open(name, logger)
    let store: CheckpointStore | undefined
    try {
      store = await Promise.race([opening, this.#closing.promise, watch.expired])
      return store
    } finally {
      watch.end()
      if (store === undefined) opening.then((late) => this.#release(late)).catch(() => undefined)
    }
  }

  async #release(store: CheckpointStore | undefined): Promise<void> {
    const { clock, logger, name, restartGraceMs } = this.#options
    await new Grace(clock, logger, name, restartGraceMs).spend([
      async () => store?.[Symbol.asyncDispose](),
      ...this.#deadLetters.map((each) => async () => each.close?.()),
    ])
  }

  #how(): JobEnd['how'] {
    if (this.#asked === undefined) return 'finished'
    return this.#asked === 'drain' ? 'drained' : 'closed'
  }

  async #attemptUntilEnd(plan: JobPlan): Promise<Leftover> {
    const { clock, restart, random, logger, metrics, name } = this.#options
    const restarts = metrics.group({ job: name }).counter(JOB_METRICS.numRestarts)
    let before: Handover | undefined
    for (;;) {
      if (this.#asked !== undefined) return before === undefined ? NOTHING_LEFT : leftoverOf(before)
      if (this.#attempts > 0) restarts.value++
      const startedAt = clock.now()
      this.#attempts++
      const attempt = new Attempt(plan, before)
      this.#attempt = attempt
      if (this.#paused) attempt.pause()
      try {
        return await attempt.run(
          () => {
            this.#state = this.#asked === undefined ? 'running' : 'draining'
          },
          (failure) => this.#attemptFailed(failure),
        )
      } catch (error) {
        const failure = SluiceError.from(error, 'SLUICE_INTERNAL', 'the attempt failed')
        if (!failure.restartable || this.#asked !== undefined) throw failure
        const wait = restart.onFailure(clock.now(), clock.now() - startedAt, random)
        if (wait === undefined) throw failure
        logger.warn({ job: name, delayMs: Math.round(wait), strategy: restart.name }, 'The job restarts')
        before = attempt.handover()
        await delay(clock, wait, this.#stopping.signal)
      }
    }
  }

  #attemptFailed(failure: SluiceError): void {
    const { name, logger } = this.#options
    if (failure.restartable && this.#asked === undefined) this.#state = 'restarting'
    this.#noteError(failure)
    logger.warn({ job: name, err: failure }, 'The attempt failed')
  }

  #plan(store: CheckpointStore): JobPlan {
    const { name, parallelism, maxRetainedBytes, checkpoints, restartGraceMs, startTimeoutMs } = this.#options
    const { clock, random, logger, metrics } = this.#options
    const { deadLetters, deadLetterRetry, maxDeadLetterRatio } = this.#options
    const { intervalMs, minPauseMs, timeoutMs } = checkpoints
    return {
      ...this.#pipeline,
      name,
      deadLetters,
      deadLetterRetry,
      maxDeadLetterRatio,
      parallelism,
      maxRetainedBytes,
      intervalMs,
      minPauseMs,
      timeoutMs,
      restartGraceMs,
      startTimeoutMs,
      clock,
      random,
      logger,
      metrics,
      store,
    }
  }

  #noteError(error: SluiceError): void {
    this.#lastError = { code: error.code, message: error.message, attempt: this.#attempts }
  }
}
