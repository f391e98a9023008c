import {
  type Fetched,
  type ReaderContext,
  type Source,
  type SourceReader,
  SourceReaderBase,
  type SourceSplit,
  SPI_VERSION,
  type SplitFetcher,
} from '@sluice/core'

/** What a source of values in memory does with each fetch. */
export interface ArraySourceOptions<T> {
  /** The records from this position on; none ends the input. */
  readonly fetch: (first: number) => readonly T[] | Promise<readonly T[]>
  readonly bytesPerRecord: number
  readonly recordsPerFetch: number
  /** Milliseconds from one fetch to the next. */
  readonly delayMs?: number
  readonly maxFetchedBytes?: number
}

interface Position extends SourceSplit {
  readonly next: number
}

class ArrayReader<T> extends SourceReaderBase<T, Position> {
  readonly #options: ArraySourceOptions<T>

  constructor(context: ReaderContext, options: ArraySourceOptions<T>) {
    const { recordsPerFetch, bytesPerRecord, maxFetchedBytes } = options
    super(context, {
      maxBytesPerFetch: recordsPerFetch * bytesPerRecord,
      ...(maxFetchedBytes === undefined ? {} : { maxFetchedBytes }),
    })
    this.#options = options
  }

  protected openSplit({ splitId, next }: Position): SplitFetcher<T, Position> {
    const { fetch, bytesPerRecord, delayMs = 0 } = this.#options
    let position = next
    return {
      fetch: async (): Promise<Fetched<T, Position>> => {
        const first = position
        const values = await fetch(first)
        position += values.length
        return {
          delayMs,
          batch: {
            splitId,
            values,
            byteLengths: new Uint32Array(values.length).fill(bytesPerRecord),
            lastOfSplit: values.length === 0,
            raw: (index) => ({ bytes: new Uint8Array(0), position: String(first + index) }),
            splitAfter: (index) => ({ splitId, next: first + index + 1 }),
          },
        }
      },
    }
  }

  protected describePosition({ next }: Position): string {
    return String(next)
  }
}

/** A source with one split whose records are made by a function. */
export function arraySource<T>(options: ArraySourceOptions<T>): Source<T, Position, null> {
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
    createReader: (context): SourceReader<T, Position> => new ArrayReader(context, options),
  }
}
