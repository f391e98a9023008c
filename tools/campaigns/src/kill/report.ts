import { compareLedger } from '@sluice/core/testing'
import type { Acknowledgement, Arrival, CampaignReport, ProducedRecord, RunContext } from '../campaign.ts'
import type { Figures } from '../figures.ts'
import { acknowledgedEarly } from '../ledger/acknowledged.ts'
import { attributeRepeats } from '../ledger/repeats.ts'
import { type KillRecord, landed } from './record.ts'
import { brokenRules, checkpointsBetweenKills } from './rules.ts'
import { WINDOWS, windowsOf } from './windows.ts'

/** What a run gathers, as far as it came. */
export interface RunFacts {
  readonly kills: KillRecord[]
  completed: boolean
  produced: readonly ProducedRecord[]
  arrivals: readonly Arrival[]
  /** Of a source's service that keeps positions. */
  acknowledgements: readonly Acknowledgement[]
  /** The process that was not killed. */
  last: { readonly figures: Figures | undefined; readonly firstWriteAtNs: bigint | undefined } | undefined
  /** What went wrong outside of the rules. */
  readonly failures: string[]
}

/** The closing line of the kill campaign. */
export interface KillReport extends CampaignReport {
  readonly kills: number
  readonly killsWithUnsettled: number
  /** Records that the source's service was told of, and those of them before, or without, their write. */
  readonly acknowledged: number
  readonly acknowledgedEarly: number
  /** Kills by the window in which they landed; `n/a` where there is no such window. */
  readonly windows: Readonly<Record<string, number | 'n/a'>>
  /** Completed between the first kill and the last. */
  readonly checkpoints: number
  /** By kill: records repeated, and the most that could be. */
  readonly repeats: readonly (readonly [number, number])[]
}

/** Judges what the run gathered, from the journal and the ledger. */
export function killReport(campaign: string, context: RunContext, facts: RunFacts, seconds: number): KillReport {
  const { kills, produced, arrivals, last } = facts
  const stored = arrivals.filter(({ outcome }) => outcome === 'stored')
  const ledger = compareLedger(
    produced,
    stored.map(({ entry }) => entry),
  )
  const lives = [...kills, { firstWriteAtNs: last?.firstWriteAtNs, coverage: undefined }]
  const repeats = attributeRepeats(arrivals, lives, produced)
  const processes = [...kills.map(({ figures }) => figures), ...(last?.figures === undefined ? [] : [last.figures])]
  const total = (of: (figures: Figures) => number): number => processes.reduce((sum, each) => sum + of(each), 0)
  const outcomes = {
    conflicts: arrivals.filter(({ conflict }) => conflict).length,
    dropped: total(({ dropped }) => dropped),
    returned: total(({ returned }) => returned),
    abandoned: total(({ abandoned }) => abandoned),
    deadLettered: total(({ deadLettered }) => deadLettered),
  }
  const planned = context.size.faults
  const rejected = arrivals.length - stored.length
  const windows = windowsOf(context.pipeline.positionAuthority)
  const early = acknowledgedEarly(facts.acknowledgements, arrivals, produced)
  const broken = brokenRules({
    planned,
    windows,
    kills,
    ledger,
    repeats,
    rejected,
    ordered: context.pipeline.ordered === true,
    refusesRepeats: context.pipeline.refusesRepeats === true,
    acknowledgedEarly: early,
    ...outcomes,
  })
  // Of a run that broke off the rules say nothing: its last process is not in the books.
  const failures = facts.completed ? [...facts.failures, ...broken] : facts.failures
  const pairs = kills.map(({ repeatable }, index) => [repeats.afterLife[index] ?? 0, repeatable] as const)
  for (const [index, [count, bound]] of pairs.entries()) {
    context.print(`repeats after kill ${kills[index]?.number}: ${count}, at most: ${bound}`)
  }
  return {
    campaign,
    pipeline: context.pipeline.name,
    seed: context.seed,
    ok: facts.completed && failures.length === 0,
    completed: facts.completed,
    sabotage: context.sabotage ?? null,
    produced: ledger.produced,
    stored: ledger.stored,
    missing: ledger.missing,
    duplicates: ledger.duplicates,
    reordered: ledger.reordered,
    corrupted: ledger.corrupted,
    ...outcomes,
    faultsPlanned: planned,
    faultsFired: Math.min(planned, kills.filter(landed).length),
    requestsRepeated: repeats.requests,
    acknowledged: facts.acknowledgements.length,
    acknowledgedEarly: early,
    kills: kills.length,
    killsWithUnsettled: kills.filter(({ figures }) => figures.unsettled > 0).length,
    windows: {
      ...Object.fromEntries(
        WINDOWS.map(
          (window) =>
            [window, windows.includes(window) ? kills.filter((kill) => kill.window === window).length : 'n/a'] as const,
        ),
      ),
      none: kills.filter(({ window }) => window === undefined).length,
    },
    checkpoints: checkpointsBetweenKills(kills),
    repeats: pairs,
    seconds: Math.round(seconds * 10) / 10,
    failures,
  }
}
