// A subject: a log to Prometheus, as a user would run it. Started by the campaigns.
import { flushCompileCache } from 'node:module'
import { consoleLogger, fileCheckpoints, fileDeadLetters, noRestart, runToExit, stream } from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import { MemoryClient } from '../memory/client.ts'
import { MemoryPrefixSource } from '../memory/prefix-source.ts'
import { seriesOf } from '../prometheus/poison.ts'
import { SabotagedSink } from '../prometheus/sabotaged-sink.ts'
import { armFaults } from '../subject/faults.ts'
import { Observer } from '../subject/observer.ts'
import { requireVariable, SABOTAGE_VARIABLE, SETTINGS_VARIABLE } from '../subject/settings.ts'
import { DRAIN_DEADLINE_MS, RESTART_GRACE_MS } from './memory-settings.ts'
import { JOB, type PrometheusSettings } from './prometheus-settings.ts'

const LANES = 4
const BUFFERED_BATCHES = 3
const MAX_TIME_IN_BUFFER_MS = 150
const SOCKET_TIMEOUT_MS = 10_000

const settings: PrometheusSettings = JSON.parse(requireVariable(SETTINGS_VARIABLE))
const { letterFolder, maxBatchSizeInSamples } = settings
const sink = new SabotagedSink<GeneratedRecord>(
  {
    prometheusRemoteWriteUrl: settings.remoteWriteUrl,
    elementConverter: seriesOf,
    maxBatchSizeInSamples,
    orderedLanes: LANES,
    maxBufferedRequests: LANES * BUFFERED_BATCHES * maxBatchSizeInSamples,
    maxTimeInBufferMS: MAX_TIME_IN_BUFFER_MS,
    socketTimeoutMs: SOCKET_TIMEOUT_MS,
    ...(letterFolder === undefined
      ? {}
      : { errorHandlingBehaviorConfiguration: { onPrometheusNonRetriableError: 'FAIL' as const } }),
  },
  process.env[SABOTAGE_VARIABLE],
)

let observer: Observer | undefined
armFaults(() => observer)
const job = stream(new MemoryPrefixSource(new MemoryClient(settings.endpoint)))
  .map((record) => {
    observer?.emitting()
    return record
  })
  .sinkTo(sink)
  .start({
    name: JOB,
    // A failure inside the process ends it, and the campaign says so.
    restart: noRestart(),
    checkpoints: { intervalMs: settings.checkpointIntervalMs, storage: fileCheckpoints(settings.stateFolder) },
    ...(letterFolder === undefined ? {} : { deadLetters: fileDeadLetters(letterFolder) }),
    drainDeadlineMs: DRAIN_DEADLINE_MS,
    restartGraceMs: RESTART_GRACE_MS,
    logger: consoleLogger({ level: 'error' }),
  })
observer = new Observer(job, 'memory')
flushCompileCache()
await runToExit(job)
observer.write(0)
