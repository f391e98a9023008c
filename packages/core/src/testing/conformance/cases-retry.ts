import type { SinkCase } from './sink-case.ts'

/** What is sent again, when, and how much at a time. */
export const RETRY_CASES: readonly SinkCase[] = [
  {
    name: 'a store that is unavailable is asked again, after pauses',
    promises: [1, 8],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'unavailable'
      stand.take(4)
      stand.writer.hasten()
      await stand.until('the request is repeated', () => stand.store.requests.length > 1, 5000)
      await stand.advance(60_000)
      const { requests } = stand.store
      // Pauses of 50 ms to 1 s, and never more requests than entries.
      stand.expect(requests.length >= 10, `${requests.length} requests in 60 s: the store is not asked again`)
      stand.expect(
        requests.length <= 4 * 140,
        `${requests.length} requests in 60 s for 4 entries: repeats have no pauses`,
      )
      stand.store.otherwise = 'stored'
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'only the entries that are to be sent again are',
    promises: [1, 3],
    needs: { entryRetries: [true] },
    async run(open) {
      const stand = await open()
      const inputs = stand.make(16)
      const busy = new Set(inputs.map(({ record }) => record.sequence).filter(isBusy))
      // Busy once each: what is deleted was in the set.
      stand.store.otherwise = { entries: ({ sequence }) => (busy.delete(sequence) ? 'busy' : 'stored') }
      stand.expect(stand.offer(inputs) === 16, 'there is room for all values')
      await stand.drain()
      for (const { record, sends } of inputs) {
        const times = sends.get(0)?.times ?? 0
        const wanted = isBusy(record.sequence) ? 2 : 1
        stand.expect(times === wanted, `entry ${record.sequence} was sent ${times} times instead of ${wanted}`)
      }
      stand.expectStored()
    },
  },
  {
    name: 'throttling lowers the number of requests in flight, and never the size of a batch',
    promises: [4, 8],
    needs: { throttling: ['slowsDown', 'retryAfter'] },
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'hold'
      const records = stand.make(40)
      stand.offer(records)
      stand.writer.hasten()
      await stand.flush()
      const before = stand.inFlight().length
      stand.store.answerAll('throttled')
      await stand.until('requests are sent again', () => stand.inFlight().length > 0, 20_000)
      await stand.advance(2000)
      const after = stand.inFlight().length
      const { maxInFlightRequests, maxBatchSize } = stand.limits
      stand.expect(
        after < maxInFlightRequests,
        `${after} requests are in flight after ${before} were throttled, the most is ${maxInFlightRequests}`,
      )
      if (stand.abilities.orderKey !== 'own') {
        const sizes = stand.inFlight().map(({ entries }) => entries.length)
        stand.expect(
          sizes.every((size) => size === maxBatchSize),
          `batches of ${sizes.join(', ')} although more waits`,
        )
      }
      stand.store.otherwise = 'stored'
      stand.store.answerAll()
      await stand.drain()
      stand.expectStored()
    },
  },
  {
    name: 'a store that says for how long it wants no request gets none',
    promises: [8],
    needs: { throttling: ['retryAfter'] },
    async run(open) {
      const stand = await open()
      stand.store.next({ throttledForMs: 7000 })
      stand.take(4)
      stand.writer.hasten()
      await stand.until('a request is answered', () => stand.store.requests[0]?.answer !== undefined, 1000)
      const { number, answeredAt = 0 } = stand.store.requests.at(-1) ?? { number: 0 }
      // More than fits: a full buffer is no reason to press the store.
      stand.offer(stand.make(100))
      stand.writer.hasten()
      await stand.drain()
      const [next] = stand.store.requests.slice(number + 1)
      const waited = (next?.arrivedAt ?? 0) - answeredAt
      stand.expect(waited >= 7000, `a request came ${waited} ms after the store wanted none for 7000 ms`)
      stand.expectStored()
    },
  },
]

function isBusy(sequence: number): boolean {
  return sequence % 3 === 1
}
