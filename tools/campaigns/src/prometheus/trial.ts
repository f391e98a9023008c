import type { DeadLetter } from '@sluice/core'
import type { JournalledRequest } from '@sluice/testkit'
import type { CampaignReport, GeneratedRecord, RunContext } from '../campaign.ts'
import type { Outcomes } from '../ledger/books.ts'
import { openPrometheus, type PrometheusPipelineUnderTest } from '../pipelines/prometheus-servers.ts'
import type { PrometheusSettings } from '../pipelines/prometheus-settings.ts'
import { type Prepared, runTrial, type TrialStart, type TrialVerdict } from '../trial.ts'
import type { FaultPlan } from './fault-plan.ts'
import { BAD_METRIC, poisonOf } from './poison.ts'
import { repeatedRequests, type SentRequest, sentRequests } from './sent.ts'

/** A trial whose faults are on the way to a real Prometheus, or in its records. */
export interface PrometheusTrial {
  readonly campaign: string
  readonly keys: number
  /** The records of a run, in order. */
  records(
    next: (key?: number) => GeneratedRecord,
    context: RunContext,
    random: () => number,
  ): readonly GeneratedRecord[]
  plan(context: RunContext, random: () => number): FaultPlan
  readonly settings: Partial<PrometheusSettings>
  readonly planned: readonly (keyof Outcomes)[]
  judge(facts: PrometheusFacts): PrometheusVerdict
}

export interface PrometheusFacts {
  readonly records: readonly GeneratedRecord[]
  readonly journal: readonly JournalledRequest[]
  readonly sent: readonly SentRequest[]
  readonly plan: FaultPlan
  readonly faultsPlanned: number
  readonly faultsFired: number
  readonly letters: readonly DeadLetter[]
  /** Samples that the receiver holds and should have refused. */
  readonly badStored: number
}

/** Requests are counted for all of them. */
export type PrometheusVerdict = Omit<TrialVerdict, 'requestsRepeated'>

export function runPrometheusTrial(trial: PrometheusTrial, context: RunContext): Promise<CampaignReport> {
  return runTrial<PrometheusPipelineUnderTest, PrometheusFacts>(
    {
      ...trial,
      open: ({ pipeline: { name }, folder }) => openPrometheus(name, folder),
      isBad: (record) => poisonOf(record) !== undefined,
      prepare: (pipeline, start) => Promise.resolve(prepare(trial, pipeline, start)),
      judge: (facts) => {
        const verdict = trial.judge(facts)
        return {
          ...verdict,
          requestsRepeated: repeatedRequests(facts.sent),
          figures: { requests: facts.journal.length, ...verdict.figures },
        }
      },
    },
    context,
  )
}

function prepare(
  trial: PrometheusTrial,
  pipeline: PrometheusPipelineUnderTest,
  { records, context, random, letterFolder }: TrialStart,
): Prepared<PrometheusFacts> {
  const { proxy } = pipeline
  const plan = trial.plan(context, random)
  for (const rule of plan.rules) proxy.faults.add(rule)
  const { letterFolder: wantsLetters, ...settings } = trial.settings
  return {
    settings: { ...settings, ...(wantsLetters === undefined ? {} : { letterFolder }) },
    faults: plan.rules.length,
    facts: async (letters) => {
      const { journal } = proxy
      const counts = Object.values(proxy.counters().faults)
      return {
        records,
        journal,
        sent: sentRequests(journal),
        plan,
        faultsPlanned: plan.rules.length,
        faultsFired: counts.reduce((sum, { fired }) => sum + fired, 0),
        letters,
        badStored: await pipeline.count(BAD_METRIC),
      }
    },
  }
}
