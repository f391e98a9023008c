// A subject: a source of the memory service to its store, as a user would run it, in a process that is killed. Started by the campaigns.
import { flushCompileCache } from 'node:module'
import { consoleLogger, drainOnSignals, fileCheckpoints, noRestart, stream, type Stream } from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import { MemoryClient } from '../memory/client.ts'
import { MemoryGroupSource } from '../memory/group-source.ts'
import { MemoryPrefixSource } from '../memory/prefix-source.ts'
import { MemoryQueueSource } from '../memory/queue-source.ts'
import { MemoryStoreSink } from '../memory/store-sink.ts'
import { armFaults } from '../subject/faults.ts'
import { Observer } from '../subject/observer.ts'
import { requireVariable, SETTINGS_VARIABLE } from '../subject/settings.ts'
import { JOB, type MemorySettings } from './memory-settings.ts'

const settings: MemorySettings = JSON.parse(requireVariable(SETTINGS_VARIABLE))
const { endpoint, shape, stateFolder, checkpointIntervalMs } = settings
const client = new MemoryClient(endpoint)

function records(): Stream<GeneratedRecord> {
  if (shape === 'prefix') return stream(new MemoryPrefixSource(client))
  return shape === 'individual' ? stream(new MemoryQueueSource(client)) : stream(new MemoryGroupSource(client))
}

let observer: Observer | undefined
armFaults(() => observer)
const job = records()
  .map((record) => {
    observer?.emitting()
    return record
  })
  .sinkTo(new MemoryStoreSink(client, () => observer?.write(0)))
  .start({
    name: JOB,
    // A failure inside the process is not what is tested here: it ends the process, and the campaign says so.
    restart: noRestart(),
    checkpoints: {
      intervalMs: checkpointIntervalMs,
      // Where the service keeps the positions, no storage is needed.
      ...(shape === 'prefix' ? { storage: fileCheckpoints(stateFolder) } : {}),
    },
    drainDeadlineMs: 4_000,
    restartGraceMs: 1_000,
    logger: consoleLogger({ level: 'warn' }),
  })
observer = new Observer(job, 'memory')
flushCompileCache()
drainOnSignals(job)
const end = await job.done
observer.write(0)
process.exitCode = end.unsettled === 0 ? 0 : 1
