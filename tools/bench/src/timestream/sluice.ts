import { memoryCheckpoints, type Settlement, type Sink, type SinkContext, type SinkWriter, stream } from '@sluice/core'
import { TimestreamSink } from '@sluice/timestream'
import { arraySource } from '../core/array-source.ts'
import { AWS, DATABASE, type Sender, type SenderOptions, TABLE } from './sender.ts'
import { SHAPES } from './shapes.ts'

const RECORDS_PER_FETCH = 1000
const BYTES_PER_RECORD = 500

/** The sink as it is; tells when records have their outcome. */
class WatchedSink<In> implements Sink<In> {
  readonly spiVersion: number
  readonly uid: string
  readonly repeats: Sink<In>['repeats']
  readonly #sink: Sink<In>
  readonly #onSettled: (count: number) => void

  constructor(sink: Sink<In>, onSettled: (count: number) => void) {
    this.spiVersion = sink.spiVersion
    this.uid = sink.uid
    this.repeats = sink.repeats
    this.#sink = sink
    this.#onSettled = onSettled
  }

  createWriter(context: SinkContext): Promise<SinkWriter<In>> | SinkWriter<In> {
    return this.#sink.createWriter({ ...context, settlement: this.#watched(context.settlement) })
  }

  #watched(settlement: Settlement): Settlement {
    return {
      became: (token, entries) => settlement.became(token, entries),
      settle: (token) => {
        settlement.settle(token)
        this.#onSettled(1)
      },
      settleAll: (tokens, count) => {
        settlement.settleAll(tokens, count)
        this.#onSettled(count)
      },
      returned: (token) => settlement.returned(token),
      isReleased: (token) => settlement.isReleased(token),
      isReplaySuspect: (token) => settlement.isReplaySuspect(token),
      refused: (refusal) => settlement.refused(refusal),
    }
  }
}

/** A job with all that is on by default, whose source has records when it is given some. */
export function sluice(transport: 'direct' | 'sdk', { measures, inFlight, url }: SenderOptions): Sender {
  let rows: readonly never[] = []
  let sent = 0
  let missing = 0
  let hasMore = Promise.withResolvers<void>()
  let areSettled = Promise.withResolvers<void>()
  const sink = new TimestreamSink<never>({
    databaseName: DATABASE,
    tableName: TABLE,
    elementConverter: SHAPES[measures].ours,
    transport,
    maxInFlightRequests: inFlight,
    writeClientConfig: { region: AWS.region, endpointOverride: url },
    credentials: AWS.credentials,
  })
  const watched = new WatchedSink(sink, (count) => {
    missing -= count
    if (missing === 0) areSettled.resolve()
  })
  const source = arraySource<never>({
    fetch: async () => {
      if (sent === rows.length) await hasMore.promise
      const some = rows.slice(sent, sent + RECORDS_PER_FETCH)
      sent += some.length
      return some
    },
    recordsPerFetch: RECORDS_PER_FETCH,
    bytesPerRecord: BYTES_PER_RECORD,
  })
  const job = stream(source)
    .sinkTo(watched)
    .start({ name: 'bench', checkpoints: { intervalMs: 1_000, storage: memoryCheckpoints() } })
  const give = (more: readonly never[]): void => {
    rows = more
    sent = 0
    const waiting = hasMore
    hasMore = Promise.withResolvers()
    waiting.resolve()
  }
  return {
    prepare: (more) => async () => {
      missing = more.length
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
