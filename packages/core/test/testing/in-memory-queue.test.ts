import { describe, expect, test } from 'vitest'

import { type Job, stream } from '../../src/index.ts'
import { InMemoryQueue, InMemoryQueueSource, InMemorySink, VirtualClock } from '../../src/testing.ts'
import { options, range, settled, until } from '../job/harness.ts'

const open = new AbortController().signal

function stand() {
  const clock = new VirtualClock()
  const queue = new InMemoryQueue<number>({ clock, visibilityMs: 1000 })
  return { clock, queue }
}

function start(queue: InMemoryQueue<number>, sink: InMemorySink<number>, clock: VirtualClock): Job {
  return stream(new InMemoryQueueSource({ queue }))
    .sinkTo(sink)
    .start(options(clock, { checkpoints: { intervalMs: 100 } }))
}

describe('a queue in memory', () => {
  test('hides a message while it is in hand, and takes its newest receipt only', async () => {
    const { clock, queue } = stand()
    queue.send(1)
    const [first] = await queue.receive(10, open)
    expect(queue.inHand).toEqual(['m1'])
    const again = queue.receive(10, open)
    await clock.advance(1000)
    const [second] = await again
    expect([first?.receipt.delivery, second?.receipt.delivery]).toEqual([1, 2])
    if (first === undefined || second === undefined) throw new Error('it was delivered twice')
    await queue.delete([first.receipt])
    expect(queue.messageIds).toEqual(['m1'])
    await queue.delete([second.receipt])
    expect(queue.messageIds).toEqual([])
    expect(queue.deleted).toEqual(['m1'])
    expect(queue.requests.map(({ effective, atMs }) => [effective, atMs])).toEqual([
      [false, 1000],
      [true, 1000],
    ])
  })

  test('delivers nothing of a group while a message of it is in hand', async () => {
    const { queue } = stand()
    queue.send(1, 'a')
    queue.send(2, 'a')
    queue.send(3)
    const [first] = await queue.receive(1, open)
    const others = await queue.receive(10, open)
    expect(others.map(({ body }) => body)).toEqual([3])
    if (first === undefined) throw new Error('the first was delivered')
    queue.giveBack(first.receipt)
    expect((await queue.receive(10, open)).map(({ body }) => body)).toEqual([1, 2])
  })

  test('a receive that waits ends when it is aborted', async () => {
    const { clock, queue } = stand()
    const abort = new AbortController()
    const waiting = queue.receive(10, abort.signal)
    abort.abort()
    expect(await waiting).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  test('loses nothing over jobs: each message is deleted once it is stored', async () => {
    const { clock, queue } = stand()
    for (const value of range(30)) queue.send(value, value % 3 === 0 ? 'group' : undefined)
    const sink = new InMemorySink<number>()
    const first = start(queue, sink, clock)
    await until(clock, () => sink.stored.length >= 10, 10)
    await settled(clock, first.close())
    const second = start(queue, sink, clock)
    await until(clock, () => queue.messageIds.length === 0, 100)
    await settled(clock, second.drain())
    expect(new Set(sink.stored)).toEqual(new Set(range(30)))
    const grouped = [...new Set(sink.stored)].filter((value) => value % 3 === 0)
    expect(grouped).toEqual(range(30).filter((value) => value % 3 === 0))
    expect(queue.deleted).toHaveLength(30)
  })
})
