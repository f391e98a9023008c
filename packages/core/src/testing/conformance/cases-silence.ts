import type { StoreCommand } from '../scripted-store.ts'
import type { SinkCase } from './sink-case.ts'
import type { Stand } from './stand.ts'
import type { SentEntry } from './subject.ts'

/** Silence is not success: what does not confirm settles nothing, whatever it is. */
export const SILENCE_CASES: readonly SinkCase[] = [
  {
    name: 'an answer without a meaning settles nothing',
    promises: [3],
    run: async (open) => odd(await open(), 'meaningless'),
  },
  {
    name: 'an answer that is one entry short settles nothing',
    promises: [3],
    needs: { answers: ['entry'] },
    run: async (open) => odd(await open(), 'short'),
  },
  {
    name: 'a client that throws settles nothing',
    promises: [3, 9],
    run: async (open) => odd(await open(), 'threw'),
  },
  {
    name: 'a request that is cut before it is applied is repeated',
    promises: [8, 11],
    async run(open) {
      const stand = await open()
      await unknown(stand, 'cutBeforeApply')
      const { duplicates } = stand.expectStored()
      stand.expect(duplicates === 0, `${duplicates} entries are twice in the store, which had applied nothing`)
    },
  },
  {
    name: 'a request that is cut after it was applied is repeated, with the same content',
    promises: [8, 11],
    async run(open) {
      const stand = await open()
      await unknown(stand, 'cutAfterApply')
      stand.expectStored()
    },
  },
  {
    name: 'a repeat has the identity of the first try, and no other entry has it',
    promises: [8, 11],
    needs: { repeats: ['idempotent', 'versioned'] },
    async run(open) {
      const stand = await open()
      stand.store.next('cutAfterApply', 'unavailable', 'cutAfterApply', 'cutBeforeApply')
      stand.take(12)
      await stand.drain()
      const identities = new Set(stand.book.accepted.map(({ sends }) => sends.get(0)?.identity))
      stand.expect(identities.size === 12, `12 entries have ${identities.size} identities`)
      stand.expectStored()
    },
  },
  {
    name: 'a request without an answer is given up in time and repeated',
    promises: [8],
    async run(open) {
      const stand = await open()
      stand.store.next('silentBeforeApply', 'silentAfterApply')
      stand.take(8)
      stand.writer.hasten()
      await stand.until('requests without an answer are repeated', () => stand.book.inHand === 0, overdue(stand))
      stand.expectStored()
    },
  },
  {
    name: 'an answer that comes too late settles nothing twice',
    promises: [1, 8],
    async run(open) {
      const stand = await open()
      stand.store.next('hold')
      stand.take(4)
      stand.writer.hasten()
      await stand.until('the repeat is stored', () => stand.book.inHand === 0, overdue(stand))
      stand.store.answerAll()
      await stand.advance(5000)
      stand.take(4)
      await stand.drain()
      stand.expectStored()
    },
  },
]

function overdue({ limits }: Stand): number {
  return 2 * limits.requestTimeoutMs + 10_000
}

/** An answer that says nothing: afterwards the entries are stored, or refused for it, or the attempt has ended. */
async function odd(stand: Stand, command: StoreCommand<SentEntry>): Promise<void> {
  const inputs = stand.take(4)
  stand.book.mayRefuse = () => true
  stand.mayFail = true
  stand.store.next(command)
  stand.writer.hasten()
  const isOver = (): boolean => stand.book.inHand === 0 || stand.failures.length > 0
  await stand.until('the entries are stored or refused, or the attempt ends', isOver, overdue(stand))
  if (stand.failures.length === 0) stand.expectStored(inputs.filter(({ refusals }) => refusals.length > 0))
}

async function unknown(stand: Stand, command: StoreCommand<SentEntry>): Promise<void> {
  stand.store.next(command, command, command)
  stand.take(8)
  await stand.drain()
  const most = Math.max(...stand.book.accepted.map(({ sends }) => sends.get(0)?.times ?? 0))
  stand.expect(most > 1, 'no entry was sent again, although its request was cut')
}
