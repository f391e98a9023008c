import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/index.ts'
import {
  InMemoryGroupLog,
  InMemoryGroupSource,
  InMemoryQueue,
  InMemoryQueueSource,
  InMemorySource,
  VirtualClock,
} from '../../src/testing.ts'
import { range, recorder, settled, sorted, spiedStorage, until } from '../job/harness.ts'
import { family } from './family.ts'
import { pull, reading } from './harness.ts'

/** What the newest stored checkpoint says of the one source. */
function newest(storage: ReturnType<typeof spiedStorage>): { readonly enumerator: unknown; readonly splits: unknown } {
  const { sources } = JSON.parse(storage.stored.at(-1)?.json ?? '{}') as { sources: Record<string, unknown> }
  const [parts] = Object.values(sources) as { enumerator: unknown; splits: unknown }[]
  return { enumerator: parts?.enumerator, splits: parts?.splits }
}

const values = (messages: readonly Message<number>[]): number[] => messages.map(({ value }) => value)

function ack(messages: readonly Message<number>[], wanted: readonly number[]): void {
  for (const message of messages) if (wanted.includes(message.value)) message.ack()
}

describe('what is settled before the first message that is not', () => {
  test('is committed at each interval, however long a message takes beside checkpoints.timeoutMs', async () => {
    const clock = new VirtualClock()
    const { lines, logger } = recorder()
    const log = new InMemoryGroupLog<number>({ splits: ['a'] })
    log.push('a', ...range(200))
    const read = reading(new InMemoryGroupSource({ log }), {
      clock,
      logger,
      acknowledgeIntervalMs: 50,
      checkpoints: { timeoutMs: 200 },
    })
    let acked = 0
    for (let begun = 0; begun < 100; begun++) {
      const [message] = await pull(clock, read, 1)
      // Each takes 400 ms, and one begins every 40 ms.
      clock.after(400, () => {
        message?.ack()
        acked++
      })
      await clock.advance(40)
      expect(log.committed('a') ?? 0).toBeLessThanOrEqual(acked)
      expect(log.committed('a') ?? 0).toBeGreaterThanOrEqual(acked - 2)
    }
    expect(acked).toBeGreaterThan(80)
    expect(lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  })

  test('of each split by itself, and the same position is told once', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a', 'b'] })
    log.push('a', ...range(10))
    log.push('b', ...range(10, 100))
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const pulled = await pull(clock, read, 20)
    ack(pulled, [0, 1, 3, ...range(10, 100)])
    await clock.advance(10_000)
    expect([log.committed('a'), log.committed('b')]).toEqual([2, 10])
    expect(log.commits.map(({ splitId, next }) => `${splitId}${next}`).toSorted()).toEqual(['a2', 'b10'])
    ack(pulled, [2])
    await clock.advance(1000)
    expect(log.committed('a')).toBe(4)
    // Of messages in hand only those that are not settled would come again.
    expect(read.status().repeatIfKilledNow).toBeLessThanOrEqual(16)
  })

  test('is stored, and a message that is acknowledged one by one holds no other back', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
    const ids = range(6).map((value) => queue.send(value))
    const storage = spiedStorage()
    const read = reading(new InMemoryQueueSource({ queue }), { clock, checkpoints: { storage, timeoutMs: 100 } })
    ack(await pull(clock, read, 6), [1, 3, 5])
    await clock.advance(1000)
    expect(queue.deleted).toEqual([ids[1], ids[3], ids[5]])
    expect(storage.stored.length).toBeGreaterThan(0)
  })
})

const PARENTS = { 'left-child': ['left'], 'right-child': ['right'], grandchild: ['left-child', 'right-child'] }

/** Two shards with a child each, which have one together. */
function shards() {
  const clock = new VirtualClock()
  const names = ['left', 'right', 'left-child', 'right-child', 'grandchild']
  const source = family(new Map(names.map((name, at) => [name, range(4, at * 10)])), PARENTS, 2)
  const storage = spiedStorage()
  const open = () => reading(source, { clock, acknowledgeIntervalMs: 1000, checkpoints: { storage } })
  return { clock, storage, open }
}

describe('a split that was read to its end with messages in hand', () => {
  test('is stored as it is settled, with what the enumerator knew before its end, and its children as not begun', async () => {
    const { clock, storage, open } = shards()
    const read = open()
    const pulled = await pull(clock, read, 20)
    const left = range(4)
    ack(
      pulled,
      values(pulled).filter((value) => value !== 2),
    )
    await clock.advance(1000)
    const right = { splitId: 'right', next: 4, finished: true }
    expect(newest(storage)).toEqual({ enumerator: { finished: [] }, splits: [{ splitId: 'left', next: 2 }, right] })
    // The reader has forgotten the other one by now.
    await clock.advance(5000)
    expect(newest(storage)).toEqual({ enumerator: { finished: [] }, splits: [{ splitId: 'left', next: 2 }, right] })
    const again = values(await pull(clock, open(), 14))
    expect(sorted(again)).toEqual([...left.slice(2), ...range(4, 20), ...range(4, 30), ...range(4, 40)])
  })

  test('holds back only what ended after it: of several, the first that is not settled counts', async () => {
    const { clock, storage, open } = shards()
    const read = open()
    const pulled = await pull(clock, read, 20)
    const order = [...new Set(pulled.map(({ splitId }) => splitId))]
    // One message of each is in hand, and what is settled moves on with each that is acknowledged.
    const last = new Map(pulled.map((message) => [message.splitId, message]))
    for (const message of pulled) if (last.get(message.splitId) !== message) message.ack()
    for (const splitId of order) {
      await clock.advance(1000)
      const { enumerator, splits } = newest(storage)
      expect((enumerator as { finished: string[] }).finished).not.toContain(splitId)
      expect(splits).toContainEqual({ splitId, next: 3 })
      last.get(splitId)?.ack()
    }
    await until(
      clock,
      () => newest(storage).splits !== undefined && JSON.stringify(newest(storage)).includes('grandchild'),
      1000,
    )
    await settled(clock, read.close())
    await expect(settled(clock, open().next())).resolves.toMatchObject({ done: true })
  })

  for (const held of ['the last message of a split', 'messages of a split and of its child']) {
    test(`is stored by close as by an interval: ${held}`, async () => {
      const { clock, storage, open } = shards()
      const read = open()
      const pulled = await pull(clock, read, 20)
      const inHand = held.startsWith('the last') ? [3] : [1, 22]
      ack(
        pulled,
        values(pulled).filter((value) => !inHand.includes(value)),
      )
      await settled(clock, read.close())
      const next = held.startsWith('the last') ? 3 : 1
      expect(newest(storage).splits).toContainEqual({ splitId: 'left', next })
      const again = open()
      const seen = values(await pull(clock, again, 16 - next))
      // None of the split that was settled, and children from where they began.
      expect(sorted(seen.filter((value) => value < 20))).toEqual(range(4 - next, next))
      await settled(clock, again.close())
    })
  }

  test('leaves the positions of the others to the last acknowledgement', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ splits: ['a', 'b'] })
    source.push('a', ...range(500))
    source.push('b', 1000)
    source.endSplit('b')
    const storage = spiedStorage()
    const read = reading(source, { clock, checkpoints: { storage } })
    ack(await pull(clock, read, 501), range(500))
    await settled(clock, read.close())
    expect(newest(storage).splits).toEqual([
      { splitId: 'a', next: 500 },
      { splitId: 'b', next: 0 },
    ])
    const [again] = await pull(clock, reading(source, { clock, checkpoints: { storage } }), 1)
    expect(again?.value).toBe(1000)
  })
})
