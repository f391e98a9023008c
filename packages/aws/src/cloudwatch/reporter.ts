import { delay, type MetricRegistry, type Timer } from '@sluice/core'
import { classifyAwsError } from '../classify.ts'
import { type Figure, Reported, requestsOf } from './data.ts'
import type { ResolvedOptions } from './options.ts'
import { type OwnedSender, senderOf } from './sender.ts'

/** Reports metrics to CloudWatch until it is closed. */
export interface CloudWatchReporter extends AsyncDisposable {
  /** Reports now. Never rejects: a failure is logged. */
  flush(): Promise<void>
  /**
   * Reports what is left, with up to three tries, and ends. Never rejects. Idempotent.
   *
   * @param deadlineMs - milliseconds after which what is not sent is given up. Without it, the tries end in their own time.
   */
  close(deadlineMs?: number): Promise<void>
}

/** Tries of the last report, and the pause between them. */
const LAST_TRIES = 3
const LAST_PAUSE_MS = 500

export class Reporter implements CloudWatchReporter {
  readonly #registry: Pick<MetricRegistry, 'collect'>
  readonly #options: ResolvedOptions
  readonly #sender: OwnedSender
  readonly #reported = new Reported()
  /** Reports follow each other, so that no growth is told twice. */
  #last: Promise<unknown> = Promise.resolve()
  #timer: Timer | undefined
  #closing: Promise<void> | undefined
  #isFailing = false
  /** Gives up what is under way. */
  readonly #over = new AbortController()

  constructor(registry: Pick<MetricRegistry, 'collect'>, options: ResolvedOptions) {
    this.#registry = registry
    this.#options = options
    this.#sender = senderOf(options)
    this.#schedule()
  }

  async flush(): Promise<void> {
    await (this.#closing ?? this.#next())
  }

  close(deadlineMs?: number): Promise<void> {
    this.#closing ??= this.#end(deadlineMs)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #schedule(): void {
    const { after, intervalMs } = this.#options
    this.#timer = after(intervalMs, () => {
      void this.#next().finally(() => {
        if (this.#closing === undefined) this.#schedule()
      })
    })
  }

  async #end(deadlineMs: number | undefined): Promise<void> {
    this.#timer?.cancel()
    const { clock } = this.#options
    const { signal } = this.#over
    const expiry = deadlineMs === undefined ? undefined : clock.after(deadlineMs, () => this.#over.abort())
    for (let tries = 1; !(await this.#next()) && tries < LAST_TRIES && !signal.aborted; tries++) {
      await delay(clock, LAST_PAUSE_MS * tries, signal)
    }
    expiry?.cancel()
    await this.#sender.close()
  }

  /** @returns false if a report is to be repeated. */
  #next(): Promise<boolean> {
    const next = this.#last.then(() => this.#report())
    this.#last = next
    return next
  }

  async #report(): Promise<boolean> {
    const { clock, dimensions, select } = this.#options
    try {
      const samples = this.#registry.collect().filter((sample) => select(sample))
      let isRefused = false
      for (const figures of requestsOf(this.#reported.figures(samples, dimensions, clock.wallNow()))) {
        if (!(await this.#send(figures))) isRefused = true
        this.#reported.note(figures)
      }
      if (!isRefused) this.#worked()
      return true
    } catch (error) {
      this.#failed(error, 'metrics do not reach CloudWatch; counters are in the next report')
      return false
    }
  }

  /** @returns false if CloudWatch refuses the request for its content: it would refuse it again. */
  async #send(figures: Figure[]): Promise<boolean> {
    try {
      await this.#sender.send(
        figures.map(({ datum }) => datum),
        this.#over.signal,
      )
      return true
    } catch (error) {
      const { kind, httpStatus } = classifyAwsError(error)
      if (kind !== 'validation' && !(kind === 'other' && httpStatus === 400)) throw error
      this.#failed(error, `CloudWatch refuses ${figures.length} values, which are dropped`)
      return false
    }
  }

  #worked(): void {
    if (this.#isFailing) this.#options.logger.info({}, 'metrics reach CloudWatch again')
    this.#isFailing = false
  }

  /** Once for a row of failures: the job goes on without. */
  #failed(error: unknown, what: string): void {
    if (this.#isFailing) return
    this.#isFailing = true
    const { kind, code, message, requestId } = classifyAwsError(error)
    const hint = kind === 'accessDenied' ? ': the right cloudwatch:PutMetricData is needed' : ''
    const fields = { code, reason: message, ...(requestId === undefined ? {} : { requestId }) }
    this.#options.logger.warn(fields, `${what}${hint}`)
  }
}
