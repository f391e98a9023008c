import { expect, test } from 'vitest'
import { type SettledRecords, type Source, SourceReaderBase, SPI_VERSION, stream } from '../../src/index.ts'
import { batchOf, type readerContext, type Record, type Split } from '../source/reader-bench.ts'
import { InMemorySink, options, settled, until, VirtualClock } from './harness.ts'

/** A queue that delivers each message once, and again what was given back. */
class Queue implements Source<number, Split, null> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid = 'queue'
  readonly stateVersion = 1
  readonly acknowledgement = 'individual' as const
  readonly assignment = 'external' as const
  readonly positionAuthority = 'external' as const
  readonly deleted: unknown[] = []
  readonly messages: Record[]
  readonly perFetch: number

  constructor(messages: readonly Record[], perFetch: number) {
    this.messages = [...messages]
    this.perFetch = perFetch
  }

  createEnumerator(context: Parameters<Source<number, Split, null>['createEnumerator']>[0]) {
    return {
      start: () => {
        context.assign([{ splitId: 'q', next: 0 }], 0)
        return Promise.resolve()
      },
      splitFinished: () => {},
      snapshotState: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }

  createReader(context: ReturnType<typeof readerContext>) {
    const { messages, deleted, perFetch } = this
    return new (class extends SourceReaderBase<number, Split> {
      protected openSplit() {
        return {
          fetch: () => Promise.resolve({ ...batchOf('q', messages.splice(0, perFetch)), delayMs: 1 }),
        }
      }
      protected describePosition() {
        return 'none'
      }
      protected override acknowledgeRecords(records: readonly SettledRecords[]) {
        for (const { receipts } of records) deleted.push(...receipts)
        return Promise.resolve()
      }
    })(context, { maxBytesPerFetch: 100, groupConcurrency: 1 })
  }
}

test.each([1, 10])(
  'a group goes as fast as the sink answers, not as its batches age: %i fetched at a time',
  async (perFetch) => {
    const clock = new VirtualClock()
    const queue = new Queue(
      Array.from({ length: 40 }, (_, id) => ({ id, group: id % 2 === 0 ? 'a' : 'b' })),
      perFetch,
    )
    const sink = new InMemorySink<number>({ maxTimeInBufferMS: 60_000, maxBatchSize: 10, maxBufferedRequests: 100 })
    const job = stream(queue)
      .mapAsync((value) => Promise.resolve(value))
      .sinkTo(sink)
      .start(options(clock, { checkpoints: { intervalMs: 1000 } }))
    // Nothing waits for the last of each group: those may take their time.
    await until(clock, () => sink.stored.length >= 38, 1)
    expect(clock.now()).toBeLessThan(500)
    await until(clock, () => sink.stored.length === 40, 100)
    const ordered = (parity: number): number[] => sink.stored.filter((value) => value % 2 === parity)
    expect(ordered(0)).toEqual(ordered(0).toSorted((a, b) => a - b))
    expect(ordered(1)).toEqual(ordered(1).toSorted((a, b) => a - b))
    await settled(clock, job.drain())
    expect(new Set(queue.deleted).size).toBe(40)
  },
)
