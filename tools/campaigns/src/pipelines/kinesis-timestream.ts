// A subject: Kinesis to Timestream as a user would run it, in a process that is killed. Started by the campaigns.
import { flushCompileCache } from 'node:module'
import { consoleLogger, drainOnSignals, fileCheckpoints, noRestart, stream } from '@sluice/core'
import { KinesisSource } from '@sluice/kinesis'
import { TimestreamSink } from '@sluice/timestream'
import type { GeneratedRecord } from '../campaign.ts'
import { armFaults } from '../subject/faults.ts'
import { Observer } from '../subject/observer.ts'
import { requireVariable, SETTINGS_VARIABLE } from '../subject/settings.ts'
import { timestreamRecordOf } from '../timestream/record.ts'
import { JOB, type KinesisTimestreamSettings } from './kinesis-timestream-settings.ts'

const settings: KinesisTimestreamSettings = JSON.parse(requireVariable(SETTINGS_VARIABLE))
const local = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } }

const source = new KinesisSource<GeneratedRecord>({
  streamName: settings.streamName,
  initialPosition: 'TRIM_HORIZON',
  fetchIntervalMs: 40,
  emptyFetchIntervalMs: 40,
  aws: { ...local, endpoint: settings.kinesisEndpoint },
})

const sink = new TimestreamSink<GeneratedRecord>({
  databaseName: settings.databaseName,
  tableName: settings.tableName,
  maxBatchSize: 20,
  maxInFlightRequests: 4,
  maxBufferedRequests: 200,
  maxTimeInBufferMS: 150,
  writeClientConfig: { endpointOverride: settings.timestreamEndpoint, region: local.region, maxErrorRetry: 0 },
  credentialsProviderType: 'ENV_VAR',
  elementConverter: timestreamRecordOf,
})

let observer: Observer | undefined
armFaults(() => observer)
const job = stream(source)
  .map((record) => {
    observer?.emitting()
    return record
  })
  .sinkTo(sink)
  .start({
    name: JOB,
    // A failure inside the process is not what is tested here: it ends the process, and the campaign says so.
    restart: noRestart(),
    checkpoints: { intervalMs: settings.checkpointIntervalMs, storage: fileCheckpoints(settings.stateFolder) },
    logger: consoleLogger({ level: 'warn' }),
  })
observer = new Observer(job, source.uid)
flushCompileCache()
drainOnSignals(job)
const end = await job.done
observer.write(0)
process.exitCode = end.unsettled === 0 ? 0 : 1
