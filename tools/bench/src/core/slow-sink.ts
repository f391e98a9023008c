import {
  ALL_WRITTEN,
  AsyncSinkWriter,
  type Batch,
  memoryCheckpoints,
  type Sink,
  type SinkContext,
  SPI_VERSION,
  stream,
  type SubmitOutcome,
} from '@sluice/core'
import type { Row } from '../measure.ts'
import { arraySource } from './array-source.ts'

const RUN_MS = 60_000
const FIRST_LOOK_MS = 20_000
const STALL_MS = 5_000
const FLAT_MAP = 50
const RECORDS_PER_FETCH = 500
const BYTES_PER_RECORD = 200
const MAX_FETCHED_BYTES = 1024 * 1024
/** Entries that the store takes in a second; the source could give a hundred times as many, and far more. */
const RATE = 20_000
const BATCH = 100
const IN_FLIGHT = 10
const RETRY_SHARE = 0.3

/** Takes its time, asks for a part of every request again, and stops answering when it is told to. */
class SlowStore {
  written = 0
  isStalled = false
  #random = 1

  async submit({ entries }: Batch<string>, signal: AbortSignal): Promise<SubmitOutcome> {
    if (this.isStalled) return this.#never(signal)
    await new Promise<void>((resolve) => {
      setTimeout(resolve, (1000 * BATCH * IN_FLIGHT) / RATE)
    })
    let isWhole = true
    const outcomes = entries.map(() => {
      // A generator of its own, so that every run meets the same.
      this.#random = (this.#random * 48_271) % 2_147_483_647
      if (this.#random / 2_147_483_647 >= RETRY_SHARE) return { kind: 'written' } as const
      isWhole = false
      return { kind: 'retry', reason: { code: 'busy', message: 'as planned' } } as const
    })
    this.written += outcomes.filter(({ kind }) => kind === 'written').length
    return isWhole ? ALL_WRITTEN : { entries: outcomes }
  }

  #never(signal: AbortSignal): Promise<SubmitOutcome> {
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
    })
  }
}

class SlowWriter extends AsyncSinkWriter<string, string> {
  readonly #store: SlowStore

  constructor(context: SinkContext, store: SlowStore) {
    super(context, {
      maxBatchSize: BATCH,
      maxInFlightRequests: IN_FLIGHT,
      maxBufferedRequests: 2 * BATCH * IN_FLIGHT,
      maxTimeInBufferMS: 1_000,
    })
    this.#store = store
  }

  protected convert(value: string, emit: (entry: string) => void): void {
    emit(value)
  }

  protected override sizeInBytes(entry: string): number {
    return entry.length
  }

  protected submit(batch: Batch<string>, { signal }: { readonly signal: AbortSignal }): Promise<SubmitOutcome> {
    return this.#store.submit(batch, signal)
  }
}

/**
 * A sink at a hundredth of the source's rate, with repeats and 50 entries a record, for a minute: what is kept must not grow, and a
 * sink that stops answering must stop the reading.
 */
export async function slowSink(progress: (line: string) => void): Promise<readonly Row[]> {
  const store = new SlowStore()
  let fetches = 0
  const source = arraySource<string>({
    fetch: (first) => {
      fetches++
      return Array.from({ length: RECORDS_PER_FETCH }, (_, index) => `record ${first + index}`)
    },
    recordsPerFetch: RECORDS_PER_FETCH,
    bytesPerRecord: BYTES_PER_RECORD,
    maxFetchedBytes: MAX_FETCHED_BYTES,
  })
  const sink: Sink<string> = {
    spiVersion: SPI_VERSION,
    uid: 'slow',
    repeats: 'idempotent',
    createWriter: (context) => new SlowWriter(context, store),
  }
  const job = stream(source)
    .flatMap((record) => Array.from({ length: FLAT_MAP }, (_, index) => `${record} part ${index}`))
    .sinkTo(sink)
    .start({ name: 'slow', checkpoints: { intervalMs: 1_000, storage: memoryCheckpoints() } })

  await sleep(FIRST_LOOK_MS)
  const early = usedHeapMb()
  await sleep(RUN_MS - FIRST_LOOK_MS)
  const late = usedHeapMb()
  const { emitted } = job.status()
  const aheadBytes = (fetches * RECORDS_PER_FETCH - emitted) * BYTES_PER_RECORD
  progress(`slow sink: ${store.written} entries written, heap ${early} MB at 20 s and ${late} MB at 60 s`)

  store.isStalled = true
  await sleep(STALL_MS)
  const before = fetches
  await sleep(STALL_MS)
  const polls = fetches - before
  await job.close()
  return [
    row('heap after collection at 20 s', early, 'MB'),
    row('heap after collection at 60 s', late, 'MB'),
    row('fetched and not yet emitted', Math.round(aheadBytes / 1024), 'KiB'),
    row('fetches in 5 s of a sink that stopped answering', polls, 'fetches'),
  ]
}

function row(name: string, ours: number, unit: string): Row {
  return {
    bench: 'core',
    case: `slow sink for 60 s, 30 % repeated, 1 to 50: ${name}`,
    ours,
    peer: null,
    peerName: null,
    unit,
    ratio: null,
  }
}

function usedHeapMb(): number {
  globalThis.gc?.()
  return Math.round((process.memoryUsage().heapUsed / 1e6) * 10) / 10
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
