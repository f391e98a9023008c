import type { Campaign, Size } from '../campaign.ts'
import { TIMESTREAM_PIPELINES } from '../pipelines/timestream-servers.ts'
import type { TrialVerdict } from '../trial.ts'
import { STORM_KINDS, stormPlan } from './fault-plan.ts'
import { repeatedRequests, unrepeated } from './requests.ts'
import { judgeCommon, runTimestreamTrial, type TimestreamFacts, type TimestreamTrial } from './trial.ts'

const KEYS = 100
const BATCH = 10
/** A fault needs a request, and between two faults requests pass. */
const RECORDS_PER_FAULT = 2 * BATCH

/** A store that is busy, broken and slow. */
export const timestreamStormCampaign: Campaign = {
  name: 'timestream-storm',
  summary:
    'throttling of both stores, 5xx, refused endpoints, cuts and delays for more than half of all requests; nothing is lost',
  pipelines: TIMESTREAM_PIPELINES,
  faults: 'faults',
  sabotages: ['drop-requeued'],
  full: { faults: 400, records: 12_000 },
  quick: { faults: 64, records: 2_000 },
  problems: (size) => sizeProblems(size, STORM_KINDS),
  run: (context) => runTimestreamTrial(STORM, context),
}

const STORM: TimestreamTrial = {
  campaign: 'timestream-storm',
  keys: KEYS,
  records: (next, { records }) => Array.from({ length: records }, () => next()),
  plan: ({ faults }, random) => stormPlan(faults, random),
  settings: { maxBatchSize: BATCH, discovers: true },
  planned: [],
  judge: judgeStorm,
}

export function judgeStorm(facts: TimestreamFacts): TrialVerdict {
  const { requests } = facts
  const common = judgeCommon(facts, [])
  const lost = unrepeated(requests)
  return {
    ...common,
    broken: [
      ...common.broken,
      ...(lost === 0 ? [] : [`${lost} records of requests that were not taken were never sent again`]),
    ],
    requestsRepeated: repeatedRequests(requests),
  }
}

export function sizeProblems({ faults, records }: Size, least: number): readonly string[] {
  const problems: string[] = []
  if (faults < least) problems.push(`--faults must be at least ${least}, got ${faults}`)
  if (records < faults * RECORDS_PER_FAULT) {
    problems.push(`--records must be at least ${RECORDS_PER_FAULT} for each fault, got ${records} for ${faults}`)
  }
  return problems
}
