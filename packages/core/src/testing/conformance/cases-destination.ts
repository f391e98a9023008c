import type { SinkCase } from './sink-case.ts'

/** Entries of several destinations: requests of their own, and troubles of their own. */
export const DESTINATION_CASES: readonly SinkCase[] = [
  {
    name: 'a request holds entries of one destination',
    promises: [1],
    needs: { destinations: [true] },
    async run(open) {
      const stand = await open()
      // Where each request goes is compared with its entries when it arrives.
      for (let round = 0; round < 12; round++) {
        const destination = ['north', 'south', 'west'][round % 3] ?? ''
        await stand.offerAll(stand.make(2, { destination }))
      }
      await stand.drain()
      stand.expectStored()
      const { requests } = stand.store
      stand.expect(requests.length <= 24, `${requests.length} requests for 3 destinations of 8 entries`)
    },
  },
  {
    name: 'a destination that does not answer does not stop the others',
    promises: [4, 8],
    needs: { destinations: [true] },
    async run(open) {
      const stand = await open()
      stand.store.decide = ({ destination }) => (destination === 'stuck' ? 'hold' : 'stored')
      stand.take(4, { destination: 'stuck', key: 'one' })
      stand.writer.hasten()
      await stand.flush()
      const others = stand.take(8, { destination: 'free' })
      stand.writer.hasten()
      const areStored = (): boolean => others.every(({ settled }) => settled === 1)
      await stand.until('the entries of the other destination are stored', areStored, 5000)
      stand.store.decide = undefined
      stand.store.answerAll()
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'a destination that does not answer, and has every request in flight, stops the others for one timeout at most',
    promises: [4, 8],
    needs: { destinations: [true] },
    async run(open) {
      const stand = await open()
      stand.store.decide = ({ destination }) => (destination === 'stuck' ? 'silentBeforeApply' : 'stored')
      stand.take(24, { destination: 'stuck' })
      stand.writer.hasten()
      await stand.flush()
      const others = stand.take(8, { destination: 'free' })
      stand.writer.hasten()
      const areStored = (): boolean => others.every(({ settled }) => settled === 1)
      const withinMs = stand.limits.requestTimeoutMs + 1000
      await stand.until('the entries of the other destination are stored', areStored, withinMs)
    },
  },
  {
    name: 'a destination that fails does not stop the others',
    promises: [4, 8],
    needs: { destinations: [true] },
    async run(open) {
      const stand = await open()
      stand.store.decide = ({ destination }) => (destination === 'stuck' ? 'unavailable' : 'stored')
      for (let round = 0; round < 4; round++) {
        stand.take(4, { destination: 'stuck' })
        const others = stand.take(2, { destination: 'free' })
        stand.writer.hasten()
        const areStored = (): boolean => others.every(({ settled }) => settled === 1)
        await stand.until('the entries of the other destination are stored', areStored, 5000)
      }
      stand.store.decide = undefined
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'a destination that wants no request for a while holds back only itself',
    promises: [8],
    needs: { destinations: [true], throttling: ['retryAfter'] },
    async run(open) {
      const stand = await open()
      stand.store.next({ throttledForMs: 8000 })
      stand.take(4, { destination: 'stuck' })
      stand.writer.hasten()
      await stand.until('the request is throttled', () => stand.store.requests[0]?.answer !== undefined, 1000)
      const waiting = stand.take(4, { destination: 'stuck' })
      const others = stand.take(4, { destination: 'free' })
      stand.writer.hasten()
      const areStored = (): boolean => others.every(({ settled }) => settled === 1)
      await stand.until('the entries of the other destination are stored', areStored, 2000)
      stand.expect(
        waiting.every(({ sends }) => sends.size === 0),
        'a request went to a destination that wants none',
      )
      await stand.drain()
      stand.expectStored()
    },
  },
]
