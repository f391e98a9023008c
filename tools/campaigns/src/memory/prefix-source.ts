import { SPI_VERSION } from '@sluice/core'
import type {
  EnumeratorContext,
  Fetched,
  FetchedBatch,
  ReaderContext,
  RestoredSource,
  Source,
  SourceSplit,
  SplitEnumerator,
  SplitFetcher,
} from '@sluice/core'
import { SourceReaderBase } from '@sluice/core'
import type { GeneratedRecord } from '../campaign.ts'
import type { MemoryClient } from './client.ts'

/** A split of the log. */
export interface LogSplit extends SourceSplit {
  /** Records before this index were emitted. */
  readonly next: number
}

/** Records in one fetch, at most. */
const MAX_RECORDS = 50
export const MAX_BYTES_PER_FETCH: number = MAX_RECORDS * 512
const IDLE_MS = 15
const FETCH_PAUSE_MS = 10

/** The log, read from positions that checkpoints keep. */
export class MemoryPrefixSource implements Source<GeneratedRecord, LogSplit, null> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid = 'memory'
  readonly stateVersion: number = 1
  readonly acknowledgement = 'prefix' as const
  readonly assignment = 'enumerator' as const
  readonly positionAuthority = 'checkpoint' as const
  readonly #client: MemoryClient

  constructor(client: MemoryClient) {
    this.#client = client
  }

  createEnumerator(
    context: EnumeratorContext<LogSplit>,
    restored: RestoredSource<LogSplit, null> | undefined,
  ): SplitEnumerator<null> {
    return {
      start: async () => {
        const { splits } = await this.#client.read('/log/splits', {}, context.signal)
        const begin = restored?.splits ?? splits.map((splitId) => ({ splitId, next: 0 }))
        for (const [index, split] of begin.entries()) context.assign([split], index % context.parallelism)
      },
      splitFinished: () => undefined,
      snapshotState: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  createReader(context: ReaderContext): LogReader {
    return new LogReader(context, this.#client)
  }
}

/** Reads splits of the log. */
export class LogReader extends SourceReaderBase<GeneratedRecord, LogSplit> {
  protected readonly client: MemoryClient

  constructor(context: ReaderContext, client: MemoryClient) {
    super(context, { maxBytesPerFetch: MAX_BYTES_PER_FETCH })
    this.client = client
  }

  protected openSplit({ splitId, next }: LogSplit): SplitFetcher<GeneratedRecord, LogSplit> {
    let from = next
    return {
      fetch: async (signal): Promise<Fetched<GeneratedRecord, LogSplit>> => {
        const { records } = await this.client.read('/log/fetch', { splitId, from, max: MAX_RECORDS }, signal)
        if (records.length === 0) return { delayMs: IDLE_MS }
        const batch = logBatch(splitId, records, from)
        from += records.length
        return { batch, delayMs: FETCH_PAUSE_MS }
      },
    }
  }

  protected describePosition({ next }: LogSplit): string {
    return String(next)
  }
}

function logBatch(
  splitId: string,
  values: readonly GeneratedRecord[],
  first: number,
): FetchedBatch<GeneratedRecord, LogSplit> {
  return {
    splitId,
    values,
    byteLengths: byteLengthsOf(values),
    lastOfSplit: false,
    raw: (index) => ({ bytes: Buffer.from(JSON.stringify(values[index])), position: String(first + index) }),
    splitAfter: (index) => ({ splitId, next: first + index + 1 }),
  }
}

export function byteLengthsOf(values: readonly GeneratedRecord[]): Uint32Array {
  return Uint32Array.from(values, ({ payload }) => payload.length)
}
