import type { SinkCase } from './sink-case.ts'

/** When a batch that is not full is sent. */
export const FLUSH_CASES: readonly SinkCase[] = [
  {
    name: 'hasten sends what is not a full batch',
    promises: [5],
    async run(open) {
      const stand = await open({ limits: { maxTimeInBufferMS: 600_000 } })
      stand.take(3)
      stand.writer.hasten()
      await stand.until('what was hastened is stored', () => stand.book.inHand === 0, 1000)
      stand.expectStored()
    },
  },
  {
    name: 'hasten reaches what no request had room for',
    promises: [5],
    async run(open) {
      const stand = await open({ limits: { maxTimeInBufferMS: 600_000 } })
      stand.store.otherwise = 'hold'
      stand.take(30)
      await stand.flush()
      stand.writer.hasten()
      await stand.flush()
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.until('what was hastened is stored', () => stand.book.inHand === 0, 1000)
      stand.expectStored()
    },
  },
  {
    name: 'hasten loses nothing that is to be sent again',
    promises: [1, 5],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'unavailable'
      stand.take(8)
      for (let round = 0; round < 6; round++) {
        stand.writer.hasten()
        await stand.advance(70)
      }
      stand.store.otherwise = 'stored'
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'the stream goes on while what was hastened waits for its answer',
    promises: [5],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'hold'
      stand.take(2)
      stand.writer.hasten()
      await stand.flush()
      stand.take(6)
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'age sends what is not a full batch',
    promises: [5],
    async run(open) {
      const stand = await open({ limits: { maxTimeInBufferMS: 3000 } })
      for (let round = 0; round < 3; round++) {
        stand.take(1)
        await stand.until('an entry of full age is stored', () => stand.book.inHand === 0, 3100)
      }
      stand.take(1)
      await stand.advance(1500)
      stand.take(1)
      await stand.until('the older one is stored, whatever came after it', () => stand.store.held.length >= 4, 1600)
      await stand.drain()
      stand.expectStored()
    },
  },
]
