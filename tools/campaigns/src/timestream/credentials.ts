import { join } from 'node:path'
import { waitFor } from '@sluice/testkit'
import type { Campaign, Size } from '../campaign.ts'
import {
  openTimestream,
  TIMESTREAM_PIPELINES,
  type TimestreamPipelineUnderTest,
  transportOf,
} from '../pipelines/timestream-servers.ts'
import { type Prepared, runTrial, type Trial, type TrialStart, type TrialVerdict } from '../trial.ts'
import { KeyDesk, type Keys } from './key-desk.ts'
import { repeatedRequests, unrepeated, type WriteRequest } from './requests.ts'

const KEYS = 50
const BATCH = 10
const RECORDS_PER_FAULT = 20 * BATCH
const MIN_FAULTS = 6
/** Requests that are refused, or provider calls that fail, before there are new keys, at most. */
const MAX_PATIENCE = 3
const DEADLINE_MS = 60_000
/** Between two records while keys are waited for. */
const TRICKLE_MS = 40
const FORBIDDEN = 403
/** What a provider says of its keys: longer than a run. They end before. */
const SAID_TO_LAST_MS = 3_600_000

/** How the keys of a caller change: they are there at once, they come late, or for a time there are none. */
const CHANGES = ['at once', 'late', 'none for a time'] as const
type Change = (typeof CHANGES)[number]

/** What the store saw of one change. */
export interface KeyChange {
  readonly change: Change
  readonly fired: number
  /** Requests that were refused with the old keys. */
  readonly refused: number
  /** Requests with the new keys that were taken. */
  readonly taken: number
}

/** Keys that expire while records are on their way. */
export const timestreamCredentialsCampaign: Campaign = {
  name: 'timestream-credentials',
  summary: 'signatures are checked, and keys expire again and again, with new ones at once, late, or none for a time',
  pipelines: TIMESTREAM_PIPELINES,
  faults: 'expired keys',
  sabotages: ['drop-denied'],
  full: { faults: 60, records: 12_000 },
  quick: { faults: 9, records: 1_800 },
  problems: ({ faults, records }: Size) => [
    ...(faults < MIN_FAULTS ? [`--faults must be at least ${MIN_FAULTS}, got ${faults}`] : []),
    ...(records < faults * RECORDS_PER_FAULT
      ? [`--records must be at least ${RECORDS_PER_FAULT} for each fault, got ${records} for ${faults}`]
      : []),
  ],
  run: (context) => runTrial(CREDENTIALS, context),
}

/** What the verdict rests on. */
export interface CredentialsFacts {
  readonly requests: readonly WriteRequest[]
  readonly changes: readonly KeyChange[]
}

/** The first keys make the table, each further ones are the subject's for a time. */
function keysOf(faults: number): readonly Keys[] {
  return Array.from({ length: faults + 2 }, (_, index) => ({
    accessKeyId: `KEY${index}`,
    secretAccessKey: `secret-of-${index}`,
    sessionToken: `session-of-${index}`,
  }))
}

const CREDENTIALS: Trial<TimestreamPipelineUnderTest, CredentialsFacts> = {
  campaign: 'timestream-credentials',
  keys: KEYS,
  open: ({ pipeline: { name }, folder, size }) =>
    openTimestream(transportOf(name), folder, { keys: keysOf(size.faults) }),
  records: (next, { size }) => Array.from({ length: size.records }, () => next()),
  isBad: () => false,
  prepare: (pipeline, start) => Promise.resolve(prepare(pipeline, start)),
  planned: [],
  judge: judgeCredentials,
}

function prepare(
  { store, requests }: TimestreamPipelineUnderTest,
  { context, random }: TrialStart,
): Prepared<CredentialsFacts> {
  const { folder, size, signal } = context
  const keys = keysOf(size.faults).slice(1)
  const desk = new KeyDesk(join(folder, 'keys.json'))
  const issue = (number: number): void => {
    const expiresAt = random() < 0.5 ? new Date(Date.now() + SAID_TO_LAST_MS) : undefined
    desk.issue(keys[number] as Keys, expiresAt)
  }
  issue(0)
  const requestsWith = (number: number, status: number): number =>
    requests.filter((each) => each.accessKeyId === keys[number]?.accessKeyId && each.status === status).length
  const changes: { readonly change: Change; readonly fired: () => number }[] = []
  return {
    settings: { maxBatchSize: BATCH, keyFile: desk.file },
    faults: size.faults,
    during: async (more) => {
      /** Records keep coming, or a subject that has lost all that it had would send nothing. */
      const until = async (what: string, isMet: () => boolean): Promise<void> => {
        const look = async (): Promise<boolean> => {
          if (signal.aborted || isMet()) return true
          await more(1)
          return false
        }
        await waitFor(look, { what, deadlineMs: DEADLINE_MS, intervalMs: TRICKLE_MS })
        signal.throwIfAborted()
      }
      const portion = Math.trunc(size.records / (size.faults + 1) / 2)
      for (let number = 0; number < size.faults; number++) {
        const change = CHANGES[number % CHANGES.length] as Change
        const patience = 1 + Math.trunc(random() * MAX_PATIENCE)
        await more(portion)
        await until(`a write with keys ${number}`, () => requestsWith(number, 200) > 0)
        const away = desk.turnedAway
        if (change === 'at once') issue(number + 1)
        if (change === 'none for a time') desk.close()
        const fault = store.faults.add({ kind: 'expireCredentials', operation: 'WriteRecords', times: 1 })
        changes.push({ change, fired: () => fault.fired })
        await more(BATCH)
        if (change === 'late')
          await until(`${patience} requests with keys that expired`, () => requestsWith(number, FORBIDDEN) >= patience)
        if (change === 'none for a time')
          await until(`${patience} calls of a provider without keys`, () => desk.turnedAway - away >= patience)
        if (change !== 'at once') issue(number + 1)
        await until(`a write with keys ${number + 1}`, () => requestsWith(number + 1, 200) > 0)
        context.print(
          `keys ${number + 1} of ${size.faults}: ${change}, ${requestsWith(number, FORBIDDEN)} requests refused before`,
        )
      }
    },
    facts: () =>
      Promise.resolve({
        requests,
        changes: changes.map(({ change, fired }, number) => ({
          change,
          fired: fired(),
          refused: requestsWith(number, FORBIDDEN),
          taken: requestsWith(number + 1, 200),
        })),
      }),
  }
}

export function judgeCredentials({ requests, changes }: CredentialsFacts): TrialVerdict {
  const lost = unrepeated(requests)
  const seen = new Set(changes.map(({ change }) => change))
  const unused = changes.filter(({ taken }) => taken === 0).length
  return {
    broken: [
      ...(lost === 0 ? [] : [`${lost} records of requests with expired keys were never sent again`]),
      ...(unused === 0 ? [] : [`${unused} of ${changes.length} new keys were not used`]),
      ...(seen.size === CHANGES.length ? [] : [`keys changed in ${seen.size} ways, not ${CHANGES.length}`]),
    ],
    faultsPlanned: changes.length,
    faultsFired: changes.filter(({ fired, refused }) => fired > 0 && refused > 0).length,
    requestsRepeated: repeatedRequests(requests),
    figures: { requests: requests.length, refused: changes.reduce((sum, { refused }) => sum + refused, 0) },
  }
}
