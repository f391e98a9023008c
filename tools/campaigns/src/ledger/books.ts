import { compareLedger, type LedgerEntry, type LedgerReport } from '@sluice/core/testing'
import type {
  Acknowledgement,
  Arrival,
  CampaignReport,
  PipelineUnderTest,
  ProducedRecord,
  RunContext,
} from '../campaign.ts'
import type { Figures } from '../figures.ts'
import { acknowledgedEarly } from './acknowledged.ts'
import { confirmedArrivals } from './confirmed.ts'
import { identityOf } from './repeats.ts'

/** What a run gathers, as far as it came. */
export interface Books {
  completed: boolean
  produced: readonly ProducedRecord[]
  arrivals: readonly Arrival[]
  acknowledgements: readonly Acknowledgement[]
  /** What went wrong outside of the rules. */
  readonly failures: string[]
}

export function emptyBooks(): Books {
  return { completed: false, produced: [], arrivals: [], acknowledgements: [], failures: [] }
}

/** Takes the journals of the servers into the books. */
export async function closeBooks(books: Books, pipeline: PipelineUnderTest): Promise<void> {
  books.arrivals = await confirmedArrivals(pipeline)
  books.acknowledgements = pipeline.acknowledgements?.journal() ?? []
  books.failures.push(...(pipeline.acknowledgements?.problems ?? []))
}

/** What subjects reported of outcomes. */
export interface Outcomes {
  readonly dropped: number
  readonly returned: number
  readonly abandoned: number
  readonly deadLettered: number
}

export function outcomesOf(figures: readonly (Figures | undefined)[]): Outcomes {
  const total = (of: (each: Figures) => number): number =>
    figures.reduce((sum, each) => sum + (each === undefined ? 0 : of(each)), 0)
  return {
    dropped: total(({ dropped }) => dropped),
    returned: total(({ returned }) => returned),
    abandoned: total(({ abandoned }) => abandoned),
    deadLettered: total(({ deadLettered }) => deadLettered),
  }
}

/** What must be 0 where a campaign does not plan it. */
export type Unplanned = keyof Outcomes | 'conflicts' | 'rejected'

/** What a campaign adds to the books. */
export interface Verdict {
  readonly campaign: string
  readonly books: Books
  readonly outcomes: Outcomes
  /** What the campaign plans; the others must be 0. */
  readonly planned: readonly Unplanned[]
  /** Records that have a dead letter: these need not be stored. @default none */
  readonly letters?: readonly LedgerEntry[]
  readonly faultsPlanned: number
  readonly faultsFired: number
  readonly requestsRepeated: number
  /** Rules of the campaign that were broken. */
  readonly broken: readonly string[]
  readonly seconds: number
}

/** The figures that every campaign reports, judged by the common rules and by its own. */
export function bookReport(context: RunContext, verdict: Verdict): CampaignReport {
  const { books, outcomes, faultsPlanned, faultsFired } = verdict
  const { produced, arrivals, acknowledgements } = books
  const stored = arrivals.filter(({ outcome }) => outcome === 'stored')
  const lettered = new Set(verdict.letters?.map(identityOf))
  const ledger = compareLedger(
    lettered.size === 0 ? produced : produced.filter((record) => !lettered.has(identityOf(record))),
    stored.map(({ entry }) => entry),
  )
  const conflicts = arrivals.filter(({ conflict }) => conflict).length
  const early = acknowledgedEarly(acknowledgements, arrivals, produced)
  const broken = [
    ...(faultsFired < faultsPlanned ? [`only ${faultsFired} of ${faultsPlanned} planned faults landed`] : []),
    ...commonRules(ledger, { ...outcomes, conflicts, rejected: arrivals.length - stored.length }, verdict.planned),
    ...(context.pipeline.ordered === true && ledger.reordered > 0
      ? [`${ledger.reordered} records came before an earlier one of their key`]
      : []),
    ...(early === 0 ? [] : [`${early} records were acknowledged before they were written`]),
    ...verdict.broken,
  ]
  // Of a run that broke off the rules say nothing.
  const failures = books.completed ? [...books.failures, ...broken] : books.failures
  return {
    campaign: verdict.campaign,
    pipeline: context.pipeline.name,
    seed: context.seed,
    ok: books.completed && failures.length === 0,
    completed: books.completed,
    sabotage: context.sabotage ?? null,
    produced: ledger.produced + lettered.size,
    stored: ledger.stored,
    missing: ledger.missing,
    duplicates: ledger.duplicates,
    reordered: ledger.reordered,
    corrupted: ledger.corrupted,
    ...outcomes,
    conflicts,
    faultsPlanned,
    faultsFired,
    requestsRepeated: verdict.requestsRepeated,
    seconds: Math.round(verdict.seconds * 10) / 10,
    failures,
  }
}

function commonRules(
  ledger: LedgerReport,
  counts: Readonly<Record<string, number>>,
  planned: readonly string[],
): readonly string[] {
  const broken: string[] = []
  if (ledger.produced === 0) broken.push('no record was produced')
  if (ledger.missing > 0) {
    broken.push(
      `${ledger.missing} of ${ledger.produced} records are missing, such as ${JSON.stringify(ledger.examplesMissing[0])}`,
    )
  }
  if (ledger.corrupted > 0) broken.push(`${ledger.corrupted} stored records were never produced like that`)
  for (const [what, count] of Object.entries(counts)) {
    if (count > 0 && !planned.includes(what)) broken.push(`${count} ${what}, none was planned`)
  }
  return broken
}
