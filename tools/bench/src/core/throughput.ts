import {
  ALL_WRITTEN,
  AsyncSinkWriter,
  type Batch,
  type Job,
  memoryCheckpoints,
  type Sink,
  type SinkContext,
  SPI_VERSION,
  stream,
  type SubmitOutcome,
} from '@sluice/core'
import { clocked, type Variant } from '../measure.ts'
import { arraySource } from './array-source.ts'
import { asyncGenerators, objectStreams, plainLoop } from './peers.ts'
import {
  BATCH,
  BYTES_PER_RECORD,
  convertReading,
  encodeReadings,
  type Entry,
  FETCH,
  IN_FLIGHT,
  NullStore,
  type Reading,
} from './readings.ts'

class NullWriter extends AsyncSinkWriter<Reading, Entry> {
  protected override readonly answers = 'request'
  readonly #store: NullStore

  constructor(context: SinkContext, store: NullStore) {
    super(context, {
      maxBatchSize: BATCH,
      maxInFlightRequests: IN_FLIGHT,
      maxTimeInBufferMS: 5_000,
      // With a lane for each request in flight twice as much as all of them hold; else twice what the peers buffer.
      ...(context.keyed === true
        ? { orderedLanes: IN_FLIGHT, maxBufferedRequests: 2 * IN_FLIGHT * BATCH }
        : { maxBufferedRequests: 2 * FETCH }),
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
export function startSluice(readings: readonly Reading[], store: NullStore, isKeyed: boolean): Job {
  const sink: Sink<Reading> = {
    spiVersion: SPI_VERSION,
    uid: 'null',
    repeats: 'idempotent',
    createWriter: (context) => new NullWriter(context, store),
  }
  const source = arraySource({
    fetch: (first) => readings.slice(first, first + FETCH),
    recordsPerFetch: FETCH,
    bytesPerRecord: BYTES_PER_RECORD,
  })
  const mapped = stream(source).map((reading) => reading)
  return (isKeyed ? mapped.keyBy(({ host }) => host) : mapped)
    .sinkTo(sink)
    .start({ name: 'bench', checkpoints: { intervalMs: 1_000, storage: memoryCheckpoints() } })
}

export const KEYED = 'sluice, keyed'
export const UNKEYED = 'sluice, no key'

/** Ours first, then the peers; the last is the floor. */
export function throughputVariants(records: number): readonly Variant[] {
  const bytes = encodeReadings(records)
  const variant = (
    name: string,
    run: (readings: readonly Reading[], store: NullStore) => Promise<unknown>,
  ): Variant => ({
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
    variant(KEYED, (readings, store) => startSluice(readings, store, true).done),
    variant(UNKEYED, (readings, store) => startSluice(readings, store, false).done),
    variant('node object streams', objectStreams),
    variant('async generators', asyncGenerators),
    variant('plain loop', plainLoop),
  ]
}
