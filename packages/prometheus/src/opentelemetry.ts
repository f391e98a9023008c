import type { AggregationTemporality, PushMetricExporter, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { type Clock, deadline, type Logger, messageOf, OptionsCheck, silentLogger, SluiceError } from '@sluice/core'
import { checkLoggerAndClock } from '@sluice/core/internal'
import { checkRemoteWrite, type RemoteWriteClientOptions } from './client-options.ts'
import type { RemoteWriteClient } from './client.ts'
import { CUMULATIVE } from './otel-numbers.ts'
import { type LeftOut, type LeftOutReason, newestOf, translate } from './otel-series.ts'
import { backgroundClock, held, MAX_DELAY_MS, PushTarget } from './push-client.ts'
import { PushedSeries } from './push-series.ts'

/** Options of {@link RemoteWriteMetricExporter}. */
export interface RemoteWriteMetricExporterOptions {
  /** Writes the series. It stays open when the exporter is shut down. Give this or `remoteWrite`. */
  readonly client?: RemoteWriteClient
  /** Options of a client that the exporter makes, makes anew when it has failed, and closes. Give this or `client`. */
  readonly remoteWrite?: RemoteWriteClientOptions
  /** Whether series have the labels `otel_scope_name` and `otel_scope_version`. @default true */
  readonly scopeLabels?: boolean
  /** Whether `shutdown` ends every series that is left with a stale marker. @default false */
  readonly staleMarkersOnShutdown?: boolean
  /** Milliseconds after which `shutdown` gives up what is not written, and `forceFlush` its waiting. @default 10000 */
  readonly shutdownDeadlineMs?: number
  /** Is told what fails, and what is left out. @default nobody */
  readonly logger?: Logger
  /** @default the time of the process, with timers that do not keep it alive */
  readonly clock?: Clock
}

/** What an exporter has done so far. */
export interface MetricExporterStatus {
  /** Exports that the receiver has confirmed. */
  readonly written: number
  /** Exports that were told to be failed. */
  readonly failed: number
  /** Data points that Prometheus cannot have, see {@link RemoteWriteMetricExporter}. */
  readonly leftOutPoints: number
}

type ResultCallback = Parameters<PushMetricExporter['export']>[1]
type ExportResult = Parameters<ResultCallback>[0]

// The numbers of `ExportResultCode` of `@opentelemetry/core`, which is no dependency.
// oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enum itself cannot be had
const SUCCESS = 0 as ExportResult['code']
// oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enum itself cannot be had
const FAILED = 1 as ExportResult['code']

/**
 * Exports metrics of OpenTelemetry by remote write: the exporter of a `PeriodicExportingMetricReader`, one for each reader.
 *
 * Names, units and labels follow the rules of OpenTelemetry for Prometheus: `http.server.duration` in `s` becomes
 * `http_server_duration_seconds`, counters end with `_total`. Sums, gauges and histograms are sent with cumulative temporality,
 * exponential histograms as native ones. `job` and `instance` come from `service.namespace`, `service.name` and
 * `service.instance.id`; the other attributes of the resource are labels of `target_info`.
 *
 * An export has succeeded when the receiver has confirmed it, and has failed otherwise; one that begins before the last is over fails
 * at once. Left out, counted and logged once for each metric are data points with delta temporality, exponential histograms of a scale
 * below -4, and those whose series another metric has already; an export without them can succeed.
 *
 * A series that a whole collection did not have ends with a stale marker at the next. A collection may come in several exports
 * (`maxExportBatchSize`): the next one begins when a series is exported again, or after five minutes. `MeterProvider` exports what it
 * has seen once each time, also for attributes that an observable instrument does not report any more: such a series goes on with its
 * last value until `shutdown`.
 *
 * See https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * const exporter = new RemoteWriteMetricExporter({
 *   remoteWrite: { prometheusRemoteWriteUrl: 'http://localhost:9090/api/v1/write' },
 * })
 * const meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
 * ```
 */
export class RemoteWriteMetricExporter implements PushMetricExporter {
  readonly #target: PushTarget
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #scopeLabels: boolean
  readonly #staleMarkers: boolean
  readonly #deadlineMs: number
  readonly #series = new PushedSeries()
  readonly #told = new Set<string>()
  #running: Promise<void> | undefined
  #ending: Promise<void> | undefined
  #written = 0
  #failed = 0
  #leftOutPoints = 0

  constructor(options: RemoteWriteMetricExporterOptions) {
    const check = new OptionsCheck('RemoteWriteMetricExporter', options, OPTIONS)
    const {
      client,
      remoteWrite,
      clock = backgroundClock,
      logger = silentLogger,
    }: RemoteWriteMetricExporterOptions = Object(options)
    if ((client === undefined) === (remoteWrite === undefined)) check.problem('give either client or remoteWrite')
    if (client !== undefined && typeof Reflect.get(Object(client), 'write') !== 'function') {
      check.refuse('client', 'a RemoteWriteClient')
    }
    check.boolean('scopeLabels')
    check.boolean('staleMarkersOnShutdown')
    check.integer('shutdownDeadlineMs', { max: MAX_DELAY_MS })
    checkLoggerAndClock(check, options)
    checkRemoteWrite(check, remoteWrite)
    check.throwIfAny()
    this.#clock = clock
    this.#logger = logger
    this.#scopeLabels = options.scopeLabels ?? true
    this.#staleMarkers = options.staleMarkersOnShutdown ?? false
    this.#deadlineMs = options.shutdownDeadlineMs ?? 10_000
    this.#target = new PushTarget(client, remoteWrite, { clock, logger })
  }

  selectAggregationTemporality(): AggregationTemporality {
    return CUMULATIVE
  }

  /**
   * Tells the result when the receiver has confirmed the metrics, or will not. Keeps the process alive for that, for
   * `shutdownDeadlineMs` at most. Never throws.
   */
  export(metrics: ResourceMetrics, resultCallback: ResultCallback): void {
    if (this.#ending !== undefined) {
      this.#fail(new SluiceError('SLUICE_CLOSED', 'the exporter was shut down'), resultCallback)
      return
    }
    if (this.#running !== undefined) {
      const message = 'the export before is not over: the receiver is slow, or does not answer'
      this.#fail(new SluiceError('SLUICE_SINK_FAILED', message), resultCallback)
      return
    }
    this.#running = this.#exportAndTell(metrics, resultCallback)
    void this.forceFlush()
  }

  /**
   * Resolves when the export under way has its result, which its callback is told, or after `shutdownDeadlineMs`: then it goes on.
   * Never rejects.
   */
  async forceFlush(): Promise<void> {
    if (this.#running === undefined) return
    const { promise: expired, resolve } = Promise.withResolvers<void>()
    const timer = deadline(this.#clock, this.#deadlineMs, resolve)
    await held(Promise.race([this.#running, expired]))
    timer.cancel()
  }

  /**
   * Awaits the export under way, ends all series where `staleMarkersOnShutdown` is true, and closes the client where the exporter made
   * it. Idempotent.
   *
   * @throws SluiceError `SLUICE_DEADLINE_EXCEEDED` when `shutdownDeadlineMs` was not enough, and what else ended the client.
   */
  shutdown(): Promise<void> {
    this.#ending ??= held(this.#end())
    return this.#ending
  }

  status(): MetricExporterStatus {
    return { written: this.#written, failed: this.#failed, leftOutPoints: this.#leftOutPoints }
  }

  /** Never rejects. */
  async #exportAndTell(metrics: ResourceMetrics, resultCallback: ResultCallback): Promise<void> {
    let failure: { readonly error: unknown } | undefined
    try {
      await this.#export(metrics)
    } catch (error) {
      failure = { error }
    }
    this.#running = undefined
    if (failure === undefined) {
      this.#written++
      this.#answer(resultCallback, { code: SUCCESS })
    } else this.#fail(failure.error, resultCallback)
  }

  async #export(metrics: ResourceMetrics): Promise<void> {
    const newest = newestOf(metrics)
    const collectedAt = newest ?? Math.floor(this.#clock.wallNow())
    this.#series.beginPart(this.#clock.now())
    const { series, leftOut } = translate(metrics, this.#series, this.#scopeLabels, newest)
    for (const each of leftOut) this.#tell(each)
    // A reader may spread a collection over several exports: only of the one before it is known what it did not have.
    await this.#target.write([...series, ...this.#series.endMissingBefore(collectedAt)])
    this.#series.confirm()
  }

  async #end(): Promise<void> {
    const { promise: expired, reject } = Promise.withResolvers<never>()
    const timer = deadline(this.#clock, this.#deadlineMs, () =>
      reject(
        new SluiceError('SLUICE_DEADLINE_EXCEEDED', `not shut down within ${this.#deadlineMs} ms (shutdownDeadlineMs)`),
      ),
    )
    try {
      await Promise.race([this.#finish(), expired])
    } catch (error) {
      this.#logger.warn({}, `The exporter was not shut down well: ${messageOf(error)}`)
      await this.#target.abort()
      throw error
    } finally {
      timer.cancel()
    }
  }

  async #finish(): Promise<void> {
    await this.#running
    if (this.#staleMarkers) await this.#target.write(this.#series.endAll(Math.floor(this.#clock.wallNow())))
    await this.#target.close()
  }

  #fail(thrown: unknown, resultCallback: ResultCallback): void {
    this.#failed++
    const error = thrown instanceof Error ? thrown : new Error(messageOf(thrown))
    this.#logger.warn({ failed: this.#failed }, `An export was not written: ${error.message}`)
    this.#answer(resultCallback, { code: FAILED, error })
  }

  /** What the callback throws is not about the export. */
  #answer(resultCallback: ResultCallback, result: ExportResult): void {
    try {
      resultCallback(result)
    } catch (error) {
      this.#logger.error({}, `The callback of an export has thrown: ${messageOf(error)}`)
    }
  }

  #tell({ metric, reason, points }: LeftOut): void {
    this.#leftOutPoints += points
    const key = JSON.stringify([metric, reason])
    if (this.#told.has(key) || this.#told.size >= MAX_TOLD) return
    this.#told.add(key)
    this.#logger.warn(
      { metric, reason, points },
      `Data points of ${JSON.stringify(metric)} are left out: ${WHY[reason]}`,
    )
  }
}

const OPTIONS: readonly (keyof RemoteWriteMetricExporterOptions)[] = [
  'client',
  'remoteWrite',
  'scopeLabels',
  'staleMarkersOnShutdown',
  'shutdownDeadlineMs',
  'logger',
  'clock',
]

/** Names may be made up without end; so many are told of. */
const MAX_TOLD = 1000

const WHY: Readonly<Record<LeftOutReason, string>> = {
  delta: 'remote write needs cumulative temporality, and they have delta',
  scale: 'native histograms have no scale below -4',
  name: 'their name has no character that Prometheus knows',
  collision: 'another data point of the export has the same name and labels',
  unknownType: 'the type of their data is not known',
}
