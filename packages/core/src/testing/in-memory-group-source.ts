import { SPI_VERSION } from '../sink/spi.ts'
import type { OnPositionLost } from '../source/position-lost.ts'
import { SourceReaderBase, type SplitFetcher } from '../source/source-reader-base.ts'
import type {
  EnumeratorContext,
  ReaderContext,
  ReleaseHow,
  Source,
  SourceReader,
  SplitEnumerator,
} from '../source/spi.ts'
import type { GroupMember, GroupSplit, InMemoryGroupLog } from './in-memory-group-log.ts'
import { logFetcher, MAX_BYTES_PER_RECORD } from './in-memory-source.ts'
import type { LogReading } from './memory-log.ts'

export interface InMemoryGroupSourceOptions<T> {
  readonly log: InMemoryGroupLog<T>
  /** Also the name of the member. @default 'group' */
  readonly uid?: string
  /** Where splits begin of which nothing is committed. @default 'earliest' */
  readonly initialPosition?: 'earliest' | 'latest'
  /** When records expired before they were read. @default 'fail' */
  readonly onPositionLost?: OnPositionLost
  /** How long the release of revoked splits may take, in milliseconds. @default 10000 */
  readonly revocationTimeoutMs?: number
  /** Values in one fetched batch, at most. @default 100 */
  readonly maxBatchSize?: number
  /** @default no limit */
  readonly maxFetchedBytes?: number
  /** Raw bytes of a value, 100 at most. @default 100 */
  readonly byteLengthOf?: (value: T) => number
}

/**
 * Reads an {@link InMemoryGroupLog} as a member of its group: acknowledges by prefix, the log keeps the positions, and says which
 * splits are read here.
 */
export class InMemoryGroupSource<T> implements Source<T, GroupSplit, null> {
  readonly spiVersion: number = SPI_VERSION
  readonly stateVersion: number = 1
  readonly acknowledgement = 'prefix' as const
  readonly assignment = 'external' as const
  readonly positionAuthority = 'external' as const
  readonly uid: string
  readonly #options: InMemoryGroupSourceOptions<T>
  readonly #reading: LogReading<T>

  constructor(options: InMemoryGroupSourceOptions<T>) {
    this.uid = options.uid ?? 'group'
    this.#options = options
    this.#reading = {
      maxBatchSize: options.maxBatchSize ?? 100,
      onPositionLost: options.onPositionLost ?? 'fail',
      byteLengthOf: options.byteLengthOf ?? (() => MAX_BYTES_PER_RECORD),
    }
  }

  createEnumerator(context: EnumeratorContext<GroupSplit>): SplitEnumerator<null> {
    return new GroupEnumerator(context, this.#options)
  }

  createReader(context: ReaderContext): SourceReader<T, GroupSplit> {
    return new GroupReader(context, this.#options, this.#reading)
  }
}

class GroupEnumerator<T> implements SplitEnumerator<null>, GroupMember {
  readonly name: string
  readonly #context: EnumeratorContext<GroupSplit>
  readonly #options: InMemoryGroupSourceOptions<T>
  #assigned = 0
  #left = false

  constructor(context: EnumeratorContext<GroupSplit>, options: InMemoryGroupSourceOptions<T>) {
    this.name = context.sourceUid
    this.#context = context
    this.#options = options
  }

  start(): Promise<void> {
    this.#options.log.join(this, this.#options.initialPosition ?? 'earliest')
    void this.#watchEnd()
    return Promise.resolve()
  }

  assigned(splits: readonly GroupSplit[]): void {
    for (const split of splits) this.#context.assign([split], this.#assigned++ % this.#context.parallelism)
  }

  revoked(splitIds: readonly string[]): Promise<void> {
    return this.#release(splitIds, 'revoked')
  }

  lost(splitIds: readonly string[]): Promise<void> {
    return this.#release(splitIds, 'lost')
  }

  splitFinished(): void {}

  snapshotState(): null {
    return null
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#left = true
    this.#options.log.leave(this)
    return Promise.resolve()
  }

  async #release(splitIds: readonly string[], how: ReleaseHow): Promise<void> {
    await this.#context.release(splitIds, how, this.#options.revocationTimeoutMs ?? 10_000)
  }

  async #watchEnd(): Promise<void> {
    const { records } = this.#options.log
    while (!records.ended && !this.#left) await records.changed()
    if (!this.#left) this.#context.noMoreSplits()
  }
}

class GroupReader<T> extends SourceReaderBase<T, GroupSplit> {
  readonly #log: InMemoryGroupLog<T>
  readonly #reading: LogReading<T>

  constructor(context: ReaderContext, options: InMemoryGroupSourceOptions<T>, reading: LogReading<T>) {
    super(context, {
      maxFetchedBytes: options.maxFetchedBytes ?? Number.MAX_SAFE_INTEGER,
      maxBytesPerFetch: reading.maxBatchSize * MAX_BYTES_PER_RECORD,
    })
    this.#log = options.log
    this.#reading = reading
  }

  protected openSplit(split: GroupSplit): SplitFetcher<T, GroupSplit> {
    return logFetcher(this.context, this.#log.records, split, this.#reading)
  }

  protected describePosition(split: GroupSplit): string {
    return String(split.next)
  }

  protected override commit(splits: readonly GroupSplit[], signal: AbortSignal): Promise<void> {
    return this.#log.commit(splits, signal)
  }
}
