import { describe, expect, test } from 'vitest'

import { type Job, stream } from '../../src/index.ts'
import {
  type GroupMember,
  type GroupSplit,
  InMemoryGroupLog,
  InMemoryGroupSource,
  InMemorySink,
  VirtualClock,
} from '../../src/testing.ts'
import { options, range, settled, sorted, until } from '../job/harness.ts'

function start(log: InMemoryGroupLog<number>, uid: string, sink: InMemorySink<number>, clock: VirtualClock): Job {
  return stream(new InMemoryGroupSource({ log, uid, maxBatchSize: 10 }))
    .sinkTo(sink)
    .start(options(clock, { name: uid, checkpoints: { intervalMs: 100 } }))
}

function fill(log: InMemoryGroupLog<number>): void {
  log.push('a', ...range(100))
  log.push('b', ...range(100, 100))
}

/** Keeps what it is given. */
function member(name: string, got: GroupSplit[]): GroupMember {
  return {
    name,
    assigned: (splits) => void got.push(...splits),
    revoked: () => Promise.resolve(),
    lost: () => Promise.resolve(),
  }
}

describe('a group log in memory', () => {
  test('a member goes on where the one before it had committed', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a', 'b'] })
    fill(log)
    log.end()
    const sink = new InMemorySink<number>()
    await settled(clock, start(log, 'first', sink, clock).done)
    expect(sorted(sink.stored)).toEqual(range(200))
    expect([log.committed('a'), log.committed('b')]).toEqual([100, 100])
    await settled(clock, start(log, 'second', sink, clock).done)
    expect(sink.stored).toHaveLength(200)
    expect(log.members).toEqual([])
  })

  test('splits change hands between two jobs, and each record is stored once', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a', 'b'] })
    const sink = new InMemorySink<number>()
    const first = start(log, 'first', sink, clock)
    await until(clock, () => log.members.length === 1)
    const second = start(log, 'second', sink, clock)
    await until(clock, () => log.members.length === 2)
    expect([log.ownerOf('a'), log.ownerOf('b')]).toEqual(['first', 'first'])
    fill(log)
    await until(clock, () => sink.stored.length > 20, 10)
    await settled(clock, log.rebalance({ revoke: ['b'], assign: ['b'], to: 'second' }), 10)
    expect(log.ownerOf('b')).toBe('second')
    await until(clock, () => log.committed('a') === 100 && log.committed('b') === 200 - 100, 100)
    expect(new Set(sink.stored).size).toBe(200)
    await settled(clock, first.close())
    await settled(clock, second.close())
  })

  test('what a member is committing of a split ends when it has lost the split', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a'] })
    const sink = new InMemorySink<number>()
    const job = start(log, 'first', sink, clock)
    log.push('a', 1, 2, 3)
    const answer = log.holdNextCommit()
    await until(clock, () => sink.stored.length === 3, 100)
    await clock.advance(1000)
    await settled(clock, log.rebalance({ lose: ['a'] }), 10)
    answer()
    await clock.advance(1000)
    expect(log.commits).toEqual([])
    expect(log.committed('a')).toBe(0)
    await settled(clock, log.rebalance({ assign: ['a'] }), 10)
    await until(clock, () => log.committed('a') === 3, 100)
    expect(sink.stored).toEqual([1, 2, 3, 1, 2, 3])
    expect(log.commits.at(-1)).toEqual({ splitId: 'a', next: 3, generation: 2, accepted: true })
    await settled(clock, job.close())
  })

  test('a commit of a generation that is over changes nothing', async () => {
    const log = new InMemoryGroupLog<number>({ splits: ['a'] })
    log.push('a', ...range(9))
    const [before, after]: [GroupSplit[], GroupSplit[]] = [[], []]
    const first = member('first', before)
    log.join(first, 'earliest')
    log.leave(first)
    log.join(member('second', after), 'earliest')
    await log.commit(after.map((split) => ({ ...split, next: 2 })))
    await expect(log.commit(before.map((split) => ({ ...split, next: 7 })))).rejects.toThrow(/'a'.*another has it/)
    expect(log.committed('a')).toBe(2)
    expect(log.commits.map(({ accepted }) => accepted)).toEqual([true, false])
  })

  test('a split that is new goes to a member', async () => {
    const clock = new VirtualClock()
    const log = new InMemoryGroupLog<number>({ splits: ['a'] })
    const sink = new InMemorySink<number>()
    const job = start(log, 'first', sink, clock)
    await until(clock, () => log.members.length === 1)
    log.addSplit('b')
    log.push('b', 7)
    await until(clock, () => sink.stored.length === 1, 100)
    await settled(clock, job.close())
    expect(() => log.push('c', 1)).toThrow("the group log has no split 'c'")
    await expect(log.rebalance({ assign: ['a'], to: 'nobody' })).rejects.toThrow("no member 'nobody'")
  })
})
