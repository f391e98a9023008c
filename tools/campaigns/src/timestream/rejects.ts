import type { Campaign } from '../campaign.ts'
import { identityOf } from '../ledger/repeats.ts'
import { TIMESTREAM_PIPELINES } from '../pipelines/timestream-servers.ts'
import type { TrialVerdict } from '../trial.ts'
import { rejectPlan } from './fault-plan.ts'
import { entryOf } from './journal.ts'
import { lettersByRecord, reasonsOf, recordsOf, silentLetters } from '../ledger/letters.ts'
import { poisoned } from './poison.ts'
import { repeatedRequests } from './requests.ts'
import { sizeProblems } from './storm.ts'
import { judgeCommon, runTimestreamTrial, type TimestreamFacts, type TimestreamTrial } from './trial.ts'

const KEYS = 100
const BATCH = 10
const MIN_FAULTS = 50
/** One record in so many has a key under which the store holds another value, or a higher version. */
const HELD_EVERY = 50

/** Requests of which the store takes some records. */
export const timestreamRejectsCampaign: Campaign = {
  name: 'timestream-rejects',
  summary:
    'some records of a request are rejected, at any places, older versions and conflicts too: these get a dead letter, the others are never sent again',
  pipelines: TIMESTREAM_PIPELINES,
  faults: 'requests with rejected records',
  sabotages: ['ignore-reject'],
  full: { faults: 1_000, records: 25_000 },
  quick: { faults: 150, records: 4_000 },
  problems: (size) => sizeProblems(size, MIN_FAULTS),
  run: (context) => runTimestreamTrial(REJECTS, context),
}

const REJECTS: TimestreamTrial = {
  campaign: 'timestream-rejects',
  keys: KEYS,
  records: (next, { records }, random) =>
    Array.from({ length: records }, (_, index) =>
      index % HELD_EVERY === 0 ? poisoned(next(), random() < 0.5 ? 'conflict' : 'olderVersion') : next(),
    ),
  plan: ({ faults }, random) => rejectPlan(faults, random, BATCH),
  settings: { maxBatchSize: BATCH, letterFolder: 'letters' },
  planned: ['deadLettered', 'rejected', 'conflicts'],
  judge: judgeRejects,
}

export function judgeRejects(facts: TimestreamFacts): TrialVerdict {
  const { requests, writes, letters } = facts
  const lettered = lettersByRecord(letters)
  const common = judgeCommon(facts, recordsOf(lettered))
  const rejected = new Map<string, string>()
  let versions = 0
  for (const { records } of writes) {
    for (const record of records) {
      if (record.outcome !== 'rejected') continue
      rejected.set(identityOf(entryOf(record)), record.reason ?? '')
      if (record.existingVersion !== undefined) versions++
    }
  }
  const unreported = [...rejected.keys()].filter((id) => !lettered.has(id)).length
  const wronged = [...lettered.keys()].filter((id) => !rejected.has(id)).length
  const misquoted = [...lettered].filter(
    ([id, { reason }]) => rejected.has(id) && !reason.message.includes(rejected.get(id) ?? ''),
  ).length
  const repeated = repeatedRequests(requests)
  return {
    ...common,
    broken: [
      ...common.broken,
      ...silentLetters(letters),
      ...(unreported === 0 ? [] : [`${unreported} of ${rejected.size} rejected records have no dead letter`]),
      ...(wronged === 0 ? [] : [`${wronged} records have a dead letter, and the store did not reject them`]),
      ...(misquoted === 0 ? [] : [`${misquoted} dead letters have another reason than the store gave`]),
      ...(repeated === 0 ? [] : [`${repeated} requests held records for which the store had answered`]),
      ...(versions > 0 && versions < rejected.size
        ? []
        : [`${versions} of ${rejected.size} rejections were about versions`]),
    ],
    requestsRepeated: repeated,
    letters: recordsOf(lettered),
    figures: { ...common.figures, rejected: rejected.size, versions, reasons: reasonsOf(letters) },
  }
}
