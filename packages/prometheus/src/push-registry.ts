import { deadline, messageOf, SluiceError, type Timer } from '@sluice/core'
import { held } from './push-client.ts'
import { type CollectedMetric, isOpenMetrics, type MetricsRegistry, toSeries } from './push-collection.ts'
import { type PushPlan, pushPlan, type PushRegistryOptions } from './push-options.ts'
import { PushedSeries } from './push-series.ts'

/** What a push has done so far. */
export interface PushStatus {
  /** Collections that the receiver has confirmed. */
  readonly written: number
  /** Collections that failed, or were confirmed in part only. */
  readonly failed: number
  /** Collections that did not begin, because the one before was not over. */
  readonly skipped: number
  /** Series that were pushed and have not ended. */
  readonly series: number
  /** When the last collection that was confirmed was made, in milliseconds since 1970. */
  readonly lastWrittenAtMs?: number
  /** What failed last; gone when a collection is confirmed. */
  readonly lastError?: string
}

/**
 * Collects a registry of prom-client at once and then at each interval, and writes it by remote write.
 *
 * All values of a collection have one timestamp, that of its beginning, and later collections have later ones. A collection during
 * which the last one is still being written is skipped and counted, so at most one is in memory. A series that is no longer in the
 * registry ends with a stale marker. What fails is logged and counted, never thrown. Its timers do not keep the process alive, but
 * `close` does.
 *
 * @param registry - `register` of prom-client, or a `Registry` of your own.
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * import { collectDefaultMetrics, register } from 'prom-client'
 *
 * collectDefaultMetrics()
 * await using push = pushRegistry(register, {
 *   remoteWrite: { prometheusRemoteWriteUrl: 'http://localhost:9090/api/v1/write' },
 *   labels: { job: 'shop', instance: hostname() },
 * })
 * ```
 */
export function pushRegistry(registry: MetricsRegistry, options: PushRegistryOptions): RegistryPush {
  return new RegistryPush(registry, pushPlan(registry, options))
}

/** A registry that is being pushed, see {@link pushRegistry}. */
export class RegistryPush implements AsyncDisposable {
  readonly #registry: MetricsRegistry
  readonly #plan: PushPlan
  readonly #series = new PushedSeries()
  readonly #startedAtMs: number
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #lastTimestamp = 0
  #written = 0
  #failed = 0
  #failedInARow = 0
  #skipped = 0
  #lastWrittenAtMs: number | undefined
  #lastError: string | undefined
  #reportedInvalid = ''
  /** `close` has ended at its deadline: what ends later changes nothing. */
  #gaveUp = false

  /** @internal use {@link pushRegistry} */
  constructor(registry: MetricsRegistry, plan: PushPlan) {
    this.#registry = registry
    this.#plan = plan
    this.#startedAtMs = plan.clock.now()
    this.#begin()
    this.#schedule()
  }

  status(): PushStatus {
    return {
      written: this.#written,
      failed: this.#failed,
      skipped: this.#skipped,
      series: this.#series.size,
      ...(this.#lastWrittenAtMs === undefined ? {} : { lastWrittenAtMs: this.#lastWrittenAtMs }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    }
  }

  /**
   * Stops, awaits the collection under way, makes a last one, ends all series where `staleMarkersOnClose` is true, and closes the
   * client where the push made it. Ends at `closeDeadlineMs`; until then it keeps the process alive. Idempotent; never rejects: see
   * {@link RegistryPush.status}.
   */
  close(): Promise<void> {
    this.#closing ??= held(this.#close())
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Multiples of the interval since the start, so that delays do not add up. */
  #schedule(): void {
    const { clock, intervalMs } = this.#plan
    const passed = clock.now() - this.#startedAtMs
    const due = (Math.floor(passed / intervalMs) + 1) * intervalMs
    this.#timer = clock.after(due - passed, () => {
      if (this.#closing !== undefined) return
      if (this.#running === undefined) this.#begin()
      else this.#skipped++
      this.#schedule()
    })
  }

  #begin(): void {
    const running = this.#collectAndWrite().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
  }

  /** Never rejects. */
  async #collectAndWrite(): Promise<void> {
    const timestamp = this.#nextTimestamp()
    try {
      const { labels } = this.#plan
      const metrics = await this.#collect()
      if (this.#gaveUp) return
      this.#series.begin()
      const { series, invalid } = toSeries(metrics, this.#series, labels, timestamp, isOpenMetrics(this.#registry))
      this.#reportInvalid(invalid)
      await this.#plan.target.write([...series, ...this.#series.endMissing(timestamp)])
      this.#series.confirm()
      this.#succeeded(timestamp)
    } catch (error) {
      this.#fail(error, 'A collection was not written')
    }
  }

  async #collect(): Promise<readonly CollectedMetric[]> {
    const { clock, collectTimeoutMs } = this.#plan
    const { promise: expired, reject } = Promise.withResolvers<never>()
    const timer = deadline(clock, collectTimeoutMs, () =>
      reject(
        new SluiceError(
          'SLUICE_DEADLINE_EXCEEDED',
          `the registry was not collected within ${collectTimeoutMs} ms (collectTimeoutMs)`,
        ),
      ),
    )
    try {
      return await Promise.race([this.#registry.getMetricsAsJSON(), expired])
    } finally {
      timer.cancel()
    }
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    const { clock, closeDeadlineMs } = this.#plan
    const { promise: expired, resolve } = Promise.withResolvers<'expired'>()
    const timer = deadline(clock, closeDeadlineMs, () => resolve('expired'))
    const ended = await Promise.race([this.#finish(), expired])
    timer.cancel()
    if (ended !== 'expired') return
    const error = new SluiceError(
      'SLUICE_DEADLINE_EXCEEDED',
      `not closed within ${closeDeadlineMs} ms (closeDeadlineMs)`,
    )
    this.#fail(error, 'The last collection was given up')
    this.#gaveUp = true
    await this.#plan.target.abort()
  }

  /** Never rejects. */
  async #finish(): Promise<void> {
    await this.#running
    if (this.#gaveUp) return
    await this.#collectAndWrite()
    try {
      if (this.#plan.staleMarkersOnClose) {
        await this.#plan.target.write(this.#series.endAll(this.#nextTimestamp()))
        this.#series.confirm()
      }
      await this.#plan.target.close()
    } catch (error) {
      this.#fail(error, 'The push was not closed well')
    }
  }

  /** Later than the last one, also when the clock was set back: receivers refuse what is older than what they have. */
  #nextTimestamp(): number {
    this.#lastTimestamp = Math.max(Math.floor(this.#plan.clock.wallNow()), this.#lastTimestamp + 1)
    return this.#lastTimestamp
  }

  #succeeded(timestamp: number): void {
    this.#written++
    this.#lastWrittenAtMs = timestamp
    this.#lastError = undefined
    if (this.#failedInARow > 0) this.#plan.logger.info({ failed: this.#failedInARow }, 'Collections are written again.')
    this.#failedInARow = 0
  }

  /** Logged at the first failure, and ever more seldom at those that follow it. */
  #fail(error: unknown, what: string): void {
    if (this.#gaveUp) return
    this.#failed++
    this.#failedInARow++
    this.#lastError = messageOf(error)
    if ((this.#failedInARow & (this.#failedInARow - 1)) !== 0) return
    this.#plan.logger.warn({ failed: this.#failedInARow, skipped: this.#skipped }, `${what}: ${this.#lastError}`)
  }

  #reportInvalid(names: readonly string[]): void {
    const text = names.join(', ')
    if (text === this.#reportedInvalid) return
    this.#reportedInvalid = text
    if (text !== '')
      this.#plan.logger.warn(
        { metrics: names },
        `Values with labels that no receiver takes, or that another metric has too, are left out: ${text}`,
      )
  }
}
