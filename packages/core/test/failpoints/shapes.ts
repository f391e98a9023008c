import {
  type EnumeratorContext,
  type Fetched,
  type ReaderContext,
  type RestoredSource,
  type SettledRecords,
  type Source,
  type SourceReader,
  SourceReaderBase,
  type SourceSplit,
  SPI_VERSION,
  type SplitEnumerator,
  type Timer,
} from '../../src/index.ts'
import type { Kept, Life, World } from './world.ts'

const MAX_RECORDS = 8
const BYTES = 10
const EMPTY_DELAY_MS = 20

interface Position extends SourceSplit {
  readonly next: number
}

type Shape = Pick<
  Source<number, Position, null>,
  'uid' | 'acknowledgement' | 'assignment' | 'positionAuthority' | 'createEnumerator'
>

abstract class Reader extends SourceReaderBase<number, Position> {
  constructor(context: ReaderContext) {
    super(context, { maxBytesPerFetch: MAX_RECORDS * BYTES, maxFetchedBytes: 4 * MAX_RECORDS * BYTES })
  }

  protected describePosition({ next }: Position): string {
    return String(next)
  }
}

function batchOf(records: readonly Kept[], splitId: string): Fetched<number, Position> {
  if (records.length === 0) return { delayMs: EMPTY_DELAY_MS }
  return {
    delayMs: 0,
    batch: {
      splitId,
      values: records.map(({ value }) => value),
      receipts: records.map(({ value }) => value),
      byteLengths: new Uint32Array(records.length).fill(BYTES),
      lastOfSplit: false,
      raw: (index) => ({ bytes: Buffer.from(String(records[index]?.value)), position: String(records[index]?.offset) }),
      splitAfter: (index) => ({ splitId, next: (records[index]?.offset ?? 0) + 1 }),
    },
  }
}

function sourceOf(shape: Shape, open: (context: ReaderContext) => SourceReader<number, Position>) {
  return { spiVersion: SPI_VERSION, stateVersion: 1, ...shape, createReader: open } satisfies Source<
    number,
    Position,
    null
  >
}

function enumeratorOf(start: () => void, end: () => void = () => {}): SplitEnumerator<null> {
  return {
    start() {
      start()
      return Promise.resolve()
    },
    splitFinished: () => {},
    snapshotState: () => null,
    [Symbol.asyncDispose]() {
      end()
      return Promise.resolve()
    },
  }
}

/** Positions in checkpoints: Kinesis. */
export function prefixSource(world: World, life: Life): Source<number, Position, null> {
  const createEnumerator = (
    context: EnumeratorContext<Position>,
    restored: RestoredSource<Position, null> | undefined,
  ): SplitEnumerator<null> =>
    enumeratorOf(() => {
      const splits = restored?.splits ?? [...world.splits.keys()].map((splitId) => ({ splitId, next: 0 }))
      for (const [index, split] of splits.entries()) context.assign([split], index % context.parallelism)
    })
  const shape = { acknowledgement: 'prefix', assignment: 'enumerator', positionAuthority: 'checkpoint' } as const
  return sourceOf({ uid: 'log', ...shape, createEnumerator }, (context) => new LogReader(context, world, life))
}

/** Positions in the service, and a host that assigns: a Kafka group. Every now and then it takes a split away and gives it back. */
export function groupSource(world: World, life: Life): Source<number, Position, null> {
  const createEnumerator = (context: EnumeratorContext<Position>): SplitEnumerator<null> => {
    const assign = (splitId: string): void =>
      context.assign([{ splitId, next: world.committed.get(splitId) ?? 0 }], Number(splitId) % context.parallelism)
    const rebalance = async (round: number): Promise<void> => {
      const splits = [...world.splits.keys()]
      const splitId = splits[round % splits.length] as string
      await context.release([splitId], round % 3 === 2 ? 'drained' : 'revoked', round % 4 === 3 ? 4 : 40)
      if (life.alive) assign(splitId)
      world.releases++
    }
    let next: Timer | undefined
    const again = (round: number): void => {
      if (context.signal.aborted || !life.alive) return
      next = context.clock.after(25, () => void rebalance(round).then(() => again(round + 1)))
    }
    return enumeratorOf(
      () => {
        for (const splitId of world.splits.keys()) assign(splitId)
        again(0)
      },
      () => next?.cancel(),
    )
  }
  const shape = { acknowledgement: 'prefix', assignment: 'external', positionAuthority: 'external' } as const
  return sourceOf({ uid: 'group', ...shape, createEnumerator }, (context) => new LogReader(context, world, life))
}

class LogReader extends Reader {
  readonly #world: World
  readonly #life: Life

  constructor(context: ReaderContext, world: World, life: Life) {
    super(context)
    this.#world = world
    this.#life = life
  }

  protected openSplit({ splitId, next }: Position) {
    let at = next
    return {
      fetch: () =>
        this.#life.call(() => {
          const records = (this.#world.splits.get(splitId) ?? []).slice(at, at + MAX_RECORDS)
          at += records.length
          return batchOf(records, splitId)
        }),
    }
  }

  protected override commit(splits: readonly Position[]): Promise<void> {
    return this.#life.call(() => {
      for (const { splitId, next } of splits) this.#world.commit(splitId, next)
    })
  }
}

/** Messages that are received, and deleted one by one: SQS. What a process that died had is received again. */
export function queueSource(world: World, life: Life): Source<number, Position, null> {
  const received = new Set<number>()
  const createEnumerator = (context: EnumeratorContext<Position>): SplitEnumerator<null> =>
    enumeratorOf(() => {
      for (const [index, splitId] of [...world.splits.keys()].entries()) {
        context.assign([{ splitId, next: 0 }], index % context.parallelism)
      }
    })
  const shape = { acknowledgement: 'individual', assignment: 'enumerator', positionAuthority: 'external' } as const
  return sourceOf(
    { uid: 'queue', ...shape, createEnumerator },
    (context) =>
      new (class extends Reader {
        readonly #held = new Set<number>()

        /** What it still holds is given back: the next attempt receives it again. */
        override async close(deadlineMs: number): Promise<void> {
          await super.close(deadlineMs)
          for (const value of this.#held) received.delete(value)
        }

        protected openSplit({ splitId }: Position) {
          return {
            fetch: () =>
              life.call(() => {
                const visible = (world.splits.get(splitId) ?? []).filter(
                  ({ value }) => !world.deleted.has(value) && !received.has(value),
                )
                const records = visible.slice(0, MAX_RECORDS)
                for (const { value } of records) {
                  received.add(value)
                  this.#held.add(value)
                }
                return batchOf(records, splitId)
              }),
          }
        }

        protected override acknowledgeRecords(settled: readonly SettledRecords[]): Promise<void> {
          return life.call(() => {
            for (const { receipts } of settled) for (const value of receipts) world.delete(value as number)
          })
        }
      })(context),
  )
}
