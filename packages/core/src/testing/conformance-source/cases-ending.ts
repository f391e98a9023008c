import { messageOf } from '../../errors.ts'
import { acknowledged, complete } from './cases-acknowledge.ts'
import { queued } from './cases-replay.ts'
import type { SourceCase } from './source-case.ts'

const SPLITS_END = { bounded: ['splits', 'input'] } as const

/** Splits and input that end, and the end of a reader. */
export const ENDING_CASES: readonly SourceCase[] = [
  {
    name: 'the end of a split is told with its last record, once',
    promises: [6],
    needs: SPLITS_END,
    async run(open) {
      const stand = await open()
      const [a] = stand.splitIds
      const ids = stand.put(7, a)
      const life = await stand.life()
      await stand.emit(life, 4)
      stand.service.endSplit?.(a)
      stand.expectRecords('to the end', [...life.emitted, ...(await stand.emitRest(life))], ids)
      stand.expect(life.finished.join() === a, `the splits that ended are '${life.finished.join()}', not '${a}'`)
    },
  },
  {
    name: 'a finished split stays in the snapshot until a checkpoint that covers it is stored',
    promises: [7],
    needs: SPLITS_END,
    async run(open) {
      const stand = await open()
      const [a, b] = stand.splitIds
      stand.put(3, a)
      stand.put(2, b)
      const life = await stand.life()
      await stand.emit(life, 2)
      const before = life.snapshot()
      stand.service.endSplit?.(a)
      await stand.emitRest(life)
      life.settle()
      const covering = life.snapshot()
      const later = life.snapshot()
      await complete(stand, life, before)
      for (const snapshot of [covering, later, life.snapshot()]) {
        const { finished } = snapshot.splits.find(({ splitId }) => splitId === a) ?? {}
        stand.expect(
          finished === true,
          'a finished split left the snapshot before a checkpoint that covers it was stored',
        )
      }
      await complete(stand, life, covering)
      const left = life.snapshot().splits.every(({ splitId }) => splitId !== a)
      stand.expect(left, 'a finished split stays in the snapshot after a checkpoint that covers it was stored')
      await complete(stand, life, later)
    },
  },
  {
    name: 'a failed acknowledgement of a split that ended is covered by the next',
    promises: [2, 7],
    needs: { ...SPLITS_END, positionAuthority: ['external'] },
    async run(open) {
      const stand = await open()
      const [a] = stand.splitIds
      stand.put(3, a)
      const life = await stand.life()
      stand.service.endSplit?.(a)
      await stand.emitRest(life)
      stand.service.failNextAcknowledgement?.()
      await life.complete(settledSnapshot(life))
      await complete(stand, life, life.snapshot())
      stand.expect(
        acknowledged(stand) === 3,
        `${acknowledged(stand)} of 3 records of a split that ended were acknowledged`,
      )
    },
  },
  {
    name: 'a split that has ended is not read again after a restart',
    promises: [7, 11],
    needs: SPLITS_END,
    async run(open) {
      const stand = await open()
      const [a, b] = stand.splitIds
      stand.put(3, a)
      const life = await stand.life()
      stand.service.endSplit?.(a)
      await stand.emitRest(life)
      life.settle()
      const withIt = life.snapshot()
      await complete(stand, life, withIt)
      const withoutIt = life.snapshot()
      await complete(stand, life, withoutIt)
      await life.close()
      const later = stand.put(2, b)
      for (const restored of [withIt, withoutIt]) {
        stand.anotherProcess()
        const next = await stand.life({ restored })
        stand.expectRecords(`from checkpoint ${restored.id}`, await stand.emitRest(next), later)
        await next.close()
      }
    },
  },
  {
    name: 'a reader ends when the input has, and not before',
    promises: [8],
    needs: { bounded: ['input'] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(7)
      const life = await stand.life()
      await stand.emit(life, 5)
      stand.service.endInput?.()
      const [reader] = life.readers
      if (reader === undefined) throw new Error('a life has a reader')
      stand.expect(!reader.ended, 'the reader ended before its records were emitted')
      stand.expectRecords('to the end', [...life.emitted, ...(await stand.emitRest(life))], ids)
      await stand.until('the reader ends', () => reader.ended)
      const ready = stand.watch(reader.ready())
      await stand.until('ready resolves at the end', () => ready.done, 1000)
      await complete(stand, life, settledSnapshot(life))
    },
  },
  {
    name: 'close ends in time, aborts what is under way, and may be called again',
    promises: [8],
    async run(open) {
      const stand = await open()
      stand.put(3)
      stand.service.hangNextFetch()
      const life = await stand.life()
      await stand.until('a fetch is under way', () => stand.service.openFetches > 0)
      const [reader] = life.readers
      if (reader === undefined) throw new Error('a life has a reader')
      const before = stand.clock.now()
      const first = await stand.outcome('close', reader.close(1000), 2000)
      stand.expect(first === undefined, `close rejected: ${messageOf(first)}`)
      stand.expect(stand.clock.now() - before <= 1000 + 40, 'close took longer than its deadline')
      stand.expect(stand.service.openFetches === 0, 'a fetch goes on after close')
      const again = await stand.outcome('close, again', reader.close(1000), 2000)
      stand.expect(again === undefined, `the second close rejected: ${messageOf(again)}`)
      const disposed = Promise.resolve(reader[Symbol.asyncDispose]())
      stand.expect((await stand.outcome('the disposer', disposed, 2000)) === undefined, 'the disposer rejected')
    },
  },
  {
    name: 'nothing is polled or fetched once fetching has stopped',
    promises: [4, 8],
    async run(open) {
      const stand = await open()
      stand.put(40)
      const life = await stand.life()
      await stand.until('records are fetched', () => queued(life) > 0)
      life.stopFetching()
      const { fetches } = stand.service
      stand.expect(queued(life) === 0, 'records are queued after fetching has stopped')
      stand.expectRecords('after fetching has stopped', await stand.emitRest(life), [])
      stand.expect(stand.service.fetches === fetches, 'records were fetched after fetching has stopped')
      life.stopFetching()
    },
  },
  {
    name: 'a split that is assigned after fetching has stopped is in the snapshot, and is not read',
    promises: [7],
    needs: { acknowledgement: ['prefix'], assignment: ['enumerator'] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(3)
      const life = await stand.life({ open: false })
      life.stopFetching()
      life.open()
      stand.expectRecords('after fetching has stopped', await stand.emitRest(life), [])
      const restored = life.snapshot()
      await life.close()
      const next = await stand.life({ restored })
      stand.expectRecords('from that snapshot', await stand.emitRest(next), ids)
    },
  },
  {
    name: 'metrics of splits go with the reader',
    promises: [4],
    async run(open) {
      const stand = await open()
      stand.put(3)
      const life = await stand.life()
      await stand.emit(life, 3)
      await life.close()
      const left = life.metrics
        .collect()
        .filter(({ definition, labels }) => definition.kind === 'gauge' && 'split' in labels)
      stand.expect(left.length === 0, `the gauge ${left[0]?.definition.name} of a split is left after close`)
    },
  },
]

function settledSnapshot(life: Parameters<typeof complete>[1]): Parameters<typeof complete>[2] {
  life.settle()
  return life.snapshot()
}
