import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
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
import { clocked, type Round, type Variant } from '../measure.ts'
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

type Run = (readings: readonly Reading[], store: NullStore) => Promise<unknown>

/** Ours first, then the peers; the last is the floor. */
const RUNS: Readonly<Record<string, Run>> = {
  [KEYED]: (readings, store) => startSluice(readings, store, true).done,
  [UNKEYED]: (readings, store) => startSluice(readings, store, false).done,
  'node object streams': objectStreams,
  'async generators': asyncGenerators,
  'plain loop': plainLoop,
}

/** What a process did before the clock starts: `warm`, the whole work once, on other records; `cold`, nothing. */
export type Start = 'warm' | 'cold'

/** One round of one variant, on records that were decoded for it. */
export async function throughputRound(name: string, records: number, start: Start): Promise<Round> {
  const run = RUNS[name]
  if (run === undefined) throw new Error(`there is no variant '${name}'`)
  if (start === 'warm') await run(decoded(records), new NullStore())
  const readings = decoded(records)
  const store = new NullStore()
  return clocked(async () => {
    await run(readings, store)
    return store.output
  })
}

function decoded(records: number): readonly Reading[] {
  return JSON.parse(encodeReadings(records).toString()) as readonly Reading[]
}

/** Each round of each variant has a process of its own: in one process they would spoil each other's compiled code and heap. */
export function throughputVariants(records: number, start: Start): readonly Variant[] {
  return Object.keys(RUNS).map((name) => ({ name, run: () => inProcess(name, records, start) }))
}

const ROUND = fileURLToPath(new URL('round.ts', import.meta.url))
const ROUND_TIMEOUT_MS = 300_000

async function inProcess(name: string, records: number, start: Start): Promise<Round> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', ROUND, name, String(records), start], {
    timeout: ROUND_TIMEOUT_MS,
  })
  return JSON.parse(stdout) as Round
}
