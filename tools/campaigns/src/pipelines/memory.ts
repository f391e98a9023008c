// A subject: a source of the memory service to its store, as a user would run it, in a process that is killed. Started by the campaigns.
import { flushCompileCache } from 'node:module'
import {
  consoleLogger,
  fileCheckpoints,
  fixedDelayRestart,
  noRestart,
  runToExit,
  stream,
  systemClock,
  type Stream,
} from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import { MemoryClient } from '../memory/client.ts'
import { MemoryGroupSource } from '../memory/group-source.ts'
import { MemoryPrefixSource } from '../memory/prefix-source.ts'
import { MemoryQueueSource } from '../memory/queue-source.ts'
import { MemoryStoreSink } from '../memory/store-sink.ts'
import { armFaults } from '../subject/faults.ts'
import { Observer } from '../subject/observer.ts'
import { noteVitals } from '../subject/vitals.ts'
import { requireVariable, SABOTAGE_VARIABLE, SETTINGS_VARIABLE } from '../subject/settings.ts'
import { DRAIN_DEADLINE_MS, JOB, type MemorySettings, RESTART_GRACE_MS } from './memory-settings.ts'

const settings: MemorySettings = JSON.parse(requireVariable(SETTINGS_VARIABLE))
const { endpoint, shape, stateFolder, checkpointIntervalMs, restartDelayMs } = settings
const client = new MemoryClient(endpoint)

function records(): Stream<GeneratedRecord> {
  if (shape === 'prefix') return stream(new MemoryPrefixSource(client))
  return shape === 'individual' ? stream(new MemoryQueueSource(client)) : stream(new MemoryGroupSource(client))
}

const sabotage = process.env[SABOTAGE_VARIABLE]
const leaked: unknown[] = []

let observer: Observer | undefined
armFaults(() => observer)
noteVitals()
const job = records()
  .map((record) => {
    observer?.emitting()
    // A sabotage: what nobody lets go of.
    if (sabotage === 'leak')
      leaked.push(Array.from({ length: 100 }, Math.random), setInterval(() => {}, 60_000).unref())
    return record
  })
  .sinkTo(new MemoryStoreSink(client, () => observer?.write(0)))
  .start({
    name: JOB,
    // Where no failure inside the process is planned, one ends it, and the campaign says so.
    restart:
      restartDelayMs === undefined
        ? noRestart()
        : fixedDelayRestart({ attempts: Number.MAX_SAFE_INTEGER, delayMs: restartDelayMs }),
    checkpoints: {
      intervalMs: checkpointIntervalMs,
      // Where the service keeps the positions, no storage is needed.
      ...(shape === 'prefix' ? { storage: fileCheckpoints(stateFolder) } : {}),
    },
    drainDeadlineMs: DRAIN_DEADLINE_MS,
    restartGraceMs: RESTART_GRACE_MS,
    // A sabotage: durations by a clock that jumps.
    ...(sabotage === 'wall-clock' ? { clock: { ...systemClock, now: () => Date.now() } } : {}),
    logger: consoleLogger({ level: 'warn' }),
  })
observer = new Observer(job, 'memory')
flushCompileCache()
await runToExit(job)
observer.write(0)
