import type { Clock, SubmitOutcome } from '@sluice/core'
import type { WriteVerdict } from './classify.ts'
import type { Entry, Series } from './series.ts'
import { SampleProbe } from './writer-probe.ts'
import type { RequestSender } from './writer-sender.ts'
import { ServerErrorRule, type ServerErrorVerdict } from './writer-server-errors.ts'
import type { EntryStates } from './writer-states.ts'

/** So many times the longest delay between two tries, no 500 counts against what a request holds. */
const MIN_AGE_DELAYS = 2
const MAX_HELD = 10_000

export interface ServerErrorJudgePlan {
  readonly clock: Clock
  readonly states: EntryStates
  readonly sender: RequestSender
  readonly isolateAfterServerErrors: number
  readonly maxRetryCount: number
  /** Milliseconds between two tries, at most. */
  readonly maxDelayMs: number
  /** Of the probes. */
  readonly series: () => Series
}

/** A request that was answered with 500. */
interface Answered {
  readonly entries: readonly Entry[]
  readonly destination: string
  readonly signal: AbortSignal
  /** What it holds would be given up, not divided. */
  readonly isAlone: boolean
  /** See {@link ServerErrorJudge.now}. */
  readonly sentAt: number
}

interface Judged {
  readonly verdict: ServerErrorVerdict
  /** What a probe was answered, if one was sent. */
  readonly probe: WriteVerdict | undefined
}

/** Judges requests that were answered with 500 by the {@link ServerErrorRule}, and sends the probes that it needs. */
export class ServerErrorJudge {
  readonly #plan: ServerErrorJudgePlan
  readonly #rule: ServerErrorRule
  readonly #probe: SampleProbe
  /** Until when a destination asked for nothing to be sent, in milliseconds. */
  readonly #heldUntil = new Map<string, number>()

  constructor(plan: ServerErrorJudgePlan) {
    this.#plan = plan
    this.#rule = new ServerErrorRule(plan.isolateAfterServerErrors, MIN_AGE_DELAYS * plan.maxDelayMs)
    this.#probe = new SampleProbe(plan)
  }

  /** Another time each time: to be asked for before a request is sent. */
  now(): number {
    return this.#rule.now()
  }

  /** The destination wrote samples. */
  written(destination: string): void {
    this.#rule.written(destination)
  }

  /** Nothing is to be sent to the destination until then, a probe neither. */
  hold(destination: string, { outcome }: WriteVerdict): void {
    if (!('afterMs' in outcome) || outcome.afterMs === undefined) return
    if (this.#heldUntil.size >= MAX_HELD) this.#heldUntil.clear()
    this.#heldUntil.set(destination, this.#plan.clock.now() + outcome.afterMs)
  }

  async judge({ entries, destination, signal, isAlone, sentAt }: Answered): Promise<Judged> {
    const { states, sender, clock, maxRetryCount } = this.#plan
    const known = entries.map((entry) => states.of(entry))
    let probe: WriteVerdict | undefined
    const verdict = await this.#rule.judge({
      destination,
      errors: known.map(({ serverErrors }) => serverErrors),
      isAlone,
      sentAt,
      nowMs: clock.now(),
      isLastTry: known.some(({ tries }) => tries >= maxRetryCount),
      probe: async () => {
        if (clock.now() < (this.#heldUntil.get(destination) ?? 0)) return false
        probe = await this.#probe.ask(destination, (marker) => sender.send(marker, destination, signal, false))
        this.hold(destination, probe)
        return probe.kind === 'written'
      },
    })
    return { verdict, probe }
  }
}

/** Once more, which is no try of the record: what it is for is to know. */
export function askAgain({ reason }: WriteVerdict): SubmitOutcome {
  return { retryAll: reason, afterMs: 0, slowDown: false }
}

/** A 500 that is no server error. */
export function charged(verdict: WriteVerdict): WriteVerdict {
  const message = `${verdict.reason.message} (again and again, while the receiver takes other samples: isolateAfterServerErrors)`
  const reason = { ...verdict.reason, message }
  return { ...verdict, kind: 'refused', outcome: { isolate: reason }, reason }
}
