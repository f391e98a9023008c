import { expect, onTestFinished, test } from 'vitest'
import { MetricRegistry, silentLogger, type SourceReader } from '../../src/index.ts'
import { InMemoryGroupLog, InMemoryGroupSource, VirtualClock } from '../../src/testing.ts'
import type { GroupSplit } from '../../src/testing/in-memory-group-log.ts'
import { range } from '../job/harness.ts'

/** A reader that has emitted all six records of a split, which has ended. */
async function reading() {
  const clock = new VirtualClock()
  const log = new InMemoryGroupLog<number>({ splits: ['a'] })
  log.push('a', ...range(6))
  log.endSplit('a')
  const reader: SourceReader<number, GroupSplit> = new InMemoryGroupSource({ log }).createReader({
    sourceUid: 's',
    subtask: 0,
    logger: silentLogger,
    metrics: new MetricRegistry().group({}),
    clock,
    random: () => 0.5,
    signal: new AbortController().signal,
    fail: () => undefined,
    requestCheckpoint: () => undefined,
  })
  onTestFinished(() => reader.close(0))
  log.join(
    {
      name: 'm',
      assigned: (splits) => reader.addSplits(splits),
      revoked: () => Promise.resolve(),
      lost: () => Promise.resolve(),
    },
    'earliest',
  )
  await clock.flush()
  const batch = reader.poll()
  if (batch === undefined) throw new Error('nothing was fetched')
  reader.emitted(batch, 6)
  return { log, reader, at: (next: number) => ({ ...(batch.splitAfter(next - 1) as GroupSplit) }) }
}

test('a snapshot says what it was told of a split, and its checkpoint commits no more', async () => {
  const { log, reader, at } = await reading()
  reader.limitSnapshot([at(2)])
  expect(reader.snapshotState(1)).toEqual([at(2)])
  await reader.acknowledge(1, [])
  expect(log.committed('a')).toBe(2)
  // Not finished in that checkpoint: it stays, although nothing more of it is read.
  expect(reader.ended).toBe(false)
  expect(reader.splitState('a')).toMatchObject({ next: 6, finished: true })
})

test('the next snapshot is told anew, and what has not moved is committed once', async () => {
  const { log, reader, at } = await reading()
  for (const id of [1, 2, 3]) {
    reader.limitSnapshot([at(4)])
    reader.snapshotState(id)
    await reader.acknowledge(id, [])
  }
  expect(log.commits.map(({ next }) => next)).toEqual([4])
  expect(reader.snapshotState(4)).toMatchObject([{ next: 6, finished: true }])
  await reader.acknowledge(4, [])
  expect(log.committed('a')).toBe(6)
  expect(reader.splitState('a')).toBeUndefined()
})

test('a split that the reader does not have is passed over', async () => {
  const { reader } = await reading()
  reader.limitSnapshot([{ splitId: 'b', next: 1, generation: 1 }])
  expect(reader.snapshotState(1)).toMatchObject([{ splitId: 'a', next: 6 }])
})
