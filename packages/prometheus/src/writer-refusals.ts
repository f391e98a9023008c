import type { EntryOutcome, Reason } from '@sluice/core'
import type { FailureLog, Held } from './errors-log.ts'
import type { SinkMetrics } from './metrics.ts'
import type { OnErrorBehavior } from './options.ts'
import type { Entry } from './series.ts'
import type { SetApart } from './writer-apart.ts'
import type { OnInvalid } from './writer-entries.ts'
import { heldBy, heldByInvalid, invalidReason } from './writer-facts.ts'

const OPTION = 'errorHandlingBehaviorConfiguration.onPrometheusNonRetriableError'

export interface RefusalPlan {
  /** Undefined where the user said nothing. */
  readonly policy: OnErrorBehavior | undefined
  readonly hasDeadLetters: boolean
  readonly metrics: SinkMetrics
  readonly log: FailureLog
}

/** What becomes of series that are refused for themselves: by the receiver, or because they break the rules. */
export class Refusals {
  /** Each refusal is to be heard of: a dead letter where there are any, otherwise the end of the attempt. */
  readonly areTold: boolean
  /** The user wants to hear of every refusal, also of what may be a repeat of a request without an answer. */
  readonly areAllTold: boolean
  readonly #metrics: SinkMetrics
  readonly #log: FailureLog

  constructor({ policy, hasDeadLetters, metrics, log }: RefusalPlan) {
    this.areAllTold = policy === 'FAIL'
    this.areTold = (policy ?? (hasDeadLetters ? 'FAIL' : 'DISCARD_AND_CONTINUE')) === 'FAIL'
    this.#metrics = metrics
    this.#log = log
  }

  get onInvalid(): OnInvalid {
    return this.areTold ? 'refuses' : 'isReplaced'
  }

  /** The same for each of the series. */
  refused(reason: Reason, held: Held, destination: string): EntryOutcome {
    if (this.areTold) {
      this.#log.refused(reason, held, destination)
      return { kind: 'refuse', reason }
    }
    return this.#dropped(reason, held, destination)
  }

  /** The receiver refuses what may be a repeat. */
  refusedOnReplay(reason: Reason, held: Held, destination: string): EntryOutcome {
    const repeated = { ...reason, code: 'refusedOnReplay' }
    this.#metrics.dropped('replay', held.samples)
    this.#log.dropped(repeated, held, destination, 'checkpoints.intervalMs')
    return { kind: 'dropped', reason: repeated }
  }

  /** Outcomes of what is not sent. */
  decide({ invalid, unfit, confirmed }: SetApart, destination: string): ReadonlyMap<Entry, EntryOutcome> {
    const decided = new Map<Entry, EntryOutcome>()
    const all = (entries: readonly Entry[], outcome: EntryOutcome): void => {
      for (const entry of entries) decided.set(entry, outcome)
    }
    all(confirmed, { kind: 'duplicate' })
    if (invalid.length > 0) all(invalid, this.#dropped(invalidReason(invalid), heldByInvalid(invalid), destination))
    if (unfit.length > 0) all(unfit, this.refused(NOT_IN_1_0, heldBy(unfit), destination))
    return decided
  }

  #dropped(reason: Reason, held: Held, destination: string): EntryOutcome {
    this.#metrics.dropped('refused', held.samples)
    this.#log.dropped(reason, held, destination, OPTION)
    return { kind: 'dropped', reason }
  }
}

const NOT_IN_1_0: Reason = {
  code: 'notInProtocol',
  message: "the receiver takes remote write 1.0 alone, whose names are letters, digits, '_' and, of metrics, ':'",
}
