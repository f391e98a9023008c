import { describe, expect, test } from 'vitest'
import { settled as outcomeOf } from '../job/harness.ts'
import { batch, bench, type Reader, type Split } from './reader-bench.ts'

/** Answers each split once with five records, then never. */
function once(reader: Reader): void {
  const asked = new Set<string>()
  reader.answer = (splitId) => {
    if (asked.has(splitId)) return new Promise(() => {})
    asked.add(splitId)
    return Promise.resolve(batch(splitId, 0, 5))
  }
}

function poll(reader: Reader) {
  const polled = reader.poll()
  if (polled === undefined) throw new Error('nothing was fetched')
  return polled
}

const at = (splitId: string, next: number): Split => ({ splitId, next })
const receipts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `r${to - 1 - index}`)

/** A reader with splits `a` and `b`, of each of which five records were emitted. */
async function emitted() {
  const stand = bench()
  once(stand.reader)
  stand.reader.addSplits([at('a', 0), at('b', 0)])
  await stand.clock.flush()
  for (let polled = stand.reader.poll(); polled !== undefined; polled = stand.reader.poll())
    stand.reader.emitted(polled, 5)
  return stand
}

describe('splits that are stopped', () => {
  test('are not polled any more, and what was queued is given back, the last first', async () => {
    const { clock, reader } = bench()
    let next = 0
    reader.answer = (splitId) =>
      next < 10 ? Promise.resolve(batch(splitId, (next += 5) - 5, 5)) : new Promise(() => {})
    reader.addSplits([at('a', 0)])
    await clock.flush()
    expect(reader.status()).toMatchObject({ queuedRecords: 10, fetchedBytes: 200 })
    reader.stopSplits(['a'])
    await clock.flush()
    expect(reader.poll()).toBeUndefined()
    expect(reader.status()).toMatchObject({ queuedRecords: 0, fetchedBytes: 100 })
    expect(reader.returned).toEqual(receipts(0, 10))
    expect(reader.splitState('a')).toEqual(at('a', 0))
  })

  test('leave others alone', async () => {
    const { clock, reader } = bench()
    once(reader)
    reader.addSplits([at('a', 0), at('b', 0)])
    await clock.flush()
    reader.stopSplits(['a'])
    expect(poll(reader).splitId).toBe('b')
    expect(reader.poll()).toBeUndefined()
  })

  test('hold no byte: neither a fetch that fails, nor one that still brings records, nor one that waits for room', async () => {
    const { clock, reader, failures } = bench({ maxFetchedBytes: 200 })
    const answers: Record<string, (answer: Promise<ReturnType<typeof batch>>) => void> = {}
    reader.answer = (splitId) => new Promise((resolve) => (answers[splitId] = resolve))
    reader.addSplits(['a', 'b', 'c'].map((splitId) => at(splitId, 0)))
    await clock.flush()
    expect(reader.fetches).toEqual(['a', 'b'])
    reader.stopSplits(['a', 'b', 'c'])
    answers['a']?.(Promise.reject(new Error('aborted')))
    answers['b']?.(Promise.resolve(batch('b', 0, 3)))
    await clock.flush()
    expect(reader.fetches).toEqual(['a', 'b'])
    expect(reader.status()).toMatchObject({ fetchedBytes: 0, queuedRecords: 0 })
    expect(reader.returned).toEqual(receipts(0, 3))
    expect(failures).toEqual([])
  })

  test('are not fetched when they are stopped in the turn in which room came free', async () => {
    const { clock, reader } = bench({ maxFetchedBytes: 100 })
    once(reader)
    reader.addSplits([at('a', 0), at('b', 0)])
    await clock.flush()
    const first = poll(reader)
    reader.emitted(first, 5)
    reader.stopSplits(['a', 'b'])
    await clock.flush()
    expect(reader.fetches).toEqual(['a'])
    expect(reader.status().fetchedBytes).toBe(0)
  })

  test('a release gives the rest of the batch in hand back, with its bytes', async () => {
    const { clock, reader } = bench()
    reader.answer = (splitId) => Promise.resolve({ ...batch(splitId, 0, 5), delayMs: 1e9 })
    reader.addSplits([at('a', 0)])
    await clock.flush()
    const polled = poll(reader)
    reader.emitted(polled, 2)
    reader.stopSplits(['a'])
    await reader.releaseSplits([{ split: at('a', 2), receipts: [] }], 'lost', 100)
    expect(reader.returned).toEqual(receipts(2, 5))
    expect(reader.status()).toMatchObject({ fetchedBytes: 0, splits: [] })
    // The loop that had the batch in hand may still say how far it came.
    reader.emitted(polled, 5)
    expect(reader.status().fetchedBytes).toBe(0)
  })

  test('a reader that stops fetching gives the queue and the rest of the batch in hand back', async () => {
    const { clock, reader } = bench()
    let next = 0
    reader.answer = (splitId) =>
      next < 10 ? Promise.resolve(batch(splitId, (next += 5) - 5, 5)) : new Promise(() => {})
    reader.addSplits([at('a', 0)])
    await clock.flush()
    reader.emitted(poll(reader), 1)
    reader.stopFetching()
    expect(reader.returned).toEqual(receipts(1, 10))
    // Of the fetch under way, which has not answered.
    expect(reader.status().fetchedBytes).toBe(100)
    expect(reader.snapshotState(1)).toEqual([at('a', 1)])
  })

  test('waits with its end for records that are given back, and logs those that could not be', async () => {
    const { clock, reader, warnings } = bench()
    const giving = Promise.withResolvers<void>()
    reader.onReturn = () => giving.promise
    reader.answer = (splitId) => Promise.resolve({ ...batch(splitId, 0, 5), delayMs: 1e9 })
    reader.addSplits([at('a', 0)])
    await clock.flush()
    let closed = false
    const closing = reader.close(500).then(() => (closed = true))
    await clock.flush()
    expect(closed).toBe(false)
    giving.reject(new Error('no network'))
    await closing
    expect(warnings).toEqual(['Records could not be given back; the service delivers them again later'])
    expect(clock.pendingTimers).toBe(0)
  })

  test('may come back, as another assignment', async () => {
    const { clock, reader } = bench()
    once(reader)
    reader.addSplits([at('a', 0)])
    await clock.flush()
    const old = poll(reader)
    reader.stopSplits(['a'])
    await reader.releaseSplits([{ split: at('a', 0), receipts: [] }], 'revoked', 100)
    reader.answer = (splitId) => Promise.resolve({ ...batch(splitId, 7, 2), delayMs: 1e9 })
    reader.addSplits([at('a', 7)])
    await clock.flush()
    reader.emitted(old, 5)
    expect(reader.splitState('a')).toEqual(at('a', 7))
    reader.emitted(poll(reader), 2)
    expect(reader.splitState('a')).toEqual(at('a', 9))
  })
})

describe('a split that is paused', () => {
  test('is not fetched until it is resumed; what was fetched is polled', async () => {
    const { clock, reader } = bench()
    let next = 0
    reader.answer = (splitId) => Promise.resolve({ ...batch(splitId, (next += 5) - 5, 5), delayMs: 10 })
    reader.addSplits([at('a', 0)])
    await clock.flush()
    reader.pauseSplits(['a', 'unknown'])
    await clock.advance(100)
    expect(reader.fetches).toHaveLength(1)
    expect(poll(reader).values).toHaveLength(5)
    expect(reader.status().splits).toMatchObject([{ paused: true }])
    reader.resumeSplits(['a', 'unknown'])
    await clock.flush()
    expect(reader.fetches).toHaveLength(2)
    expect(reader.status().splits[0]).not.toHaveProperty('paused')
  })

  test('is not fetched when room comes free meanwhile, and takes none from others', async () => {
    const { clock, reader } = bench({ maxFetchedBytes: 100 })
    once(reader)
    reader.addSplits([at('a', 0), at('b', 0), at('c', 0)])
    await clock.flush()
    reader.pauseSplits(['b'])
    reader.emitted(poll(reader), 5)
    reader.pauseSplits(['a'])
    await clock.flush()
    expect(reader.fetches).not.toContain('b')
    expect(reader.fetches).toContain('c')
  })

  test('is released and closed as any other', async () => {
    const { clock, reader } = bench()
    reader.addSplits([at('a', 0), at('b', 0)])
    reader.pauseSplits(['a', 'b'])
    await clock.flush()
    expect(reader.fetches).toEqual([])
    reader.stopSplits(['a'])
    await reader.releaseSplits([{ split: at('a', 0), receipts: [] }], 'revoked', 100)
    await outcomeOf(clock, reader.close(1000), 0)
    expect(clock.now()).toBe(0)
    expect(reader.status().fetchedBytes).toBe(0)
  })
})

describe('what is settled', () => {
  test('is committed up to the snapshot, only where it has moved', async () => {
    const { reader } = await emitted()
    reader.addSplits([at('idle', 3)])
    reader.snapshotState(1)
    await reader.acknowledge(1, [])
    reader.snapshotState(2)
    await reader.acknowledge(2, [])
    expect(reader.committed).toEqual([[at('a', 5), at('b', 5)]])
  })

  test('an older checkpoint never follows a newer one, and a late one is covered', async () => {
    const { clock, reader } = bench()
    let next = 0
    reader.answer = (splitId) => Promise.resolve({ ...batch(splitId, next++, 1), delayMs: 1 })
    reader.addSplits([at('a', 0)])
    const hold = Promise.withResolvers<void>()
    reader.onCommit = () => hold.promise
    const advance = async (): Promise<void> => {
      await clock.advance(1)
      const polled = poll(reader)
      reader.emitted(polled, 1)
    }
    await advance()
    reader.snapshotState(1)
    await advance()
    reader.snapshotState(2)
    await advance()
    reader.snapshotState(3)
    const all = [reader.acknowledge(2, []), reader.acknowledge(1, []), reader.acknowledge(3, [])]
    hold.resolve()
    await Promise.all(all)
    expect(reader.committed).toEqual([[at('a', 2)], [at('a', 3)]])
  })

  test('is committed again after a failure, by the next checkpoint or the same', async () => {
    const { reader } = await emitted()
    reader.onCommit = () => Promise.reject(new Error('coordinator not available'))
    reader.snapshotState(1)
    await expect(reader.acknowledge(1, [])).rejects.toThrow('coordinator not available')
    reader.onCommit = () => Promise.resolve()
    await reader.acknowledge(1, [])
    await reader.acknowledge(1, [])
    expect(reader.committed).toEqual([
      [at('a', 5), at('b', 5)],
      [at('a', 5), at('b', 5)],
    ])
  })

  test('a finished split stays until its last position was taken', async () => {
    const { clock, reader } = bench()
    reader.answer = (splitId) => Promise.resolve(batch(splitId, 0, 1, true))
    reader.addSplits([at('a', 0)])
    await clock.flush()
    reader.emitted(poll(reader), 1)
    reader.snapshotState(1)
    reader.onCommit = () => Promise.reject(new Error('not now'))
    await expect(reader.acknowledge(1, [])).rejects.toThrow('not now')
    reader.onCommit = () => Promise.resolve()
    expect(reader.snapshotState(2)).toEqual([{ splitId: 'a', next: 1, finished: true }])
    await reader.acknowledge(2, [])
    expect(reader.committed.at(-1)).toEqual([{ splitId: 'a', next: 1, finished: true }])
    expect(reader.snapshotState(3)).toEqual([])
  })

  test.each(['lost', 'revoked'] as const)(
    'a checkpoint commits nothing of a split that was %s meanwhile, finished or not',
    async (how) => {
      const { clock, reader } = bench()
      reader.answer = (splitId) => Promise.resolve({ ...batch(splitId, 0, 5, splitId === 'a'), delayMs: 1e9 })
      reader.addSplits([at('a', 0), at('b', 0), at('c', 0)])
      await clock.flush()
      for (let polled = reader.poll(); polled !== undefined; polled = reader.poll()) reader.emitted(polled, 5)
      reader.snapshotState(1)
      const busy = Promise.withResolvers<void>()
      reader.onCommit = () => busy.promise
      // Something else is under way, so that the checkpoint has to wait for its turn.
      const released = reader.releaseSplits([{ split: at('c', 4), receipts: [] }], 'revoked', 1000)
      await clock.flush()
      const acknowledged = reader.acknowledge(1, [
        { splitId: 'a', receipts: ['r0'] },
        { splitId: 'b', receipts: ['r1'] },
      ])
      const gone = reader.releaseSplits(
        [
          { split: at('a', 3), receipts: [] },
          { split: at('b', 3), receipts: [] },
        ],
        how,
        1000,
      )
      busy.resolve()
      await Promise.all([released, acknowledged, gone])
      expect(reader.committed).toEqual(how === 'lost' ? [[at('c', 4)]] : [[at('c', 4)], [at('a', 3), at('b', 3)]])
      expect(reader.acknowledgedRecords).toEqual([])
    },
  )

  test('a release tells what is settled, positions and records', async () => {
    const { reader } = await emitted()
    reader.stopSplits(['a'])
    await reader.releaseSplits([{ split: at('a', 4), receipts: ['r0', 'r2'] }], 'drained', 1000)
    expect(reader.committed).toEqual([[at('a', 4)]])
    expect(reader.acknowledgedRecords).toEqual([[{ splitId: 'a', receipts: ['r0', 'r2'] }]])
    expect(reader.snapshotState(9)).toEqual([at('b', 5)])
  })

  test('a release ends by its deadline, and what had to wait until then is never told', async () => {
    const { clock, reader, warnings } = await emitted()
    const hold = Promise.withResolvers<void>()
    reader.onCommit = () => hold.promise
    reader.snapshotState(1)
    const acknowledging = reader.acknowledge(1, [])
    await clock.flush()
    let released = false
    const releasing = reader
      .releaseSplits([{ split: at('a', 4), receipts: [] }], 'revoked', 300)
      .then(() => (released = true))
    await clock.advance(299)
    expect(released).toBe(false)
    await clock.advance(1)
    expect(released).toBe(true)
    await releasing
    expect(warnings).toHaveLength(1)
    hold.resolve()
    await acknowledging
    await clock.flush()
    expect(reader.committed).toEqual([[at('a', 5), at('b', 5)]])
    expect(clock.pendingTimers).toBe(0)
  })

  test('a commit of a release that is under way is aborted at its deadline', async () => {
    const { clock, reader } = await emitted()
    reader.onCommit = () => new Promise(() => {})
    const releasing = reader.releaseSplits([{ split: at('a', 4), receipts: [] }], 'revoked', 300)
    await clock.advance(299)
    expect(reader.signals[0]?.aborted).toBe(false)
    await clock.advance(1)
    await releasing
    expect(reader.signals[0]?.aborted).toBe(true)
  })

  test('a release whose commit fails is told in the log, and rejects nothing', async () => {
    const { reader, warnings } = await emitted()
    reader.onCommit = () => Promise.reject(new Error('rebalanced'))
    await reader.releaseSplits([{ split: at('a', 4), receipts: [] }], 'revoked', 300)
    expect(warnings).toHaveLength(1)
    // One that failed holds nothing up.
    reader.onCommit = () => Promise.resolve()
    reader.snapshotState(1)
    await reader.acknowledge(1, [])
    expect(reader.committed.at(-1)).toEqual([at('b', 5)])
  })

  test('nothing is told after the end: an answer of the next attempt may be on its way', async () => {
    const { clock, reader } = await emitted()
    const hold = Promise.withResolvers<void>()
    reader.onCommit = () => hold.promise
    reader.snapshotState(1)
    reader.snapshotState(2)
    const first = reader.acknowledge(1, [])
    const second = reader.acknowledge(2, [{ splitId: 'a', receipts: ['r1'] }])
    second.catch(() => undefined)
    await clock.flush()
    const closing = reader.close(100)
    expect(reader.signals[0]?.aborted).toBe(true)
    hold.resolve()
    await clock.advance(100)
    await Promise.all([first, closing])
    await expect(second).rejects.toMatchObject({ code: 'SLUICE_CLOSED' })
    expect(reader.committed).toHaveLength(1)
    expect(reader.acknowledgedRecords).toEqual([])
  })

  test('records that are returned are given back at once, settled ones are not', async () => {
    const { clock, reader } = bench()
    once(reader)
    reader.addSplits([at('a', 0)])
    await clock.flush()
    const polled = poll(reader)
    reader.emitted(polled, 5)
    reader.recordEnded(polled, 1, 'settled')
    reader.recordEnded(polled, 3, 'returned')
    expect(reader.returned).toEqual(['r3'])
  })
})

describe('an assignment', () => {
  test('of a split that the reader has already ends the attempt', async () => {
    const { clock, reader, failures } = bench()
    reader.addSplits([at('a', 0), at('a', 5)])
    await clock.flush()
    expect(failures).toMatchObject([
      { code: 'SLUICE_SOURCE_FAILED', message: 'source, split a: assigned to a reader that has it already' },
    ])
    expect(reader.fetches).toEqual(['a'])
  })

  test('that cannot be opened ends the attempt, and the split stays in snapshots', async () => {
    const { clock, reader, failures } = bench()
    reader.addSplits([at('a', -1), at('b', 0)])
    await clock.flush()
    expect(failures).toMatchObject([{ code: 'SLUICE_SOURCE_FAILED', message: 'source, split a: no such position' }])
    expect(reader.snapshotState(1)).toEqual([at('a', -1), at('b', 0)])
  })
})
