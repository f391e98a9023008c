import type { Explanation, WriteBatch } from '../../../src/index.ts'
import type { SinkRecord } from '../../../src/testing/conformance/subject.ts'
import type { StoreAnswer } from '../../../src/testing/scripted-store.ts'
import type { Mutant } from './mutants.ts'
import { PlainSink } from './plain-sink.ts'
import { type Item, type Lane, PlainWriter } from './plain-writer.ts'
import { type Entry, entriesOf } from './subjects.ts'

/** Release, close, explain. */
export const ENDING_MUTANTS: readonly Mutant[] = [
  {
    fault: 'sends a released entry again',
    caughtBy: 'an entry in flight of a released split is not sent again',
    writer: class extends PlainWriter {
      protected override again(lane: Lane, items: Item[]): void {
        lane.queue.unshift(...items)
        lane.notBefore = this.context.clock.now() + 100
      }
    },
  },
  {
    fault: 'returns nothing',
    caughtBy: 'release returns what is not in flight',
    writer: class extends PlainWriter {
      override release(): number {
        return 0
      }
    },
  },
  {
    fault: 'returns what is in flight, and settles it too',
    caughtBy: 'an entry in flight of a released split is settled by its answer',
    writer: class extends PlainWriter {
      override release(splitId: string): number {
        const count = super.release(splitId)
        for (const { flight } of this.lanes.values()) for (const item of flight?.items ?? []) this.giveBack(item)
        return count
      }
    },
  },
  {
    fault: 'returns the entries of every split',
    caughtBy: 'release returns what is not in flight',
    writer: class extends PlainWriter {
      override release(): number {
        const before = this.counts.returned
        for (const lane of this.lanes.values()) {
          for (const { token } of lane.queue.splice(0)) {
            this.counts.returned++
            this.context.settlement.returned(token)
          }
        }
        return this.counts.returned - before
      }
    },
  },
  {
    fault: 'settles after close',
    caughtBy: 'an answer after close settles nothing',
    alone: true,
    writer: class extends PlainWriter {
      protected override answered(lane: Lane, flight: NonNullable<Lane['flight']>, answer: StoreAnswer): void {
        const wasClosed = this.isClosed
        this.isClosed = false
        super.answered(lane, flight, answer)
        this.isClosed = wasClosed
      }
    },
  },
  {
    fault: 'keeps a timer',
    caughtBy: 'close abandons what was not sent, and what was to be sent again',
    writer: class extends PlainWriter {
      protected override accept(record: SinkRecord, token: number, bytes: number): void {
        super.accept(record, token, bytes)
        this.context.clock.after(3_600_000, () => this.pump())
      }
    },
  },
  {
    fault: 'close waits for every answer',
    caughtBy: 'close ends in time although a request is never answered',
    writer: class extends PlainWriter {
      protected override end(): Promise<void> {
        return new Promise((resolve) => {
          const look = (): void => {
            const isIdle = [...this.lanes.values()].every(({ flight }) => flight === undefined)
            if (isIdle) this.abandon()
            if (isIdle) resolve()
            else this.context.clock.after(50, look)
          }
          look()
        })
      }
    },
  },
  {
    fault: 'a second call of close fails',
    caughtBy: 'close twice ends twice, and changes nothing more',
    alone: true,
    writer: class extends PlainWriter {
      override close(deadlineMs: number): Promise<void> {
        return this.closing === undefined ? super.close(deadlineMs) : Promise.reject(new Error('closed twice'))
      }
    },
  },
  {
    fault: 'takes values after close',
    caughtBy: 'a writer that is closed takes nothing and sends nothing',
    alone: true,
    writer: class extends PlainWriter {
      override write(batch: WriteBatch<SinkRecord>, from: number, to: number): number {
        return this.closing === undefined ? super.write(batch, from, to) : to
      }
    },
  },
  {
    fault: 'leaves those who wait for room to themselves',
    caughtBy: 'close wakes those who wait for room',
    alone: true,
    writer: class extends PlainWriter {
      protected override wake(): void {
        if (!this.isClosed) super.wake()
      }
    },
  },
  {
    fault: 'abandons without a count',
    caughtBy: 'close ends in time although a request is never answered',
    writer: class extends PlainWriter {
      protected override abandon(): void {
        this.lanes.clear()
        super.abandon()
      }
    },
  },
  {
    fault: 'explain sends what it explains',
    caughtBy: 'explain tells what is sent, and changes nothing',
    sink: class extends PlainSink {
      override explain(record: SinkRecord): Explanation {
        const explanation = super.explain(record)
        void this.store.receive(explanation.entries.map(({ entry }) => entry as Entry))
        return explanation
      }
    },
  },
  {
    fault: 'explain tells something else than what is sent',
    caughtBy: 'explain tells what is sent, and changes nothing',
    alone: true,
    sink: class extends PlainSink {
      override explain(record: SinkRecord): Explanation {
        return super.explain({ ...record, sequence: record.sequence + 1 })
      }
    },
  },
  {
    fault: 'explain throws for a value that is refused',
    caughtBy: 'explain tells what would be refused, and does not throw',
    alone: true,
    sink: class extends PlainSink {
      override explain(record: SinkRecord): Explanation {
        for (const _ of entriesOf(record)) continue
        return super.explain(record)
      }
    },
  },
  {
    fault: 'declares another effect of repeats',
    caughtBy: 'the sink names itself, its contract and what a repeat does',
    alone: true,
    sink: class extends PlainSink {
      override readonly repeats = 'duplicated'
    },
  },
]
