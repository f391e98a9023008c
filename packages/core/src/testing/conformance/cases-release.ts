import type { Input } from './book.ts'
import type { SinkCase } from './sink-case.ts'
import type { Stand } from './stand.ts'

/** Splits that are given back: their entries are returned and not sent again, those of other splits go on. */
export const RELEASE_CASES: readonly SinkCase[] = [
  {
    name: 'release returns what is not in flight',
    promises: [1, 6],
    async run(open) {
      const stand = await open({ limits: { maxInFlightRequests: 1 } })
      stand.store.otherwise = 'hold'
      const [given, kept] = await twoSplits(stand)
      const inFlight = new Set(stand.inFlight().flatMap(({ entries }) => entries.map(({ sequence }) => sequence)))
      const returnable = given.filter(({ record }) => !inFlight.has(record.sequence))
      const count = releaseSplit(stand, 'given')
      stand.expect(
        count === returnable.length,
        `release returned ${count} entries, ${returnable.length} are not in flight`,
      )
      await stand.flush()
      for (const { record, returned } of returnable) {
        stand.expect(returned === 1, `entry ${record.sequence} of a released split was returned ${returned} times`)
      }
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.drain()
      stand.expectStored(returnable)
      stand.expect(
        kept.every(({ settled }) => settled === 1),
        'an entry of another split was not stored',
      )
    },
  },
  {
    name: 'release returns what waits to be sent again',
    promises: [1, 6],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'unavailable'
      const [given] = await twoSplits(stand)
      await stand.advance(40)
      const settledBefore = given.filter(({ returned }) => returned > 0).length
      stand.expect(settledBefore === 0, 'entries were returned before their split was released')
      releaseSplit(stand, 'given')
      await stand.advance(20_000)
      stand.expect(
        given.every(({ returned }) => returned === 1),
        'an entry of a released split that was to be sent again was not returned',
      )
      stand.store.otherwise = 'stored'
      await stand.drain()
      stand.expectStored(given)
    },
  },
  {
    name: 'an entry in flight of a released split is not sent again',
    promises: [1, 6],
    async run(open) {
      for (const command of ['unavailable', 'cutBeforeApply'] as const) {
        const stand = await open()
        stand.store.otherwise = 'hold'
        const given = stand.take(2, { splitId: 'given' })
        const kept = stand.take(2, { splitId: 'kept' })
        stand.writer.hasten()
        await stand.until('requests are in flight', () => inFlightOf(stand) === 4, 1000)
        const count = releaseSplit(stand, 'given')
        stand.expect(count === 0, `release returned ${count} entries, all are in flight`)
        stand.store.otherwise = 'stored'
        stand.store.answerAll(command)
        await stand.drain()
        stand.expect(
          given.every(({ returned }) => returned === 1),
          'an entry in flight of a released split was not returned after its request had failed',
        )
        stand.expect(
          kept.every(({ settled }) => settled === 1),
          'an entry of another split was not stored',
        )
      }
    },
  },
  {
    name: 'an entry in flight of a released split is settled by its answer',
    promises: [1, 2],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'hold'
      const given = stand.take(4, { splitId: 'given' })
      stand.writer.hasten()
      await stand.until('requests are in flight', () => inFlightOf(stand) === 4, 1000)
      releaseSplit(stand, 'given')
      stand.store.answerAll()
      await stand.drain()
      stand.expect(
        given.every(({ settled, returned }) => settled === 1 && returned === 0),
        'an entry that the store confirmed was returned',
      )
      stand.expectStored()
    },
  },
  {
    name: 'a released split makes room',
    promises: [4, 6],
    async run(open) {
      const stand = await open({ limits: { maxInFlightRequests: 1 } })
      stand.store.otherwise = 'hold'
      const inputs = stand.make(100, { splitId: 'given' })
      const taken = stand.offer(inputs)
      await stand.flush()
      stand.offer(inputs, taken)
      const ready = stand.watch('ready', stand.writer.ready())
      await stand.flush()
      releaseSplit(stand, 'given')
      await stand.until('the writer is ready again', () => ready.done, 1000)
      stand.take(4, { splitId: 'kept' })
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.drain()
      stand.expectStored(stand.book.accepted.filter(({ returned }) => returned > 0))
    },
  },
  {
    name: 'release of a split without entries returns none',
    promises: [1],
    async run(open) {
      const stand = await open()
      stand.expect(releaseSplit(stand, 'unknown') === 0, 'entries were returned of a split that has none')
      stand.take(4)
      stand.expect(releaseSplit(stand, 'unknown') === 0, 'entries were returned of a split that has none')
      await stand.drain()
      stand.expectStored()
      stand.expect(releaseSplit(stand, 'split-0') === 0, 'entries were returned that are stored')
    },
  },
]

/** Releases a split as core does, and compares what the writer says with what it returned. */
export function releaseSplit(stand: Stand, splitId: string): number {
  stand.book.releasedSplits.add(splitId)
  const before = stand.book.inHand
  const count = stand.writer.release(splitId)
  const returned = before - stand.book.inHand
  stand.expect(count === returned, `release says that it returned ${count} entries, it returned ${returned}`)
  stand.check()
  return count
}

/** Values of two splits in turn, more than fit into one request. */
async function twoSplits(stand: Stand): Promise<readonly [readonly Input[], readonly Input[]]> {
  const given: Input[] = []
  const kept: Input[] = []
  for (let round = 0; round < 8; round++) {
    given.push(...stand.take(1, { splitId: 'given' }))
    kept.push(...stand.take(1, { splitId: 'kept' }))
  }
  stand.writer.hasten()
  await stand.until('a request is sent', () => stand.store.requests.length > 0, 1000)
  return [given, kept]
}

function inFlightOf(stand: Stand): number {
  return stand.inFlight().reduce((sum, { entries }) => sum + entries.length, 0)
}
