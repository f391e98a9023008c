import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { payloadHash } from '@sluice/core/testing'
import { fileCheckpoints, silentLogger } from '@sluice/core'
import type { Arrival, Coverage, PipelineDefinition, PipelineUnderTest } from '../campaign.ts'
import { ledgerPayload } from '../ledger/generator.ts'
import { WriteGate } from '../write-gate.ts'
import { type FileLogEvent, type FileLogSettings, JOB, type JournalLine } from './file-log-settings.ts'

const CHECKPOINT_INTERVAL_MS = 40
const SPLIT = 'file'

/** A pipeline whose state alone is under faults: source and store are files that no fault reaches. */
export const fileLog: PipelineDefinition = {
  name: 'file-log',
  summary: 'a file of records, a file that is appended to; file checkpoints keep the position',
  positionAuthority: 'checkpoint',
  open: (folder) => Promise.resolve(openFileLog(folder)),
}

/** The pipeline, with what only campaigns on its state need. */
export interface FileLogUnderTest extends PipelineUnderTest {
  readonly subject: { readonly entry: URL; readonly settings: FileLogSettings }
  events(): readonly FileLogEvent[]
  journal(): readonly JournalLine[]
}

export function openFileLog(folder: string): FileLogUnderTest {
  const stateFolder = join(folder, 'state')
  mkdirSync(stateFolder)
  const settings: FileLogSettings = {
    recordsPath: join(folder, 'records.ndjson'),
    journalPath: join(folder, 'journal.ndjson'),
    eventsPath: join(folder, 'events.ndjson'),
    stateFolder,
    checkpointIntervalMs: CHECKPOINT_INTERVAL_MS,
    process: 0,
  }
  writeFileSync(settings.recordsPath, '')
  let produced = 0
  const journal = (): readonly JournalLine[] => linesOf(settings.journalPath) as readonly JournalLine[]
  return {
    subject: { entry: new URL('file-log.ts', import.meta.url), settings },
    // Nothing passes here: the store is a file.
    gate: new WriteGate(() => false, 0),
    produce(records) {
      appendFileSync(settings.recordsPath, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
      const entries = records.map(({ source, key, sequence, hash }) => {
        return { source, key, sequence, hash, position: { splitId: SPLIT, sequenceNumber: String(produced++) } }
      })
      return Promise.resolve(entries)
    },
    arrivals: () => Promise.resolve(journal().map(arrivalOf)),
    coverage: () => coverage(stateFolder),
    journal,
    events: () => linesOf(settings.eventsPath) as readonly FileLogEvent[],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** A process may be in the middle of the last line. */
function linesOf(path: string): readonly unknown[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as unknown)
}

export function arrivalOf({ record, process, atNs }: JournalLine): Arrival {
  const { source, key, sequence, payload, timeMs } = record
  return {
    entry: { source, key, sequence, hash: payloadHash(ledgerPayload(payload, timeMs)) },
    outcome: 'stored',
    conflict: false,
    requestId: `${process} ${atNs}`,
    atNs: BigInt(atNs),
  }
}

async function coverage(stateFolder: string): Promise<Coverage> {
  await using store = await fileCheckpoints(stateFolder).open(JOB, silentLogger)
  const checkpoint = await store.load()
  const [split] = Object.values(checkpoint?.sources ?? {}).flatMap(({ splits }) => splits)
  const next = typeof split === 'object' && split !== null ? Number(Reflect.get(split, 'next')) : 0
  return {
    checkpointId: checkpoint?.id ?? 0,
    covers: ({ sequenceNumber }) => Number(sequenceNumber) < next,
  }
}
