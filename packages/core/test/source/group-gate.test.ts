import { deepStrictEqual as same } from 'node:assert/strict'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { batchOf, bench, type Record, type Reader } from './reader-bench.ts'

/** A queue as SQS FIFO keeps it: a group with messages that somebody has is not delivered. */
class FifoQueue {
  readonly #messages: { readonly id: number; readonly group?: string; visible: boolean }[]

  constructor(messages: readonly Record[]) {
    this.#messages = messages.map((message) => ({ ...message, visible: true }))
  }

  /** Up to `count` messages, several of one group in their order. */
  receive(count: number): readonly Record[] {
    const busy = new Set(
      this.#messages.flatMap(({ visible, group }) => (visible || group === undefined ? [] : [group])),
    )
    const received = this.#messages
      .filter(({ visible, group }) => visible && (group === undefined || !busy.has(group)))
      .slice(0, count)
    for (const message of received) message.visible = false
    return received.map(({ id, group }) => ({ id, ...(group === undefined ? {} : { group }) }))
  }

  giveBack(receipts: readonly unknown[]): void {
    for (const message of this.#messages) if (receipts.includes(`r${message.id}`)) message.visible = true
  }

  delete(id: number): void {
    this.#messages.splice(
      this.#messages.findIndex((message) => message.id === id),
      1,
    )
  }

  get left(): number {
    return this.#messages.length
  }
}

const grouped = { groupConcurrency: 1, maxFetchedBytes: 300, maxBytesPerFetch: 100 } as const

function records(text: string): Record[] {
  return text.split(' ').map((word) => {
    const [group = '', id] = word.split(/(?<=\D)/)
    return { id: Number(id ?? group), ...(id === undefined ? {} : { group }) }
  })
}

/** What is polled and emitted, all of it. */
function pollAll(reader: Reader) {
  const all = []
  for (let polled = reader.poll(); polled !== undefined; polled = reader.poll()) {
    reader.emitted(polled, polled.values.length)
    all.push(polled)
  }
  return all
}

function answers(reader: Reader, ...texts: readonly string[]): void {
  const left = [...texts]
  reader.answer = (splitId) => {
    const text = left.shift()
    return text === undefined ? new Promise(() => {}) : Promise.resolve(batchOf(splitId, records(text)))
  }
}

describe('records of a group', () => {
  test('are polled one at a time, in their order; those of no group pass', async () => {
    const { clock, reader } = bench(grouped)
    answers(reader, 'a1 a2 b3 4', 'b5 a6 7')
    reader.addSplits([{ splitId: 'q', next: 0 }])
    await clock.flush()
    const [first] = pollAll(reader)
    expect(first?.values).toEqual([1, 3, 4, 7])
    expect(first?.receipts).toEqual(['r1', 'r3', 'r4', 'r7'])
    expect(first?.raw(3)?.position).toBe('7')
    expect(reader.status().queuedRecords).toBe(3)
    if (first === undefined) return
    reader.recordEnded(first, 2, 'settled')
    expect(reader.poll()).toBeUndefined()
    reader.recordEnded(first, 0, 'settled')
    const [second] = pollAll(reader)
    expect(second?.values).toEqual([2])
    reader.recordEnded(first, 1, 'settled')
    expect(pollAll(reader).map(({ values }) => values)).toEqual([[5]])
    await clock.flush()
    // Record 6 waits behind 2; a fetch is under way.
    expect(reader.status()).toMatchObject({ queuedRecords: 1, fetchedBytes: 110 })
  })

  test('wake who waits when the one in hand is settled', async () => {
    const { clock, reader } = bench(grouped)
    answers(reader, 'a1 a2')
    reader.addSplits([{ splitId: 'q', next: 0 }])
    await clock.flush()
    const [first] = pollAll(reader)
    let woken = false
    void reader.ready().then(() => (woken = true))
    await clock.flush()
    expect(woken).toBe(false)
    if (first !== undefined) reader.recordEnded(first, 0, 'settled')
    await clock.flush()
    expect(woken).toBe(true)
  })

  test('behind one that is given back are given back before it, the last first', async () => {
    const { clock, reader } = bench(grouped)
    answers(reader, 'a1 a2 b3 a4')
    reader.addSplits([{ splitId: 'q', next: 0 }])
    await clock.flush()
    const [first] = pollAll(reader)
    if (first !== undefined) reader.recordEnded(first, 0, 'returned')
    expect(reader.returned).toEqual(['r4', 'r2', 'r1'])
    expect(reader.status()).toMatchObject({ queuedRecords: 0, fetchedBytes: 100 })
  })

  test('that a fetch under way brings go back too, unless the returned one comes first', async () => {
    const { clock, reader } = bench(grouped)
    const fetches: ((text: string) => void)[] = []
    reader.answer = (splitId) =>
      new Promise((resolve) => {
        fetches.push((text) => resolve(batchOf(splitId, records(text))))
      })
    const giving = Promise.withResolvers<void>()
    reader.onReturn = () => giving.promise
    reader.addSplits([{ splitId: 'q', next: 0 }])
    await clock.flush()
    fetches[0]?.('a1 b2')
    await clock.flush()
    const [first] = pollAll(reader)
    if (first !== undefined) reader.recordEnded(first, 0, 'returned')
    fetches[1]?.('a3 a4 b5')
    await clock.flush()
    expect(reader.returned).toEqual(['r1', 'r4', 'r3'])
    expect(pollAll(reader)).toEqual([])
    fetches[2]?.('a1 a3')
    await clock.flush()
    expect(pollAll(reader).map(({ values }) => values)).toEqual([[1]])
    expect(reader.returned).toHaveLength(3)
  })

  test('go on without the returned one once the service has it back: another reader, or a dead-letter queue, may have it', async () => {
    const { clock, reader } = bench(grouped)
    const fetches: ((text: string) => void)[] = []
    reader.answer = (splitId) =>
      new Promise((resolve) => {
        fetches.push((text) => resolve(batchOf(splitId, records(text))))
      })
    reader.addSplits([{ splitId: 'q', next: 0 }])
    await clock.flush()
    fetches[0]?.('a1 a2')
    await clock.flush()
    const [first] = pollAll(reader)
    if (first !== undefined) reader.recordEnded(first, 0, 'returned')
    await clock.flush()
    fetches[1]?.('9')
    await clock.flush()
    fetches[2]?.('a2')
    await clock.flush()
    expect(pollAll(reader).map(({ values }) => values)).toEqual([[9, 2]])
    expect(reader.returned).toEqual(['r2', 'r1'])
  })

  test('that wait are given back when their split is stopped', async () => {
    const { clock, reader } = bench(grouped)
    answers(reader, 'a1 a2 b3 a4 5')
    reader.addSplits([{ splitId: 'q', next: 0 }])
    await clock.flush()
    const polled = reader.poll()
    if (polled !== undefined) reader.emitted(polled, 1)
    reader.stopSplits(['q'])
    expect(reader.returned).toEqual(['r4', 'r2'])
    await reader.releaseSplits([{ split: { splitId: 'q', next: 2 }, receipts: [] }], 'lost', 100)
    expect(reader.returned).toEqual(['r4', 'r2', 'r5', 'r3'])
    // The fetch that was under way has not answered.
    expect(reader.status()).toMatchObject({ queuedRecords: 0, fetchedBytes: 100 })
  })

  test('the last of a split is announced when nothing of it waits any more, given back or emitted', async () => {
    const { clock, reader } = bench(grouped)
    reader.answer = (splitId) => Promise.resolve(batchOf(splitId, records('a1 a2'), true))
    reader.addSplits([{ splitId: 'q', next: 0 }])
    reader.noMoreSplits()
    await clock.flush()
    const [first] = pollAll(reader)
    expect(first?.lastOfSplit).toBe(false)
    expect(reader.ended).toBe(false)
    if (first !== undefined) reader.recordEnded(first, 0, 'returned')
    const last = pollAll(reader)
    expect(last).toMatchObject([{ splitId: 'q', values: [], lastOfSplit: true }])
    expect(reader.ended).toBe(true)
  })

  test('undecodable ones keep their place', async () => {
    const { clock, reader } = bench(grouped)
    reader.answer = (splitId) => {
      const { batch } = batchOf(splitId, records('a1 a2 b3'))
      if (batch === undefined) throw new Error('no batch')
      return Promise.resolve({ delayMs: 1e9, batch: { ...batch, decodeErrors: new Map([[2, new SyntaxError('no')]]) } })
    }
    reader.addSplits([{ splitId: 'q', next: 0 }])
    await clock.flush()
    const [first] = pollAll(reader)
    expect([...(first?.decodeErrors?.keys() ?? [])]).toEqual([1])
  })
})

interface InHand {
  readonly batch: NonNullable<ReturnType<Reader['poll']>>
  readonly index: number
}

/** Polls, emits and ends records at random until the queue is empty. @returns how many were given back. */
async function run(messages: readonly Record[], choices: fc.GeneratorValue): Promise<number> {
  const { clock, reader, failures } = bench(grouped)
  const queue = new FifoQueue(messages)
  reader.answer = (splitId) => {
    const received = queue.receive(choices(fc.integer, { min: 1, max: 10 }))
    return Promise.resolve({ ...batchOf(splitId, received), delayMs: received.length === 0 ? 1 : 0 })
  }
  reader.onReturn = async (receipts) => {
    await Promise.resolve()
    queue.giveBack(receipts)
  }
  reader.addSplits([{ splitId: 'q', next: 0 }])
  const inHand: InHand[] = []
  const done: Record[] = []
  for (let step = 0; queue.left > 0 && step < 2000; step++) {
    await clock.advance(1)
    const polled = reader.poll()
    if (polled !== undefined) {
      reader.emitted(polled, polled.values.length)
      for (let index = 0; index < polled.values.length; index++) inHand.push({ batch: polled, index })
    }
    const groups = inHand.flatMap(({ batch, index }) => batch.groups?.[index] ?? [])
    same(new Set(groups).size, groups.length, 'two records of one group are in hand')
    const bytes = reader.status().fetchedBytes
    if (bytes > 300 || bytes < 0) throw new Error(`${bytes} bytes are held`)
    for (let ends = choices(fc.integer, { min: 0, max: 3 }); ends > 0 && inHand.length > 0; ends--) {
      const [{ batch, index }] = inHand.splice(choices(fc.integer, { min: 0, max: inHand.length - 1 }), 1) as [InHand]
      // After many rounds everything is settled, so that each run ends.
      const how = step < 200 && choices(fc.integer, { min: 0, max: 4 }) === 0 ? 'returned' : 'settled'
      if (how === 'settled') {
        const id = batch.values[index] as number
        done.push({ id, ...(batch.groups?.[index] === undefined ? {} : { group: batch.groups[index] }) })
        queue.delete(id)
      }
      reader.recordEnded(batch, index, how)
    }
  }
  same(
    done.map(({ id }) => id).sort((a, b) => a - b),
    messages.map(({ id }) => id),
    'every record is settled once',
  )
  for (const group of new Set(messages.map((message) => message.group))) {
    if (group === undefined) continue
    const ids = done.filter((message) => message.group === group).map(({ id }) => id)
    same(
      ids,
      ids.toSorted((a, b) => a - b),
      `the order of group ${group}`,
    )
  }
  same(failures, [])
  const closing = reader.close(10)
  await clock.advance(10)
  await closing
  return reader.returned.length
}

test('whatever is settled and given back when: groups keep their order, nothing is lost, nothing comes twice', async () => {
  let returned = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(undefined, 'a', 'b', 'c'), { minLength: 1, maxLength: 40 }),
      fc.gen(),
      async (groups, choices) => {
        const messages = groups.map((group, id) => ({ id, ...(group === undefined ? {} : { group }) }))
        returned += await run(messages, choices)
      },
    ),
    { numRuns: 40 },
  )
  expect(returned).toBeGreaterThan(0)
}, 60_000)
