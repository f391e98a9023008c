import type { Reason } from '../../../src/index.ts'
import type { StoreAnswer } from '../../../src/testing/scripted-store.ts'
import type { Mutant } from './mutants.ts'
import { type Item, type Lane, PlainWriter } from './plain-writer.ts'
import { type Entry, PER_ENTRY } from './subjects.ts'

/** Outcomes and what is made of them. */
export const OUTCOME_MUTANTS: readonly Mutant[] = [
  {
    fault: 'a catch that takes silence for success',
    caughtBy: 'an answer without a meaning settles nothing',
    alone: true,
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        super.judge(lane, items, answer.kind === 'meaningless' ? { kind: 'stored' } : answer)
      }
    },
  },
  {
    fault: 'a client that throws counts as success',
    caughtBy: 'a client that throws settles nothing',
    alone: true,
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        super.judge(lane, items, answer.kind === 'threw' ? { kind: 'stored' } : answer)
      }
    },
  },
  {
    fault: 'a list of outcomes that is one short is taken as it is',
    caughtBy: 'an answer that is one entry short settles nothing',
    alone: true,
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        if (answer.kind !== 'short') super.judge(lane, items, answer)
        else this.judgeEach(lane, items, [...answer.outcomes, 'stored'])
      }
    },
  },
  {
    fault: 'outcomes are shifted by one',
    caughtBy: 'each outcome reaches its own entry',
    writer: class extends PlainWriter {
      protected override judgeEach(lane: Lane, items: Item[], outcomes: readonly string[]): void {
        super.judgeEach(lane, items, [...outcomes.slice(1), ...outcomes.slice(0, 1)])
      }
    },
  },
  {
    fault: 'a conflict is reported as a duplicate',
    caughtBy: 'a conflict is not a duplicate',
    alone: true,
    writer: class extends PlainWriter {
      protected override refuse(item: Item, reason: Reason, stage: 'convert' | 'store'): void {
        if (reason.code !== 'conflict') {
          super.refuse(item, reason, stage)
          return
        }
        this.counts.duplicate++
        this.context.settlement.settle(item.token)
      }
    },
  },
  {
    fault: 'one bad entry refuses the whole request',
    caughtBy: 'an entry that the store does not name is found, and the others are stored',
    writer: class extends PlainWriter {
      protected override halve(_: Lane, items: Item[], reason: Reason): void {
        for (const item of items) this.refuse(item, reason, 'store')
      }
    },
  },
  {
    fault: 'bad entries are found one by one',
    caughtBy: 'a request of which every entry is bad costs no more than its budget',
    writer: class extends PlainWriter {
      protected override halve(lane: Lane, items: Item[], reason: Reason): void {
        if (items.length === 1) super.halve(lane, items, reason)
        else lane.parts.unshift(...items.map((item) => [item]))
      }
      // All in one lane, as without order keys.
      protected override laneOf(entry: Entry): Lane {
        return super.laneOf({ ...entry, key: '' })
      }
    },
    abilities: { ...PER_ENTRY, orderKey: 'none' },
  },
  {
    fault: 'a fault of the caller is charged to the records',
    caughtBy: 'a fault of the caller ends the attempt and is charged to no record',
    alone: true,
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        if (answer.kind !== 'denied') super.judge(lane, items, answer)
        else for (const item of items) this.refuse(item, { code: 'denied', message: 'denied' }, 'store')
      }
    },
  },
  {
    fault: 'a request that is too large is refused',
    caughtBy: 'a request that is too large is sent in parts, and no try is counted',
    alone: true,
    writer: class extends PlainWriter {
      protected override judge(lane: Lane, items: Item[], answer: StoreAnswer): void {
        if (answer.kind !== 'tooLarge') super.judge(lane, items, answer)
        else for (const item of items) this.refuse(item, { code: 'tooLarge', message: 'too large' }, 'store')
      }
    },
  },
  {
    fault: 'a refused entry is settled before its letter is taken',
    caughtBy: 'a refused entry is in hand until its letter is taken',
    writer: class extends PlainWriter {
      protected override refuse(item: Item, reason: Reason, stage: 'convert' | 'store'): void {
        void this.context.settlement.refused({ token: item.token, stage, reason, attempts: 0 })
        this.counts.deadLettered++
        this.context.settlement.settle(item.token)
      }
    },
  },
]
