import type { Campaign } from '../campaign.ts'
import { TIMESTREAM_PIPELINES } from '../pipelines/timestream-servers.ts'
import type { TrialVerdict } from '../trial.ts'
import { ambiguousPlan } from './fault-plan.ts'
import { repeatedRequests, unrepeated } from './requests.ts'
import { judgeCommon, runTimestreamTrial, type TimestreamFacts, type TimestreamTrial } from './trial.ts'

const KEYS = 100
const BATCH = 10
const MIN_FAULTS = 100
/** A request may be cut again and again, but in the end each is answered. */
const RECORDS_PER_FAULT = BATCH

/** Answers that are lost, when the request was applied and before. */
export const timestreamAmbiguousCampaign: Campaign = {
  name: 'timestream-ambiguous',
  summary:
    'connections cut after the store applied a request, and some before; each is repeated, and no row is there twice',
  pipelines: TIMESTREAM_PIPELINES,
  faults: 'lost answers',
  sabotages: ['settle-on-timeout'],
  full: { faults: 5_000, records: 50_000 },
  quick: { faults: 500, records: 5_000 },
  problems: ({ faults, records }) => [
    ...(faults < MIN_FAULTS ? [`--faults must be at least ${MIN_FAULTS}, got ${faults}`] : []),
    ...(records < faults * RECORDS_PER_FAULT
      ? [`--records must be at least ${RECORDS_PER_FAULT} for each fault, got ${records} for ${faults}`]
      : []),
  ],
  run: (context) => runTimestreamTrial(AMBIGUOUS, context),
}

const AMBIGUOUS: TimestreamTrial = {
  campaign: 'timestream-ambiguous',
  keys: KEYS,
  records: (next, { records }) => Array.from({ length: records }, () => next()),
  plan: ({ faults }, random) => ambiguousPlan(faults, random),
  settings: { maxBatchSize: BATCH },
  planned: [],
  judge: judgeAmbiguous,
}

export function judgeAmbiguous(facts: TimestreamFacts): TrialVerdict {
  const { requests, writes, faults } = facts
  const common = judgeCommon(facts, [])
  const fired = (kind: string): number =>
    faults.reduce((sum, { options, fired: count }) => sum + (options.kind === kind ? count : 0), 0)
  const [after, before] = [fired('cutAfterApply'), fired('cutBeforeApply')]
  const repeated = repeatedWrites(writes)
  const lost = unrepeated(requests)
  const updated = writes.reduce((sum, { records }) => sum + records.filter(isUpdate).length, 0)
  return {
    ...common,
    broken: [
      ...common.broken,
      ...(after > 0 && before > 0 ? [] : [`${after} cuts came after a request was applied, and ${before} before`]),
      ...(repeated >= after
        ? []
        : [`${after} answers were lost, and only ${repeated} requests in the journal are repeats`]),
      ...(lost === 0 ? [] : [`${lost} records of requests without an answer were never sent again`]),
      ...(updated === 0 ? [] : [`${updated} repeats changed what was stored`]),
    ],
    requestsRepeated: repeated,
    figures: {
      ...common.figures,
      cutsAfterApply: after,
      cutsBeforeApply: before,
      sentAgain: repeatedRequests(requests),
    },
  }
}

/** Requests in the journal that held something which was in it before. */
function repeatedWrites(writes: TimestreamFacts['writes']): number {
  return writes.filter(({ records }) => records.some(({ outcome }) => outcome === 'duplicate' || outcome === 'updated'))
    .length
}

function isUpdate({ outcome }: { readonly outcome: string }): boolean {
  return outcome === 'updated'
}
