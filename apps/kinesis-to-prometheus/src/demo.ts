import { join } from 'node:path'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { awsRequestHandler } from '@sluice/aws'
import { consoleLogger, fileCheckpoints, type Job, silentLogger, stream } from '@sluice/core'
import { KinesisSource } from '@sluice/kinesis'
import { PrometheusSink } from '@sluice/prometheus'
import {
  type KinesisLocal,
  type Prometheus,
  startKinesisLocal,
  startPrometheus,
  temporaryFolder,
} from '@sluice/testkit'
import type { DemoOptions } from './arguments.ts'
import { toSamples } from './mapping.ts'
import { produce } from './produce.ts'
import { showProgress } from './progress.ts'
import { type HostRecord, MEASURES } from './records.ts'
import { answer, checkResult, QUESTION } from './result.ts'

/** The demo's last line. */
export interface DemoSummary {
  readonly demo: 'kinesis-to-prometheus'
  /** Records that the stream confirmed. */
  readonly produced: number
  /** Samples in them. */
  readonly samples: number
  readonly stored: number
  readonly missing: number
  readonly corrupted: number
  readonly deadLettered: number
  readonly dropped: number
  readonly interrupted: boolean
  readonly seconds: number
}

const STREAM = 'hosts'
/** Nothing of the user's own settings for AWS. */
const LOCAL = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  useFipsEndpoint: false,
  useDualstackEndpoint: false,
  defaultsMode: 'standard',
} as const
const CHECKPOINT_INTERVAL_MS = 1_000
const MAX_TIME_IN_BUFFER_MS = 500
const CAUGHT_UP_POLL_MS = 100

/** Runs the pipeline until everything that was produced is stored, and asks Prometheus for it. */
export async function runDemo(options: DemoOptions): Promise<{ readonly summary: DemoSummary; readonly ok: boolean }> {
  const startedAt = performance.now()
  await using servers = new AsyncDisposableStack()
  // What a restart repeats is taken again within the window.
  const starting = [startKinesisLocal(), startPrometheus({ outOfOrderTimeWindow: '10m' })] as const
  // One that started is closed also when the other one cannot start.
  for (const each of await Promise.allSettled(starting)) if (each.status === 'fulfilled') servers.use(each.value)
  const [kinesis, prometheus] = await Promise.all(starting)
  say(`kinesis-local    ${kinesis.endpoint}`)
  say(`prometheus       ${prometheus.url}`)
  await kinesis.createStream(STREAM, options.shards)
  const client = servers.adopt(
    new KinesisClient({
      ...LOCAL,
      endpoint: kinesis.endpoint,
      requestHandler: awsRequestHandler({ maxSockets: 2 }),
    }),
    (each) => each.destroy(),
  )
  await using state = await temporaryFolder()
  const produced: HostRecord[] = []
  const stopProducing = new AbortController()
  await using job = startJob(options, kinesis, prometheus, join(state.path, 'state'))
  using signals = onSignals((count) => {
    stopProducing.abort()
    void (count === 1 ? job.drain() : job.close()).catch(() => undefined)
  })
  let interrupted = false
  const progress = showProgress(job, options.records, () => produced.length)
  try {
    const producing = produce({
      client,
      stream: STREAM,
      records: options.records,
      signal: stopProducing.signal,
      onConfirmed: (records) => produced.push(...records),
    })
    // A job that fails must not leave the producer running.
    await Promise.race([producing, job.done.then(() => producing)])
    await caughtUp(job, produced.length, stopProducing.signal)
    interrupted = stopProducing.signal.aborted
    await job.drain()
  } finally {
    stopProducing.abort()
    progress.stop()
  }
  const end = await job.done
  const report = await Promise.race([signals.third, checkResult(produced, prometheus)])
  print(`\n${QUESTION}\n\n${await answer(prometheus)}\n`)
  print(
    `produced ${produced.length} records of ${MEASURES} samples, stored ${report.stored} samples, missing ${report.missing}`,
  )
  const sinks = Object.values(job.status().sinks)
  const summary: DemoSummary = {
    demo: 'kinesis-to-prometheus',
    produced: produced.length,
    samples: report.produced,
    stored: report.stored,
    missing: report.missing,
    corrupted: report.corrupted,
    deadLettered: sinks.reduce((total, sink) => total + sink.deadLettered, 0),
    dropped: sinks.reduce((total, sink) => total + sink.dropped, 0),
    interrupted,
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
  }
  // After an interruption what was not read stays in the stream; what was read must be stored.
  const ok = (interrupted || report.missing === 0) && report.corrupted === 0 && end.unsettled === 0
  return { summary, ok }
}

function startJob(options: DemoOptions, kinesis: KinesisLocal, prometheus: Prometheus, state: string): Job {
  const source = new KinesisSource<HostRecord>({
    streamName: STREAM,
    initialPosition: 'TRIM_HORIZON',
    client: kinesis.client(),
  })
  const sink = new PrometheusSink<HostRecord>({
    prometheusRemoteWriteUrl: prometheus.remoteWriteUrl,
    elementConverter: toSamples,
    maxTimeInBufferMS: MAX_TIME_IN_BUFFER_MS,
  })
  const job = stream(source)
    .sinkTo(sink)
    .start({
      name: 'kinesis-to-prometheus',
      checkpoints: { intervalMs: CHECKPOINT_INTERVAL_MS, storage: fileCheckpoints(state) },
      admin: { port: options.adminPort },
      logger: options.verbose ? consoleLogger() : silentLogger,
    })
  job.done.catch(() => undefined)
  return job
}

/** Resolves when everything that was produced was read and is stored, or when the run is interrupted or the job has ended. */
async function caughtUp(job: Job, produced: number, signal: AbortSignal): Promise<void> {
  let quiet = 0
  while (!signal.aborted) {
    const { readers, emitted, unsettled, state } = job.status()
    if (state === 'failed' || state === 'ended') return
    const splits = readers.flatMap((reader) => reader.splits)
    const atEnd = splits.length > 0 && splits.every(({ millisBehindLatest }) => millisBehindLatest === 0)
    const done = atEnd && unsettled === 0 && readers.every(({ queuedRecords }) => queuedRecords === 0)
    // After a restart within the run `emitted` begins anew: then two quiet seconds at the end of all shards must do.
    quiet = done ? quiet + 1 : 0
    if (done && (emitted >= produced || quiet * CAUGHT_UP_POLL_MS >= 2_000)) return
    await new Promise((resolve) => {
      setTimeout(resolve, CAUGHT_UP_POLL_MS)
    })
  }
}

/** Calls back with how many SIGINT and SIGTERM came so far; the third rejects `third`. Removed on disposal. */
function onSignals(callback: (count: number) => void): Disposable & { readonly third: Promise<never> } {
  const third = Promise.withResolvers<never>()
  third.promise.catch(() => undefined)
  let count = 0
  const onSignal = (): void => {
    count++
    if (count < 3) callback(count)
    else third.reject(new Error('interrupted before the result was there'))
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  return {
    third: third.promise,
    [Symbol.dispose]: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
