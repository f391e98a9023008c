import type { Input } from './book.ts'
import type { SinkCase } from './sink-case.ts'
import type { Stand } from './stand.ts'

/** Poison does not stop the stream, and nothing else is charged to a record. */
export const REFUSAL_CASES: readonly SinkCase[] = [
  {
    name: 'a value whose conversion throws is refused whole, and its neighbours are stored',
    promises: [1, 9],
    needs: { conversionRefusals: [true] },
    async run(open) {
      const stand = await open()
      const bad = stand.make(1, { conversionThrows: true })
      const values = [...stand.make(2), ...bad, ...stand.make(2)]
      stand.expect(stand.offer(values) === 5, 'a value that cannot be converted stops those after it')
      await stand.drain()
      expectRefusals(stand, bad, 'convert')
      stand.expectStored(bad)
    },
  },
  {
    name: 'what a conversion emitted before it threw is not sent',
    promises: [1, 9],
    needs: { conversionRefusals: [true], fanOut: [true] },
    async run(open) {
      const stand = await open()
      const bad = [...stand.make(1, { conversionThrows: true, entries: 3 })]
      bad.push(...stand.make(1, { conversionThrows: true, entries: 0 }))
      const values = [...stand.make(1), ...bad, ...stand.make(1)]
      stand.expect(stand.offer(values) === 4, 'a value that cannot be converted stops those after it')
      await stand.drain()
      expectRefusals(stand, bad, 'convert')
      stand.expectStored(bad)
    },
  },
  {
    name: 'a refused entry is in hand until its letter is taken',
    promises: [1, 9],
    needs: { conversionRefusals: [true] },
    async run(open) {
      const stand = await open()
      const answers: ((taken: boolean) => void)[] = []
      stand.book.decide = () =>
        new Promise((resolve) => {
          answers.push(resolve)
        })
      const [first] = [stand.takeOne({ conversionThrows: true }), stand.takeOne({ conversionThrows: true })]
      await stand.advance(5000)
      stand.expect(stand.book.inHand === 2, 'a refused value has an outcome before its letter was taken')
      answers[0]?.(true)
      await stand.until('the value whose letter was taken is settled', () => first.settled === 1, 100)
      answers[1]?.(false)
      await stand.advance(5000)
      stand.expect(stand.book.inHand === 1, 'a value whose letter was not taken is settled')
    },
  },
  {
    name: 'entries that the store names are refused, and the others stored',
    promises: [1, 3, 9],
    needs: { namedRefusals: [true] },
    async run(open) {
      const stand = await open()
      const bad = await poison(stand, 4, [1, 3], 'named')
      expectRefusals(stand, bad, 'store')
      const more = furtherRequests(stand)
      stand.expect(more === 0, `${more} further requests after the store had named the bad entries`)
    },
  },
  {
    name: 'an entry that the store does not name is found, and the others are stored',
    promises: [1, 9],
    needs: { wholeRefusals: [true] },
    async run(open) {
      for (const bad of [[0], [9], [15]]) {
        const stand = await open({ limits: { maxBatchSize: 16, maxBufferedRequests: 160 } })
        expectRefusals(stand, await poison(stand, 16, bad, 'whole'), 'store')
        const more = furtherRequests(stand)
        stand.expect(more <= 8, `${more} further requests to find 1 bad entry of 16, halving needs 8`)
      }
      const stand = await open({ limits: { maxBatchSize: 16, maxBufferedRequests: 160 } })
      expectRefusals(stand, await poison(stand, 16, [0, 1, 7, 8, 15], 'whole'), 'store')
    },
  },
  {
    name: 'a request of which every entry is bad costs no more than its budget',
    promises: [9],
    needs: { wholeRefusals: [true] },
    async run(open) {
      const all = Array.from({ length: 16 }, (_, index) => index)
      const stand = await open({ limits: { maxBatchSize: 16, maxBufferedRequests: 160, maxIsolationRequests: 6 } })
      stand.book.mayRefuse = () => true
      const inputs = await poison(stand, 16, all, 'whole')
      stand.expect(
        inputs.every(({ refusals }) => refusals.length === 1),
        'an entry has not one refusal',
      )
      const most = 6 * (stand.store.requests.length - furtherRequests(stand))
      const more = furtherRequests(stand)
      stand.expect(more <= most, `${more} further requests, allowed are ${most} (maxIsolationRequests)`)
    },
  },
  {
    name: 'a fault of the caller ends the attempt and is charged to no record',
    promises: [9],
    needs: { callerFaults: [true] },
    async run(open) {
      const stand = await open()
      stand.mayFail = true
      stand.store.otherwise = 'denied'
      stand.take(8)
      stand.writer.hasten()
      await stand.until('the attempt is ended', () => stand.failures.length > 0, 120_000)
      await stand.advance(5000)
      const [failure] = stand.failures
      stand.expect(failure?.code === 'SLUICE_ACCESS_DENIED', `the attempt ended with ${failure?.code}`)
      stand.expect(stand.book.inHand === 8, 'an entry has an outcome, although only the caller was at fault')
      stand.expect(stand.writer.status().inHand === 8, 'inHand forgets the entries of the request that failed')
    },
  },
  {
    name: 'a request that is too large is sent in parts, and no try is counted',
    promises: [1, 9],
    needs: { tooLarge: [true] },
    async run(open) {
      const retry = { initialDelayMs: 100, maxDelayMs: 1000, maxAttempts: 1 }
      const stand = await open({
        limits: { maxBatchSize: 16, maxBufferedRequests: 160, maxIsolationRequests: 1, retry },
      })
      stand.store.tooLargeAbove = 1
      stand.take(16)
      await stand.drain()
      const { duplicates } = stand.expectStored()
      stand.expect(duplicates === 0, `${duplicates} entries are twice in the store`)
    },
  },
]

/** Takes one batch of which the store refuses those at the given indexes, and waits for its end. */
async function poison(
  stand: Stand,
  count: number,
  badIndexes: readonly number[],
  how: 'named' | 'whole',
): Promise<readonly Input[]> {
  const inputs = stand.make(count)
  const bad = inputs.filter((_, index) => badIndexes.includes(index))
  const sequences = new Set(bad.map(({ record }) => record.sequence))
  stand.store.refuse(({ sequence }) => sequences.has(sequence), how)
  stand.expect(stand.offer(inputs) === count, 'there is room for all values')
  await stand.drain()
  stand.expectStored(bad)
  return bad
}

/** Requests with an entry that was sent before. */
function furtherRequests(stand: Stand): number {
  const sent = new Set<number>()
  let further = 0
  for (const { entries } of stand.store.requests) {
    if (entries.some(({ sequence }) => sent.has(sequence))) further++
    for (const { sequence } of entries) sent.add(sequence)
  }
  return further
}

function expectRefusals(stand: Stand, bad: readonly Input[], stage: 'convert' | 'store'): void {
  for (const { record, refusals } of bad) {
    const [refusal] = refusals
    const times = refusals.length
    stand.expect(
      refusal !== undefined && times === 1,
      `bad value ${record.sequence} was refused ${times} times, not once`,
    )
    stand.expect(
      refusal?.stage === stage,
      `bad value ${record.sequence} was refused at ${refusal?.stage}, not ${stage}`,
    )
    const tries = refusal?.attempts ?? -1
    stand.expect(stage === 'convert' ? tries === 0 : tries > 0, `a refusal at ${stage} counts ${tries} tries`)
  }
  const { deadLettered } = stand.writer.status()
  stand.expect(deadLettered === bad.length, `deadLettered is ${deadLettered}, ${bad.length} letters were taken`)
}
