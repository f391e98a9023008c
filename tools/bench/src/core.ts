import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  ALL_WRITTEN,
  AsyncSinkWriter,
  type Batch,
  type Fetched,
  memoryCheckpoints,
  type ReaderContext,
  type Sink,
  type SinkContext,
  type Source,
  type SourceReader,
  SourceReaderBase,
  type SourceSplit,
  SPI_VERSION,
  type SplitFetcher,
  stream,
  type SubmitOutcome,
} from '@sluice/core'
import { clocked, type Variant } from './measure.ts'

/** What is moved: decoded anew from bytes for every round, outside the clock. */
interface Reading {
  readonly host: string
  readonly cpu: number
  readonly timeMs: number
}

interface Entry {
  readonly host: string
  readonly value: number
  readonly timeMs: number
}

const BATCH = 100
const IN_FLIGHT = 50
const FETCH = 1_000
const BYTES_PER_RECORD = 60

function encodeReadings(count: number): Buffer {
  const readings = Array.from({ length: count }, (_, index) => ({
    host: `host-${index % 1000}`,
    cpu: (index * 7) % 100,
    timeMs: 1_800_000_000_000 + index,
  }))
  return Buffer.from(JSON.stringify(readings))
}

function convertReading({ host, cpu, timeMs }: Reading): Entry {
  return { host, value: cpu, timeMs }
}

/** The store of all variants: takes batches, answers in the next turn of the event loop, and proves what it received. */
class NullStore {
  #entries = 0
  #sum = 0

  async submit(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return
    for (const entry of entries) {
      this.#entries++
      this.#sum += entry.value + (entry.timeMs % 1000)
    }
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }

  get output(): string {
    return JSON.stringify({ entries: this.#entries, sum: this.#sum })
  }
}

interface Position extends SourceSplit {
  readonly next: number
}

class ArrayReader extends SourceReaderBase<Reading, Position> {
  readonly #readings: readonly Reading[]

  constructor(context: ReaderContext, readings: readonly Reading[]) {
    super(context, { maxBytesPerFetch: FETCH * BYTES_PER_RECORD })
    this.#readings = readings
  }

  protected openSplit({ splitId, next }: Position): SplitFetcher<Reading, Position> {
    const readings = this.#readings
    let position = next
    return {
      fetch: (): Promise<Fetched<Reading, Position>> => {
        const first = position
        const values = readings.slice(first, first + FETCH)
        position += values.length
        return Promise.resolve({
          delayMs: 0,
          batch: {
            splitId,
            values,
            byteLengths: new Uint32Array(values.length).fill(BYTES_PER_RECORD),
            lastOfSplit: position >= readings.length,
            raw: (index) => ({ bytes: new Uint8Array(0), position: String(first + index) }),
            splitAfter: (index) => ({ splitId, next: first + index + 1 }),
          },
        })
      },
    }
  }

  protected describePosition({ next }: Position): string {
    return String(next)
  }
}

function arraySource(readings: readonly Reading[]): Source<Reading, Position, null> {
  return {
    spiVersion: SPI_VERSION,
    uid: 'array',
    stateVersion: 1,
    acknowledgement: 'prefix',
    assignment: 'enumerator',
    positionAuthority: 'checkpoint',
    createEnumerator: (context) => ({
      start() {
        context.assign([{ splitId: '0', next: 0 }], 0)
        context.noMoreSplits()
        return Promise.resolve()
      },
      splitFinished: () => {},
      snapshotState: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    createReader: (context): SourceReader<Reading, Position> => new ArrayReader(context, readings),
  }
}

class NullWriter extends AsyncSinkWriter<Reading, Entry> {
  readonly #store: NullStore

  constructor(context: SinkContext, store: NullStore) {
    super(context, {
      maxBatchSize: BATCH,
      maxInFlightRequests: IN_FLIGHT,
      maxBufferedRequests: 10_000,
      maxTimeInBufferMS: 5_000,
    })
    this.#store = store
  }

  protected convert(reading: Reading, emit: (entry: Entry) => void): void {
    emit(convertReading(reading))
  }

  protected override weight(): number {
    return 1
  }

  protected async submit(batch: Batch<Entry>): Promise<SubmitOutcome> {
    await this.#store.submit(batch.entries)
    return ALL_WRITTEN
  }
}

/** Everything on: tokens, metrics, weights, a checkpoint each second. */
async function sluice(readings: readonly Reading[], store: NullStore): Promise<void> {
  const sink: Sink<Reading> = {
    spiVersion: SPI_VERSION,
    uid: 'null',
    repeats: 'idempotent',
    createWriter: (context) => new NullWriter(context, store),
  }
  const job = stream(arraySource(readings))
    .map((reading) => reading)
    .sinkTo(sink)
    .start({ name: 'bench', checkpoints: { intervalMs: 1_000, storage: memoryCheckpoints() } })
  await job.done
}

/** Keeps up to 50 requests under way; the 50th makes the caller wait for an answer. */
class Window {
  readonly #store: NullStore
  #underWay = 0
  #failure: unknown
  #wake: (() => void) | undefined

  constructor(store: NullStore) {
    this.#store = store
  }

  /** Undefined when there is no need to wait. */
  send(entries: readonly Entry[]): Promise<void> | undefined {
    this.#underWay++
    const ended = (): void => {
      this.#underWay--
      this.#wake?.()
    }
    this.#store.submit(entries).then(ended, (error: unknown) => {
      this.#failure = error
      ended()
    })
    return this.#underWay < IN_FLIGHT ? undefined : this.#next()
  }

  async end(): Promise<void> {
    while (this.#underWay > 0) await this.#next()
  }

  async #next(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
    if (this.#failure !== undefined) throw this.#failure
  }
}

/** Node's object streams with the same batches and requests under way; no tokens, retries, metrics or checkpoints. */
async function objectStreams(readings: readonly Reading[], store: NullStore): Promise<void> {
  const window = new Window(store)
  let buffer: Entry[] = []
  await pipeline(
    Readable.from(readings, { highWaterMark: FETCH }),
    new Transform({
      objectMode: true,
      highWaterMark: FETCH,
      transform(reading: Reading, _encoding, done) {
        done(null, convertReading(reading))
      },
    }),
    new Writable({
      objectMode: true,
      highWaterMark: FETCH,
      write(entry: Entry, _encoding, done) {
        buffer.push(entry)
        if (buffer.length < BATCH) return done()
        const wait = window.send(buffer)
        buffer = []
        if (wait === undefined) return done()
        settle(wait, done)
      },
      final(done) {
        void window.send(buffer)
        settle(window.end(), done)
      },
    }),
  )
}

function settle(promise: Promise<void>, done: (error?: Error | null) => void): void {
  promise.then(
    () => setImmediate(done),
    (error: Error) => setImmediate(done, error),
  )
}

/** Async generators with the same batches and requests under way. */
async function asyncGenerators(readings: readonly Reading[], store: NullStore): Promise<void> {
  const window = new Window(store)
  async function* read(): AsyncGenerator<Reading> {
    yield* readings
  }
  async function* convert(): AsyncGenerator<Entry> {
    for await (const reading of read()) yield convertReading(reading)
  }
  let buffer: Entry[] = []
  for await (const entry of convert()) {
    buffer.push(entry)
    if (buffer.length < BATCH) continue
    const wait = window.send(buffer)
    if (wait !== undefined) await wait
    buffer = []
  }
  void window.send(buffer)
  await window.end()
}

/** The floor: a loop that converts and batches, with nothing around it. */
async function plainLoop(readings: readonly Reading[], store: NullStore): Promise<void> {
  const window = new Window(store)
  for (let first = 0; first < readings.length; first += BATCH) {
    const wait = window.send(readings.slice(first, first + BATCH).map(convertReading))
    if (wait !== undefined) await wait
  }
  await window.end()
}

/** Ours first, then the peers. */
export function coreVariants(records: number): readonly Variant[] {
  const bytes = encodeReadings(records)
  const variant = (name: string, run: (readings: readonly Reading[], store: NullStore) => Promise<void>): Variant => ({
    name,
    run: () => {
      const readings = JSON.parse(bytes.toString()) as readonly Reading[]
      const store = new NullStore()
      return clocked(async () => {
        await run(readings, store)
        return store.output
      })
    },
  })
  return [
    variant('sluice', sluice),
    variant('node object streams', objectStreams),
    variant('async generators', asyncGenerators),
    variant('plain loop', plainLoop),
  ]
}
