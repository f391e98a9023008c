// A subject: a file of records to a file, with file checkpoints, in a process whose state is under faults. Started by the campaigns.
import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CheckpointStorage,
  consoleLogger,
  fileCheckpoints,
  fixedDelayRestart,
  fromIterable,
  type Job,
  SluiceError,
  stream,
  toFunction,
} from '@sluice/core'
import { setFailpoint } from '@sluice/core/testing'
import type { GeneratedRecord } from '../campaign.ts'
import { armFaults } from '../subject/faults.ts'
import { requireVariable, SETTINGS_VARIABLE } from '../subject/settings.ts'
import { type FileLogEvent, type FileLogSettings, JOB } from './file-log-settings.ts'

const POLL_MS = 5
const DRAIN_MS = 4_000
const RESTART_MS = 200
/** For a job on damaged state, to store what is there. */
const START_MS = 1_500

const settings: FileLogSettings = JSON.parse(requireVariable(SETTINGS_VARIABLE))

function note(event: Omit<FileLogEvent, 'process'>): void {
  appendFileSync(settings.eventsPath, `${JSON.stringify({ process: settings.process, ...event })}\n`)
}

/** The records of the file from its beginning, and those that are added; it ends when it is told to. */
class Tail implements AsyncIterator<GeneratedRecord, undefined> {
  #read = 0
  #lines: string[] = []
  #closed = false

  async next(): Promise<IteratorResult<GeneratedRecord, undefined>> {
    for (;;) {
      if (this.#closed) return { done: true, value: undefined }
      const line = this.#lines.shift()
      if (line !== undefined) return { done: false, value: JSON.parse(line) as GeneratedRecord }
      const all = readFileSync(settings.recordsPath, 'utf8').split('\n').slice(0, -1)
      this.#lines = all.slice(this.#read)
      this.#read = all.length
      if (this.#lines.length === 0) await sleep(POLL_MS)
    }
  }

  return(): Promise<IteratorResult<GeneratedRecord, undefined>> {
    this.#closed = true
    return Promise.resolve({ done: true, value: undefined })
  }
}

/** Notes what is loaded, stored and acknowledged. */
function noted(storage: CheckpointStorage): CheckpointStorage {
  return {
    async open(job, logger) {
      const store = await storage.open(job, logger)
      return {
        async load() {
          const checkpoint = await store.load()
          note({ what: 'owned', id: checkpoint?.id ?? 0 })
          return checkpoint
        },
        async store(checkpoint) {
          const bytes = await store.store(checkpoint)
          note({ what: 'stored', id: checkpoint.id })
          return bytes
        },
        [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      }
    },
  }
}

function source(): ReturnType<typeof fromIterable<GeneratedRecord>> {
  const given = fromIterable<GeneratedRecord>(() => ({ [Symbol.asyncIterator]: () => new Tail() }), { uid: 'file' })
  return {
    ...given,
    createReader(context) {
      const reader = given.createReader(context)
      const acknowledge = reader.acknowledge.bind(reader)
      reader.acknowledge = (id, settled) => {
        note({ what: 'acknowledged', id })
        return acknowledge(id, settled)
      }
      return reader
    },
  }
}

function start(stateFolder: string, onStored: (records: readonly GeneratedRecord[]) => void, attempts: number): Job {
  const store = toFunction<GeneratedRecord>(
    (records) => {
      const atNs = String(process.hrtime.bigint())
      const by = { process: settings.process, ...(settings.sweep === undefined ? {} : { state: stateFolder }) }
      const lines = records.map((record) => `${JSON.stringify({ record, ...by, atNs })}\n`)
      appendFileSync(settings.journalPath, lines.join(''))
      onStored(records)
      return Promise.resolve()
    },
    { maxTimeInBufferMS: POLL_MS },
  )
  return stream(source())
    .sinkTo(store)
    .start({
      name: JOB,
      restart: fixedDelayRestart({ attempts, delayMs: RESTART_MS }),
      checkpoints: {
        intervalMs: settings.checkpointIntervalMs,
        storage: noted(fileCheckpoints(stateFolder)),
      },
      logger: consoleLogger({ level: 'warn' }),
    })
}

/** Runs the job until SIGTERM. */
async function run(): Promise<void> {
  if (settings.startAtMs !== undefined) await sleep(Math.max(0, settings.startAtMs - Date.now()))
  const job = start(settings.stateFolder, () => {}, Number.MAX_SAFE_INTEGER)
  process.once('SIGTERM', () => void job.drain(DRAIN_MS).catch(() => undefined))
  try {
    const end = await job.done
    note({ what: 'ended' })
    process.exitCode = end.unsettled === 0 ? 0 : 1
  } catch (error) {
    note({ what: 'ended', code: SluiceError.isInstance(error) ? error.code : String(error) })
    process.exitCode = 3
  }
}

/** Lets a job on each state store everything up to the last record, or refuse. */
async function sweep(states: readonly string[]): Promise<void> {
  const last = readFileSync(settings.recordsPath, 'utf8').split('\n').at(-2)
  for (const state of states) {
    const { promise: stored, resolve } = Promise.withResolvers<void>()
    const job = start(state, (records) => records.some((record) => JSON.stringify(record) === last) && resolve(), 0)
    try {
      // On a position behind the last record it would wait for ever.
      await Promise.race([stored, job.done, sleep(START_MS)])
      await job.drain(DRAIN_MS)
      note({ what: 'ended', state })
    } catch (error) {
      note({ what: 'ended', state, code: SluiceError.isInstance(error) ? error.code : String(error) })
    }
  }
}

armFaults(() => undefined)
if (settings.elsewhere === true) setFailpoint('owner:elsewhere', () => true)
if (settings.stopAt !== undefined) {
  let hits = 0
  setFailpoint(settings.stopAt, () => {
    if (++hits === 2) process.kill(process.pid, 'SIGSTOP')
  })
}
await (settings.sweep === undefined ? run() : sweep(settings.sweep))
