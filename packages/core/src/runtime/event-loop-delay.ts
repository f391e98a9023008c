import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Logger } from '../logger.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import type { MetricGroup } from '../metrics/registry.ts'

export interface EventLoopWatch {
  readonly job: string
  readonly logger: Logger
  /** The job's: with label `job`. */
  readonly metrics: MetricGroup
  /** The job's synchronous steps, as errors name them: `map #2`. */
  readonly steps: readonly string[]
  /** Milliseconds over which the percentile is taken. @default 10000 */
  readonly windowMs?: number
}

const SAMPLE_MS = 20
const WARNING_ABOVE_MS = 100
const WARNING_INTERVAL_MS = 60_000

/**
 * Measures how late the event loop calls back, until it is disposed: gauge `eventLoopDelayP99Ms`, and a warning above 100 ms, at
 * most one a minute. The delay is the process's and does not say whose code held the loop: the warning names the job's synchronous
 * steps, which are the first to look at. Never keeps the process alive.
 *
 * Real time, whatever the job's clock is: virtual time has no delay.
 */
export function watchEventLoopDelay({ job, logger, metrics, steps, windowMs = 10_000 }: EventLoopWatch): Disposable {
  const histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS })
  histogram.enable()
  let p99Ms = Number.NaN
  let warnedAt = Number.NEGATIVE_INFINITY
  const takeOut = metrics.gauge(JOB_METRICS.eventLoopDelayP99Ms, () => p99Ms)
  const endWindow = (): void => {
    if (histogram.count === 0) return
    // Node.js records the time between two samples, so the interval is part of each.
    p99Ms = Math.max(0, histogram.percentile(99) / 1e6 - SAMPLE_MS)
    histogram.reset()
    const now = performance.now()
    if (p99Ms <= WARNING_ABOVE_MS || now - warnedAt < WARNING_INTERVAL_MS) return
    warnedAt = now
    const fields = { job, eventLoopDelayP99Ms: Math.round(p99Ms), windowMs, steps }
    logger.warn(fields, WARNING)
  }
  // One phase after the timers: a sample that became due together with the window is in it, and not lost to the reset.
  let immediate: NodeJS.Immediate | undefined
  const timer = setInterval(() => {
    immediate = setImmediate(endWindow)
  }, windowMs).unref()
  return {
    [Symbol.dispose]() {
      clearInterval(timer)
      clearImmediate(immediate)
      histogram.disable()
      takeOut()
    },
  }
}

const WARNING =
  'The event loop is held up: timeouts, heartbeats and signals of this process come late. Look first at the synchronous steps of ' +
  'the job and the converters of its sinks, then at other code of the process; node --cpu-prof shows whose time it is'
