import { compareLedger, type LedgerReport } from '@sluice/core/testing'
import type { Arrival, CampaignReport, ProducedRecord, RunContext } from '../campaign.ts'
import { identityOf } from '../ledger/repeats.ts'

/** What a run on the file log gathers, as far as it came. */
export interface FileLogFacts {
  completed: boolean
  produced: readonly ProducedRecord[]
  /** Each of them is judged against what was produced: a run on each damaged state has one of its own. */
  arrivals: readonly Arrival[]
  /** Missing in a run of its own that is not in `arrivals`. */
  missingElsewhere: number
  faultsPlanned: number
  faultsFired: number
  /** Faults that this machine does not allow. */
  readonly skipped: string[]
  readonly failures: string[]
}

function noFacts(): FileLogFacts {
  return {
    completed: false,
    produced: [],
    arrivals: [],
    missingElsewhere: 0,
    faultsPlanned: 0,
    faultsFired: 0,
    skipped: [],
    failures: [],
  }
}

/** Carries a run out, and reports whatever became of it. */
export async function reported<Figures extends object>(
  campaign: string,
  context: RunContext,
  carryOut: (facts: FileLogFacts) => Promise<Figures>,
): Promise<CampaignReport & Partial<Figures> & { readonly skipped: readonly string[] }> {
  const startedAt = performance.now()
  const facts = noFacts()
  let figures: Partial<Figures> = {}
  try {
    figures = await carryOut(facts)
    facts.completed = true
  } catch (error) {
    const reason: unknown = context.signal.aborted ? context.signal.reason : error
    facts.failures.push(reason instanceof Error ? reason.message : String(reason))
  }
  const ledger = compareLedger(
    facts.produced,
    facts.arrivals.map(({ entry }) => entry),
  )
  const failures = facts.completed ? [...facts.failures, ...brokenRules(facts, ledger)] : facts.failures
  for (const skipped of facts.skipped) context.print(`SKIPPED: ${skipped}`)
  return {
    campaign,
    pipeline: context.pipeline.name,
    seed: context.seed,
    ok: facts.completed && failures.length === 0,
    completed: facts.completed,
    sabotage: context.sabotage ?? null,
    produced: ledger.produced,
    stored: ledger.stored,
    missing: ledger.missing + facts.missingElsewhere,
    duplicates: ledger.duplicates,
    reordered: ledger.reordered,
    corrupted: ledger.corrupted,
    conflicts: 0,
    dropped: 0,
    returned: 0,
    abandoned: 0,
    deadLettered: 0,
    faultsPlanned: facts.faultsPlanned,
    faultsFired: facts.faultsFired,
    requestsRepeated: repeatedRequests(facts.arrivals),
    skipped: facts.skipped,
    ...figures,
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
    failures,
  }
}

function brokenRules(facts: FileLogFacts, ledger: LedgerReport): readonly string[] {
  const broken: string[] = []
  const { faultsPlanned, faultsFired, missingElsewhere } = facts
  if (faultsFired < faultsPlanned) broken.push(`only ${faultsFired} of ${faultsPlanned} planned faults landed`)
  if (faultsPlanned === 0) broken.push('no fault was planned')
  if (ledger.produced === 0) broken.push('no record was produced')
  if (ledger.missing > 0) {
    broken.push(
      `${ledger.missing} of ${ledger.produced} records are missing, such as ${JSON.stringify(ledger.examplesMissing[0])}`,
    )
  }
  if (missingElsewhere > 0) broken.push(`${missingElsewhere} records are missing after starts on damaged state`)
  if (ledger.corrupted > 0) broken.push(`${ledger.corrupted} stored records were never produced like that`)
  return broken
}

function repeatedRequests(arrivals: readonly Arrival[]): number {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { entry, requestId } of arrivals) {
    const id = identityOf(entry)
    if (seen.has(id)) repeated.add(requestId)
    seen.add(id)
  }
  return repeated.size
}
