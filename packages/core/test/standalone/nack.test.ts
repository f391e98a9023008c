import { describe, expect, test } from 'vitest'
import { batches, type DeadLetter, memoryCheckpoints, type MessageBatch } from '../../src/index.ts'
import {
  InMemoryGroupLog,
  InMemoryGroupSource,
  InMemoryQueue,
  InMemoryQueueSource,
  InMemorySource,
  VirtualClock,
} from '../../src/testing.ts'
import { range, settled, until } from '../job/harness.ts'
import { pull, reading, rejection } from './harness.ts'

function group(count: number): InMemoryGroupLog<number> {
  const log = new InMemoryGroupLog<number>({ splits: ['a'] })
  log.push('a', ...range(count))
  return log
}

function letterBox(deliver: () => Promise<void> = () => Promise.resolve()) {
  const letters: DeadLetter[] = []
  return {
    letters,
    async deliver(letter: DeadLetter) {
      await deliver()
      letters.push(letter)
    },
  }
}

describe('nack, where the service remembers one position a split', () => {
  test('ends the loop with the record that was refused, and nothing from it on is acknowledged', async () => {
    const clock = new VirtualClock()
    const log = group(10)
    const read = reading(new InMemoryGroupSource({ log }), { clock })
    const pulled = await pull(clock, read, 5)
    for (const message of pulled.slice(0, 3)) message.ack()
    pulled[3]?.nack('no such customer')
    pulled[4]?.ack()
    const error = await rejection(clock, read.next())
    expect(error.code).toBe('SLUICE_RECORD_REFUSED')
    expect(error.message).toContain('nacked: no such customer')
    expect(error.facts).toMatchObject({ split: 'a', position: '3', reasonCode: 'nacked' })
    expect(log.committed('a')).toBe(3)
  })

  test('says nothing of what was thrown but its kind: it may quote the record', async () => {
    const clock = new VirtualClock()
    const read = reading(new InMemoryGroupSource({ log: group(1) }), { clock })
    const [message] = await pull(clock, read, 1)
    message?.nack(new TypeError('card 4111'))
    const error = await rejection(clock, read.next())
    expect(error.message).not.toContain('4111')
    expect(error.message).toContain('TypeError')
    expect(error.cause).toBeInstanceOf(TypeError)
  })

  test('hands the message out again, before anything new, until maxAttempts', async () => {
    const clock = new VirtualClock()
    const log = group(10)
    const read = reading(new InMemoryGroupSource({ log }), { clock, maxAttempts: 3 })
    const [first, second] = await pull(clock, read, 2)
    first?.nack()
    const [again] = await pull(clock, read, 1)
    expect(again).toMatchObject({ value: 0, attempt: 2, splitId: 'a' })
    // The first holder has it no more.
    first?.ack()
    second?.ack()
    await clock.advance(3000)
    expect(log.committed('a')).toBe(0)
    again?.nack()
    const [last] = await pull(clock, read, 1)
    expect(last?.attempt).toBe(3)
    last?.ack()
    await clock.advance(1000)
    expect(log.committed('a')).toBe(2)
    const [next] = await pull(clock, read, 1)
    next?.nack()
    const [third] = await pull(clock, read, 1)
    third?.nack()
    const [fourth] = await pull(clock, read, 1)
    fourth?.nack()
    expect((await rejection(clock, read.next())).facts).toMatchObject({ position: '2', attempts: 3 })
  })

  test('leaves the message the oldest while it waits to be handed out again, and after', async () => {
    const clock = new VirtualClock()
    const read = reading(new InMemoryGroupSource({ log: group(5) }), { clock, maxAttempts: 3 })
    const [first] = await pull(clock, read, 3)
    await clock.advance(500)
    first?.nack()
    expect(read.status().oldest).toMatchObject({ position: '0', ageMs: 500 })
    await pull(clock, read, 1)
    expect(read.status().oldest).toMatchObject({ position: '0', ageMs: 500 })
  })

  test('goes to the dead letters, and only their confirmation lets the position go on', async () => {
    const clock = new VirtualClock()
    const log = group(10)
    const confirm = Promise.withResolvers<void>()
    const box = letterBox(() => confirm.promise)
    const read = reading(new InMemoryGroupSource({ log }), { clock, deadLetters: box })
    const pulled = await pull(clock, read, 4)
    for (const message of pulled) if (message.value === 1) message.nack('odd')
    for (const message of pulled) if (message.value !== 1) message.ack()
    await clock.advance(2000)
    expect(log.committed('a')).toBeLessThanOrEqual(1)
    confirm.resolve()
    await clock.advance(2000)
    expect(log.committed('a')).toBe(4)
    expect(box.letters).toHaveLength(1)
    expect(box.letters[0]).toMatchObject({
      sink: null,
      stage: 'operator',
      reason: { code: 'nacked', message: 'odd' },
      origin: { source: 'group', split: 'a', position: '1' },
    })
  })

  test('the end of the input waits for dead letters under way', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    source.end()
    const confirm = Promise.withResolvers<void>()
    const box = letterBox(() => confirm.promise)
    const read = reading(source, { clock, deadLetters: box, checkpoints: { storage: memoryCheckpoints() } })
    const [message] = await pull(clock, read, 1)
    message?.nack()
    let ended = false
    void read.next().then(() => (ended = true))
    await clock.advance(1000)
    expect(ended).toBe(false)
    confirm.resolve()
    await until(clock, () => ended)
    expect(read.status().state).toBe('ended')
  })

  test('what cannot be decoded is dead-lettered, or ends the loop', async () => {
    const clock = new VirtualClock()
    const log = group(2)
    log.pushUndecodable('a', 666)
    log.push('a', 3)
    const box = letterBox()
    const read = reading(new InMemoryGroupSource({ log }), { clock, deadLetters: box })
    const pulled = await pull(clock, read, 3)
    expect(pulled.map(({ value }) => value)).toEqual([0, 1, 3])
    for (const message of pulled) message.ack()
    await clock.advance(1000)
    expect(log.committed('a')).toBe(4)
    expect(box.letters.map(({ stage }) => stage)).toEqual(['decode'])
    await settled(clock, read.close())
    log.pushUndecodable('a', 667)
    const strict = reading(new InMemoryGroupSource({ log }), { clock })
    expect(await rejection(clock, strict.next())).toMatchObject({
      code: 'SLUICE_RECORD_REFUSED',
      facts: { stage: 'decode' },
    })
  })
})

describe('batches', () => {
  test('are of one split, at most maxBatchSize, and each value ends by itself', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a', 'b'] })
    log.push('a', ...range(25))
    log.push('b', ...range(5, 100))
    const read = batches(new InMemoryGroupSource({ log, maxBatchSize: 20 }), { clock, maxBatchSize: 10 })
    const taken: MessageBatch<number>[] = []
    while (taken.reduce((sum, { values }) => sum + values.length, 0) < 30) {
      const { value } = await settled(clock, read.next(), 0)
      if (value !== undefined) taken.push(value)
    }
    expect(Math.max(...taken.map(({ values }) => values.length))).toBe(10)
    const ofA = taken.filter(({ splitId }) => splitId === 'a')
    expect(ofA.flatMap(({ values }) => values)).toEqual(range(25))
    for (const batch of taken) {
      for (const [index, value] of batch.values.entries()) if (value !== 13) batch.ack(index)
    }
    await settled(clock, read.close())
    expect(log.committed('a')).toBe(13)
    expect(log.committed('b')).toBe(5)
    expect(clock.pendingTimers).toBe(0)
  })

  test('ackAll leaves what was refused, and what is refused comes again in a batch of its own', async () => {
    const clock = new VirtualClock()
    const log = group(4)
    const read = batches(new InMemoryGroupSource({ log }), { clock, maxAttempts: 2 })
    const { value: batch } = await settled(clock, read.next())
    batch?.nack(2)
    batch?.ackAll()
    batch?.ackAll()
    expect(read.status()).toMatchObject({ late: 0, unacked: 1 })
    await clock.advance(3000)
    expect(log.committed('a')).toBe(2)
    const { value: again } = await settled(clock, read.next())
    expect(again).toMatchObject({ values: [2], attempt: 2 })
    again?.ackAll()
    await clock.advance(1000)
    expect(log.committed('a')).toBe(4)
    expect(() => batch?.ack(4)).toThrow(RangeError)
    await settled(clock, read.close())
  })

  test('of a source that acknowledges one by one gives refused values back', async () => {
    const clock = new VirtualClock()
    const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
    const ids = range(5).map((value) => queue.send(value))
    const read = batches(new InMemoryQueueSource({ queue }), { clock })
    const { value: batch } = await settled(clock, read.next())
    batch?.nack(1)
    batch?.ackAll()
    await clock.advance(1000)
    expect(queue.messageIds).toEqual([ids[1]])
    const { value: again } = await settled(clock, read.next())
    expect(again?.values).toEqual([1])
    await settled(clock, read.close())
    expect(again?.isReleased(0)).toBe(true)
    expect(queue.inHand).toEqual([])
  })

  test('never wait to become full, nor take more than maxUnacked leaves', async () => {
    const clock = new VirtualClock()
    const read = batches(new InMemoryGroupSource({ log: group(30) }), { clock, maxUnacked: 12, maxBatchSize: 10 })
    const sizes = [
      (await settled(clock, read.next())).value?.values.length,
      (await settled(clock, read.next())).value?.values.length,
    ]
    expect(sizes).toEqual([10, 2])
    await settled(clock, read.close())
  })
})
