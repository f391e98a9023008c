import { backoffMs, type Counter, delay, SluiceError, type SourceContext, type Timer } from '@sluice/core'

import type { KinesisApi } from './api.ts'
import { fatalError, judge, type Judgement } from './classify.ts'
import { KINESIS_METRICS } from './metrics.ts'
import { listShards, type ShardListing } from './shards.ts'
import { WarningInterval } from './warning-interval.ts'

const BACKOFF = { initialDelayMs: 200, maxDelayMs: 10_000 }
/** Tries of a request at the start, about 20 seconds; then the job's restart strategy decides. */
const START_ATTEMPTS = 8

/** Asks the service about shards: at the start, and then again and again. */
export class ShardDiscovery {
  readonly #context: SourceContext
  readonly #api: KinesisApi
  readonly #intervalMs: number
  readonly #found: (listing: ShardListing) => void
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #discoveries: Counter
  readonly #errors: Counter
  readonly #warning: WarningInterval
  #timer: Timer | undefined
  #failures = 0

  constructor(context: SourceContext, api: KinesisApi, intervalMs: number, found: (listing: ShardListing) => void) {
    this.#context = context
    this.#api = api
    this.#intervalMs = intervalMs
    this.#found = found
    this.#signal = AbortSignal.any([context.signal, this.#stop.signal])
    this.#discoveries = context.metrics.counter(KINESIS_METRICS.numShardDiscoveries)
    this.#errors = context.metrics.counter(KINESIS_METRICS.numShardDiscoveryErrors)
    this.#warning = new WarningInterval(context.clock)
    this.#signal.addEventListener('abort', () => this.#timer?.cancel(), { once: true })
  }

  /** One question of the start, repeated with backoff. @throws SluiceError when it cannot be answered. */
  async ask<A>(question: (signal: AbortSignal) => Promise<A>): Promise<A> {
    for (let failures = 1; ; failures++) {
      try {
        return await question(this.#signal)
      } catch (error) {
        const judgement = judge(error, 'starting')
        if (judgement.verdict === 'fatal' || this.#signal.aborted || failures === START_ATTEMPTS) {
          throw fatalError(error, await this.#api.describeTarget())
        }
        if (failures === 1) this.#log(judgement)
        await delay(this.#context.clock, backoffMs(failures, this.#context.random, BACKOFF), this.#signal)
      }
    }
  }

  /** The next listing comes after the interval. */
  schedule(delayMs: number = this.#intervalMs): void {
    if (this.#signal.aborted) return
    this.#timer = this.#context.clock.after(delayMs, () => {
      this.#timer = undefined
      void this.#discover()
    })
  }

  /** The next listing comes now, unless one is under way. */
  hasten(): void {
    if (this.#timer === undefined) return
    this.#timer.cancel()
    this.schedule(0)
  }

  stop(): void {
    this.#stop.abort(new SluiceError('SLUICE_CLOSED', 'the enumerator was closed', { restartable: true }))
  }

  async #discover(): Promise<void> {
    let nextMs = this.#intervalMs
    try {
      const listing = await listShards(this.#api, this.#signal)
      if (this.#signal.aborted) return
      this.#discoveries.value++
      this.#failures = 0
      this.#warning.reset()
      this.#found(listing)
    } catch (error) {
      if (this.#signal.aborted) return
      const judgement = judge(error, 'running')
      if (judgement.verdict === 'fatal') {
        this.#context.fail(fatalError(error, await this.#api.describeTarget()))
        return
      }
      this.#errors.value++
      this.#failures++
      if (this.#warning.due()) this.#log(judgement)
      nextMs = Math.max(nextMs, backoffMs(this.#failures, this.#context.random, BACKOFF))
    }
    this.schedule(nextMs)
  }

  #log({ failure }: Judgement): void {
    const { code, message, requestId } = failure
    this.#context.logger.warn(
      { source: this.#context.sourceUid, code, error: message, requestId },
      'listing the shards failed; repeating with backoff',
    )
  }
}
