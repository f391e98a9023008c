import { messageOf, SluiceError } from '../errors.ts'
import { refusalError } from '../job/refusal.ts'
import type { Logger } from '../logger.ts'
import { JOB_METRICS } from '../metrics/job-metrics.ts'
import type { MetricGroup } from '../metrics/registry.ts'
import { backoffMs, type Random } from '../runtime/backoff.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { type Clock, delay } from '../runtime/clock.ts'
import type { Refusal } from '../sink/spi.ts'
import type { Origin } from '../tracker/run.ts'
import { composeLetter } from './compose.ts'
import type { DeadLetterRetryOptions, DeadLetters, DeadLetterStatus } from './dead-letters.ts'
import { Occurrences } from './identity.ts'
import { type DeadLetter, REFUSAL_STAGES } from './letter.ts'
import { shortened } from './render.ts'
import { STORM_WINDOW, StormWindow } from './storm.ts'
import { tryDelivery } from './try-delivery.ts'

/** Letters that are made and not confirmed: enough for sinks that send batches, few enough to hold in memory twice. */
const MAX_LETTERS_IN_FLIGHT = 64
const MAX_CHARACTERS_IN_FLIGHT = 32 * 1024 * 1024
const LOG_INTERVAL_MS = 60_000
const MAX_LOGGED_KINDS = 100
const MAX_ERROR_MESSAGE = 1000
const NO_CONTENT = 'no dead letter can be made of it, since its raw form was not found'

export interface DeliveryPlan {
  readonly job: string
  readonly retry: Required<DeadLetterRetryOptions>
  readonly maxDeadLetterRatio: number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: MetricGroup
  /** Every place that a letter of this job may go to, once. */
  readonly targets: readonly DeadLetters[]
  /** Where refusals of the sink go; those of decode and operators when there is none. Undefined: they end the job. */
  target(sink: string | undefined): DeadLetters | undefined
  /** Undefined for an input that is settled. May throw, since the connector looks its raw record up. */
  origin(token: number): Origin | undefined
  /** True when a checkpoint, or room, waits for this input to be settled. */
  isAwaited(token: number): boolean
  fail(error: SluiceError): void
}

interface Pending {
  readonly target: DeadLetters
  readonly sink: string | undefined
  readonly refusal: Refusal
  readonly resolve: (confirmed: boolean) => void
}

/**
 * Brings refused records to the dead letters, for one attempt of a job. A refused record stays in hand until its letter is
 * confirmed; one that cannot be delivered fails the attempt and is repeated by the next: nothing is ever dropped here.
 */
export class Delivery {
  readonly #plan: DeliveryPlan
  readonly #window: StormWindow
  readonly #occurrences: Occurrences
  readonly #ended = new AbortController()
  /** In order; letters are made when they are sent, so that a crowd of refusals costs no second copy of the raw bytes. */
  readonly #waiting = new Set<Pending>()
  readonly #toHasten = new Set<DeadLetters>()
  readonly #loggedAt = new Map<string, number>()
  #inFlight = 0
  #charactersInFlight = 0
  #delivered = 0
  #errors = 0
  #lastError: string | undefined

  constructor(plan: DeliveryPlan) {
    this.#plan = plan
    this.#window = new StormWindow(plan.maxDeadLetterRatio)
    this.#occurrences = new Occurrences((token) => this.#origin(token) === undefined)
    if (plan.targets.length > 0) {
      plan.metrics.gauge(JOB_METRICS.pendingDeadLetters, () => this.#waiting.size + this.#inFlight)
      for (const stage of REFUSAL_STAGES) plan.metrics.counter(JOB_METRICS.numDeadLetters, { stage })
      plan.metrics.counter(JOB_METRICS.numDeadLetterErrors)
    }
  }

  /** True when the letter is confirmed, so that the record may be settled; false when the attempt ends. Never rejects. */
  refused(sink: string | undefined, refusal: Refusal): Promise<boolean> {
    if (this.#ended.signal.aborted) return Promise.resolve(false)
    const target = this.#plan.target(sink)
    if (target === undefined) return this.#giveUp(refusalError(sink, refusal, this.#origin(refusal.token)))
    if (this.#window.add(refusal.token)) return this.#giveUp(this.#storm(sink, refusal))
    this.#log(sink, refusal)
    return new Promise((resolve) => {
      this.#waiting.add({ target, sink, refusal, resolve })
      this.#pump()
    })
  }

  hasten(): void {
    for (const target of this.#plan.targets) this.#hasten(target)
  }

  /** Sends nothing more. A letter under way that is confirmed later still says so; whoever asked ignores it. */
  end(): void {
    this.#ended.abort(new SluiceError('SLUICE_CLOSED', 'the attempt ended', { restartable: true }))
    for (const { resolve } of this.#waiting) resolve(false)
    this.#waiting.clear()
  }

  status(): DeadLetterStatus {
    return {
      delivered: this.#delivered,
      pending: this.#waiting.size + this.#inFlight,
      errors: this.#errors,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    }
  }

  #pump(): void {
    for (const pending of this.#waiting) {
      if (this.#inFlight >= MAX_LETTERS_IN_FLIGHT || this.#charactersInFlight >= MAX_CHARACTERS_IN_FLIGHT) return
      this.#waiting.delete(pending)
      const letter = this.#compose(pending)
      if (letter === undefined) {
        pending.resolve(false)
        return
      }
      void this.#send(pending, letter)
    }
  }

  /** Undefined after the attempt was failed: a letter without content would lose the record. */
  #compose({ sink, refusal }: Pending): DeadLetter | undefined {
    const { job, clock } = this.#plan
    const origin = this.#origin(refusal.token)
    let letter: DeadLetter | undefined
    try {
      if (origin !== undefined) letter = composeLetter(job, sink, refusal, origin, clock, this.#occurrences)
    } catch (error) {
      this.#plan.logger.error({ job, error: messageOf(error) }, 'A dead letter could not be made')
    }
    if (letter === undefined) void this.#giveUp(refusalError(sink, refusal, origin, NO_CONTENT))
    return letter
  }

  async #send(pending: Pending, letter: DeadLetter): Promise<void> {
    const characters = letter.raw?.length ?? 0
    this.#inFlight++
    this.#charactersInFlight += characters
    const confirmed = await this.#deliver(pending, letter)
    this.#inFlight--
    this.#charactersInFlight -= characters
    pending.resolve(confirmed)
    this.#pump()
  }

  async #deliver({ target, refusal }: Pending, letter: DeadLetter): Promise<boolean> {
    const { clock, random, retry, metrics } = this.#plan
    const { signal } = this.#ended
    for (let attempt = 1; ; attempt++) {
      failpoint('dead-letter:delivering')
      const tried = tryDelivery(target, letter, attempt, retry.timeoutMs, clock, signal)
      if (this.#plan.isAwaited(refusal.token)) this.#hastenSoon(target)
      const error = await tried
      if (error === undefined) {
        failpoint('dead-letter:delivered')
        this.#delivered++
        metrics.counter(JOB_METRICS.numDeadLetters, { stage: letter.stage }).value++
        return true
      }
      if (signal.aborted) return false
      this.#noteError(error)
      if (attempt >= retry.maxAttempts) return this.#giveUp(this.#failure(letter, attempt, error))
      await delay(clock, backoffMs(attempt, random, retry), signal)
      if (signal.aborted) return false
    }
  }

  /** The attempt is over: what waits is not sent any more, so that nothing beyond this record can be acknowledged. */
  #giveUp(error: SluiceError): Promise<false> {
    this.#plan.fail(error)
    this.end()
    return Promise.resolve(false)
  }

  #failure(letter: DeadLetter, tries: number, error: Error): SluiceError {
    const { id, stage, sink, origin } = letter
    const message = `a dead letter could not be delivered: ${tries} tries (deadLetterRetry.maxAttempts), the last ended with: ${messageOf(error)}`
    return new SluiceError('SLUICE_DEAD_LETTERS_FAILED', message, {
      cause: error,
      restartable: true,
      facts: { id, stage, sink, source: origin.source, split: origin.split, position: origin.position, tries },
    })
  }

  #storm(sink: string | undefined, refusal: Refusal): SluiceError {
    const { maxDeadLetterRatio } = this.#plan
    const at = sink === undefined ? refusal.stage : `${refusal.stage} of sink ${sink}`
    const message = `more than ${this.#window.allowed} of ${STORM_WINDOW} consecutive inputs were refused (maxDeadLetterRatio ${maxDeadLetterRatio}), the last at ${at}: ${refusal.reason.code}. Nothing was lost: the inputs that are not dead-lettered are read again at the next start`
    return new SluiceError('SLUICE_POISON_STORM', message, {
      facts: {
        stage: refusal.stage,
        reasonCode: refusal.reason.code,
        maxDeadLetterRatio,
        ...(sink === undefined ? {} : { sink }),
      },
    })
  }

  #origin(token: number): Origin | undefined {
    try {
      return this.#plan.origin(token)
    } catch (error) {
      // The look-up is the connector's; that it fails must not hide why the record was refused.
      this.#plan.logger.warn({ job: this.#plan.job, error: messageOf(error) }, 'A raw record was not found')
      return undefined
    }
  }

  /** The letters of one turn are hastened together. */
  #hastenSoon(target: DeadLetters): void {
    if (target.hasten === undefined) return
    this.#toHasten.add(target)
    if (this.#toHasten.size > 1) return
    this.#plan.clock.afterPoll(() => {
      for (const each of this.#toHasten) this.#hasten(each)
      this.#toHasten.clear()
    })
  }

  #hasten(target: DeadLetters): void {
    try {
      target.hasten?.()
    } catch (error) {
      this.#plan.logger.warn({ job: this.#plan.job, error: messageOf(error) }, 'Dead letters could not be hastened')
    }
  }

  /** Never the words of what was thrown: they may quote the record. */
  #log(sink: string | undefined, { stage, reason, token }: Refusal): void {
    const { logger, job } = this.#plan
    if (!this.#mayLog(JSON.stringify([sink, stage, reason.code]))) return
    const origin = this.#origin(token)
    logger.warn(
      {
        job,
        ...(sink === undefined ? {} : { sink }),
        stage,
        reason: reason.code,
        source: origin?.source,
        split: origin?.splitId,
        position: origin?.raw?.position,
      },
      'A record was refused and goes to the dead letters; more of this kind are told once a minute',
    )
  }

  #noteError(error: Error): void {
    const { job, logger, metrics, retry } = this.#plan
    this.#errors++
    metrics.counter(JOB_METRICS.numDeadLetterErrors).value++
    this.#lastError = shortened(messageOf(error), MAX_ERROR_MESSAGE)
    if (!this.#mayLog('delivery')) return
    logger.warn(
      { job, error: this.#lastError, maxAttempts: retry.maxAttempts },
      'A dead letter was not delivered and is sent again. Option: deadLetterRetry',
    )
  }

  /** The first of a kind, and then one a minute. */
  #mayLog(kind: string): boolean {
    const now = this.#plan.clock.now()
    if (now - (this.#loggedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < LOG_INTERVAL_MS) return false
    if (this.#loggedAt.size >= MAX_LOGGED_KINDS && !this.#loggedAt.has(kind)) return false
    this.#loggedAt.set(kind, now)
    return true
  }
}
