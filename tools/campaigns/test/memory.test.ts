import { expect, test } from 'vitest'
import { acknowledgedEarly } from '../src/ledger/acknowledged.ts'
import { Generator } from '../src/ledger/generator.ts'
import { MemoryGroup } from '../src/memory/group.ts'
import { MemoryQueue } from '../src/memory/queue.ts'
import { arrival, produced } from './support.ts'

const generator = new Generator(1, 0)
const three = [generator.next(), generator.next(), generator.next()]

test('a queue delivers again after the visibility timeout, and not what was deleted', () => {
  let now = 0
  const queue = new MemoryQueue(1_000, () => now)
  queue.produce(three)
  const first = queue.receive(10)
  expect(first).toHaveLength(3)
  expect(queue.receive(10)).toEqual([])
  queue.delete(first.slice(0, 1).map(({ receipt }) => receipt))
  now = 1_000
  const again = queue.receive(10)
  expect(again.map(({ sequenceNumber }) => sequenceNumber)).toEqual(['1', '2'])
  expect(queue.journal.map(({ position }) => position.sequenceNumber)).toEqual(['0'])
})

test('a receipt of an older delivery deletes nothing', () => {
  const queue = new MemoryQueue(1_000, () => 0)
  queue.produce(three)
  const [old] = queue.receive(1)
  queue.expire()
  queue.receive(1)
  queue.delete([old?.receipt ?? ''])
  expect(queue.deleted.size).toBe(0)
})

test('a message that is given back is delivered at once', () => {
  const queue = new MemoryQueue(1_000, () => 0)
  queue.produce(three)
  queue.giveBack(queue.receive(10).map(({ receipt }) => receipt))
  expect(queue.receive(10)).toHaveLength(3)
})

const idle = { owned: [], released: [] }

test('a group assigns what is free, where it was committed', () => {
  const group = new MemoryGroup(['a', 'b'])
  const { assign, generation } = group.poll({ memberId: 'm', ...idle })
  expect(assign.map(({ splitId }) => splitId)).toEqual(['a', 'b'])
  expect(group.commit({ memberId: 'm', generation, splitId: 'a', next: 3 })).toBe(true)
  expect(group.journal.map(({ position }) => position.sequenceNumber)).toEqual(['0', '1', '2'])
  expect(group.poll({ memberId: 'n', ...idle }).assign).toEqual([
    { splitId: 'a', next: 3 },
    { splitId: 'b', next: 0 },
  ])
})

test('a revoked split is asked for, and goes to nobody until it comes back', () => {
  const group = new MemoryGroup(['a'])
  group.poll({ memberId: 'm', ...idle })
  group.take('a', 'revoked')
  expect(group.poll({ memberId: 'm', owned: ['a'], released: [] }).revoke).toEqual(['a'])
  expect(group.poll({ memberId: 'm', owned: [], released: ['a'] })).toMatchObject({ assign: [], lost: [] })
  group.giveBack('a')
  expect(group.poll({ memberId: 'm', ...idle }).assign).toEqual([{ splitId: 'a', next: 0 }])
})

test('a commit of a split that was lost is refused, also when it came back since', () => {
  const group = new MemoryGroup(['a'])
  const { generation } = group.poll({ memberId: 'm', ...idle })
  group.take('a', 'lost')
  const late = { memberId: 'm', generation, splitId: 'a', next: 1 }
  expect(group.commit(late)).toBe(false)
  group.giveBack('a')
  expect(group.poll({ memberId: 'm', owned: ['a'], released: [] })).toMatchObject({ assign: [], lost: ['a'] })
  expect(group.poll({ memberId: 'm', ...idle }).assign).toEqual([{ splitId: 'a', next: 0 }])
  expect(group.commit(late)).toBe(false)
  expect(group.fenced).toBe(2)
})

test('a position that moves back is a problem', () => {
  const group = new MemoryGroup(['a'])
  const { generation } = group.poll({ memberId: 'm', ...idle })
  for (const next of [5, 4]) group.commit({ memberId: 'm', generation, splitId: 'a', next })
  expect(group.problems).toEqual(['a was committed back from 5 to 4'])
  expect(group.committed('a')).toBe(5)
})

test('an acknowledgement answers for a write that came before it', () => {
  const records = [produced(1), produced(2), produced(3)]
  const acknowledgements = records.map(({ position }) => ({ position, atNs: 50n }))
  const arrivals = [arrival(1, 40), arrival(2, 60), arrival(1, 70)]
  expect(acknowledgedEarly(acknowledgements, arrivals, records)).toBe(2)
  expect(acknowledgedEarly(acknowledgements.slice(0, 1), arrivals, records)).toBe(0)
})
