import { join } from 'node:path'
import { consoleLogger, fileCheckpoints, type Job, silentLogger, stream } from '@sluice/core'
import type { LedgerEntry, LedgerReport } from '@sluice/core/testing'
import { KinesisSource } from '@sluice/kinesis'
import { temporaryFolder } from '@sluice/testkit'
import { TimestreamSink } from '@sluice/timestream'
import type { DemoOptions } from './arguments.ts'
import { toTimestreamRecord } from './mapping.ts'
import { produce } from './produce.ts'
import { showProgress } from './progress.ts'
import type { HostRecord } from './records.ts'
import { checkResult, formatTable, query, storedEntries } from './result.ts'
import { openServices, type Services } from './services.ts'

/** The demo's last line. */
export interface DemoSummary {
  readonly demo: 'kinesis-to-timestream'
  readonly produced: number
  readonly stored: number
  readonly missing: number
  /** Arrivals beyond the first of each record; null on AWS, where a table shows no repeat. */
  readonly duplicates: number | null
  readonly deadLettered: number
  readonly seconds: number
  readonly dropped: number
  readonly corrupted: number
  readonly interrupted: boolean
}

const CHECKPOINT_INTERVAL_MS = 1_000
const MAX_TIME_IN_BUFFER_MS = 500
const CAUGHT_UP_POLL_MS = 100

/** Runs the pipeline until everything that was produced is stored, and compares the two. */
export async function runDemo(options: DemoOptions): Promise<{ readonly summary: DemoSummary; readonly ok: boolean }> {
  const startedAt = performance.now()
  await using services = await openServices(options, say)
  await using temporary = await temporaryFolder()
  const run = `demo-${Date.now()}`
  const produced: LedgerEntry[] = []
  const stopProducing = new AbortController()
  await using job = startJob(options, services, options.state ?? join(temporary.path, 'state'))
  using signals = onSignals((count) => {
    stopProducing.abort()
    // The second one does not wait for the sink, and does nothing to a job that has ended: the result is still shown.
    void (count === 1 ? job.drain() : job.close()).catch(() => undefined)
  })
  let interrupted = false
  const progress = showProgress(job, options.records, () => produced.length)
  try {
    // LATEST is resolved before the first record is put, or the first records would lie before it.
    if (options.aws) await running(job)
    const producing = produce({
      client: services.kinesis,
      stream: options.stream,
      run,
      records: options.records,
      collisions: options.collisions,
      signal: stopProducing.signal,
      onConfirmed: (entries) => produced.push(...entries),
    })
    // A job that fails must not leave the producer running.
    await Promise.race([producing, job.done.then(() => producing)])
    await caughtUp(job, () => produced.length, stopProducing.signal)
    interrupted = stopProducing.signal.aborted
    await job.drain()
  } finally {
    stopProducing.abort()
    progress.stop()
  }
  const end = await job.done
  const { report, duplicates } = await Promise.race([
    signals.third,
    (async () => {
      const stored = await storedEntries(services.query, options, run)
      const result = await checkResult(produced, stored, services.journalPath)
      await showResult(options, services, result.report, run)
      return result
    })(),
  ])
  const sinks = Object.values(job.status().sinks)
  const summary: DemoSummary = {
    demo: 'kinesis-to-timestream',
    produced: report.produced,
    stored: report.stored,
    missing: report.missing,
    duplicates,
    deadLettered: sinks.reduce((total, sink) => total + sink.deadLettered, 0),
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
    dropped: sinks.reduce((total, sink) => total + sink.dropped, 0),
    corrupted: report.corrupted,
    interrupted,
  }
  // After an interruption what was not read stays in the stream; what was read must be stored.
  const whole = interrupted || report.missing === options.collisions
  const ok = whole && report.corrupted === 0 && end.unsettled === 0
  return { summary, ok }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
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

function startJob(options: DemoOptions, services: Services, state: string): Job {
  const source = new KinesisSource<HostRecord>({
    streamName: options.stream,
    // The stream of a local run is new; on AWS only what arrives from now on is this run's.
    initialPosition: options.aws ? 'LATEST' : 'TRIM_HORIZON',
    ...services.source,
  })
  const sink = new TimestreamSink<HostRecord>({
    databaseName: options.database,
    tableName: options.table,
    elementConverter: toTimestreamRecord,
    maxTimeInBufferMS: MAX_TIME_IN_BUFFER_MS,
    maxInFlightRequests: 10,
    ...services.sink,
    // Collisions that were asked for are dropped and counted; otherwise a rejected record fails the job.
    failureHandlerConfig: { failProcessingOnRejectedRecordsException: options.collisions === 0 },
  })
  const job = stream(source)
    .sinkTo(sink)
    .start({
      name: 'kinesis-to-timestream',
      checkpoints: { intervalMs: CHECKPOINT_INTERVAL_MS, storage: fileCheckpoints(state) },
      admin: { port: options.adminPort },
      logger: options.verbose ? consoleLogger() : silentLogger,
    })
  const waiting = setInterval(() => {
    if (job.adminUrl === undefined) return
    clearInterval(waiting)
    say(`status           ${job.adminUrl}/status (also /metrics, /healthz, /readyz)`)
  }, 20)
  job.done.catch(() => undefined).finally(() => clearInterval(waiting))
  return job
}

/** Resolves when the start position is stored and the job reads; rejects if the job fails first. */
async function running(job: Job): Promise<void> {
  while (job.status().state !== 'running') {
    await Promise.race([job.done, pause(CAUGHT_UP_POLL_MS)])
  }
}

/** Resolves when all shards are read to their end and everything that was read is stored, or when the run is interrupted. */
async function caughtUp(job: Job, produced: () => number, signal: AbortSignal): Promise<void> {
  let quiet = 0
  while (!signal.aborted) {
    const { readers, emitted, unsettled, state } = job.status()
    if (state === 'failed' || state === 'ended') return
    const splits = readers.flatMap((reader) => reader.splits)
    const atEnd = splits.length > 0 && splits.every(({ millisBehindLatest }) => millisBehindLatest === 0)
    const done = atEnd && unsettled === 0 && readers.every(({ queuedRecords }) => queuedRecords === 0)
    // After a restart within the run `emitted` begins anew: then two quiet seconds at the end of all shards must do.
    quiet = done ? quiet + 1 : 0
    if (done && (emitted >= produced() || quiet * CAUGHT_UP_POLL_MS >= 2_000)) return
    await pause(CAUGHT_UP_POLL_MS)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

async function showResult(options: DemoOptions, services: Services, report: LedgerReport, run: string): Promise<void> {
  const sql = `SELECT region, COUNT(*) AS records, COUNT(DISTINCT instance_name) AS hosts, ROUND(AVG(cpu_user), 2) AS cpu_user_avg, ROUND(MAX(cpu_user), 2) AS cpu_user_max, SUM(task_completed) AS tasks_completed FROM "${options.database}"."${options.table}" WHERE ledger_source = '${run}' GROUP BY region ORDER BY region`
  const table = await query(services.query, sql)
  process.stdout.write(`\n${sql}\n\n${formatTable(table)}\n\n`)
  process.stdout.write(
    `Ledger (${services.where}): produced ${report.produced}, stored ${report.stored}, missing ${report.missing}, corrupted ${report.corrupted}\n`,
  )
  for (const entry of report.examplesMissing) process.stdout.write(`  missing: ${entry.key} #${entry.sequence}\n`)
}
