import type { JournalledRequest } from '@sluice/testkit'
import type { Campaign, Size } from '../campaign.ts'
import { PROMETHEUS_PIPELINES } from '../pipelines/prometheus-servers.ts'
import { stormPlan } from './fault-plan.ts'
import { notRising, tooEarly, unrepeated } from './sent.ts'
import { type PrometheusFacts, type PrometheusTrial, type PrometheusVerdict, runPrometheusTrial } from './trial.ts'

const KEYS = 100
/** The proxy makes an answer, and the sender has it: requests until then were under way. */
const GRACE_MS = 500
const RECORDS_PER_FAULT = 25
const MIN_FAULTS = 20

/** A receiver that is busy, broken and slow. */
export const prometheusStormCampaign: Campaign = {
  name: 'prometheus-storm',
  summary:
    '429, 5xx, Retry-After and delays for about half of all requests; nothing is lost, and who is asked to wait waits',
  pipelines: PROMETHEUS_PIPELINES,
  faults: 'faults',
  sabotages: ['drop-requeued'],
  full: { faults: 300, records: 8_000 },
  quick: { faults: 48, records: 1_500 },
  problems: sizeProblems,
  run: (context) => runPrometheusTrial(STORM, context),
}

const STORM: PrometheusTrial = {
  campaign: 'prometheus-storm',
  keys: KEYS,
  records: (next, { size }) => Array.from({ length: size.records }, () => next()),
  plan: ({ size }, random) => stormPlan(size.faults, random),
  settings: {},
  planned: [],
  judge: judgeStorm,
}

export function judgeStorm({ journal, sent, plan, faultsPlanned, faultsFired }: PrometheusFacts): PrometheusVerdict {
  const lost = unrepeated(sent, wantsRepeat)
  const early = tooEarly(journal, plan.asked, GRACE_MS)
  const behind = notRising(sent)
  const broken = [
    ...(plan.asked.length === 0 ? ['nobody was asked to wait'] : []),
    ...(lost === 0 ? [] : [`${lost} samples of requests that were not taken were never sent again`]),
    ...(early === 0 ? [] : [`${early} requests came before the time that Retry-After gave`]),
    ...(behind === 0 ? [] : [`${behind} samples came behind a later one of their series`]),
  ]
  return { broken, faultsPlanned, faultsFired, figures: { askedToWait: plan.asked.length, tooEarly: early } }
}

function wantsRepeat({ fault }: JournalledRequest): boolean {
  return fault?.status !== undefined
}

/** A fault needs a request, and a request needs records. */
export function sizeProblems({ faults, records }: Size): readonly string[] {
  const problems: string[] = []
  if (faults < MIN_FAULTS) problems.push(`--faults must be at least ${MIN_FAULTS}, got ${faults}`)
  if (records < faults * RECORDS_PER_FAULT) {
    problems.push(`--records must be at least ${RECORDS_PER_FAULT} for each fault, got ${records} for ${faults}`)
  }
  return problems
}
