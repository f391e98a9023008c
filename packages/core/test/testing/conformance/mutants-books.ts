import type { WriteBatch } from '../../../src/index.ts'
import type { SinkRecord } from '../../../src/testing/conformance/subject.ts'
import type { Mutant } from './mutants.ts'
import { type Item, type Lane, PlainWriter } from './plain-writer.ts'
import { type Entry, PER_ENTRY } from './subjects.ts'

/** Taking over, settling, order. */
export const BOOK_MUTANTS: readonly Mutant[] = [
  {
    fault: 'settles twice',
    caughtBy: 'every value is stored, and settled once',
    writer: class extends PlainWriter {
      protected override settle(item: Item): void {
        super.settle(item)
        this.context.settlement.settle(item.token)
      }
    },
  },
  {
    fault: 'settles when it sends',
    caughtBy: 'every value is stored, and settled once',
    writer: class extends PlainWriter {
      protected override send(lane: Lane, items: Item[]): void {
        for (const { token } of items) this.context.settlement.settle(token)
        super.send(lane, items)
      }
      protected override settle(): void {
        this.counts.written++
      }
    },
  },
  {
    fault: 'a value of many entries is settled with the first',
    caughtBy: 'a value that becomes many entries is settled when the last of them is',
    writer: class extends PlainWriter {
      readonly #settled = new Set<number>()

      protected override settle(item: Item): void {
        this.counts.written++
        if (this.#settled.has(item.token)) return
        this.#settled.add(item.token)
        this.context.settlement.settle(item.token)
      }
    },
  },
  {
    fault: 'a value of no entry is forgotten',
    caughtBy: 'a value that becomes no entry is settled at once',
    writer: class extends PlainWriter {
      protected override accept(record: SinkRecord, token: number, bytes: number): void {
        if (record.entries > 0) super.accept(record, token, bytes)
      }
    },
  },
  {
    fault: 'what a conversion emitted before it threw is sent',
    caughtBy: 'what a conversion emitted before it threw is not sent',
    writer: class extends PlainWriter {
      protected override accept(record: SinkRecord, token: number, bytes: number): void {
        const { entries, conversionThrows } = record
        super.accept(conversionThrows && entries > 0 ? { ...record, conversionThrows: false } : record, token, bytes)
      }
    },
  },
  {
    fault: 'ignores the limit',
    caughtBy: 'write takes what fits, and names the first value that it did not take',
    writer: class extends PlainWriter {
      protected override hasRoom(): boolean {
        return true
      }
    },
  },
  {
    fault: 'does not count raw bytes',
    caughtBy: 'bytes in hand are bounded',
    alone: true,
    writer: class extends PlainWriter {
      protected override accept(record: SinkRecord, token: number): void {
        super.accept(record, token, 0)
      }
    },
  },
  {
    fault: 'takes more than it returns',
    caughtBy: 'write takes what fits, and names the first value that it did not take',
    writer: class extends PlainWriter {
      override write(batch: WriteBatch<SinkRecord>, from: number, to: number): number {
        const next = super.write(batch, from, to)
        return next < to && next > from ? next - 1 : next
      }
    },
  },
  {
    fault: 'takes no account of from',
    caughtBy: 'values before `from` and from `to` on are not touched',
    writer: class extends PlainWriter {
      override write(batch: WriteBatch<SinkRecord>, from: number, to: number): number {
        return Math.max(from, super.write(batch, Math.max(0, from - 1), to))
      }
    },
  },
  {
    fault: 'keeps the lists of the caller',
    caughtBy: 'lists of values and tokens that change after write change nothing',
    writer: class extends PlainWriter {
      #batch: WriteBatch<SinkRecord> | undefined
      #first = 0

      override write(batch: WriteBatch<SinkRecord>, from: number, to: number): number {
        this.#batch = batch
        this.#first = batch.tokens[0] ?? 0
        return super.write(batch, from, to)
      }
      protected override settle(item: Item): void {
        this.counts.written++
        this.context.settlement.settle(this.#batch?.tokens[item.token - this.#first] ?? item.token)
      }
    },
  },
  {
    fault: 'loses the wake-up of those who wait',
    caughtBy: 'ready resolves when there is room, for everyone who waits',
    writer: class extends PlainWriter {
      #isWaiting = false

      override ready(): Promise<void> {
        const isFirst = !this.#isWaiting
        this.#isWaiting = !this.hasRoom()
        return isFirst || !this.#isWaiting ? super.ready() : new Promise<void>(() => {})
      }
    },
  },
  {
    fault: 'letters that are taken wake nobody',
    caughtBy: 'ready resolves when room comes from letters that were taken',
    alone: true,
    writer: class extends PlainWriter {
      protected override wake(): void {
        if (this.isClosed || this.counts.deadLettered === 0) super.wake()
      }
    },
  },
  {
    fault: 'hasten sends nothing',
    caughtBy: 'hasten sends what is not a full batch',
    writer: class extends PlainWriter {
      override hasten(): void {
        this.pump()
      }
    },
  },
  {
    fault: 'age sends nothing',
    caughtBy: 'age sends what is not a full batch',
    alone: true,
    writer: class extends PlainWriter {
      protected override dueAt(lane: Lane): number {
        const at = super.dueAt(lane)
        return at > this.context.clock.now() && lane.notBefore === 0 ? Number.POSITIVE_INFINITY : at
      }
    },
  },
  {
    fault: 'mixes the order within a batch',
    caughtBy: 'entries of one value keep their order',
    writer: class extends PlainWriter {
      protected override nextBatch(lane: Lane): Item[] {
        const { maxBatchSize } = this.limits
        return lane.queue.splice(0, maxBatchSize).toReversed()
      }
    },
    abilities: { ...PER_ENTRY, entryRetries: false },
  },
  {
    fault: 'sends the next entry of a key while one is to be sent again',
    caughtBy: 'nothing of a key overtakes an entry that is sent again',
    writer: class extends PlainWriter {
      protected override again(lane: Lane, items: Item[]): void {
        super.again(lane, items)
        lane.notBefore = 0
        const { queue } = lane
        lane.queue = [...queue.filter(({ tries }) => tries === 0), ...queue.filter(({ tries }) => tries > 0)]
      }
    },
  },
  {
    fault: 'puts all destinations into one request',
    caughtBy: 'a request holds entries of one destination',
    writer: class extends PlainWriter {
      protected override laneOf(entry: Entry): Lane {
        return super.laneOf({ ...entry, destination: 'all' })
      }
    },
  },
]
