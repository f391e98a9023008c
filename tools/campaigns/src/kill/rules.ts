import type { LedgerReport } from '@sluice/core/testing'
import type { Repeats } from '../ledger/repeats.ts'
import { HITS_PER_WINDOW } from './plan.ts'
import { type KillRecord, landed } from './record.ts'
import type { Window } from './windows.ts'

/** Share of the kills that must find something unsettled. */
const MIN_UNSETTLED_RATIO = 0.8

/** Everything that the verdict rests on. */
export interface KillFacts {
  readonly planned: number
  readonly windows: readonly Window[]
  readonly kills: readonly KillRecord[]
  readonly ledger: LedgerReport
  readonly repeats: Repeats
  /** Whether records of a key have to arrive in order. */
  readonly ordered: boolean
  /** Whether dropped records are repeats that the store refused. */
  readonly refusesRepeats: boolean
  /** Refused by the store. */
  readonly rejected: number
  readonly conflicts: number
  /** Acknowledged before it was written, or without. */
  readonly acknowledgedEarly: number
  readonly dropped: number
  readonly returned: number
  readonly abandoned: number
  readonly deadLettered: number
}

/** Share of the processes between two kills that must complete a checkpoint which covers something new. */
const MIN_CHECKPOINTED_RATIO = 0.5

/** Checkpoints that completed, and covered something new, between the first kill and the last. */
export function checkpointsBetweenKills(kills: readonly KillRecord[]): number {
  return kills.slice(1).reduce((sum, { figures }) => sum + figures.advanced, 0)
}

/** Every rule that was broken: those of the faults first, because without faults the others prove nothing. */
export function brokenRules(facts: KillFacts): readonly string[] {
  return [...faultRules(facts), ...recordRules(facts), ...repeatRules(facts)]
}

function faultRules({ planned, windows, kills, repeats }: KillFacts): string[] {
  const broken: string[] = []
  const fired = kills.filter(landed).length
  if (fired < planned) broken.push(`only ${fired} of ${planned} planned kills landed where they were aimed`)
  const unsettled = kills.filter(({ figures }) => figures.unsettled > 0).length
  if (unsettled < kills.length * MIN_UNSETTLED_RATIO) {
    broken.push(
      `only ${unsettled} of ${kills.length} kills found something unsettled; at least ${MIN_UNSETTLED_RATIO * 100} % must`,
    )
  }
  for (const window of windows) {
    const hits = kills.filter((kill) => kill.window === window).length
    if (hits < HITS_PER_WINDOW) broken.push(`window ${window} was hit ${hits} times, not ${HITS_PER_WINDOW}`)
  }
  const between = kills.slice(1)
  const checkpointed = between.filter(({ figures }) => figures.advanced > 0).length
  if (checkpointed === 0 || checkpointed < between.length * MIN_CHECKPOINTED_RATIO) {
    broken.push(`a checkpoint completed between two kills only ${checkpointed} times of ${between.length}`)
  }
  for (const [index, kill] of kills.entries()) {
    if (kill.window === 'applied-unanswered' && (repeats.afterLife[index] ?? 0) === 0) {
      broken.push(`kill ${kill.number} left a request applied and unanswered, and nothing was repeated`)
    }
  }
  return broken
}

function recordRules(facts: KillFacts): string[] {
  const { ledger, kills } = facts
  const broken: string[] = []
  if (ledger.produced === 0) broken.push('no record was produced')
  if (ledger.missing > 0) {
    broken.push(
      `${ledger.missing} of ${ledger.produced} records are missing, such as ${JSON.stringify(ledger.examplesMissing[0])}`,
    )
  }
  if (ledger.corrupted > 0) broken.push(`${ledger.corrupted} stored records were never produced like that`)
  const unplanned = ['rejected', 'conflicts', 'dropped', 'returned', 'abandoned', 'deadLettered'] as const
  for (const what of unplanned) {
    if (what === 'dropped' && facts.refusesRepeats) continue
    if (facts[what] > 0) broken.push(`${facts[what]} ${what}, none was planned`)
  }
  if (facts.ordered && ledger.reordered > 0)
    broken.push(`${ledger.reordered} records came before an earlier one of their key`)
  if (facts.acknowledgedEarly > 0)
    broken.push(`${facts.acknowledgedEarly} records were acknowledged before they were written`)
  let known = 0
  for (const { number, coveredButMissing } of kills) {
    if (coveredButMissing > known) {
      broken.push(
        `at kill ${number}, ${coveredButMissing} records were covered or acknowledged that the store did not hold`,
      )
    }
    known = Math.max(known, coveredButMissing)
  }
  return broken
}

function repeatRules({ kills, repeats }: KillFacts): string[] {
  const broken: string[] = []
  for (const [index, { number, repeatable }] of kills.entries()) {
    const count = repeats.afterLife[index] ?? 0
    if (count > repeatable) {
      broken.push(`kill ${number} led to ${count} repeats, but ${repeatable} were emitted and not yet covered`)
    }
    const covered = repeats.coveredAfterLife[index] ?? 0
    if (covered > 0)
      broken.push(`after kill ${number}, ${covered} records were repeated that were covered or acknowledged`)
  }
  if (repeats.withinLife > 0) broken.push(`${repeats.withinLife} repeats without a kill between`)
  return broken
}
