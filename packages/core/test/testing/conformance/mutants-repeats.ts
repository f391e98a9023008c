import type { StoreAnswer } from '../../../src/testing/scripted-store.ts'
import type { Mutant } from './mutants.ts'
import { type Item, type Lane, PlainWriter } from './plain-writer.ts'
import type { Entry } from './subjects.ts'

/** Repeats, and what was not answered. */
export const REPEAT_MUTANTS: readonly Mutant[] = [
  {
    fault: 'a request without an answer counts as written',
    caughtBy: 'a request without an answer is given up in time and repeated',
    writer: class extends PlainWriter {
      protected override send(lane: Lane, items: Item[]): void {
        super.send(lane, items)
        const { flight } = lane
        if (flight === undefined) return
        flight.timer.cancel()
        const timer = this.context.clock.after(this.limits.requestTimeoutMs, () => {
          this.answered(lane, timed, { kind: 'stored' })
        })
        const timed = Object.assign(flight, { timer })
      }
    },
  },
  {
    fault: 'a request that was cut counts as written',
    caughtBy: 'a request that is cut before it is applied is repeated',
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        super.judge(lane, items, answer.kind === 'cut' ? { kind: 'stored' } : answer)
      }
    },
  },
  {
    fault: 'requests have no timeout',
    caughtBy: 'a request without an answer is given up in time and repeated',
    writer: class extends PlainWriter {
      protected override send(lane: Lane, items: Item[]): void {
        super.send(lane, items)
        lane.flight?.timer.cancel()
      }
    },
  },
  {
    fault: 'each try has a new version',
    caughtBy: 'a repeat has the identity of the first try, and no other entry has it',
    writer: class extends PlainWriter {
      #version = 0

      protected override encode(item: Item): Entry {
        return { ...item.entry, identity: `version ${this.#version++}` }
      }
    },
  },
  {
    fault: 'each try has another content',
    caughtBy: 'a request that is cut after it was applied is repeated, with the same content',
    writer: class extends PlainWriter {
      protected override encode(item: Item): Entry {
        return { ...item.entry, content: `${item.entry.content}, sent at ${this.context.clock.now()}` }
      }
    },
  },
  {
    fault: 'all entries have one identity',
    caughtBy: 'a repeat has the identity of the first try, and no other entry has it',
    alone: true,
    writer: class extends PlainWriter {
      protected override encode(item: Item): Entry {
        return { ...item.entry, identity: 'always the same' }
      }
    },
  },
  {
    fault: 'what is to be sent again is dropped at hasten',
    caughtBy: 'hasten loses nothing that is to be sent again',
    writer: class extends PlainWriter {
      override hasten(): void {
        for (const lane of this.lanes.values()) lane.queue = lane.queue.filter(({ tries }) => tries === 0)
        super.hasten()
      }
    },
  },
  {
    fault: 'what is to be sent again is dropped at close',
    caughtBy: 'close abandons what was not sent, and what was to be sent again',
    writer: class extends PlainWriter {
      override close(deadlineMs: number): Promise<void> {
        for (const lane of this.lanes.values()) lane.queue = lane.queue.filter(({ tries }) => tries === 0)
        return super.close(deadlineMs)
      }
    },
  },
  {
    fault: 'repeats have no pauses',
    caughtBy: 'a store that is unavailable is asked again, after pauses',
    writer: class extends PlainWriter {
      protected override again(lane: Lane, items: Item[]): void {
        super.again(lane, items)
        lane.notBefore = this.context.clock.now() + 1
      }
    },
  },
  {
    fault: 'the whole request is sent again for one entry',
    caughtBy: 'only the entries that are to be sent again are',
    writer: class extends PlainWriter {
      protected override judgeEach(lane: Lane, items: Item[], outcomes: readonly string[]): void {
        if (outcomes.includes('busy')) this.again(lane, items)
        else super.judgeEach(lane, items, outcomes)
      }
    },
  },
  {
    fault: 'throttling changes nothing',
    caughtBy: 'throttling lowers the number of requests in flight, and never the size of a batch',
    alone: true,
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        super.judge(lane, items, answer)
        this.flightsAllowed = this.limits.maxInFlightRequests
      }
    },
  },
  {
    fault: 'Retry-After holds for the request only',
    caughtBy: 'a store that says for how long it wants no request gets none',
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        super.judge(lane, items, answer)
        if (answer.kind !== 'throttled') return
        lane.notBefore = Math.max(lane.notBefore, this.pausedUntil.get(lane.destination) ?? 0)
        this.pausedUntil.clear()
      }
    },
  },
  {
    fault: 'a full buffer lifts Retry-After',
    caughtBy: 'a store that says for how long it wants no request gets none',
    writer: class extends PlainWriter {
      protected override dueAt(lane: Lane): number {
        const at = super.dueAt(lane)
        return this.hasRoom() || at === Number.POSITIVE_INFINITY ? at : 0
      }
    },
  },
]
