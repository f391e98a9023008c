import type { DeadLetter } from '@sluice/core'
import type { LedgerEntry } from '@sluice/core/testing'
import type { Fault, JournalWrite } from '@sluice/timestream-local'
import type { CampaignReport, GeneratedRecord, RunContext, Size } from '../campaign.ts'
import type { Unplanned } from '../ledger/books.ts'
import { openTimestream, type TimestreamPipelineUnderTest, transportOf } from '../pipelines/timestream-servers.ts'
import type { TimestreamSettings } from '../pipelines/timestream-settings.ts'
import { runTrial, type TrialStart, type TrialVerdict } from '../trial.ts'
import { putInForce, type PlannedFault } from './fault-plan.ts'
import { HELD_VERSIONS, poisonOf } from './poison.ts'
import type { WriteRequest } from './requests.ts'

/** A trial whose faults are those of the store. */
export interface TimestreamTrial {
  readonly campaign: string
  readonly keys: number
  records(next: () => GeneratedRecord, size: Size, random: () => number): readonly GeneratedRecord[]
  plan(size: Size, random: () => number): readonly PlannedFault[]
  readonly settings: Partial<TimestreamSettings>
  /** Whether the endpoint is asked for. */
  readonly discovers?: boolean
  readonly planned: readonly Unplanned[]
  judge(facts: TimestreamFacts): TrialVerdict
}

export interface TimestreamFacts {
  readonly records: readonly GeneratedRecord[]
  /** What was sent. */
  readonly requests: readonly WriteRequest[]
  /** What the store evaluated, in order. */
  readonly writes: readonly JournalWrite[]
  readonly letters: readonly DeadLetter[]
  readonly faults: readonly Pick<Fault, 'fired' | 'options'>[]
  /** Of the table, by SQL. */
  readonly rows: number | undefined
}

/** Keeps the rules that all of these trials share. */
export function judgeCommon(
  { records, rows, faults, requests }: TimestreamFacts,
  letters: readonly LedgerEntry[],
): Pick<TrialVerdict, 'broken' | 'faultsPlanned' | 'faultsFired'> & { readonly figures: object } {
  const wanted = records.length - letters.length
  return {
    broken: rows === undefined || rows === wanted ? [] : [`the table has ${rows} rows, not ${wanted}`],
    faultsPlanned: faults.length,
    faultsFired: faults.reduce((sum, { fired }) => sum + fired, 0),
    figures: { requests: requests.length, rows: rows ?? null },
  }
}

export function runTimestreamTrial(trial: TimestreamTrial, context: RunContext): Promise<CampaignReport> {
  return runTrial<TimestreamPipelineUnderTest, TimestreamFacts>(
    {
      ...trial,
      open: ({ pipeline: { name }, folder }) => openTimestream(transportOf(name), folder, {}),
      records: (next, { size }, random) => trial.records(next, size, random),
      isBad: (record) => poisonOf(record) !== undefined,
      prepare: (pipeline, start) => prepare(trial, pipeline, start),
    },
    context,
  )
}

async function prepare(
  trial: TimestreamTrial,
  pipeline: TimestreamPipelineUnderTest,
  { records, context, random, letterFolder }: TrialStart,
): ReturnType<Parameters<typeof runTrial<TimestreamPipelineUnderTest, TimestreamFacts>>[0]['prepare']> {
  const held = records.flatMap((record) => {
    const kind = poisonOf(record)
    const version = kind === undefined ? undefined : HELD_VERSIONS[kind]
    return version === undefined ? [] : [{ record, version }]
  })
  if (held.length > 0) await pipeline.hold(held)
  const faults = putInForce(pipeline.store.faults, trial.plan(context.size, random), context.seed)
  const { letterFolder: wantsLetters, ...settings } = trial.settings
  return {
    settings: { ...settings, ...(wantsLetters === undefined ? {} : { letterFolder }) },
    faults: faults.length,
    facts: async (letters) => ({
      records,
      requests: pipeline.requests,
      writes: await pipeline.writes(),
      letters,
      faults,
      rows: await pipeline.rows(),
    }),
  }
}
