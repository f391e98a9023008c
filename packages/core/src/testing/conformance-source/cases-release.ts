import { acknowledged, complete } from './cases-acknowledge.ts'
import { queued } from './cases-replay.ts'
import type { SourceCase } from './source-case.ts'
import type { Stand } from './stand.ts'

const PREFIX = { acknowledgement: ['prefix'] } as const
const EXTERNAL_PREFIX = { acknowledgement: ['prefix'], positionAuthority: ['external'] } as const

/** Splits that leave their reader, and come back. */
export const RELEASE_CASES: readonly SourceCase[] = [
  {
    name: 'nothing of a released split is emitted afterwards',
    promises: [6],
    async run(open) {
      for (const how of WAYS) {
        const stand = await open()
        const [a, b] = stand.splitIds
        stand.put(12, a)
        const kept = stand.service.splitIds.length > 0 ? stand.put(12, b) : []
        const life = await stand.life()
        await stand.emit(life, 3)
        stand.put(4, a)
        // Where memory holds one fetch only, the next one follows when its records were emitted.
        for (let count = 0; count < 9 && queued(life) === 0; count++) {
          await stand.clock.advance(1000)
          if (queued(life) === 0) await stand.emit(life, 1)
        }
        stand.expect(queued(life) > 0, 'records are not fetched ahead of their emission')
        await stand.release(life, ownSplits(stand, life).slice(0, 1), how)
        stand.put(4, a)
        await stand.emitRest(life)
        const emitted = life.emitted.filter(({ id }) => kept.includes(id))
        stand.expectRecords('the split that was kept', emitted, kept)
        stand.expect(queued(life) === 0, 'records of a released split are held')
      }
    },
  },
  {
    name: 'what was settled of a split is acknowledged when it is revoked, and nothing when it is lost',
    promises: [2, 7],
    needs: { positionAuthority: ['external'] },
    async run(open) {
      for (const [how, due] of [
        ['revoked', 3],
        ['lost', 0],
        ['drained', 5],
      ] as const) {
        const stand = await open()
        stand.put(8)
        const life = await stand.life()
        const emitted = await stand.emit(life, 5)
        life.settle(emitted.slice(0, 3))
        await stand.release(life, ownSplits(stand, life), how)
        stand.expect(
          acknowledged(stand) === due,
          `${how}: ${acknowledged(stand)} records were acknowledged, not ${due}`,
        )
      }
    },
  },
  {
    name: 'a release acknowledges nothing behind a record that is not settled',
    promises: [2],
    needs: EXTERNAL_PREFIX,
    async run(open) {
      const stand = await open()
      stand.put(8)
      const life = await stand.life()
      const emitted = await stand.emit(life, 6)
      life.settle(emitted.filter((_, index) => index !== 2))
      await stand.release(life, [stand.splitIds[0]], 'revoked')
      stand.expect(
        acknowledged(stand) === 2,
        `${acknowledged(stand)} records were acknowledged, the third is not settled`,
      )
    },
  },
  {
    name: 'records settled behind one that was given back are acknowledged, and it is not',
    promises: [2],
    needs: { acknowledgement: ['individual'] },
    async run(open) {
      const stand = await open()
      stand.put(6)
      const life = await stand.life()
      const emitted = await stand.emit(life, 6)
      life.settle(emitted.filter((_, index) => index !== 2))
      await stand.release(life, ownSplits(stand, life), 'revoked')
      stand.expect(acknowledged(stand) === 5, `${acknowledged(stand)} records were acknowledged, 5 are settled`)
    },
  },
  {
    name: 'nothing of a split is acknowledged once it was released or lost',
    promises: [2],
    needs: { positionAuthority: ['external'] },
    async run(open) {
      for (const how of ['revoked', 'lost'] as const) {
        const stand = await open()
        stand.put(9)
        const life = await stand.life()
        const emitted = await stand.emit(life, 4)
        const snapshot = life.snapshot()
        life.settle(emitted.slice(0, 2))
        await stand.release(life, ownSplits(stand, life), how)
        const before = acknowledged(stand)
        for (const record of emitted.slice(2)) record.state = 'settled'
        await complete(stand, life, snapshot)
        await complete(stand, life, life.snapshot())
        stand.expect(acknowledged(stand) === before, 'records of a split that was given up were acknowledged')
      }
    },
  },
  {
    name: 'an acknowledgement that waits its turn is not told of a split that was lost meanwhile',
    promises: [2],
    needs: { positionAuthority: ['external'] },
    async run(open) {
      const stand = await open()
      stand.put(8)
      const life = await stand.life()
      const answer = stand.service.holdNextAcknowledgement?.()
      const completions: { readonly done: boolean }[] = []
      for (let round = 0; round < 2; round++) {
        life.settle(await stand.emit(life, 2))
        completions.push(stand.watch(life.beginComplete(life.snapshot())))
        await stand.clock.advance(100)
      }
      await stand.release(life, ownSplits(stand, life), 'lost')
      answer?.()
      await stand.until('both acknowledgements end', () => completions.every(({ done }) => done))
      // The first was under way when the split was lost.
      stand.expect(
        acknowledged(stand) <= 2,
        `${acknowledged(stand)} records were acknowledged, 2 before the split was lost`,
      )
    },
  },
  {
    name: 'a failed acknowledgement at a release does not keep the split',
    promises: [7, 8],
    needs: EXTERNAL_PREFIX,
    async run(open) {
      const stand = await open()
      const ids = stand.put(6)
      const life = await stand.life()
      await stand.emit(life, 3)
      life.settle()
      stand.service.failNextAcknowledgement?.()
      await stand.release(life, [stand.splitIds[0]], 'revoked')
      stand.expect(
        life.readers.every((reader) => reader.splitState(stand.splitIds[0]) === undefined),
        'the split is still there',
      )
      await life.close()
      stand.anotherProcess()
      const next = await stand.life()
      const emitted = await stand.emitRest(next)
      stand.expectRecords('for the next owner', emitted, ids.slice(acknowledged(stand)))
    },
  },
  {
    name: 'a split that comes back goes on from the released position',
    promises: [7, 11],
    needs: PREFIX,
    async run(open) {
      for (const how of WAYS) {
        const stand = await open()
        const [a, b] = stand.splitIds
        const ids = stand.put(12, a)
        const life = await stand.life()
        const emitted = await stand.emit(life, 5)
        life.settle(emitted.slice(0, 2))
        await stand.release(life, [a], how)
        stand.expect(
          life.readers.every((reader) => reader.splitState(a) === undefined),
          `${how}: the reader still has the split`,
        )
        await stand.giveBack(life, [a])
        const isCommitted = stand.abilities.assignment === 'external' && how === 'lost'
        const from = isCommitted ? 0 : how === 'drained' ? 5 : 2
        const again = await stand.emit(life, 12 - from)
        stand.expectRecords(`${how}, and given again`, again, ids.slice(from))
        life.settle()
        await complete(stand, life, life.snapshot())
        const other = stand.put(2, b)
        stand.expectRecords('another split', await stand.emit(life, 2), other)
      }
    },
  },
  {
    name: 'a split that left is in no snapshot of its reader, and one that came back is in it once',
    promises: [7],
    needs: { ...PREFIX, assignment: ['enumerator'] },
    async run(open) {
      const stand = await open()
      const [a] = stand.splitIds
      stand.put(8, a)
      const life = await stand.life()
      await stand.emit(life, 3)
      const states = (): number =>
        life.readers.flatMap((reader) => [...reader.snapshotState(1000)]).filter(({ splitId }) => splitId === a).length
      await stand.release(life, [a], 'revoked')
      stand.expect(states() === 0, 'a released split is in the snapshot of its reader')
      await stand.giveBack(life, [a])
      stand.expect(states() === 1, `a split that came back is in the snapshot ${states()} times`)
      stand.expect(
        life.readers.flatMap((each) => [...each.status().splits]).filter(({ splitId }) => splitId === a).length === 1,
        'a split that came back is not in the status once',
      )
    },
  },
  {
    name: 'splits that the reader does not have are passed over',
    promises: [6],
    async run(open) {
      const stand = await open()
      const ids = stand.put(4)
      const life = await stand.life()
      for (const reader of life.readers) {
        reader.stopSplits(['nobody has it'])
        reader.pauseSplits(['nobody has it'])
        reader.resumeSplits(['nobody has it'])
        const split = { split: { splitId: 'nobody has it' }, receipts: [] }
        const error = await stand.outcome('a release', reader.releaseSplits([split], 'revoked', 1000))
        stand.expect(error === undefined, 'the release of an unknown split was refused')
      }
      stand.expectRecords('what is there', await stand.emit(life, 4), ids)
    },
  },
]

const WAYS = ['revoked', 'lost', 'drained'] as const

/** The splits that the first reader has. */
function ownSplits(stand: Stand, life: Stand['lives'][number]): readonly string[] {
  if (stand.service.splitIds.length > 0) return stand.service.splitIds
  return life.readers.flatMap((reader) => reader.status().splits.map(({ splitId }) => splitId))
}
