import type { Size } from '../campaign.ts'
import { shuffled } from '../ledger/shuffled.ts'

/**
 * Where a signal comes.
 *
 * - `start`: when the process is so young that mostly no record is emitted yet, perhaps before there is a job.
 * - `running`: at a random moment.
 * - `checkpoint`: while a checkpoint is open.
 * - `restart`: while the job waits for its next attempt.
 * - `short`: the store holds every write, so that the grace does not suffice.
 * - `second`: as `short`, and a second signal closes the job.
 */
export const KINDS = ['start', 'running', 'checkpoint', 'restart', 'short', 'second'] as const
export type Kind = (typeof KINDS)[number]

/** One signal. */
export interface SignalPlan {
  readonly kind: Kind
  /** `start`: milliseconds after the process began; else, after the moment was there. */
  readonly delayMs: number
  /** `checkpoint`: the failpoint, and which hit of it. */
  readonly failpoint: string
  readonly nth: number
}

/** Of ten signals. One that outlasts the grace costs five seconds. */
const SHARES: readonly Kind[] = [
  'running',
  'checkpoint',
  'start',
  'restart',
  'short',
  'second',
  'running',
  'checkpoint',
  'start',
  'running',
]
const FAILPOINTS = ['checkpoint:snapshot', 'checkpoint:settled', 'checkpoint:stored', 'sink:submitting'] as const
const MAX_START_MS = 450
const MAX_DELAY_MS = 400
const MIN_RECORDS_PER_SIGNAL = 20

/** Why a size cannot prove anything. */
export function signalProblems({ faults, records }: Size): readonly string[] {
  const problems: string[] = []
  if (faults < SHARES.length) {
    problems.push(`--faults must be at least ${SHARES.length}, so that every kind of signal comes, got ${faults}`)
  }
  if (records < faults * MIN_RECORDS_PER_SIGNAL) {
    problems.push(
      `--records must be at least ${MIN_RECORDS_PER_SIGNAL} for each signal, that is ${faults * MIN_RECORDS_PER_SIGNAL} for ${faults}, got ${records}`,
    )
  }
  return problems
}

/** Every kind in its share, shuffled. */
export function signalPlan(signals: number, random: () => number): readonly SignalPlan[] {
  const plans = Array.from({ length: signals }, (_, index): SignalPlan => {
    const kind = SHARES[index % SHARES.length] ?? 'running'
    return {
      kind,
      delayMs: Math.trunc(random() * (kind === 'start' ? MAX_START_MS : MAX_DELAY_MS)),
      failpoint: FAILPOINTS[Math.trunc(random() * FAILPOINTS.length)] ?? FAILPOINTS[0],
      nth: 1 + Math.trunc(random() * 3),
    }
  })
  return shuffled(plans, random)
}
