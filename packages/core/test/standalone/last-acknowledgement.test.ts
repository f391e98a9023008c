import { describe, expect, test } from 'vitest'
import { InMemoryGroupLog, InMemoryGroupSource, InMemoryQueue, InMemoryQueueSource } from '../../src/testing.ts'
import { VirtualClock } from '../../src/testing.ts'
import { range } from '../job/harness.ts'
import { pull, reading, rejection } from './harness.ts'

describe('the last acknowledgement', () => {
  for (const inHand of ['nothing', 'a message']) {
    test(`that the group refuses fails the close, with ${inHand} in hand`, async () => {
      const clock = new VirtualClock()
      const log = new InMemoryGroupLog<number>({ splits: ['a'] })
      log.push('a', ...range(3))
      const read = reading(new InMemoryGroupSource({ log }), { clock })
      const pulled = await pull(clock, read, 3)
      for (const message of pulled.slice(0, inHand === 'nothing' ? 3 : 2)) message.ack()
      log.failNextCommit(new Error('not now'))
      const error = await rejection(clock, read.close())
      expect(error).toMatchObject({ code: 'SLUICE_SOURCE_FAILED', restartable: true })
      expect(log.committed('a')).toBe(0)
      expect(read.status()).toMatchObject({ state: 'failed', repeatIfKilledNow: 3 })
      expect(clock.pendingTimers).toBe(0)
    })

    test(`that the queue refuses fails the close, with ${inHand} in hand`, async () => {
      const clock = new VirtualClock()
      const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1_000_000 })
      for (const value of range(3)) queue.send(value)
      const read = reading(new InMemoryQueueSource({ queue }), { clock })
      const pulled = await pull(clock, read, 3)
      for (const message of pulled.slice(0, inHand === 'nothing' ? 3 : 2)) message.ack()
      queue.failNextDelete(new Error('not now'))
      const error = await rejection(clock, read.close())
      expect(error).toMatchObject({ code: 'SLUICE_SOURCE_FAILED', restartable: true })
      expect(queue.deleted).toEqual([])
    })
  }

  test('that has no answer in time fails the close', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a'] })
    log.push('a', ...range(3))
    const read = reading(new InMemoryGroupSource({ log }), { clock, closeDeadlineMs: 2000 })
    const [first] = await pull(clock, read, 3)
    first?.ack()
    log.holdNextCommit()
    const startedAt = clock.now()
    const error = await rejection(clock, read.close())
    expect(['SLUICE_DEADLINE_EXCEEDED', 'SLUICE_SOURCE_FAILED']).toContain(error.code)
    expect(clock.now() - startedAt).toBeLessThanOrEqual(2100)
    expect(clock.pendingTimers).toBe(0)
  })

  test('that the service keeps is what a kill would not repeat, not the snapshot', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a'] })
    log.push('a', ...range(3))
    const read = reading(new InMemoryGroupSource({ log }), { clock, acknowledgeIntervalMs: 1000 })
    for (const message of await pull(clock, read, 3)) message.ack()
    log.failNextCommit(new Error('not now'))
    await clock.advance(1000)
    expect([log.committed('a'), read.status().repeatIfKilledNow]).toEqual([0, 3])
    await clock.advance(1000)
    expect([log.committed('a'), read.status().repeatIfKilledNow]).toEqual([3, 0])
  })
})
