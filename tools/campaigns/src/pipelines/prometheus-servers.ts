import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileCheckpoints, silentLogger } from '@sluice/core'
import type { LedgerEntry } from '@sluice/core/testing'
import {
  decodeRemoteWrite,
  type JournalledRequest,
  type Prometheus,
  type RemoteWriteProxy,
  startPrometheus,
  startRemoteWriteProxy,
} from '@sluice/testkit'
import type { Arrival, Coverage, GeneratedRecord, PipelineDefinition, PipelineUnderTest } from '../campaign.ts'
import type { LogSplit } from '../memory/prefix-source.ts'
import { MemoryService } from '../memory/service.ts'
import { WriteGate } from '../write-gate.ts'
import { JOB, METRIC, type PrometheusSettings, valueOf } from './prometheus-settings.ts'

const CHECKPOINT_INTERVAL_MS = 120
const BATCH = 20
/** Of requests and answers, so that both halves of a request last. */
const WRITE_DELAY_MS = 15
/** Where repeats are refused, finding out what the store has takes two requests for each of them. */
const SHORT_WRITE_DELAY_MS = 2
/** After each produced batch: no more than the subject can write after a kill. */
const PRODUCE_PAUSE_MS = 60

/** A pipeline into a real Prometheus, for campaigns that act on the way to it. */
export interface PrometheusPipelineUnderTest extends PipelineUnderTest {
  readonly proxy: RemoteWriteProxy
  readBack(): Promise<readonly LedgerEntry[]>
  /** Samples of a metric that the receiver holds. */
  count(metric: string): Promise<number>
}

export interface PrometheusPipeline extends PipelineDefinition {
  open(folder: string): Promise<PrometheusPipelineUnderTest>
}

/** It takes samples again that it has. */
const withWindow: PrometheusPipeline = {
  name: 'prometheus-window',
  summary: 'a log in memory, PrometheusSink, file checkpoints; a real Prometheus with an out-of-order window',
  positionAuthority: 'checkpoint',
  ordered: true,
  open: (folder) => open(folder, '30m'),
}

/** It refuses a request with samples that are older than the newest of their series. */
const withoutWindow: PrometheusPipeline = {
  name: 'prometheus',
  summary: 'the same without a window: Prometheus refuses what is older than the newest of its series, repeats too',
  positionAuthority: 'checkpoint',
  ordered: true,
  refusesRepeats: true,
  open: (folder) => open(folder, undefined),
}

export const PROMETHEUS_PIPELINES: readonly PrometheusPipeline[] = [withWindow, withoutWindow]

/** @throws RangeError when the pipeline does not end in a Prometheus. */
export function openPrometheus(name: string, folder: string): Promise<PrometheusPipelineUnderTest> {
  const pipeline = PROMETHEUS_PIPELINES.find((each) => each.name === name)
  if (pipeline === undefined) throw new RangeError(`${name} is not a pipeline into a Prometheus`)
  return pipeline.open(folder)
}

async function open(folder: string, outOfOrderTimeWindow: string | undefined): Promise<PrometheusPipelineUnderTest> {
  await using servers = new AsyncDisposableStack()
  const refusesRepeats = outOfOrderTimeWindow === undefined
  const stateFolder = join(folder, 'state')
  await mkdir(stateFolder)
  const service = servers.use(await MemoryService.start())
  const window = refusesRepeats ? {} : { outOfOrderTimeWindow }
  const prometheus = servers.use(await startPrometheus({ dataFolder: join(folder, 'prometheus'), ...window }))
  const gate = new WriteGate(() => true, refusesRepeats ? SHORT_WRITE_DELAY_MS : WRITE_DELAY_MS)
  const proxy = servers.use(
    await startRemoteWriteProxy({
      target: prometheus.remoteWriteUrl,
      journalFile: join(folder, 'remote-write.ndjson'),
      onRequest: gate.onRequest,
      onResponse: gate.onResponse,
    }),
  )
  const settings: PrometheusSettings = {
    endpoint: service.endpoint,
    remoteWriteUrl: proxy.remoteWriteUrl,
    stateFolder,
    checkpointIntervalMs: CHECKPOINT_INTERVAL_MS,
    maxBatchSizeInSamples: BATCH,
  }
  const ledger = new SampleLedger()
  const running = servers.move()
  return {
    subject: { entry: new URL('prometheus.ts', import.meta.url), settings },
    gate,
    proxy,
    produce: async (records) => {
      ledger.note(records)
      if (refusesRepeats) await sleep(PRODUCE_PAUSE_MS)
      return service.log.produce(records)
    },
    arrivals: () => Promise.resolve(ledger.arrivals(proxy.journal)),
    readBack: () => readBack(prometheus, ledger),
    count: async (metric) => {
      const series = await prometheus.exactSamples({ __name__: metric })
      return series.reduce((sum, { samples }) => sum + samples.length, 0)
    },
    coverage: () => coverage(stateFolder),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Says of which record a sample is. */
class SampleLedger {
  readonly #records = new Map<string, GeneratedRecord>()
  /** By number of the request: it is decoded once. */
  readonly #decoded = new Map<number, readonly LedgerEntry[]>()

  note(records: readonly GeneratedRecord[]): void {
    for (const record of records) this.#records.set(placeOf(record.source, record.key, record.timeMs), record)
  }

  /** Samples of the requests that the receiver took, in the order in which it answered: then each was applied. */
  arrivals(journal: readonly JournalledRequest[]): readonly Arrival[] {
    return journal
      .flatMap(({ number, body, answer }) =>
        taken(answer) && body !== undefined ? [{ number, body, atNs: answer.atNs }] : [],
      )
      .toSorted((a, b) => (a.atNs < b.atNs ? -1 : 1))
      .flatMap(({ number, body, atNs }) =>
        this.#entries(number, body).map((entry): Arrival => ({
          entry,
          outcome: 'stored',
          conflict: false,
          requestId: String(number),
          atNs,
        })),
      )
  }

  /** The record of a sample; one that nobody produced has a hash that no record has. */
  entry(labels: Readonly<Record<string, string>>, timestampMs: number, value: number): LedgerEntry {
    const { source = '', key = '' } = labels
    const record = this.#records.get(placeOf(source, key, timestampMs))
    const hash = record !== undefined && valueOf(record) === value ? record.hash : `${value} at ${timestampMs}`
    return { source, key, sequence: record?.sequence ?? timestampMs, hash }
  }

  #entries(number: number, body: Buffer): readonly LedgerEntry[] {
    const known = this.#decoded.get(number)
    if (known !== undefined) return known
    const entries = decodeRemoteWrite(body).flatMap((series) => {
      const labels = Object.fromEntries(series.labels)
      return labels['__name__'] === METRIC
        ? series.samples.map(({ timestampMs, value }) => this.entry(labels, timestampMs, value))
        : []
    })
    this.#decoded.set(number, entries)
    return entries
  }
}

function taken(answer: JournalledRequest['answer']): answer is NonNullable<JournalledRequest['answer']> {
  return answer !== undefined && answer.status >= 200 && answer.status < 300
}

function placeOf(source: string, key: string, timeMs: number): string {
  return JSON.stringify([source, key, timeMs])
}

/** What PromQL gives for everything that is stored. */
async function readBack(prometheus: Prometheus, ledger: SampleLedger): Promise<readonly LedgerEntry[]> {
  const series = await prometheus.samples(METRIC)
  return series.flatMap(({ labels, samples }) =>
    samples.map(({ timestampMs, value }) => ledger.entry(labels, timestampMs, value)),
  )
}

async function coverage(stateFolder: string): Promise<Coverage> {
  await using store = await fileCheckpoints(stateFolder).open(JOB, silentLogger)
  const checkpoint = await store.load()
  const splits = Object.values(checkpoint?.sources ?? {}).flatMap((state) => state.splits as readonly LogSplit[])
  const next = new Map(splits.map(({ splitId, next: index }) => [splitId, index]))
  return {
    checkpointId: checkpoint?.id ?? 0,
    covers: ({ splitId, sequenceNumber }) => Number(sequenceNumber) < (next.get(splitId) ?? 0),
  }
}
