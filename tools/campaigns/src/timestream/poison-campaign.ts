import type { Campaign } from '../campaign.ts'
import { identityOf } from '../ledger/repeats.ts'
import { shuffled } from '../ledger/shuffled.ts'
import { TIMESTREAM_PIPELINES } from '../pipelines/timestream-servers.ts'
import type { TrialVerdict } from '../trial.ts'
import { entryOf } from './journal.ts'
import { lettersByRecord, reasonsOf, recordsOf, silentLetters } from '../ledger/letters.ts'
import { explains, POISON_KINDS, poisoned, poisonOf } from './poison.ts'
import { repeatedRequests } from './requests.ts'
import { judgeCommon, runTimestreamTrial, type TimestreamFacts, type TimestreamTrial } from './trial.ts'

const KEYS = 50
/** Among so many records there is one of each kind. */
const ROUND = 100
const KINDS = POISON_KINDS.length
/** To find one culprit in a batch of 20 by halving, the refused request included. */
const REQUESTS_PER_CULPRIT = 12
const RECORDS_PER_REQUEST = 4

/** Records of which none can be made, that the sink refuses, that the store rejects, and that cost a whole request. */
export const timestreamPoisonCampaign: Campaign = {
  name: 'timestream-poison',
  summary: `of each of ${KINDS} kinds of bad records, one in a hundred; every good one is stored, every bad one becomes a dead letter that says why`,
  pipelines: TIMESTREAM_PIPELINES,
  faults: 'bad records',
  sabotages: ['ignore-reject'],
  full: { faults: 100 * KINDS, records: 100 * ROUND },
  quick: { faults: 20 * KINDS, records: 20 * ROUND },
  problems: ({ faults, records }) =>
    records >= ROUND && records % ROUND === 0 && faults === (records / ROUND) * KINDS
      ? []
      : [`--faults must be ${KINDS} for each ${ROUND} --records, got ${faults} for ${records}`],
  run: (context) => runTimestreamTrial(POISON, context),
}

const POISON: TimestreamTrial = {
  campaign: 'timestream-poison',
  keys: KEYS,
  records: (next, { records }, random) =>
    Array.from({ length: records / ROUND }, () => {
      const round = shuffled([...POISON_KINDS, ...Array.from({ length: ROUND - KINDS }, () => undefined)], random)
      return round.map((kind) => (kind === undefined ? next() : poisoned(next(), kind)))
    }).flat(),
  plan: () => [],
  settings: { letterFolder: 'letters' },
  planned: ['deadLettered', 'rejected', 'conflicts'],
  judge: judgePoison,
}

export function judgePoison(facts: TimestreamFacts): TrialVerdict {
  const { records, requests, writes, letters } = facts
  const lettered = lettersByRecord(letters)
  const common = judgeCommon(facts, recordsOf(lettered))
  const bad = records.flatMap((record) => {
    const kind = poisonOf(record)
    return kind === undefined ? [] : [{ kind, letter: lettered.get(identityOf(record)), id: identityOf(record) }]
  })
  const came = new Set(writes.flatMap((write) => write.records.map((record) => identityOf(entryOf(record)))))
  const missing = bad.filter(({ letter }) => letter === undefined)
  const unexplained = bad.filter(({ kind, letter }) => letter !== undefined && !explains(kind, letter.reason))
  const wronged = records.filter((record) => poisonOf(record) === undefined && lettered.has(identityOf(record))).length
  const limit = records.length / RECORDS_PER_REQUEST + (bad.length / KINDS) * REQUESTS_PER_CULPRIT
  return {
    broken: [
      ...common.broken,
      ...silentLetters(letters),
      ...(missing.length === 0
        ? []
        : [`${missing.length} of ${bad.length} bad records have no dead letter: ${kindsOf(missing)}`]),
      ...(unexplained.length === 0
        ? []
        : [`${unexplained.length} dead letters give another reason than what was wrong: ${kindsOf(unexplained)}`]),
      ...(wronged === 0 ? [] : [`${wronged} good records have a dead letter`]),
      ...(requests.length <= limit ? [] : [`${requests.length} requests, no more than ${limit} are needed`]),
    ],
    faultsPlanned: bad.length,
    // A bad record that came neither to the store nor to the dead letters was never looked at.
    faultsFired: bad.filter(({ id, letter }) => letter !== undefined || came.has(id)).length,
    requestsRepeated: repeatedRequests(requests),
    letters: recordsOf(lettered),
    figures: {
      ...common.figures,
      kinds: new Set(bad.map(({ kind }) => kind)).size,
      unreported: missing.length,
      reasons: reasonsOf(letters),
    },
  }
}

function kindsOf(records: readonly { readonly kind: string }[]): string {
  return [...new Set(records.map(({ kind }) => kind))].join(', ')
}
