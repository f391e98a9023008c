import {
  type Fetched,
  MetricRegistry,
  type ReaderContext,
  type SettledRecords,
  silentLogger,
  type SluiceError,
  SourceReaderBase,
  type SourceReaderOptions,
  type SourceSplit,
  type SplitFetcher,
} from '../../src/index.ts'
import { seededRandom, VirtualClock } from '../../src/testing.ts'

export interface Split extends SourceSplit {
  readonly next: number
}

export type Answer = Fetched<number, Split>

export interface Record {
  readonly id: number
  readonly group?: string
}

/** A batch of records whose receipts and positions are their values; ten bytes each. */
export function batchOf(splitId: string, records: readonly Record[], lastOfSplit = false): Answer {
  return {
    delayMs: 0,
    batch: {
      splitId,
      values: records.map(({ id }) => id),
      byteLengths: new Uint32Array(records.length).fill(10),
      receipts: records.map(({ id }) => `r${id}`),
      groups: records.map(({ group }) => group),
      lastOfSplit,
      raw: (index) => ({ bytes: new Uint8Array(0), position: String(records[index]?.id) }),
      splitAfter: (index) => ({ splitId, next: (records[index]?.id ?? 0) + 1 }),
    },
  }
}

/** `count` records without a group from `first` on. */
export function batch(splitId: string, first: number, count: number, lastOfSplit = false): Answer {
  return batchOf(
    splitId,
    Array.from({ length: count }, (_, index) => ({ id: first + index })),
    lastOfSplit,
  )
}

/** A reader of which a test says what it fetches and what the service answers, and that notes what it is asked to do. */
export class Reader extends SourceReaderBase<number, Split> {
  readonly fetches: string[] = []
  readonly committed: (readonly Split[])[] = []
  readonly acknowledgedRecords: (readonly SettledRecords[])[] = []
  readonly returned: unknown[] = []
  readonly signals: AbortSignal[] = []
  answer: (splitId: string, signal: AbortSignal) => Promise<Answer> = () => new Promise(() => {})
  onCommit: (splits: readonly Split[]) => Promise<void> = () => Promise.resolve()
  onReturn: (receipts: readonly unknown[]) => Promise<void> = () => Promise.resolve()

  protected openSplit(split: Split): SplitFetcher<number, Split> {
    if (split.next < 0) throw new Error('no such position')
    return {
      fetch: (signal) => {
        this.fetches.push(split.splitId)
        // A reader without a bound would else never leave its loop.
        return this.fetches.length > 1000 ? new Promise(() => {}) : this.answer(split.splitId, signal)
      },
    }
  }

  protected describePosition(split: Split): string {
    return `at ${split.next}`
  }

  protected override async commit(splits: readonly Split[], signal: AbortSignal): Promise<void> {
    this.committed.push(splits)
    this.signals.push(signal)
    await this.onCommit(splits)
  }

  protected override async acknowledgeRecords(settled: readonly SettledRecords[], signal: AbortSignal): Promise<void> {
    this.acknowledgedRecords.push(settled)
    this.signals.push(signal)
    await this.onCommit([])
  }

  protected override async returnRecords(_splitId: string, receipts: readonly unknown[]): Promise<void> {
    this.returned.push(...receipts)
    await this.onReturn(receipts)
  }
}

export function readerContext(given: Partial<ReaderContext> = {}): ReaderContext {
  return {
    sourceUid: 'source',
    logger: silentLogger,
    metrics: new MetricRegistry(),
    clock: new VirtualClock(),
    random: seededRandom(1),
    signal: new AbortController().signal,
    subtask: 0,
    fail: () => {},
    requestCheckpoint: () => {},
    ...given,
  }
}

/** A reader on virtual time. */
export function bench(options: Partial<SourceReaderOptions> = {}) {
  const clock = new VirtualClock()
  const metrics = new MetricRegistry()
  const failures: SluiceError[] = []
  const warnings: string[] = []
  const context = readerContext({
    clock,
    metrics,
    fail: (error) => void failures.push(error),
    logger: { ...silentLogger, warn: (_fields: object, message: string) => void warnings.push(message) },
  })
  const reader = new Reader(context, { maxFetchedBytes: 1000, maxBytesPerFetch: 100, ...options })
  return { clock, metrics, failures, warnings, reader }
}
