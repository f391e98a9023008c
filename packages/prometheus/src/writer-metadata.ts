import type { Clock } from '@sluice/core'
import type { WriteVerdict } from './classify.ts'
import type { FailureLog } from './errors-log.ts'
import type { MetricMetadata, MetricType } from './model.ts'
import type { Entry } from './series.ts'

/** Metrics in one request, at most. */
const MAX_METRICS_PER_REQUEST = 500
/** Metrics of all destinations that are remembered, at most; when there are more, all are told again. */
const MAX_METRICS = 10_000

export interface MetadataPlan {
  /** Milliseconds after which what a metric is is told again; 0 for never at all. */
  readonly intervalMs: number
  /** Milliseconds that one request may take. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly log: FailureLog
  send(metrics: ReadonlyMap<string, MetricMetadata>, destination: string, signal: AbortSignal): Promise<WriteVerdict>
}

interface Told {
  readonly metadata: MetricMetadata
  readonly at: number
}

interface Destination {
  /** By the name of the series' metric. */
  readonly told: Map<string, Told>
  /** By the name of the metric that they belong to: to be told next. */
  pending: Map<string, MetricMetadata>
  isSending: boolean
}

/**
 * Tells receivers of remote write 1.0 what metrics are. As Prometheus does it sends that by itself, apart from samples, so that a receiver
 * that does not want it costs no sample: when samples of a metric were written for the first time, when it changes, and ever again after
 * an interval. What cannot be sent is sent after the next interval.
 *
 * See https://prometheus.io/docs/prometheus/latest/configuration/configuration/#remote_write (metadata_config)
 */
export class MetadataSender {
  readonly #plan: MetadataPlan
  readonly #destinations = new Map<string, Destination>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #remembered = 0

  constructor(plan: MetadataPlan) {
    this.#plan = plan
  }

  /** Samples of these were written. */
  written(entries: readonly Entry[], name: string): void {
    const { intervalMs, clock } = this.#plan
    if (intervalMs === 0 || this.#closing.signal.aborted) return
    let destination = this.#destinations.get(name)
    let now: number | undefined
    for (const { series } of entries) {
      const { metadata, metricName } = series
      if (metadata === undefined) continue
      now ??= clock.now()
      const told = destination?.told.get(metricName)
      if (told !== undefined && now - told.at < intervalMs && isSame(told.metadata, metadata)) continue
      destination ??= this.#destinationOf(name)
      if (told === undefined) this.#remembered++
      destination.told.set(metricName, { metadata, at: now })
      destination.pending.set(familyOf(metricName, metadata.type), metadata)
    }
    if (destination !== undefined) this.#start(destination, name)
    if (this.#remembered > MAX_METRICS) {
      this.#destinations.clear()
      this.#remembered = 0
    }
  }

  /** Waits for what is under way, and ends it at the deadline. */
  async close(deadlineMs: number): Promise<void> {
    const expiry = deadlineMs > 0 ? this.#plan.clock.after(deadlineMs, () => this.#closing.abort()) : undefined
    if (expiry === undefined) this.#closing.abort()
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
    expiry?.cancel()
    this.#closing.abort()
  }

  #start(destination: Destination, name: string): void {
    if (destination.isSending || destination.pending.size === 0) return
    destination.isSending = true
    const sending = this.#sendAll(destination, name).finally(() => {
      destination.isSending = false
      this.#underWay.delete(sending)
    })
    this.#underWay.add(sending)
  }

  async #sendAll(destination: Destination, name: string): Promise<void> {
    while (destination.pending.size > 0 && !this.#closing.signal.aborted) {
      const all = [...destination.pending]
      destination.pending = new Map(all.slice(MAX_METRICS_PER_REQUEST))
      const verdict = await this.#send(new Map(all.slice(0, MAX_METRICS_PER_REQUEST)), name)
      if (verdict.kind === 'written' || this.#closing.signal.aborted) continue
      destination.pending.clear()
      this.#plan.log.untold(verdict.reason, name)
    }
  }

  async #send(metrics: ReadonlyMap<string, MetricMetadata>, name: string): Promise<WriteVerdict> {
    const { clock, timeoutMs } = this.#plan
    const timeout = new AbortController()
    const expiry = clock.after(timeoutMs, () => timeout.abort())
    try {
      return await this.#plan.send(metrics, name, AbortSignal.any([timeout.signal, this.#closing.signal]))
    } finally {
      expiry.cancel()
    }
  }

  #destinationOf(name: string): Destination {
    const made: Destination = { told: new Map(), pending: new Map(), isSending: false }
    this.#destinations.set(name, made)
    return made
  }
}

function isSame(told: MetricMetadata, given: MetricMetadata): boolean {
  if (told === given) return true
  const { type = 'unknown', help = '', unit = '' } = given
  return (told.type ?? 'unknown') === type && (told.help ?? '') === help && (told.unit ?? '') === unit
}

/** Series of which one metric consists. */
const PARTS: Partial<Record<MetricType, RegExp>> = {
  histogram: /_(?:bucket|sum|count)$/,
  gaugehistogram: /_(?:bucket|gsum|gcount)$/,
  summary: /_(?:sum|count)$/,
}

/** The name of the metric that a series belongs to: `latency` of `latency_bucket`. */
function familyOf(metricName: string, type: MetricType = 'unknown'): string {
  const part = PARTS[type]
  return part === undefined ? metricName : metricName.replace(part, '')
}
