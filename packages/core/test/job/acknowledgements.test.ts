import { expect, test } from 'vitest'
import type { RecordBatch, SettledRecords, SourceReader, SourceSplit } from '../../src/index.ts'
import { Acknowledgements } from '../../src/job/acknowledgements.ts'
import { Tracker } from '../../src/tracker/tracker.ts'

type Reader = SourceReader<unknown, SourceSplit>

/** A tracker with inputs of splits, in the order given, and a reader that notes what it is asked to acknowledge. */
function stand(...splitIds: readonly string[]) {
  const tracker = new Tracker({ acknowledgement: 'individual' })
  for (const [token, splitId] of splitIds.entries()) {
    const batch: RecordBatch<unknown> = {
      splitId,
      values: [token],
      byteLengths: Uint32Array.of(1),
      receipts: [`${splitId}${token}`],
      lastOfSplit: false,
      raw: () => undefined,
      splitAfter: () => ({ splitId }),
    }
    tracker.emit(tracker.track('source', batch, { splitId }), 0, 1)
  }
  const calls: string[] = []
  const state = { answer: (): Promise<void> => Promise.resolve() }
  const reader = (...own: readonly string[]): Reader =>
    ({
      splitState: (splitId: string) => (own.includes(splitId) ? { splitId } : undefined),
      acknowledge: (checkpointId: number, settled: readonly SettledRecords[]) => {
        calls.push(`${checkpointId}: ${settled.flatMap(({ receipts }) => receipts).join(' ')}`)
        return state.answer()
      },
    }) as unknown as Reader
  return { tracker, acknowledgements: new Acknowledgements(tracker), reader, calls, state }
}

test('acknowledges what is settled and covered, in the order in which it was settled, once, by the reader that has the split', async () => {
  const { tracker, acknowledgements, reader, calls } = stand('a', 'a', 'b', 'a', 'a')
  const readers = [reader('a'), reader('b')]
  for (const token of [3, 1, 2, 4]) tracker.settle(token)
  await acknowledgements.acknowledge(readers, 1, 4)
  expect(calls.splice(0)).toEqual(['1: a3 a1', '1: b2'])
  tracker.settle(0)
  await acknowledgements.acknowledge(readers, 2, 5)
  expect(calls).toEqual(['2: a4 a0', '2: '])
})

test('what a failed call had is handed over again with the next, before what came since', async () => {
  const { tracker, acknowledgements, reader, calls, state } = stand('a', 'a')
  const readers = [reader('a')]
  tracker.settle(1)
  state.answer = () => Promise.reject(new Error('busy'))
  await expect(acknowledgements.acknowledge(readers, 1, 2)).rejects.toThrow('busy')
  tracker.settle(0)
  state.answer = () => Promise.resolve()
  await acknowledgements.acknowledge(readers, 2, 2)
  await acknowledgements.acknowledge(readers, 3, 2)
  expect(calls).toEqual(['1: a1', '2: a1 a0', '3: '])
})

test('a call that ends after the next one began takes away only what it had', async () => {
  const { tracker, acknowledgements, reader, calls, state } = stand('a', 'a')
  const readers = [reader('a')]
  const slow = Promise.withResolvers<void>()
  tracker.settle(0)
  state.answer = () => slow.promise
  const first = acknowledgements.acknowledge(readers, 1, 2)
  tracker.settle(1)
  state.answer = () => Promise.reject(new Error('busy'))
  await expect(acknowledgements.acknowledge(readers, 2, 2)).rejects.toThrow('busy')
  slow.resolve()
  await first
  state.answer = () => Promise.resolve()
  await acknowledgements.acknowledge(readers, 3, 2)
  expect(calls).toEqual(['1: a0', '2: a0 a1', '3: a1'])
})

test('one reader that fails keeps no other from its acknowledgement', async () => {
  const { tracker, acknowledgements, reader, calls, state } = stand('a', 'b')
  const readers = [reader('a'), reader('b')]
  tracker.settle(0)
  tracker.settle(1)
  let count = 0
  state.answer = () => (count++ === 0 ? Promise.reject(new Error('busy')) : Promise.resolve())
  await expect(acknowledgements.acknowledge(readers, 1, 2)).rejects.toThrow('busy')
  await acknowledgements.acknowledge(readers, 2, 2)
  expect(calls).toEqual(['1: a0', '1: b1', '2: a0', '2: '])
})

test('what could not be acknowledged of a split goes along with its release, and with nothing later', async () => {
  const { tracker, acknowledgements, reader, calls, state } = stand('a', 'b')
  const both = reader('a', 'b')
  tracker.settle(0)
  tracker.settle(1)
  state.answer = () => Promise.reject(new Error('busy'))
  await expect(acknowledgements.acknowledge([both], 1, 2)).rejects.toThrow('busy')
  expect(acknowledgements.takeOf(both, 'a')).toEqual(['a0'])
  expect(acknowledgements.takeOf(both, 'a')).toEqual([])
  state.answer = () => Promise.resolve()
  await acknowledgements.acknowledge([both], 2, 2)
  expect(calls).toEqual(['1: a0 b1', '2: b1'])
})
