// A subject: a log to Timestream, as a user would run it. Started by the campaigns.
import { flushCompileCache } from 'node:module'
import { consoleLogger, fileCheckpoints, fileDeadLetters, noRestart, runToExit, stream } from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import { MemoryClient } from '../memory/client.ts'
import { MemoryPrefixSource } from '../memory/prefix-source.ts'
import { armFaults } from '../subject/faults.ts'
import { Observer } from '../subject/observer.ts'
import { requireVariable, SABOTAGE_VARIABLE, SETTINGS_VARIABLE } from '../subject/settings.ts'
import { keysFrom } from '../timestream/key-desk.ts'
import { convert } from '../timestream/poison.ts'
import { SabotagedTimestreamSink } from '../timestream/sabotaged-sink.ts'
import { DRAIN_DEADLINE_MS, RESTART_GRACE_MS } from './memory-settings.ts'
import { JOB, REGION, type TimestreamSettings } from './timestream-settings.ts'

const MAX_IN_FLIGHT = 8
const BUFFERED_BATCHES = 10
const MAX_TIME_IN_BUFFER_MS = 150
const REQUEST_TIMEOUT_MS = 10_000
const SDK_REPEATS = 1
/** A campaign has more failures in a minute than a service in a year: with pauses of ten seconds it would not end. */
const RETRY = { initialDelayMs: 20, maxDelayMs: 400 }

const settings: TimestreamSettings = JSON.parse(requireVariable(SETTINGS_VARIABLE))
const { letterFolder, keyFile, maxBatchSize, transport, discovers = false } = settings
// Where discovery asks: read when the client is made.
if (discovers) process.env['AWS_ENDPOINT_URL_TIMESTREAM_WRITE'] = settings.timestreamEndpoint
const sink = new SabotagedTimestreamSink<GeneratedRecord>(
  {
    databaseName: settings.databaseName,
    tableName: settings.tableName,
    elementConverter: convert,
    transport,
    maxBatchSize,
    maxInFlightRequests: MAX_IN_FLIGHT,
    maxBufferedRequests: BUFFERED_BATCHES * maxBatchSize,
    maxTimeInBufferMS: MAX_TIME_IN_BUFFER_MS,
    retry: RETRY,
    writeClientConfig: {
      region: REGION,
      requestTimeout: REQUEST_TIMEOUT_MS,
      ...(discovers ? {} : { endpointOverride: settings.timestreamEndpoint }),
      ...(transport === 'sdk' ? { maxErrorRetry: SDK_REPEATS } : {}),
    },
    ...(keyFile === undefined ? { credentialsProviderType: 'ENV_VAR' } : { credentials: keysFrom(keyFile) }),
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
