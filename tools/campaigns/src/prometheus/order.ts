import type { JournalledRequest } from '@sluice/testkit'
import type { Campaign, GeneratedRecord } from '../campaign.ts'
import { PROMETHEUS_PIPELINES } from '../pipelines/prometheus-servers.ts'
import { orderPlan } from './fault-plan.ts'
import { notRising, unrepeated } from './sent.ts'
import { sizeProblems } from './storm.ts'
import { type PrometheusFacts, type PrometheusTrial, type PrometheusVerdict, runPrometheusTrial } from './trial.ts'

const SERIES = 1_000

/** Connections that are cut, and requests that take their time. */
export const prometheusOrderCampaign: Campaign = {
  name: 'prometheus-order',
  summary: `${SERIES} series, random delays, cuts before and after a request is applied; each series rises strictly at the receiver`,
  pipelines: PROMETHEUS_PIPELINES,
  faults: 'faults, half of them cuts',
  sabotages: ['lose-order'],
  full: { faults: 600, records: 20_000 },
  quick: { faults: 80, records: 5_000 },
  problems: sizeProblems,
  run: (context) => runPrometheusTrial(ORDER, context),
}

const ORDER: PrometheusTrial = {
  campaign: 'prometheus-order',
  keys: SERIES,
  // Each series first, then whichever the seed chooses.
  records: (next, { size }) =>
    Array.from({ length: size.records }, (_, index) => next(index < SERIES ? index : undefined)),
  plan: ({ size }, random) => orderPlan(size.faults, random),
  settings: {},
  planned: [],
  judge: judgeOrder,
}

export function judgeOrder({ records, sent, faultsPlanned, faultsFired }: PrometheusFacts): PrometheusVerdict {
  const behind = notRising(sent)
  const lost = unrepeated(sent, isCut)
  const cuts = sent.filter(({ request }) => isCut(request)).length
  const series = seriesOf(records)
  const applied = sent.filter(({ request }) => isCut(request) && request.answer !== undefined).length
  const broken = [
    ...(series === SERIES ? [] : [`${series} series, not ${SERIES}`]),
    ...(behind === 0 ? [] : [`${behind} samples came behind a later one of their series`]),
    ...(lost === 0 ? [] : [`${lost} samples of requests that were cut were never sent again`]),
    ...(applied > 0 && applied < cuts ? [] : [`of ${cuts} cuts ${applied} came after the request was applied`]),
  ]
  return {
    broken,
    faultsPlanned,
    faultsFired,
    figures: { series, cuts, cutsAfterApply: applied, behind },
  }
}

const DELAYS: ReadonlySet<string> = new Set(['delayRequest', 'delayResponse'])

function isCut({ fault }: JournalledRequest): boolean {
  return fault !== undefined && !DELAYS.has(fault.kind)
}

function seriesOf(records: readonly GeneratedRecord[]): number {
  return new Set(records.map(({ key }) => key)).size
}
