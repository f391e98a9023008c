import type { SinkCase } from './sink-case.ts'
import type { Stand } from './stand.ts'

const MIB = 1024 * 1024

/** What is taken over, and when there is room again. */
export const ADMISSION_CASES: readonly SinkCase[] = [
  {
    name: 'write takes what fits, and names the first value that it did not take',
    promises: [1, 4],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'hold'
      const inputs = stand.make(200)
      const taken = stand.offer(inputs)
      stand.expect(taken > 0 && taken < 200, `${taken} of 200 values were taken by a writer that has room for 56`)
      await stand.flush()
      const more = stand.offer(inputs, taken)
      await stand.flush()
      const full = taken + more
      stand.expect(full <= 56, `${full} values were taken by a writer that has room for 56`)
      stand.expect(stand.offer(inputs, full) === 0, 'values were taken although there is no room')
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.flush()
      await stand.offerAll(inputs.slice(full))
      await stand.drain()
      const { duplicates } = stand.expectStored()
      stand.expect(duplicates === 0, `${duplicates} entries are twice in the store`)
      stand.expect(stand.book.accepted.length === 200, 'not all values were taken in the end')
    },
  },
  {
    name: 'one value of many entries goes above the limit by itself only',
    promises: [4],
    needs: { fanOut: [true] },
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'hold'
      const inputs = stand.make(5, { entries: 100 })
      stand.expect(stand.offer(inputs) === 1, 'a value was taken although the one before fills the buffer')
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.offerAll(inputs.slice(1))
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'ready resolves when there is room, for everyone who waits',
    promises: [4],
    async run(open) {
      const stand = await open()
      const wait = (): { readonly done: boolean } => stand.watch('ready', stand.writer.ready())
      const first = wait()
      await stand.until('a writer with room is ready', () => first.done, 10)
      await fill(stand)
      const waiters = [wait(), wait(), wait()]
      await stand.flush()
      stand.writer.hasten()
      await stand.flush()
      stand.store.answerAll()
      await stand.until('everyone who waits is told of room', () => waiters.every(({ done }) => done), 5000)
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      stand.take(1)
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'ready resolves when room comes from time alone',
    promises: [4],
    async run(open) {
      // Fewer than a batch: only age sends it.
      const stand = await open({ limits: { maxBatchSize: 8, maxBufferedRequests: 64, maxBufferedBytes: 1000 } })
      stand.take(1, { byteLength: 600 })
      stand.take(1, { byteLength: 600 })
      const ready = stand.watch('ready', stand.writer.ready())
      await stand.until('the writer is ready again', () => ready.done, 5000)
      stand.take(1)
      await stand.drain()
    },
  },
  {
    name: 'ready resolves when room comes from letters that were taken',
    promises: [4, 9],
    needs: { conversionRefusals: [true] },
    async run(open) {
      const stand = await open()
      const letters = Promise.withResolvers<boolean>()
      stand.book.decide = () => letters.promise
      const inputs = stand.make(100, { conversionThrows: true })
      const taken = stand.offer(inputs)
      stand.expect(taken <= 56, `${taken} refused values are in hand, allowed are 56`)
      const ready = stand.watch('ready', stand.writer.ready())
      await stand.advance(5000)
      stand.expect(!ready.done || stand.offer(inputs, taken) === 0, 'values were taken above the limit')
      letters.resolve(true)
      await stand.until('the writer is ready again', () => ready.done, 1000)
      await stand.offerAll(inputs.filter(({ state }) => state === 'new'))
      await stand.drain()
    },
  },
  {
    name: 'entries to be sent again count against the buffer',
    promises: [4],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'unavailable'
      const inputs = stand.make(300)
      let taken = 0
      for (let round = 0; round < 30; round++) {
        taken += stand.offer(inputs, taken)
        await stand.advance(500)
      }
      stand.expect(taken <= 56, `${taken} entries are in hand of a store that takes none, allowed are 56`)
      stand.store.otherwise = 'stored'
      await stand.offerAll(inputs.slice(taken))
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'bytes in hand are bounded',
    promises: [4],
    async run(open) {
      const stand = await open({ limits: { maxBufferedBytes: 4 * MIB } })
      stand.store.otherwise = 'hold'
      const inputs = stand.make(30, { byteLength: MIB })
      const taken = stand.offer(inputs)
      stand.expect(taken >= 3 && taken <= 5, `${taken} values of 1 MiB were taken, allowed are 4 MiB in hand`)
      const { bufferedBytes } = stand.writer.status()
      stand.expect(bufferedBytes >= (taken - 1) * MIB, `bufferedBytes is ${bufferedBytes}, ${taken} MiB are in hand`)
      await stand.advance(100)
      stand.expect(stand.offer(inputs, taken) === 0 || taken < 4, 'values were taken above the limit in bytes')
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.flush()
      await stand.offerAll(stand.book.inputs.filter(({ state }) => state === 'new'))
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'a value above the limit in bytes passes alone',
    promises: [4, 8],
    async run(open) {
      const stand = await open({ limits: { maxBufferedBytes: 1000 } })
      await stand.offerAll(stand.make(3, { byteLength: 5000 }), 60_000)
      await stand.drain()
      stand.expectStored()
    },
  },
]

/** Offers values until none is taken. */
async function fill(stand: Stand): Promise<void> {
  stand.store.otherwise = 'hold'
  for (let round = 0; round < 100; round++) {
    if (stand.offer(stand.make(1)) === 0) return
    await stand.flush()
  }
  throw new Error('100 values were taken by a writer that has room for 56')
}
