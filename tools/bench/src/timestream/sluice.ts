import { type Job, memoryCheckpoints, stream } from '@sluice/core'
import { TimestreamSink } from '@sluice/timestream'
import { type ArraySourceOptions, arraySource } from '../core/array-source.ts'
import { AWS, DATABASE, type Decode, type Sender, type SenderOptions, TABLE } from './sender.ts'
import { BATCH, SHAPES } from './shapes.ts'
import { WatchedSink } from './watched-sink.ts'

const RECORDS_PER_FETCH = 1000
const BYTES_PER_RECORD = 500
/** What the source reads ahead: about as much as is in flight, as in the loops of the peers, which read nothing ahead. */
const MAX_FETCHED_BYTES = 1_000_000

/** What a job of the bench reads, and who is told of outcomes. */
interface Ends {
  readonly fetch: ArraySourceOptions<never>['fetch']
  readonly onSettled: (tokens: Float64Array, count: number) => void
}

/** A job with all that is on by default. */
export function startJob(transport: 'direct' | 'sdk', { measures, inFlight, url }: SenderOptions, ends: Ends): Job {
  const sink = new TimestreamSink<never>({
    databaseName: DATABASE,
    tableName: TABLE,
    elementConverter: SHAPES[measures].ours,
    transport,
    maxInFlightRequests: inFlight,
    writeClientConfig: { region: AWS.region, endpointOverride: url },
    credentials: AWS.credentials,
  })
  const source = arraySource<never>({
    fetch: ends.fetch,
    recordsPerFetch: RECORDS_PER_FETCH,
    bytesPerRecord: BYTES_PER_RECORD,
    maxFetchedBytes: MAX_FETCHED_BYTES,
  })
  return stream(source)
    .sinkTo(new WatchedSink(sink, ends.onSettled))
    .start({ name: 'bench', checkpoints: { intervalMs: 1_000, storage: memoryCheckpoints() } })
}

/** A job whose source has records when it is given some. */
export function sluice(transport: 'direct' | 'sdk', options: SenderOptions, decode: Decode): Sender {
  let batches: readonly Buffer[] = []
  let sent = 0
  let missing = 0
  let hasMore = Promise.withResolvers<void>()
  let areSettled = Promise.withResolvers<void>()
  const job = startJob(transport, options, {
    fetch: async () => {
      if (sent === batches.length) await hasMore.promise
      const batch = batches[sent++]
      return batch === undefined ? [] : decode(batch)
    },
    onSettled: (_tokens, count) => {
      missing -= count
      if (missing === 0) areSettled.resolve()
    },
  })
  const give = (more: readonly Buffer[]): void => {
    batches = more
    sent = 0
    const waiting = hasMore
    hasMore = Promise.withResolvers()
    waiting.resolve()
  }
  return {
    prepare: (more) => async () => {
      missing = more.length * BATCH
      areSettled = Promise.withResolvers()
      give(more)
      await Promise.race([areSettled.promise, job.done])
    },
    async close() {
      give([])
      await job.done
    },
  }
}
