import { LazyGauge } from '../metrics/lazy-gauge.ts'
import type { Counter, MetricDefinition } from '../metrics/registry.ts'
import { SOURCE_METRICS } from '../metrics/source-metrics.ts'
import type { ReaderContext, RecordBatch } from './spi.ts'
import type { SplitFacts } from './split-assignment.ts'

type Pending = 'pendingRecords' | 'pendingBytes'

/** FLIP-33's metrics of a reader, brought up to date once a batch. */
export class ReaderMetrics {
  readonly #context: ReaderContext
  readonly #labels: Readonly<Record<string, string>>
  readonly #recordsIn: Counter
  readonly #bytesIn: Counter
  readonly #fetchLag: LazyGauge
  readonly #facts: () => Iterable<SplitFacts>
  readonly #unregister: (() => void)[] = []
  readonly #pending = new Set<Pending>()
  #idleSince: number | undefined
  #closed = false

  /** @param facts - of every split that the reader has now. */
  constructor(context: ReaderContext, facts: () => Iterable<SplitFacts>) {
    this.#context = context
    this.#facts = facts
    this.#labels = { subtask: String(context.subtask) }
    this.#recordsIn = context.metrics.counter(SOURCE_METRICS.numRecordsIn)
    this.#bytesIn = context.metrics.counter(SOURCE_METRICS.numBytesIn)
    this.#fetchLag = new LazyGauge(context.metrics, SOURCE_METRICS.currentFetchEventTimeLag, this.#labels)
    this.#gauge(SOURCE_METRICS.sourceIdleTime, () =>
      this.#idleSince === undefined ? 0 : context.clock.now() - this.#idleSince,
    )
  }

  fetched({ values, eventTimesMs }: RecordBatch<unknown>, bytes: number): void {
    this.#recordsIn.value += values.length
    this.#bytesIn.value += bytes
    const eventTimeMs = eventTimesMs?.[values.length - 1]
    if (eventTimeMs !== undefined) this.#fetchLag.set(this.#context.clock.wallNow() - eventTimeMs)
  }

  /** A service that says how much is left makes the gauge appear. */
  told(facts: SplitFacts): void {
    if (facts.pendingRecords !== undefined) this.#registerPending('pendingRecords')
    if (facts.pendingBytes !== undefined) this.#registerPending('pendingBytes')
  }

  /** There was nothing to poll: idle from now on. */
  idle(): void {
    this.#idleSince ??= this.#context.clock.now()
  }

  busy(): void {
    this.#idleSince = undefined
  }

  /** The registry outlives the reader. */
  close(): void {
    this.#closed = true
    this.#fetchLag.unregister()
    for (const unregister of this.#unregister.splice(0)) unregister()
  }

  #registerPending(name: Pending): void {
    if (this.#pending.has(name) || this.#closed) return
    this.#pending.add(name)
    this.#gauge(SOURCE_METRICS[name], () => {
      const known = [...this.#facts()].flatMap((facts) => facts[name] ?? [])
      return known.length === 0 ? Number.NaN : known.reduce((sum, each) => sum + each, 0)
    })
  }

  #gauge(definition: MetricDefinition, read: () => number): void {
    this.#unregister.push(this.#context.metrics.gauge(definition, read, this.#labels))
  }
}
