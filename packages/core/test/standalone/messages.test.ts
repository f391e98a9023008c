import { describe, expect, test } from 'vitest'
import { memoryCheckpoints, type Message, messages, type MessagesOptions } from '../../src/index.ts'
import {
  InMemoryGroupLog,
  InMemoryGroupSource,
  InMemoryQueue,
  InMemoryQueueSource,
  InMemorySource,
  setFailpoint,
  VirtualClock,
} from '../../src/testing.ts'
import { range, recorder, settled, spiedStorage, until } from '../job/harness.ts'
import { pull, reading, rejection } from './harness.ts'

const VALUES = range(20)

function group(splits: readonly string[] = ['a']): InMemoryGroupLog<number> {
  return new InMemoryGroupLog<number>({ splits })
}

describe('positions that lie in checkpoints', () => {
  test('a loop that is left goes on at the first message that was not acknowledged', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    const checkpoints = { storage: memoryCheckpoints() }
    const first: number[] = []
    const leave = async (): Promise<void> => {
      for await (const message of messages(source, { clock, checkpoints })) {
        first.push(message.value)
        if (message.value === 7) break
        message.ack()
      }
    }
    await settled(clock, leave())
    const second = reading(source, { clock, checkpoints })
    const [next] = await pull(clock, second, 1)
    expect(first).toEqual(range(8))
    expect(next?.value).toBe(7)
    await settled(clock, second.close())
    expect(clock.pendingTimers).toBe(0)
  })

  test('a throw in the loop acknowledges what was acked before, and no more', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    const checkpoints = { storage: memoryCheckpoints() }
    const fails = async (): Promise<void> => {
      for await (const message of messages(source, { clock, checkpoints })) {
        if (message.value === 3) throw new Error('mine')
        message.ack()
      }
    }
    await expect(settled(clock, fails())).rejects.toThrow('mine')
    const [next] = await pull(clock, reading(source, { clock, checkpoints }), 1)
    expect(next?.value).toBe(3)
  })

  test('in any order of acks, a restart begins at the oldest unacknowledged message of each split', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ splits: ['a', 'b'], maxBatchSize: 3 })
    source.push('a', ...range(10))
    source.push('b', ...range(10, 100))
    const checkpoints = { storage: memoryCheckpoints() }
    const read = reading(source, { clock, checkpoints })
    const pulled = await pull(clock, read, 20)
    for (const message of pulled.toReversed()) if (![4, 8, 102].includes(message.value)) message.ack()
    await settled(clock, read.close())
    const again = await pull(clock, reading(source, { clock, checkpoints }), 14)
    const values = again.map(({ value }) => value).sort((a, b) => a - b)
    expect(values).toEqual([...range(6, 4), ...range(8, 102)])
  })

  test('a kill repeats from the last acknowledgement, never past an unacknowledged message', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    const storage = spiedStorage()
    const read = reading(source, { clock, checkpoints: { storage }, acknowledgeIntervalMs: 1000 })
    const pulled = await pull(clock, read, 10)
    for (const message of pulled) if (message.value !== 5) message.ack()
    await clock.advance(5000)
    // Killed here: nothing is closed.
    const killed = reading(source, { clock, checkpoints: { storage } })
    const [next] = await pull(clock, killed, 1)
    expect(next?.value).toBe(5)
    await settled(clock, killed.close())
    pulled[5]?.ack()
    await until(clock, () => storage.stored.at(-1)?.json.includes('"next":10') === true, 100)
  })

  test('start positions are stored before the first read, and a missing storage is told', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ initialPosition: 'latest' })
    source.push('0', 1, 2, 3)
    const storage = spiedStorage()
    const { lines, logger } = recorder()
    const read = reading(source, { clock, logger, checkpoints: { storage } })
    const pending = read.next()
    await until(clock, () => source.openFetches > 0)
    expect(storage.stored.map(({ json }) => json)).toEqual([expect.stringContaining('"next":3')])
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([])
    source.push('0', 4)
    expect((await settled(clock, pending)).value?.value).toBe(4)
    const careless = reading(new InMemorySource<number>(), { clock, logger })
    void careless.next()
    await until(clock, () => lines.some(({ message }) => message.includes('checkpoints.storage')))
  })

  test('the end of the input stores the last acknowledgement before the loop ends', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    source.end()
    const storage = spiedStorage()
    const values: number[] = []
    const all = async (): Promise<void> => {
      for await (const message of messages(source, { clock, checkpoints: { storage } })) {
        values.push(message.value)
        message.ack()
      }
    }
    await settled(clock, all())
    expect(values).toEqual(VALUES)
    expect(storage.stored.at(-1)?.json).toContain('"finished":true')
    expect(storage.closed).toBe(1)
    expect(clock.pendingTimers).toBe(0)
  })

  test('what was collected may be acknowledged after the loop, and closes the source', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    source.end()
    const storage = spiedStorage()
    const read = reading(source, { clock, checkpoints: { storage } })
    const collected: Message<number>[] = []
    const all = async (): Promise<void> => {
      for await (const message of read) collected.push(message)
    }
    await settled(clock, all())
    expect(read.status()).toMatchObject({ state: 'exhausted', unacked: 20 })
    for (const message of collected) message.ack()
    await until(clock, () => read.status().state === 'ended')
    expect(storage.stored.at(-1)?.json).toContain('"finished":true')
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('positions that the service keeps', () => {
  test('are committed in the background up to what was acknowledged', async () => {
    const clock = new VirtualClock()
    const log = group()
    log.push('a', ...VALUES)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const pulled = await pull(clock, read, 10)
    for (const message of pulled.toReversed()) message.ack()
    expect(log.committed('a')).toBe(0)
    await clock.advance(1000)
    expect(log.committed('a')).toBe(10)
  })

  test('stay before a gap, and close commits up to it', async () => {
    const clock = new VirtualClock()
    const log = group()
    log.push('a', ...VALUES)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const pulled = await pull(clock, read, 10)
    for (const message of pulled) if (message.value !== 6) message.ack()
    await clock.advance(5000)
    expect(log.committed('a')).toBe(6)
    await settled(clock, read.close())
    expect(log.committed('a')).toBe(6)
    expect(log.members).toEqual([])
  })

  test('a commit that failed is repeated and counted in the log', async () => {
    const clock = new VirtualClock()
    const log = group()
    log.push('a', ...VALUES)
    log.failNextCommit(new Error('not now'))
    const { lines, logger } = recorder()
    const read = reading(new InMemoryGroupSource({ log }), { clock, logger })
    for (const message of await pull(clock, read, 3)) message.ack()
    await clock.advance(1000)
    expect(log.committed('a')).toBe(0)
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    await clock.advance(1000)
    expect(log.committed('a')).toBe(3)
  })

  test('a revoked split is committed to its first gap; its messages have no effect any more', async () => {
    const clock = new VirtualClock()
    const log = group(['a', 'b'])
    log.push('a', ...VALUES)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const pulled = await pull(clock, read, 8)
    pulled[0]?.ack()
    pulled[2]?.ack()
    await settled(clock, log.rebalance({ revoke: ['a'] }))
    expect(log.committed('a')).toBe(1)
    expect(pulled[1]?.isReleased).toBe(true)
    for (const message of pulled) message.ack()
    expect(read.status().late).toBe(6)
    await clock.advance(5000)
    expect(log.committed('a')).toBe(1)
    log.push('b', 100)
    expect((await pull(clock, read, 1))[0]?.splitId).toBe('b')
  })

  test('of a lost split nothing is committed', async () => {
    const clock = new VirtualClock()
    const log = group(['a'])
    log.push('a', ...VALUES)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    for (const message of await pull(clock, read, 8)) message.ack()
    await settled(clock, log.rebalance({ lose: ['a'] }))
    await settled(clock, read.close())
    expect(log.commits.filter(({ next }) => next > 0)).toEqual([])
  })

  test('a split that comes back is read from where it was committed', async () => {
    const clock = new VirtualClock()
    const log = group(['a'])
    log.push('a', ...VALUES)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const [first, second] = await pull(clock, read, 5)
    first?.ack()
    await settled(clock, log.rebalance({ revoke: ['a'] }))
    await settled(clock, log.rebalance({ assign: ['a'] }))
    const [again] = await pull(clock, read, 1)
    expect(again?.value).toBe(1)
    second?.ack()
    await clock.advance(3000)
    expect(log.committed('a')).toBe(1)
  })
})

describe('messages that are acknowledged one by one', () => {
  test('are deleted soon, whatever becomes of the others', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
    const ids = range(6).map((value) => queue.send(value))
    const read = reading(new InMemoryQueueSource({ queue }), { clock })
    const pulled = await pull(clock, read, 6)
    for (const message of pulled) if (message.value !== 2) message.ack()
    await clock.advance(2000)
    expect(queue.messageIds).toEqual([ids[2]])
    // The one in hand holds nothing back, however long it takes.
    queue.send(6)
    const [later] = await pull(clock, read, 1)
    later?.ack()
    await clock.advance(2000)
    expect(queue.messageIds).toEqual([ids[2]])
  })

  test('a nack gives the message back, and it comes again', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
    queue.send(1)
    const read = reading(new InMemoryQueueSource({ queue }), { clock })
    const [first] = await pull(clock, read, 1)
    first?.nack('not now')
    const [again] = await pull(clock, read, 1)
    expect(queue.requests.map(({ kind }) => kind)).toEqual(['giveBack'])
    again?.ack()
    await clock.advance(1000)
    expect(queue.messageIds).toEqual([])
  })

  test('the end deletes what was acked and gives the rest back', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
    const ids = range(10).map((value) => queue.send(value))
    const leave = async (): Promise<void> => {
      for await (const message of messages(new InMemoryQueueSource({ queue }), { clock })) {
        if (message.value === 4) break
        message.ack()
      }
    }
    await settled(clock, leave())
    expect(queue.messageIds).toEqual(ids.slice(4))
    expect(queue.inHand).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('a delete that failed is repeated', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
    queue.send(1)
    queue.send(2)
    queue.failNextDelete(new Error('not now'))
    const { lines, logger } = recorder()
    const read = reading(new InMemoryQueueSource({ queue }), { clock, logger })
    const [first] = await pull(clock, read, 2)
    first?.ack()
    await clock.advance(2000)
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    await clock.advance(2000)
    expect(queue.deleted).toHaveLength(1)
  })
})

describe('a message', () => {
  test('ends once: what follows the first ack or nack does nothing', async () => {
    const clock = new VirtualClock()
    const log = group()
    log.push('a', ...VALUES)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const [message] = await pull(clock, read, 1)
    message?.ack()
    message?.ack()
    message?.nack()
    expect(message?.isReleased).toBe(false)
    await clock.advance(1000)
    expect(log.committed('a')).toBe(1)
    expect(read.status()).toMatchObject({ late: 0, unacked: 0, state: 'running' })
  })

  test('that is acknowledged after the end is counted, and repeated by the next start', async () => {
    const clock = new VirtualClock()
    const log = group()
    log.push('a', ...VALUES)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const [message] = await pull(clock, read, 1)
    await settled(clock, read.close())
    message?.ack()
    expect(message?.isReleased).toBe(false)
    expect(read.status().late).toBe(1)
    expect(log.committed('a')).toBe(0)
  })
})

describe('room', () => {
  test('at maxUnacked nothing is handed out, and status names the oldest', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    const { lines, logger } = recorder()
    const read = reading(source, { clock, logger, maxUnacked: 5, checkpoints: { storage: memoryCheckpoints() } })
    const pulled = await pull(clock, read, 5)
    let sixth: unknown
    void read.next().then(({ value }) => (sixth = value))
    await clock.advance(3000)
    expect(sixth).toBeUndefined()
    const { oldest, waitingFor } = read.status()
    expect(oldest).toEqual({ splitId: '0', position: '0', ageMs: 3000 })
    expect(waitingFor).toContain('maxUnacked (5)')
    expect(lines.some(({ message }) => message.includes('maxUnacked'))).toBe(true)
    // Behind the oldest no position can move: it alone holds all back.
    for (const message of pulled.slice(1)) message.ack()
    await clock.advance(1000)
    expect(sixth).toBeUndefined()
    pulled[0]?.ack()
    await until(clock, () => sixth !== undefined)
    expect(read.status().waitingFor).toBeUndefined()
  })

  test('a message that is acknowledged one by one makes room at once', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
    for (const value of range(10)) queue.send(value)
    const read = reading(new InMemoryQueueSource({ queue, maxBatchSize: 3 }), { clock, maxUnacked: 5 })
    const pulled = await pull(clock, read, 5)
    pulled[3]?.ack()
    expect(await pull(clock, read, 1)).toHaveLength(1)
    expect(read.status().unacked).toBe(5)
  })

  test('raw bytes in hand are bounded', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 5 })
    source.push('0', ...VALUES)
    const read = reading(source, { clock, maxRetainedBytes: 1000, checkpoints: { storage: memoryCheckpoints() } })
    const pulled = await pull(clock, read, 10)
    let more = false
    void read.next().then(() => (more = true))
    await clock.advance(1000)
    expect(more).toBe(false)
    expect(read.status().waitingFor).toContain('maxRetainedBytes')
    for (const message of pulled.slice(0, 5)) message.ack()
    await until(clock, () => more)
  })

  test('nothing is read before the first pull, and fetches stop at maxFetchedBytes', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 10, maxFetchedBytes: 2000 })
    source.push('0', ...range(1000))
    const read = reading(source, { clock, checkpoints: { storage: memoryCheckpoints() } })
    await clock.advance(1000)
    expect(source.fetches).toBe(0)
    await pull(clock, read, 1)
    await clock.advance(1000)
    expect(source.fetched).toBeLessThanOrEqual(20)
  })
})

describe('endings', () => {
  test('a failure of the source is thrown by the loop, after what was acked is acknowledged', async () => {
    const clock = new VirtualClock()
    const log = group()
    log.push('a', 1, 2, 3)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const pulled = await pull(clock, read, 3)
    log.failNextFetch(new Error('gone'))
    await clock.advance(0)
    pulled[0]?.ack()
    const error = await rejection(clock, read.next())
    expect(error).toMatchObject({ code: 'SLUICE_SOURCE_FAILED', message: expect.stringContaining('gone') })
    expect(log.committed('a')).toBe(1)
    expect(log.members).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('a failed store ends the loop, and nothing is acknowledged any more', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    const storage = spiedStorage()
    const read = reading(source, { clock, checkpoints: { storage }, acknowledgeIntervalMs: 1000 })
    const [message] = await pull(clock, read, 1)
    storage.onStore = () => Promise.reject(new Error('disk full'))
    message?.ack()
    await clock.advance(1000)
    storage.onStore = () => undefined
    const error = await rejection(clock, read.next())
    expect(error).toMatchObject({ code: 'SLUICE_STATE_STORAGE', message: expect.stringContaining('disk full') })
    expect(storage.stored).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
  })

  for (const settles of [true, false]) {
    test(`after a failed store nothing more is stored, with ${settles ? 'nothing' : 'a message'} in hand`, async () => {
      const clock = new VirtualClock()
      const source = new InMemorySource<number>()
      source.push('0', ...VALUES)
      const storage = spiedStorage()
      const read = reading(source, { clock, checkpoints: { storage }, acknowledgeIntervalMs: 1000 })
      const [first, second] = await pull(clock, read, 2)
      first?.ack()
      second?.ack()
      const { promise: storing, reject } = Promise.withResolvers<void>()
      storage.onStore = () => storing
      await clock.advance(1000)
      const [third] = await pull(clock, read, 1)
      reject(new Error('fenced'))
      await clock.flush()
      if (settles) third?.ack()
      // The next store would succeed.
      storage.onStore = () => undefined
      await clock.advance(3000)
      expect((await rejection(clock, read.close())).message).toContain('fenced')
      expect(storage.stored).toHaveLength(1)
    })
  }

  test('a split that has ended with messages in hand goes on at the first of them', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ splits: ['parent', 'other'] })
    source.push('parent', 1, 2, 3)
    source.endSplit('parent')
    const storage = spiedStorage()
    const read = reading(source, { clock, checkpoints: { storage }, acknowledgeIntervalMs: 1_000_000 })
    const [first] = await pull(clock, read, 3)
    await until(clock, () => source.finished.includes('parent'))
    first?.ack()
    await settled(clock, read.close())
    const again = await pull(clock, reading(source, { clock, checkpoints: { storage } }), 2)
    expect(again.map(({ value }) => value)).toEqual([2, 3])
  })

  test('a loop over messages that are here leaves timers and sockets their turn', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>({ maxBatchSize: 5000 })
    source.push('0', ...range(5000))
    source.end()
    let turns = 0
    let isDone = false
    const count = (): void => {
      turns++
      if (!isDone) setImmediate(count)
    }
    count()
    for await (const message of messages(source, { clock, checkpoints: { storage: memoryCheckpoints() } }))
      message.ack()
    isDone = true
    expect(turns).toBeGreaterThan(50)
  })

  test('close ends a pull that waits', async () => {
    const clock = new VirtualClock()
    const read = reading(new InMemoryGroupSource({ log: group() }), { clock })
    const waiting = read.next()
    await clock.advance(100)
    await settled(clock, read.close())
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(clock.pendingTimers).toBe(0)
  })

  test('close before the first pull, and during the start, leaves nothing behind', async () => {
    const clock = new VirtualClock()
    const storage = spiedStorage()
    const source = new InMemorySource<number>()
    const idle = reading(source, { clock, checkpoints: { storage } })
    await settled(clock, idle.close())
    expect(storage.opened).toBe(0)
    const starting = reading(source, { clock, checkpoints: { storage } })
    const pulled = starting.next()
    await settled(clock, starting.close())
    expect(await settled(clock, pulled)).toEqual({ done: true, value: undefined })
    await clock.advance(10_000)
    expect(storage.closed).toBe(storage.opened)
    expect(clock.pendingTimers).toBe(0)
  })

  test('a source that does not take the last acknowledgement cannot hold the end up', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...VALUES)
    const storage = spiedStorage()
    const read = reading(source, { clock, checkpoints: { storage }, closeDeadlineMs: 2000 })
    for (const message of await pull(clock, read, 3)) message.ack()
    storage.onStore = () => new Promise(() => {})
    const startedAt = clock.now()
    const error = await rejection(clock, read.close())
    expect(error.code).toBe('SLUICE_DEADLINE_EXCEEDED')
    expect(clock.now() - startedAt).toBeLessThanOrEqual(2500)
  })

  test('await using closes', async () => {
    const clock = new VirtualClock()
    const log = group()
    log.push('a', ...VALUES)
    const scope = async (): Promise<void> => {
      await using read = messages(new InMemoryGroupSource({ log }), { clock })
      const { value } = await read.next()
      value?.ack()
    }
    await settled(clock, scope())
    expect(log.committed('a')).toBe(1)
    expect(log.members).toEqual([])
  })

  test('the options are checked all at once', () => {
    const source = new InMemorySource<number>()
    const wrong = { maxUnacked: 0, maxUnackd: 3, checkpoints: { intervalMs: 3 } } as MessagesOptions
    expect(() => messages(source, wrong)).toThrow(/maxUnacked must be[^]*maxUnackd|maxUnackd[^]*maxUnacked must be/)
    expect(() => messages(source, wrong)).toThrow(/checkpoints\.intervalMs/)
  })
})

test('what the checkpoint waits for is never skipped: with that wait sabotaged, a gap is lost', async () => {
  const clock = new VirtualClock()
  const log = group()
  log.push('a', ...VALUES)
  const remove = setFailpoint('sabotage:skip-flush', () => true)
  try {
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const pulled = await pull(clock, read, 10)
    for (const message of pulled) if (message.value !== 6) message.ack()
    await clock.advance(1000)
    expect(log.committed('a')).toBe(10)
  } finally {
    remove()
  }
})
