import type { Campaign, GeneratedRecord } from '../campaign.ts'
import { lettersByRecord, reasonsOf, recordsOf, silentLetters } from '../ledger/letters.ts'
import { identityOf } from '../ledger/repeats.ts'
import { PROMETHEUS_PIPELINES } from '../pipelines/prometheus-servers.ts'
import { valueOf } from '../pipelines/prometheus-settings.ts'
import { POISON_KINDS, poisoned, poisonOf } from './poison.ts'
import { notRising } from './sent.ts'
import { type PrometheusFacts, type PrometheusTrial, type PrometheusVerdict, runPrometheusTrial } from './trial.ts'

const KEYS = 50
/** Of the records of a run. */
const GOOD_PER_BAD = 100
const MIN_FAULTS = POISON_KINDS.length
/** Requests of one batch of 20 with a bad sample: halved, and where the answer is 500, sent three times before. */
const REQUESTS_PER_BAD = 30
const SAMPLES_PER_REQUEST = 4

/** Records of which no series can be made, and samples that no receiver takes. */
export const prometheusPoisonCampaign: Campaign = {
  name: 'prometheus-poison',
  summary:
    'one record in a hundred is bad in one of ten ways; every good one is stored, every bad one becomes a dead letter',
  pipelines: PROMETHEUS_PIPELINES,
  faults: 'bad records',
  sabotages: ['ignore-reject'],
  full: { faults: 100, records: 10_000 },
  quick: { faults: 20, records: 2_000 },
  problems: ({ faults, records }) => [
    ...(faults < MIN_FAULTS ? [`--faults must be at least ${MIN_FAULTS}, one of each kind, got ${faults}`] : []),
    ...(records === faults * GOOD_PER_BAD
      ? []
      : [`--records must be ${GOOD_PER_BAD} for each bad one, that is ${faults * GOOD_PER_BAD}, got ${records}`]),
  ],
  run: (context) => runPrometheusTrial(POISON, context),
}

const POISON: PrometheusTrial = {
  campaign: 'prometheus-poison',
  keys: KEYS,
  records(next, { size }, random) {
    const records = Array.from({ length: size.records }, () => next())
    for (let index = 0; index < size.faults; index++) {
      const at = index * GOOD_PER_BAD + Math.trunc(random() * GOOD_PER_BAD)
      const record = records[at]
      const kind = POISON_KINDS[index % POISON_KINDS.length]
      if (record !== undefined && kind !== undefined) records[at] = poisoned(record, kind)
    }
    return records
  },
  plan: () => ({ rules: [], asked: [] }),
  settings: { letterFolder: 'letters' },
  planned: ['deadLettered'],
  judge: judgePoison,
}

export function judgePoison({ records, sent, letters, badStored }: PrometheusFacts): PrometheusVerdict {
  const bad = records.filter((record) => poisonOf(record) !== undefined)
  const lettered = lettersByRecord(letters)
  const isLettered = (record: GeneratedRecord): boolean => lettered.has(identityOf(record))
  const unreported = bad.filter((record) => !isLettered(record)).length
  const goodRefused = records.filter((record) => poisonOf(record) === undefined && isLettered(record)).length
  const limit = records.length / SAMPLES_PER_REQUEST + bad.length * REQUESTS_PER_BAD
  const behind = notRising(sent)
  const values = new Set(sent.flatMap(({ samples }) => samples.map(({ value }) => value)))
  const stages = new Set(letters.map(({ stage }) => stage))
  const broken = [
    ...(unreported === 0 ? [] : [`${unreported} of ${bad.length} bad records have no dead letter`]),
    ...(goodRefused === 0 ? [] : [`${goodRefused} good records have a dead letter`]),
    ...silentLetters(letters),
    ...(badStored === 0 ? [] : [`the receiver holds ${badStored} samples of bad records`]),
    ...(sent.length <= limit ? [] : [`${sent.length} requests, no more than ${limit} are needed`]),
    ...(behind === 0 ? [] : [`${behind} samples came behind a later one of their series`]),
    ...(stages.has('convert') && stages.has('store')
      ? []
      : [`bad records were refused at ${[...stages].join(', ') || 'no stage'}, not at convert and store`]),
  ]
  return {
    broken,
    faultsPlanned: bad.length,
    // A bad record that neither came to the receiver nor to the dead letters was never looked at.
    faultsFired: bad.filter((record) => isLettered(record) || values.has(valueOf(record))).length,
    letters: recordsOf(lettered),
    figures: { unreported, badStored, reasons: reasonsOf(letters) },
  }
}
