import type { SinkCase } from './sink-case.ts'
import type { Stand } from './stand.ts'

/** Close ends in time, says what it left, and nothing happens afterwards. Every case ends with it, too. */
export const CLOSE_CASES: readonly SinkCase[] = [
  {
    name: 'close ends in time although a request is never answered',
    promises: [8],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'silentBeforeApply'
      stand.take(10)
      stand.writer.hasten()
      await stand.flush()
      const startedAt = stand.clock.now()
      await stand.close(3000)
      const took = stand.clock.now() - startedAt
      stand.expect(took <= 3001, `close(3000) took ${took} ms`)
      expectAbandoned(stand, 10)
    },
  },
  {
    name: 'close abandons what was not sent, and what was to be sent again',
    promises: [1, 8],
    async run(open) {
      const stand = await open({ limits: { maxTimeInBufferMS: 600_000 } })
      stand.store.otherwise = 'unavailable'
      stand.take(5)
      stand.writer.hasten()
      await stand.until(
        'requests have failed',
        () => stand.store.requests.some(({ answer }) => answer !== undefined),
        1000,
      )
      stand.take(2)
      await stand.close()
      expectAbandoned(stand, 7)
    },
  },
  {
    name: 'close keeps what was settled',
    promises: [1, 8],
    async run(open) {
      const stand = await open()
      stand.take(8)
      await stand.drain()
      await stand.close()
      expectAbandoned(stand, 0)
      stand.expectStored()
    },
  },
  {
    name: 'an answer after close settles nothing',
    promises: [2, 8],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'hold'
      stand.take(8)
      stand.writer.hasten()
      await stand.until('a request is in flight', () => stand.inFlight().length > 0, 1000)
      await stand.close(1000)
      const left = stand.writer.status().abandoned
      // Whatever is settled from here on is noted as a violation.
      stand.store.answerAll()
      await stand.advance(10_000)
      expectAbandoned(stand, left)
    },
  },
  {
    name: 'a letter that is taken after close settles nothing',
    promises: [2, 8],
    needs: { conversionRefusals: [true] },
    async run(open) {
      const stand = await open()
      const answers: (() => void)[] = []
      stand.book.decide = () =>
        new Promise((resolve) => {
          answers.push(() => resolve(true))
        })
      stand.take(2, { conversionThrows: true })
      await stand.close(1000)
      for (const answer of answers) answer()
      await stand.advance(10_000)
      expectAbandoned(stand, 2)
    },
  },
  {
    name: 'close twice ends twice, and changes nothing more',
    promises: [8],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'silentAfterApply'
      stand.take(4)
      stand.writer.hasten()
      await stand.flush()
      stand.startClose(1000)
      const second = stand.watch('close', stand.writer.close(500))
      await stand.close(1000)
      await stand.until('the second call of close ends', () => second.done, 10)
      const later = stand.watch('close', stand.writer.close(1000))
      const disposed = stand.watch('asyncDispose', stand.writer[Symbol.asyncDispose]())
      await stand.until('calls of close after the end end', () => later.done && disposed.done, 10)
      expectAbandoned(stand, 4)
    },
  },
  {
    name: 'a writer that is closed takes nothing and sends nothing',
    promises: [8],
    async run(open) {
      const stand = await open()
      stand.take(2)
      stand.startClose(1000)
      stand.expect(stand.offer(stand.make(3)) === 0, 'values were taken by a writer that is being closed')
      await stand.close(1000)
      const { length } = stand.store.requests
      stand.expect(stand.offer(stand.make(3)) === 0, 'values were taken by a writer that is closed')
      stand.writer.hasten()
      await stand.advance(10_000)
      stand.expect(stand.store.requests.length === length, 'a request was sent after close')
    },
  },
  {
    name: 'close wakes those who wait for room',
    promises: [8],
    async run(open) {
      const stand = await open()
      stand.store.otherwise = 'silentBeforeApply'
      const inputs = stand.make(100)
      const taken = stand.offer(inputs)
      await stand.flush()
      stand.offer(inputs, taken)
      const ready = stand.watch('ready', stand.writer.ready())
      await stand.close(1000)
      await stand.until('whoever waited for room is woken', () => ready.done, 10)
    },
  },
  {
    name: 'a writer that was never used closes at once',
    promises: [8],
    async run(open) {
      const stand = await open()
      await stand.close(0)
      stand.expect(stand.clock.pendingTimers === 0, `${stand.clock.pendingTimers} timers are left after close`)
    },
  },
]

/** The figures say what was left; that they agree with the tokens was compared already. */
function expectAbandoned(stand: Stand, count: number): void {
  const { abandoned } = stand.writer.status()
  stand.expect(
    abandoned === stand.book.inHand,
    `abandoned is ${abandoned}, ${stand.book.inHand} entries have no outcome`,
  )
  stand.expect(abandoned === count, `abandoned is ${abandoned}, ${count} entries were left`)
  stand.expect(stand.clock.pendingTimers === 0, `${stand.clock.pendingTimers} timers are left after close`)
}
