import type { Size } from '../campaign.ts'
import { shuffled } from '../ledger/shuffled.ts'
import type { Window } from './windows.ts'

/** One kill: where it is to land, and when. */
export interface KillPlan {
  readonly aim: Window | 'random'
  /** The kill comes at the n-th hit of what it is aimed at. */
  readonly nth: number
  /** Checkpoints that the process is to complete first, where the kill does not come from the process itself. */
  readonly checkpoints: number
  /** Random kills: milliseconds after the first record was emitted. */
  readonly delayMs: number
}

/** Hits that every window needs for the campaign to prove anything. */
export const HITS_PER_WINDOW = 2
/** Random kills that keep the aimed ones honest, at least. */
const MIN_RANDOM = 2
const MIN_RECORDS_PER_KILL = 20
const MAX_NTH = 4
const MAX_DELAY_MS = 700

export function sizeProblems({ faults: kills, records }: Size, windows: readonly Window[]): readonly string[] {
  const problems: string[] = []
  const least = windows.length * HITS_PER_WINDOW + MIN_RANDOM
  if (kills < least) {
    problems.push(
      `--faults must be at least ${least} (${windows.length} windows, ${HITS_PER_WINDOW} hits each, and ${MIN_RANDOM} random ones), got ${kills}`,
    )
  }
  if (records < kills * MIN_RECORDS_PER_KILL) {
    problems.push(
      `--records must be at least ${MIN_RECORDS_PER_KILL} for each kill, that is ${kills * MIN_RECORDS_PER_KILL} for ${kills}, got ${records}`,
    )
  }
  return problems
}

/** About half of the kills are aimed, each window as often as every other; the rest is random. Shuffled. */
export function killPlan(kills: number, random: () => number, windows: readonly Window[]): readonly KillPlan[] {
  const rounds = Math.max(HITS_PER_WINDOW, Math.trunc(kills / 2 / windows.length))
  const plans: KillPlan[] = []
  const add = (aim: KillPlan['aim'], checkpoints: number): void => {
    const nth = 2 + Math.trunc(random() * (MAX_NTH - 1))
    plans.push({ aim, nth, checkpoints, delayMs: Math.trunc(random() * MAX_DELAY_MS) })
  }
  // Every third time a process dies before its first checkpoint: then more than one process shares a checkpoint.
  for (let round = 0; round < rounds; round++) for (const window of windows) add(window, round % 3 === 2 ? 0 : 1)
  while (plans.length < kills) add('random', plans.length % 2)
  return shuffled(plans, random)
}
