import { messageOf } from '../../errors.ts'
import { idsOf } from './emitted.ts'
import type { Life, Snapshot } from './life.ts'
import type { SourceCase } from './source-case.ts'
import type { Stand } from './stand.ts'

const EXTERNAL = { positionAuthority: ['external'] } as const

/** What the service is told, where it keeps positions. */
export const ACKNOWLEDGE_CASES: readonly SourceCase[] = [
  {
    name: 'nothing is acknowledged before a checkpoint is stored',
    promises: [2],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(8)
      const life = await stand.life()
      await stand.emit(life, 5)
      await stand.clock.advance(5000)
      stand.check()
      life.settle()
      await stand.clock.advance(5000)
      stand.check()
      life.snapshot()
      await stand.clock.advance(5000)
      stand.expect(acknowledged(stand) === 0, `${acknowledged(stand)} records were acknowledged without a checkpoint`)
    },
  },
  {
    name: 'a checkpoint acknowledges what it covers, and nothing that was emitted later',
    promises: [2, 7],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(12)
      const life = await stand.life()
      await stand.emit(life, 3)
      const snapshot = life.snapshot()
      await stand.emit(life, 6)
      life.settle()
      await complete(stand, life, snapshot)
      stand.expect(acknowledged(stand) === 3, `${acknowledged(stand)} records were acknowledged, 3 are covered`)
    },
  },
  {
    name: 'a notification that was skipped is made up for by the next',
    promises: [7],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(12)
      const life = await stand.life()
      for (let round = 0; round < 3; round++) {
        await stand.emit(life, 2)
        life.settle()
        life.snapshot()
      }
      await stand.emit(life, 2)
      life.settle()
      await complete(stand, life, life.snapshot())
      stand.expect(acknowledged(stand) === 8, `${acknowledged(stand)} records were acknowledged, 8 are covered`)
    },
  },
  {
    name: 'a notification may come twice',
    promises: [7],
    async run(open) {
      const stand = await open()
      stand.put(12)
      const life = await stand.life()
      await stand.emit(life, 3)
      life.settle()
      const snapshot = life.snapshot()
      await complete(stand, life, snapshot)
      await complete(stand, life, snapshot)
      await stand.emit(life, 4)
      life.settle()
      await complete(stand, life, snapshot)
      await complete(stand, life, life.snapshot())
      if (stand.abilities.positionAuthority === 'checkpoint') return
      stand.expect(acknowledged(stand) === 7, `${acknowledged(stand)} records were acknowledged, 7 are covered`)
    },
  },
  {
    name: 'an older notification after a newer one takes nothing back',
    promises: [7],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(12)
      const life = await stand.life()
      await stand.emit(life, 2)
      life.settle()
      const older = life.snapshot()
      await stand.emit(life, 3)
      life.settle()
      const newer = life.snapshot()
      await complete(stand, life, newer)
      await complete(stand, life, older)
      stand.expect(acknowledged(stand) === 5, `${acknowledged(stand)} records were acknowledged, 5 are covered`)
    },
  },
  {
    name: 'an acknowledgement that failed rejects, and is covered by the next',
    promises: [2, 7],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(12)
      const life = await stand.life()
      await stand.emit(life, 3)
      life.settle()
      stand.service.failNextAcknowledgement?.()
      const error = await life.complete(life.snapshot())
      stand.expect(error !== undefined || acknowledged(stand) === 3, 'an acknowledgement failed, and nobody was told')
      await stand.emit(life, 1)
      life.settle()
      await complete(stand, life, life.snapshot())
      stand.expect(acknowledged(stand) === 4, `${acknowledged(stand)} records were acknowledged, 4 are covered`)
    },
  },
  {
    name: 'an acknowledgement that failed is covered by the next, also when nothing was emitted since',
    promises: [2, 7],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(3)
      const life = await stand.life()
      await stand.emit(life, 3)
      life.settle()
      stand.service.failNextAcknowledgement?.()
      await life.complete(life.snapshot())
      await complete(stand, life, life.snapshot())
      stand.expect(acknowledged(stand) === 3, `${acknowledged(stand)} records were acknowledged, 3 are covered`)
    },
  },
  {
    name: 'acknowledgements do not overtake each other',
    promises: [7],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(12)
      const life = await stand.life()
      const answer = stand.service.holdNextAcknowledgement?.()
      const completions: { readonly done: boolean }[] = []
      for (const count of [2, 3]) {
        await stand.emit(life, count)
        life.settle()
        completions.push(stand.watch(life.beginComplete(life.snapshot())))
        await stand.clock.advance(100)
        stand.check()
      }
      answer?.()
      await stand.clock.flush()
      stand.check()
      await stand.until('both acknowledgements end', () => completions.every(({ done }) => done))
      await complete(stand, life, life.snapshot())
      stand.expect(acknowledged(stand) === 5, `${acknowledged(stand)} records were acknowledged, 5 are covered`)
    },
  },
  {
    name: 'a release and a close end in time when an acknowledgement has no answer',
    promises: [2, 8],
    needs: EXTERNAL,
    async run(open) {
      for (const way of ['release', 'close'] as const) {
        const stand = await open()
        const ids = stand.put(6)
        const life = await stand.life()
        await stand.emit(life, 3)
        life.settle()
        const answer = stand.service.holdNextAcknowledgement?.()
        const hangs = stand.watch(life.beginComplete(life.snapshot()))
        await stand.clock.advance(100)
        const from = stand.clock.now()
        const splitIds = life.readers.flatMap((reader) => reader.status().splits.map(({ splitId }) => splitId))
        if (way === 'release') await stand.outcome(way, life.release(splitIds, 'revoked', 1000))
        else await life.close(1000)
        stand.expect(
          stand.clock.now() - from <= 1100,
          `${way} took ${stand.clock.now() - from} ms of the 1000 that it had`,
        )
        await life.close()
        await stand.until('the acknowledgement ends with the reader', () => hangs.done, 1000)
        answer?.()
        await stand.clock.advance(1000)
        stand.expect(acknowledged(stand) === 0, `records were acknowledged after the ${way}`)
        stand.service.redeliver?.()
        stand.anotherProcess()
        const due = ids.slice(acknowledged(stand))
        stand.expectRecords(`after such a ${way}`, await stand.emitRest(await stand.life()), due)
      }
    },
  },
  {
    name: 'a release says whether its acknowledgement was taken',
    promises: [2, 8],
    needs: EXTERNAL,
    async run(open) {
      for (const fails of [false, true]) {
        const stand = await open()
        stand.put(6)
        const life = await stand.life()
        await stand.emit(life, 3)
        life.settle()
        if (fails) stand.service.failNextAcknowledgement?.()
        const splitIds = life.readers.flatMap((reader) => reader.status().splits.map(({ splitId }) => splitId))
        await stand.outcome('a release', life.release(splitIds.slice(0, 1), 'revoked', 1000))
        stand.expect(
          life.lastReleaseAcknowledged === !fails,
          `releaseSplits resolved to ${life.lastReleaseAcknowledged} although its acknowledgement ${fails ? 'failed' : 'was taken'}`,
        )
      }
    },
  },
  {
    name: 'acknowledging goes on when fetching has stopped',
    promises: [8],
    needs: EXTERNAL,
    async run(open) {
      const stand = await open()
      stand.put(6)
      const life = await stand.life()
      await stand.emit(life, 4)
      life.stopFetching()
      life.settle()
      await complete(stand, life, life.snapshot())
      stand.expect(acknowledged(stand) === 4, `${acknowledged(stand)} records were acknowledged, 4 are covered`)
    },
  },
  {
    name: 'a record that was returned is not acknowledged, and is emitted again',
    promises: [1, 2],
    needs: { acknowledgement: ['individual'] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(4)
      const life = await stand.life()
      const [first, second, ...others] = await stand.emit(life, 4)
      if (first === undefined || second === undefined) throw new Error('four records were emitted')
      life.settle([first, ...others])
      life.settle([second], 'returned')
      await complete(stand, life, life.snapshot())
      const again = await stand.emit(life, 1)
      stand.expectRecords('what was returned', again, [second.id])
      life.settle(again)
      await complete(stand, life, life.snapshot())
      stand.expectRecords('all records', life.emitted.slice(0, 4), ids)
      stand.expect(acknowledged(stand) === 4, `${acknowledged(stand)} records were acknowledged, all 4 are settled`)
    },
  },
  {
    name: 'a repeat of a record in hand is neither emitted nor acknowledged',
    promises: [2],
    needs: { acknowledgement: ['individual'] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(3)
      const life = await stand.life()
      await stand.emit(life, 3)
      stand.service.redeliver?.()
      stand.expectRecords('repeats of records in hand', await stand.emitRest(life), [])
      stand.expect(acknowledged(stand) === 0, 'a record in hand was acknowledged')
      life.settle()
      await complete(stand, life, life.snapshot())
      // The service takes the newest receipt only.
      stand.expect(
        acknowledged(stand) === ids.length,
        `${acknowledged(stand)} of 3 records were acknowledged in the end`,
      )
    },
  },
  {
    name: 'a repeat of a record that is settled and not yet acknowledged is acknowledged with it',
    promises: [2],
    needs: { acknowledgement: ['individual'] },
    async run(open) {
      const stand = await open()
      stand.put(3)
      const life = await stand.life()
      await stand.emit(life, 3)
      life.settle()
      stand.service.redeliver?.()
      stand.expectRecords('repeats of settled records', await stand.emitRest(life), [])
      await complete(stand, life, life.snapshot())
      stand.expect(acknowledged(stand) === 3, `${acknowledged(stand)} of 3 records were acknowledged in the end`)
    },
  },
  {
    name: 'of a group one record is in hand at a time, in order',
    promises: [6],
    needs: { groups: [true] },
    async run(open) {
      const stand = await open()
      const one = stand.put(3, undefined, { group: 'one' })
      const two = stand.put(2, undefined, { group: 'two' })
      const life = await stand.life()
      for (let round = 0; round < 3; round++) {
        const emitted = await stand.emitRest(life)
        const due = [one[round], two[round]].filter((id) => id !== undefined)
        stand.expectRecords(`round ${round}`, emitted, due)
        stand.expect(
          emitted.every(({ id, group }) => group === (one.includes(id) ? 'one' : 'two')),
          'a record has another group',
        )
        life.settle(emitted)
        if (round === 1) await complete(stand, life, life.snapshot())
      }
    },
  },
  {
    name: 'a group goes on with the record that was returned',
    promises: [2, 6],
    needs: { groups: [true] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(4, undefined, { group: 'one' })
      const life = await stand.life()
      life.settle(await stand.emit(life, 1))
      const [second] = await stand.emit(life, 1)
      if (second === undefined) throw new Error('a record was emitted')
      await complete(stand, life, life.snapshot(), { mayWait: true })
      life.settle([second], 'returned')
      await complete(stand, life, life.snapshot())
      for (const id of ids.slice(1)) {
        const emitted = await stand.emit(life, 1)
        stand.expectRecords('after a return', emitted, [id])
        life.settle(emitted)
        await complete(stand, life, life.snapshot())
      }
    },
  },
  {
    name: 'what was fetched and not emitted is given back at once',
    promises: [7],
    needs: { acknowledgement: ['individual'] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(5)
      const life = await stand.life()
      const first = await stand.emit(life, 1)
      await life.close()
      stand.anotherProcess()
      const next = await stand.life()
      const due = ids.filter((id) => !idsOf(first).includes(id))
      const emitted = await stand.emitRest(next, 1000)
      stand.expectRecords(
        'what was not emitted',
        emitted.filter(({ id }) => due.includes(id)),
        due,
      )
    },
  },
]

/** Completes a checkpoint, which must not fail. */
export async function complete(
  stand: Stand,
  life: Life,
  snapshot: Snapshot,
  { mayWait = false }: { readonly mayWait?: boolean } = {},
): Promise<void> {
  if (mayWait && life.emitted.slice(0, snapshot.barrier).some(({ state, gone }) => state === 'inHand' && !gone)) return
  const error = await life.complete(snapshot)
  stand.expect(error === undefined, `an acknowledgement failed: ${messageOf(error)}`)
}

/** Records that the service holds for done. */
export function acknowledged(stand: Stand): number {
  const { service } = stand
  if (service.acknowledged !== undefined) return new Set(service.acknowledged()).size
  return service.splitIds.reduce((sum, splitId) => sum + (service.committed?.(splitId) ?? 0), 0)
}
